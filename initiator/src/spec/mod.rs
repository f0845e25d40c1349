//! How users name a remote namespace: SPDK's string, or a URI.
//!
//! `trtype=rdma traddr=127.0.0.1 trsvcid=4420 subnqn=NQN ns=1 [hostaddr=…] [hostnqn=…] [mode=native|roce]
//! [link=auto|udp|shm|raw] [cc=fixed|swift|dcqcn]` or `nvme-rdma://127.0.0.1:4420/NQN/1[?mode=roce&hostaddr=…]`; over TCP
//! `trtype=tcp traddr=… [hdgst=on|off] [ddgst=on|off]` or `nvme-tcp://…`. With authentication:
//! `dhchap_secret=DHHC-1:… [dhchap_ctrl_secret=DHHC-1:…]`. With TLS (TCP): `tls_key=NVMeTLSkey-1:…`, or with a
//! secret `concat=on`.
//! With more paths to the same subsystem, each `path=ADDR[:PORT]`.

mod parse;

use auth::{HostKeys, Secret, TlsKey};
use netstack::endpoint::CcKind;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Which fabric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// RoCEv2 or native, over UDP or shared memory.
    #[default]
    Rdma,
    /// NVMe/TCP.
    Tcp,
}

/// Wire mode that the user asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WireMode {
    /// Offer native; a peer that does not know it gets RoCEv2.
    #[default]
    Native,
    /// RoCEv2 only.
    Roce,
}

/// By which way packets go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LinkChoice {
    /// Shared memory when the target is on this machine and offers it, UDP otherwise.
    #[default]
    Auto,
    /// UDP.
    Udp,
    /// Shared memory, or an error.
    Shm,
    /// Whole Ethernet frames, whose ICRC is verified; needs CAP_NET_RAW.
    Raw,
}

/// A remote namespace, or (without `nsid` and `subnqn`) a remote port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetSpec {
    /// Which fabric.
    pub transport: Transport,
    /// Target's address.
    pub traddr: IpAddr,
    /// Target's service id (port).
    pub trsvcid: u16,
    /// More addresses of the same subsystem: paths that are used when the first is not, or not as
    /// good.
    pub paths: Vec<SocketAddr>,
    /// Subsystem NQN.
    pub subnqn: Option<String>,
    /// Namespace; 1 when not said.
    pub nsid: u32,
    /// This side's address; chosen when not said.
    pub hostaddr: Option<IpAddr>,
    /// This host's NQN; from `/etc/nvme/hostnqn` or made up when not said.
    pub hostnqn: Option<String>,
    /// Wire mode (RDMA).
    pub mode: WireMode,
    /// By which way (RDMA).
    pub link: LinkChoice,
    /// Congestion control of what this side sends (RDMA); a fixed window when not said.
    pub cc: Option<CcKind>,
    /// Ask for digests of headers (TCP).
    pub header_digest: bool,
    /// Ask for digests of data (TCP).
    pub data_digest: bool,
    /// What this host proves.
    pub dhchap_secret: Option<Secret>,
    /// What the controller must prove; never without the other.
    pub dhchap_ctrl_secret: Option<Secret>,
    /// Speak TLS with this key (TCP).
    pub tls_key: Option<TlsKey>,
    /// Have a key for TLS made when this host proves itself (TCP, with a secret).
    pub concat: bool,
}

/// A target string that cannot be understood: what is wrong and what would be right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "target {text:?}: {problem}\n  write 'trtype=rdma traddr=ADDR trsvcid=4420 subnqn=NQN ns=1' or nvme-rdma://ADDR:4420/NQN/1"
)]
pub struct SpecError {
    text: String,
    problem: String,
}

/// NVMe over Fabrics' assigned port. Source: NVMe over Fabrics, "Transport Service Identifier".
pub const NVME_PORT: u16 = 4420;

impl TargetSpec {
    /// A port of `traddr`, nothing else said.
    #[must_use]
    pub fn port(traddr: IpAddr, trsvcid: u16) -> TargetSpec {
        TargetSpec {
            transport: Transport::Rdma,
            traddr,
            trsvcid,
            paths: Vec::new(),
            subnqn: None,
            nsid: 1,
            hostaddr: None,
            hostnqn: None,
            mode: WireMode::Native,
            link: LinkChoice::Auto,
            cc: None,
            header_digest: false,
            data_digest: false,
            dhchap_secret: None,
            dhchap_ctrl_secret: None,
            tls_key: None,
            concat: false,
        }
    }
}

impl TargetSpec {
    /// The secrets for a session, if there are any.
    #[must_use]
    pub fn keys(&self) -> Option<HostKeys> {
        let host = self.dhchap_secret.clone()?;
        Some(HostKeys { host, controller: self.dhchap_ctrl_secret.clone() })
    }
    fn checked(self) -> Result<TargetSpec, String> {
        if self.dhchap_secret.is_none() && self.dhchap_ctrl_secret.is_some() {
            return Err("dhchap_ctrl_secret= needs dhchap_secret=".into());
        }
        if self.tls_key.is_some() && self.transport != Transport::Tcp {
            return Err("tls_key= is for trtype=tcp".into());
        }
        if self.cc.is_some() && self.transport != Transport::Rdma {
            return Err("cc= is for trtype=rdma: the kernel has that of TCP".into());
        }
        Ok(self)
    }
}

/// `text`, fit for messages and reports: instead of each secret, three dots.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    let end_of = |text: &str, word: &str| text.find(word).map(|at| at + word.len());
    while let Some(at) =
        [end_of(rest, "secret="), end_of(rest, "tls_key=")].into_iter().flatten().min()
    {
        let (before, secret) = rest.split_at(at);
        shown.push_str(before);
        shown.push('…');
        rest = secret.find([' ', '\t', '\n', '&']).map_or("", |end| &secret[end..]);
    }
    shown.push_str(rest);
    shown
}

impl FromStr for TargetSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<TargetSpec, SpecError> {
        let parsed = match text.split_once("://") {
            Some((scheme, rest)) => parse::uri(scheme, rest),
            None => parse::words(text),
        };
        let parsed = parsed.and_then(TargetSpec::checked);
        parsed.map_err(|problem| SpecError { text: without_secrets(text), problem })
    }
}

#[cfg(test)]
mod tests;
