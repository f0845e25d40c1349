//! What can be typed. Letters and words are `nvme-cli`'s and fio's where they have one.

pub(crate) mod copy;
pub(crate) mod live;
pub(crate) mod rdma;

use clap::{Args, Parser, Subcommand, ValueEnum};
use netstack::link::inject::Rule;
use std::net::IpAddr;
use std::path::PathBuf;

/// Block devices over NVMe over Fabrics, on the FlexiNS stack in software.
#[derive(Parser, Debug)]
#[command(name = "flexblk", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Verbs.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Export namespaces until interrupted.
    Serve(Serve),
    /// Make the running target what a file says: shows the plan, changes the difference.
    Apply(live::Apply),
    /// The running target's configuration, and those of others.
    Config(live::Noun<live::ConfigVerb>),
    /// Subsystems of the running target.
    Subsystem(live::Noun<live::SubsystemVerb>),
    /// Namespaces of the running target.
    Namespace(live::Noun<live::NamespaceVerb>),
    /// Where hosts reach the running target.
    Listener(live::Noun<live::ListenerVerb>),
    /// Other discovery services that hosts are told of.
    Referral(live::Noun<live::ReferralVerb>),
    /// Hosts that may connect to the running target.
    Host(live::Noun<live::HostVerb>),
    /// Connections of the running target.
    Connection(live::Noun<live::ConnectionVerb>),
    /// How well namespaces are reached.
    Ana(live::Noun<live::AnaVerb>),
    /// List what a target exports.
    Discover(Discover),
    /// Connect to everything that discovery leads to, and tell how its namespaces are reached.
    ConnectAll(Port),
    /// Show a controller's Identify structure.
    IdCtrl(Port),
    /// Show a namespace's Identify structure.
    IdNs(Namespace),
    /// List a controller's namespaces.
    ListNs(Port),
    /// Copy a namespace to standard output.
    Read(copy::Copy),
    /// Copy standard input to a namespace, and flush.
    Write(copy::Write),
    /// Make a secret for authentication.
    GenDhchapKey(GenDhchapKey),
    /// Look whether a secret for authentication is one.
    CheckDhchapKey(CheckDhchapKey),
    /// Make a key for TLS.
    GenTlsKey(crate::tls_keys::GenTlsKey),
    /// Look whether a key for TLS is one.
    CheckTlsKey(crate::tls_keys::CheckTlsKey),
    /// Put load on a namespace and measure it.
    Bench(Bench),
    /// Ping by verbs: rping's protocol, to it or to another FlexBlk.
    RdmaPing(rdma::RdmaPing),
    /// Measure verbs: perftest's bandwidth tests with -R, to them or to another FlexBlk.
    RdmaBw(rdma::RdmaBw),
    /// Measure what this machine can move at all.
    Limits(Limits),
    /// Compare the FlexiNS stack with a microkernel stack on this machine.
    Compare(Compare),
    /// A process of a comparison.
    #[command(hide = true)]
    CompareChild(CompareChild),
    /// An engine of a comparison's microkernel stack.
    #[command(hide = true)]
    CompareEngine,
}

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

/// How to print.
#[derive(Clone, Copy, ValueEnum, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Normal,
    /// For programs.
    Json,
}

/// `flexblk serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Namespaces: file:disk.img, mem:1GiB, null:1TiB, mmap:disk.img (options after '?').
    #[arg(value_name = "URI", required_unless_present_any = ["config", "state", "control"])]
    pub namespaces: Vec<String>,
    /// Transports, with commas between [rdma,tcp].
    #[arg(short = 't', long, value_enum, value_delimiter = ',')]
    pub transport: Vec<Transport>,
    /// Address to listen on [127.0.0.1].
    #[arg(short = 'a', long)]
    pub traddr: Option<IpAddr>,
    /// NVMe service id (port) [4420].
    #[arg(short = 's', long)]
    pub trsvcid: Option<u16>,
    /// Subsystem NQN [nqn.2026-11.io.flexblk:default].
    #[arg(short = 'n', long = "nqn")]
    pub subnqn: Option<String>,
    /// How to wait for work [adaptive].
    #[arg(long, value_enum)]
    pub poll: Option<Poll>,
    /// Run on this CPU alone.
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Configuration in TOML; options given here win.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the configuration here through a restart, with every change made meanwhile. Once it
    /// is there, it stands above --config and disks named here; it may be the file of --config.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Socket for `flexblk apply` and the commands about a running target
    /// [/run/flexblk/control.sock for root, else $XDG_RUNTIME_DIR/flexblk/control.sock].
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Record every packet of RDMA (then hosts of this machine come by UDP, too).
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// For tests: does something to chosen packets of RDMA, as drop:read-response-last:1 (docs/loss.md);
    /// may be given several times. Hosts of this machine come by UDP then, too.
    #[arg(long, value_name = "FAULT:KIND:WHICH", hide_short_help = true)]
    pub inject: Vec<Rule>,
    /// How hosts reach it [auto].
    #[arg(long, value_enum)]
    pub link: Option<Offer>,
    /// UDP port of the transport (RoCEv2's is 4791; stock hosts expect it).
    #[arg(long, default_value_t = 4791, hide_short_help = true)]
    pub udp_port: u16,
}

/// The NQN that `serve` exports when none is given.
pub(crate) const DEFAULT_NQN: &str = "nqn.2026-11.io.flexblk:default";

