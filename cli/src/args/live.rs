//! What can be typed about a running target.

use super::{Format, Transport};
use crate::config::limit::Limit;
use crate::config::words::Ana;
use clap::{Args, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// Which target, and how to print.
#[derive(Args, Debug)]
pub(crate) struct Control {
    /// The target's control socket [/run/flexblk/control.sock for root, else
    /// $XDG_RUNTIME_DIR/flexblk/control.sock].
    #[arg(long, value_name = "PATH", global = true)]
    pub control: Option<PathBuf>,
    /// How to print.
    #[arg(short = 'o', long = "output-format", value_enum, default_value_t, global = true)]
    pub output: Format,
}

/// `flexblk apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// Configuration in TOML.
    pub file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Which target.
    #[command(flatten)]
    pub control: Control,
}

/// A noun, and what to do with it.
#[derive(Args, Debug)]
pub(crate) struct Noun<V: Subcommand> {
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
    /// Which target.
    #[command(flatten)]
    pub control: Control,
}

/// `flexblk config`.
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigVerb {
    /// Print the running configuration as TOML.
    Show,
    /// Convert another target's configuration to TOML; what cannot be said is named on standard
    /// error.
    Import {
        /// Whose.
        from: Foreign,
        /// Its file.
        file: PathBuf,
    },
}

/// Other targets.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The kernel's, as `nvmetcli save` writes it.
    Nvmetcli,
}

/// `flexblk subsystem`.
#[derive(Subcommand, Debug)]
pub(crate) enum SubsystemVerb {
    /// Export a subsystem.
    Add {
        /// Its NQN.
        nqn: String,
        /// Serial number, 1 to 20 characters.
        #[arg(long)]
        serial: Option<String>,
        /// Model number, 1 to 40 characters.
        #[arg(long)]
        model: Option<String>,
        /// A host that may connect; every host when left out.
        #[arg(long = "host", value_name = "HOSTNQN")]
        hosts: Vec<String>,
    },
    /// Take a subsystem away, with its namespaces.
    Remove {
        /// Its NQN.
        nqn: String,
    },
    /// Show all.
    List,
}

/// `flexblk namespace`.
#[derive(Subcommand, Debug)]
pub(crate) enum NamespaceVerb {
    /// Export a disk.
    Add {
        /// file:disk.img, mem:1GiB, null:1TiB, mmap:disk.img (options after '?'); paths as the
        /// target sees them.
        uri: String,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
        /// Its number; the first free one when left out.
        #[arg(long, alias = "namespace-id")]
        nsid: Option<u32>,
        /// Size, where it is not the whole disk.
        #[arg(long)]
        size: Option<String>,
        /// UUID.
        #[arg(long)]
        uuid: Option<String>,
        /// NGUID, 32 hexadecimal digits.
        #[arg(long)]
        nguid: Option<String>,
        /// EUI-64, 16 hexadecimal digits.
        #[arg(long)]
        eui64: Option<String>,
        /// No host may write.
        #[arg(long)]
        read_only: bool,
        /// Group for asymmetric access [1].
        #[arg(long, value_name = "GRPID")]
        ana_group: Option<u32>,
        /// A host that sees it; all when left out.
        #[arg(long = "host", value_name = "HOSTNQN")]
        hosts: Vec<String>,
    },
    /// Take a namespace away. Commands that were accepted finish.
    Remove {
        /// Its number.
        nsid: u32,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
    },
    /// Make a namespace larger or smaller, while hosts use it.
    Resize {
        /// Its number.
        nsid: u32,
        /// Octets, or 10GiB, or max: the whole disk.
        size: String,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
    },
    /// Change a namespace; what is not said stays.
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
    Set {
        /// Its number.
        nsid: u32,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
        /// Whether hosts may only read.
        #[arg(long, value_name = "true|false", group = "what")]
        read_only: Option<bool>,
        /// Group for asymmetric access.
        #[arg(long, value_name = "GRPID", group = "what")]
        ana_group: Option<u32>,
        /// A host that sees it; any: all do.
        #[arg(long = "host", value_name = "HOSTNQN", group = "what")]
        hosts: Vec<String>,
    },
    /// Limit how fast a namespace is read and written, by all hosts together. What is not said is not
    /// limited.
    SetLimit {
        /// Its number.
        nsid: u32,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
        /// Rates.
        #[command(flatten)]
        limit: Limit,
    },
    /// Show all.
    List,
}

