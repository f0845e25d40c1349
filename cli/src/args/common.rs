//! What several verbs take.

use clap::{Args, ValueEnum};
use netstack::endpoint::CcKind;
use netstack::link::inject::Rule;
use std::net::IpAddr;

/// How to wait for work.
#[derive(
    Clone, Copy, ValueEnum, serde::Deserialize, serde::Serialize, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Poll {
    /// Spin: lowest latency, one core.
    Busy,
    /// Spin a little, then sleep.
    #[default]
    Adaptive,
}

/// A fabric.
#[derive(
    Clone,
    Copy,
    ValueEnum,
    serde::Deserialize,
    serde::Serialize,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// RoCEv2 or native, over UDP or shared memory.
    #[default]
    Rdma,
    /// NVMe/TCP.
    Tcp,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(target::TransportKind::from(*self).as_str())
    }
}

impl From<Transport> for target::TransportKind {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Rdma => target::TransportKind::Rdma,
            Transport::Tcp => target::TransportKind::Tcp,
        }
    }
}

impl From<Transport> for initiator::spec::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Rdma => initiator::spec::Transport::Rdma,
            Transport::Tcp => initiator::spec::Transport::Tcp,
        }
    }
}

/// What a target offers.
#[derive(
    Clone, Copy, ValueEnum, serde::Deserialize, serde::Serialize, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Offer {
    /// UDP, and shared memory to hosts of this machine.
    #[default]
    Auto,
    /// UDP alone.
    Udp,
    /// Whole Ethernet frames, whose ICRC is verified; needs CAP_NET_RAW.
    Raw,
}

/// Congestion control of what this side sends by RDMA.
#[derive(
    Clone, Copy, ValueEnum, serde::Deserialize, serde::Serialize, Debug, Default, PartialEq, Eq,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cc {
    /// A window of 1 MiB that never moves.
    #[default]
    Fixed,
    /// By delay: windows that keep queues short.
    Swift,
    /// By ECN: rates that give way to the marks of switches.
    Dcqcn,
}

impl From<Cc> for CcKind {
    fn from(cc: Cc) -> Self {
        match cc {
            Cc::Fixed => CcKind::default(),
            Cc::Swift => CcKind::Swift,
            Cc::Dcqcn => CcKind::Dcqcn,
        }
    }
}

/// What is done to packets, for tests.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Faults {
    /// For tests: does something to chosen packets of RDMA, as drop:write-last:1 (docs/loss.md); may be
    /// given several times. Packets go by UDP then.
    #[arg(long, value_name = "FAULT:KIND:WHICH", hide_short_help = true)]
    pub inject: Vec<Rule>,
}

/// How to print.
#[derive(Clone, Copy, ValueEnum, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Normal,
    /// For programs.
    Json,
}

/// A target's port.
#[derive(Args, Clone, Debug)]
pub(crate) struct Port {
    /// Transport.
    #[arg(short = 't', long, value_enum, default_value_t)]
    pub transport: Transport,
    /// Target's address.
    #[arg(short = 'a', long)]
    pub traddr: IpAddr,
    /// NVMe service id (port).
    #[arg(short = 's', long, default_value_t = 4420)]
    pub trsvcid: u16,
    /// Subsystem NQN; when left out, the only one that the target exports.
    #[arg(short = 'n', long = "nqn")]
    pub subnqn: Option<String>,
    /// This host's NQN.
    #[arg(short = 'q', long)]
    pub hostnqn: Option<String>,
    /// This side's address.
    #[arg(short = 'w', long)]
    pub host_traddr: Option<IpAddr>,
    /// Congestion control of what this side sends (rdma) [fixed].
    #[arg(long, value_enum)]
    pub cc: Option<Cc>,
    /// Authentication.
    #[command(flatten)]
    pub secrets: Secrets,
    /// How to print.
    #[arg(short = 'o', long = "output-format", value_enum, default_value_t)]
    pub output: Format,
}

/// A namespace of a target's port.
#[derive(Args, Debug)]
pub(crate) struct Namespace {
    /// Where.
    #[command(flatten)]
    pub port: Port,
    /// Namespace.
    #[arg(long = "namespace-id", default_value_t = 1)]
    pub nsid: u32,
}

/// What host and controller prove to each other.
#[derive(Args, Clone, Default)]
pub(crate) struct Secrets {
    /// This host's secret, DHHC-1:…
    #[arg(short = 'S', long, value_name = "SECRET")]
    pub dhchap_secret: Option<String>,
    /// The secret that the controller must have, DHHC-1:…
    #[arg(short = 'C', long, value_name = "SECRET", requires = "dhchap_secret")]
    pub dhchap_ctrl_secret: Option<String>,
    /// Speak TLS with this key, NVMeTLSkey-1:… (tcp).
    #[arg(long, value_name = "KEY")]
    pub tls_key: Option<String>,
    /// Speak TLS with a key that is made when this host proves itself (tcp): secure channel
    /// concatenation.
    #[arg(long)]
    pub concat: bool,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: options, files and target strings know the same names of congestion control.
    #[test]
    fn congestion_control_has_one_set_of_names() {
        let names: Vec<String> = Cc::value_variants()
            .iter()
            .filter_map(|cc| cc.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        assert_eq!(names, CcKind::NAMES);
        for cc in Cc::value_variants() {
            let name = CcKind::from(*cc).name();
            assert_eq!(serde_json::to_value(cc).unwrap(), name);
            assert_eq!(Cc::from_str(name, false), Ok(*cc));
        }
        assert_eq!(CcKind::from(Cc::default()), CcKind::default());
    }
}