/// `flexblk discover`.
#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// Where.
    #[command(flatten)]
    pub port: Port,
    /// Print, for each subsystem, the string by which bench, read, write and fio reach it, with all
    /// its paths; referrals are followed.
    #[arg(long)]
    pub targets: bool,
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

/// `flexblk gen-dhchap-key`.
#[derive(Args, Debug)]
pub(crate) struct GenDhchapKey {
    /// Make it from this, in hexadecimal digits, and not at random.
    #[arg(short = 's', long, value_name = "HEX")]
    pub secret: Option<String>,
    /// Octets of the key: 32, 48 or 64 [as many as the hash's digests, or 32].
    #[arg(short = 'l', long, value_name = "N")]
    pub key_length: Option<usize>,
    /// Host NQN to bind it to, with --hmac [this machine's].
    #[arg(short = 'n', long)]
    pub nqn: Option<String>,
    /// Hash to bind it with: 0 = none, 1 = SHA-256, 2 = SHA-384, 3 = SHA-512.
    #[arg(short = 'm', long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub hmac: u8,
}

/// `flexblk check-dhchap-key`.
#[derive(Args)]
pub(crate) struct CheckDhchapKey {
    /// The secret [from standard input, where nobody else sees it].
    #[arg(short = 'k', long)]
    pub key: Option<String>,
}

impl std::fmt::Debug for CheckDhchapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckDhchapKey(…)")
    }
}

/// `flexblk bench`.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// 'trtype=rdma|tcp traddr=… trsvcid=4420 subnqn=… ns=1', or nvme-rdma://ADDR:4420/NQN/1, or
    /// nvme-tcp://…. With link=udp|shm|raw|auto [auto] (RDMA): a target of this machine is reached by
    /// shared memory if it can. With hdgst=on ddgst=on (TCP): digests. With path=ADDR:PORT, each
    /// time: more paths to the subsystem. With
    /// dhchap_secret=DHHC-1:… dhchap_ctrl_secret=DHHC-1:…: authentication.
    pub target: String,
    /// Authentication.
    #[command(flatten)]
    pub secrets: Secrets,
    /// Workload.
    #[arg(long, value_enum, default_value = "randread")]
    pub rw: Rw,
    /// Reads in a mixed workload, percent.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub rwmixread: u8,
    /// Octets of one I/O.
    #[arg(long, default_value = "4k", value_parser = crate::units::bytes)]
    pub bs: u64,
    /// I/Os outstanding per job.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1023))]
    pub iodepth: u16,
    /// Jobs: threads with a connection each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Seconds to measure.
    #[arg(long, default_value = "10", value_parser = crate::units::some_seconds)]
    pub time: std::time::Duration,
    /// Seconds to run before measuring.
    #[arg(long, default_value = "0.5", value_parser = crate::units::seconds)]
    pub ramp: std::time::Duration,
    /// Check the data that comes back.
    #[arg(long)]
    pub verify: bool,
    /// How to wait.
    #[arg(long, value_enum, default_value_t)]
    pub poll: Poll,
    /// Run job 0 on this CPU, job 1 on the next, and so on.
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Makes the offsets.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Record every packet of job 0, which goes by UDP then.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// How to print.
    #[arg(short = 'o', long = "output-format", value_enum, default_value_t)]
    pub output: Format,
}

/// Workloads, with fio's words.
#[derive(Clone, Copy, ValueEnum, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "fio's words")]
pub(crate) enum Rw {
    Read,
    Write,
    #[value(name = "randread")]
    RandRead,
    #[value(name = "randwrite")]
    RandWrite,
    #[value(name = "randrw")]
    RandRw,
}

/// `flexblk limits`.
#[derive(Args, Debug)]
pub(crate) struct Limits {
    /// Seconds for all measurements together.
    #[arg(long, default_value = "3", value_parser = crate::units::some_seconds)]
    pub time: std::time::Duration,
    /// How to print.
    #[arg(short = 'o', long = "output-format", value_enum, default_value_t)]
    pub output: Format,
}

/// `flexblk compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The headline scenarios, short samples: less than five minutes.
    #[arg(long)]
    pub quick: bool,
    /// These scenarios: names, families, or how names begin (block-server, randread,
    /// read-128k-x8, connections, working-set).
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    pub only: Vec<String>,
    /// These stacks only, by name [all].
    #[arg(long, value_name = "STACK", value_delimiter = ',')]
    pub stacks: Vec<String>,
    /// Alternated rounds [5, with --quick and --work 3].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Seconds of one sample [1, or 0.35 with --quick].
    #[arg(long, value_parser = crate::units::some_seconds)]
    pub time: Option<std::time::Duration>,
    /// Processors of server and client [0,1].
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Count instructions and cache misses per I/O too, with valgrind, where techniques are switched
    /// off in turn: 45 seconds more at most for each of these scenarios.
    #[arg(long)]
    pub work: bool,
    /// Write a report with plots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Compare with an older run's JSON; fails when FlexiNS got slower.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// How to print; json holds every sample.
    #[arg(short = 'o', long = "output-format", value_enum, default_value_t)]
    pub output: Format,
}

/// A process of a comparison.
#[derive(Args, Debug)]
pub(crate) struct CompareChild {
    /// server or client.
    #[arg(value_parser = ["server", "client"])]
    pub role: String,
    /// What to do, as JSON.
    pub spec: String,
    /// Run on this CPU.
    #[arg(long)]
    pub cpu: Option<usize>,
    /// Its engine runs on this one.
    #[arg(long)]
    pub engine_cpu: Option<usize>,
}
