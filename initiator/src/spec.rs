//! How users name a remote namespace: SPDK's string, or a URI.
//!
//! `trtype=rdma traddr=127.0.0.1 trsvcid=4420 subnqn=NQN ns=1 [hostaddr=…] [hostnqn=…] [mode=native|roce]
//! [link=auto|udp|shm|raw]` or `nvme-rdma://127.0.0.1:4420/NQN/1[?mode=roce&hostaddr=…]`; over TCP
//! `trtype=tcp traddr=… [hdgst=on|off] [ddgst=on|off]` or `nvme-tcp://…`. With authentication:
//! `dhchap_secret=DHHC-1:… [dhchap_ctrl_secret=DHHC-1:…]`. With TLS (TCP): `tls_key=NVMeTLSkey-1:…`, or with a
//! secret `concat=on`.
//! With more paths to the same subsystem, each `path=ADDR[:PORT]`.

use auth::{HostKeys, Secret, TlsKey};
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
/// Paths besides the first, at most.
const PATHS_MAX: usize = 15;

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
            Some((scheme, rest)) => parse_uri(scheme, rest),
            None => parse_words(text),
        };
        let parsed = parsed.and_then(TargetSpec::checked);
        parsed.map_err(|problem| SpecError { text: without_secrets(text), problem })
    }
}

fn parse_words(text: &str) -> Result<TargetSpec, String> {
    let mut spec = TargetSpec::port(IpAddr::from([0, 0, 0, 0]), NVME_PORT);
    let mut has_addr = false;
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!("{word:?} is not KEY=VALUE"));
        };
        has_addr |= key == "traddr";
        set(&mut spec, key, value)?;
    }
    if !has_addr {
        return Err("traddr= is missing".into());
    }
    Ok(spec)
}

fn set(spec: &mut TargetSpec, key: &str, value: &str) -> Result<(), String> {
    let bad = |what: &str| format!("{key}={value}: {what}");
    match key.to_ascii_lowercase().as_str() {
        "trtype" | "transport" => {
            spec.transport = transport(value).ok_or(bad("rdma or tcp"))?;
        }
        "hdgst" => spec.header_digest = switch(value).ok_or(bad("on or off"))?,
        "ddgst" => spec.data_digest = switch(value).ok_or(bad("on or off"))?,
        "adrfam" => {}
        "traddr" => spec.traddr = value.parse().map_err(|_| bad("not an IP address"))?,
        "trsvcid" => spec.trsvcid = value.parse().map_err(|_| bad("not a port number"))?,
        "path" => {
            let (addr, port) = split_port(value).map_err(|why| bad(&why))?;
            if spec.paths.len() >= PATHS_MAX {
                return Err(bad("too many paths"));
            }
            spec.paths.push(SocketAddr::new(addr, port));
        }
        "subnqn" | "nqn" => spec.subnqn = Some(value.into()),
        "hostaddr" => spec.hostaddr = Some(value.parse().map_err(|_| bad("not an IP address"))?),
        "hostnqn" => spec.hostnqn = Some(value.into()),
        "dhchap_secret" => spec.dhchap_secret = Some(secret(key, value)?),
        "dhchap_ctrl_secret" => spec.dhchap_ctrl_secret = Some(secret(key, value)?),
        "tls_key" => {
            spec.tls_key = Some(value.parse().map_err(|why| format!("{key}=…: {why}"))?);
        }
        "concat" => spec.concat = switch(value).ok_or(bad("on or off"))?,
        "ns" | "nsid" => {
            spec.nsid = value.parse().ok().filter(|&n| n > 0).ok_or(bad("not a namespace id"))?;
        }
        "mode" => {
            spec.mode = match value {
                "native" => WireMode::Native,
                "roce" => WireMode::Roce,
                _ => return Err(bad("native or roce")),
            }
        }
        "link" => {
            spec.link = match value {
                "auto" => LinkChoice::Auto,
                "udp" => LinkChoice::Udp,
                "shm" => LinkChoice::Shm,
                "raw" => LinkChoice::Raw,
                _ => return Err(bad("auto, udp, shm or raw")),
            }
        }
        _ => return Err(format!("{key}= is not known")),
    }
    Ok(())
}

/// The value itself is not told.
fn secret(key: &str, value: &str) -> Result<Secret, String> {
    value.parse().map_err(|why| format!("{key}=…: {why}"))
}