/// `flexblk listener`.
#[derive(Subcommand, Debug)]
pub(crate) enum ListenerVerb {
    /// Let hosts come.
    Add {
        /// Transport.
        #[arg(short = 't', long, value_enum)]
        transport: Transport,
        /// Address.
        #[arg(short = 'a', long)]
        traddr: IpAddr,
        /// NVMe service id (port) [4420, with --discovery 8009].
        #[arg(short = 's', long)]
        trsvcid: Option<u16>,
        /// Its number; the first free one when left out.
        #[arg(long)]
        portid: Option<u16>,
        /// For discovery alone: no other subsystem is reached there.
        #[arg(long)]
        discovery: bool,
        /// Whether its hosts speak TLS (tcp).
        #[arg(long, value_enum, default_value_t)]
        tls: crate::config::tls::Tls,
    },
    /// Let no more hosts come. Connections that were made stay.
    Remove {
        /// Its number.
        portid: u16,
    },
    /// Show all.
    List,
}

/// `flexblk referral`.
#[derive(Subcommand, Debug)]
pub(crate) enum ReferralVerb {
    /// Tell hosts of another discovery service.
    Add {
        /// Where.
        #[command(flatten)]
        place: ReferralPlace,
        /// Its NQN; that of every discovery service when left out.
        #[arg(short = 'n', long = "nqn")]
        subnqn: Option<String>,
    },
    /// Tell of it no more.
    Remove {
        /// Where.
        #[command(flatten)]
        place: ReferralPlace,
    },
    /// Show all.
    List,
}

/// Where another discovery service is.
#[derive(Args, Debug)]
pub(crate) struct ReferralPlace {
    /// Transport.
    #[arg(short = 't', long, value_enum)]
    pub transport: Transport,
    /// Address.
    #[arg(short = 'a', long)]
    pub traddr: IpAddr,
    /// NVMe service id (port).
    #[arg(short = 's', long, default_value_t = 8009)]
    pub trsvcid: u16,
}

/// `flexblk host`.
#[derive(Subcommand, Debug)]
pub(crate) enum HostVerb {
    /// Let a host connect. The first one that is added ends that every host may.
    Add {
        /// Its NQN; any: every host.
        host: String,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
    },
    /// Limit how fast a host reads and writes, over all its controllers and namespaces of a subsystem.
    /// What is not said is not limited.
    SetLimit {
        /// Its NQN.
        host: String,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
        /// Rates.
        #[command(flatten)]
        limit: Limit,
    },
    /// Let a host connect no more; it loses its connections.
    Remove {
        /// Its NQN; any: only those that are added may connect from now on.
        host: String,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
    },
    /// Show all.
    List,
}

/// `flexblk connection`.
#[derive(Subcommand, Debug)]
pub(crate) enum ConnectionVerb {
    /// Show all.
    List,
}

/// `flexblk ana`.
#[derive(Subcommand, Debug)]
pub(crate) enum AnaVerb {
    /// Say how well a group of namespaces is reached.
    Set {
        /// Group, 1 to 128.
        grpid: u32,
        /// State.
        #[arg(value_enum)]
        state: Ana,
        /// Through this listener; through all when left out.
        #[arg(long)]
        portid: Option<u16>,
        /// Subsystem; the only one when left out.
        #[arg(short = 'n', long = "nqn")]
        nqn: Option<String>,
    },
}
