//! What can be typed. Letters and words are `nvme-cli`'s and fio's where they have one.

mod bench;
mod common;
mod compare;
pub(crate) mod copy;
mod discover;
mod keys;
pub(crate) mod live;
pub(crate) mod rdma;
mod serve;

pub(crate) use bench::{Bench, Limits, Rw};
pub(crate) use common::{Cc, Faults, Format, Namespace, Offer, Poll, Port, Secrets, Transport};
pub(crate) use compare::{Compare, CompareChild};
pub(crate) use discover::Discover;
pub(crate) use keys::{CheckDhchapKey, GenDhchapKey};
pub(crate) use serve::{DEFAULT_NQN, Serve};

use clap::{Parser, Subcommand};

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