fn transport(word: &str) -> Option<Transport> {
    match word.to_ascii_lowercase().as_str() {
        "rdma" => Some(Transport::Rdma),
        "tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn parse_uri(scheme: &str, rest: &str) -> Result<TargetSpec, String> {
    let transport = scheme.strip_prefix("nvme-").and_then(transport);
    let transport = transport.ok_or(format!("{scheme}:// is not spoken"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_port(authority)?;
    let mut spec = TargetSpec::port(host, port);
    spec.transport = transport;
    let mut parts = path.splitn(2, '/');
    if let Some(nqn) = parts.next().filter(|nqn| !nqn.is_empty()) {
        spec.subnqn = Some(nqn.into());
    }
    if let Some(nsid) = parts.next().filter(|n| !n.is_empty()) {
        set(&mut spec, "nsid", nsid)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(format!("{pair:?} is not KEY=VALUE"))?;
        set(&mut spec, key, value)?;
    }
    Ok(spec)
}

/// `1.2.3.4`, `1.2.3.4:4420`, `[::1]`, `[::1]:4420`.
fn split_port(authority: &str) -> Result<(IpAddr, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("missing ]")?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (authority, None),
        },
    };
    let addr = host.parse().map_err(|_| format!("{host:?} is not an IP address"))?;
    let port = match port {
        Some(port) => port.parse().map_err(|_| format!("{port:?} is not a port number"))?,
        None => NVME_PORT,
    };
    Ok((addr, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: both spellings mean the same.
    #[test]
    fn words_and_uri_agree() {
        let words: TargetSpec =
            "trtype=RDMA adrfam=IPv4 traddr=127.0.0.1 trsvcid=4421 subnqn=nqn.2026-11.x:a ns=2 mode=roce link=shm"
                .parse()
                .unwrap();
        let uri: TargetSpec =
            "nvme-rdma://127.0.0.1:4421/nqn.2026-11.x:a/2?mode=roce&link=shm".parse().unwrap();
        assert_eq!(words, uri);
        assert_eq!((words.nsid, words.trsvcid, words.mode), (2, 4421, WireMode::Roce));
        assert_eq!(words.link, LinkChoice::Shm);
    }

    /// Goal: TCP is named by a word or a scheme, with its digests.
    #[test]
    fn tcp_is_spoken() {
        let words: TargetSpec =
            "transport=tcp traddr=127.0.0.1 subnqn=nqn.x hdgst=on ddgst=off".parse().unwrap();
        let uri: TargetSpec = "nvme-tcp://127.0.0.1/nqn.x?hdgst=on".parse().unwrap();
        assert_eq!(words, uri);
        assert_eq!(words.transport, Transport::Tcp);
        assert!(words.header_digest && !words.data_digest);
    }

    /// Goal: secrets are read in both spellings, and never told again.
    #[test]
    fn secrets_are_read_and_not_told() {
        let secret = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
        let words = format!("traddr=1.2.3.4 dhchap_secret={secret} dhchap_ctrl_secret={secret}");
        let uri =
            format!("nvme-rdma://1.2.3.4/?dhchap_secret={secret}&dhchap_ctrl_secret={secret}");
        let spec: TargetSpec = words.parse().unwrap();
        assert_eq!(spec, uri.parse().unwrap());
        assert!(spec.keys().unwrap().controller.is_some());
        assert!(!format!("{spec:?}").contains("AAEC"));
        for bad in [format!("{words} x=y"), words.replace("+KfiaR", "+KfiaS"), uri + "&x"] {
            let error = bad.parse::<TargetSpec>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("AAEC"), "{error}");
        }
        let alone = format!("traddr=1.2.3.4 dhchap_ctrl_secret={secret}").parse::<TargetSpec>();
        assert!(alone.unwrap_err().to_string().contains("needs dhchap_secret="));
        assert_eq!(without_secrets("a=1 dhchap_secret=xyz b=2"), "a=1 dhchap_secret=… b=2");
    }

    /// Goal: a TLS key is read for TCP, and never told again.
    #[test]
    fn tls_keys_are_read_and_not_told() {
        let key = "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:";
        let words = format!("trtype=tcp traddr=1.2.3.4 tls_key={key}");
        let spec: TargetSpec = words.parse().unwrap();
        assert!(spec.tls_key.is_some() && !format!("{spec:?}").contains("VRLb"));
        for bad in
            [format!("{words} x=y"), words.replace("VRLb", "VRLa"), words.replace("tcp", "rdma")]
        {
            let error = bad.parse::<TargetSpec>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("VRL"), "{error}");
        }
        let made: TargetSpec = "trtype=tcp traddr=1.2.3.4 concat=on".parse().unwrap();
        assert!(made.concat && !spec.concat);
        let both = "tls_key=a dhchap_secret=b tls_key=c d=e";
        assert_eq!(without_secrets(both), "tls_key=… dhchap_secret=… tls_key=… d=e");
    }

    /// Goal: IPv6 addresses keep their colons, and the port defaults to NVMe's.
    #[test]
    fn ipv6_and_defaults() {
        let spec: TargetSpec = "nvme-rdma://[::1]/nqn.x".parse().unwrap();
        assert_eq!(spec.traddr, "::1".parse::<IpAddr>().unwrap());
        assert_eq!((spec.trsvcid, spec.nsid, spec.subnqn.as_deref()), (4420, 1, Some("nqn.x")));
    }

    /// Goal: every mistake is named, none panics.
    #[test]
    fn mistakes_are_named() {
        for (text, problem) in [
            ("traddr", "not KEY=VALUE"),
            ("trsvcid=4420", "traddr= is missing"),
            ("traddr=host", "not an IP address"),
            ("traddr=1.2.3.4 trsvcid=99999", "not a port"),
            ("traddr=1.2.3.4 ns=0", "not a namespace id"),
            ("traddr=1.2.3.4 trtype=fc", "rdma or tcp"),
            ("traddr=1.2.3.4 trtype=tcp hdgst=yes", "on or off"),
            ("traddr=1.2.3.4 link=tcp", "auto, udp, shm or raw"),
            ("traddr=1.2.3.4 colour=red", "not known"),
            ("traddr=1.2.3.4 path=1.2.3:4420", "not an IP address"),
            ("http://1.2.3.4/", "not spoken"),
            ("nvme-rdma://1.2.3.4:x/", "not a port"),
        ] {
            let error = text.parse::<TargetSpec>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
