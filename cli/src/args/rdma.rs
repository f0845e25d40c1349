//! What can be typed about verbs without NVMe. Letters and words are rping's and perftest's.

use super::{Cc, Faults, Format, Offer, Poll};
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::time::Duration;

/// What is offered to peers.
#[derive(Clone, Copy, ValueEnum, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Native with FlexBlk, RoCEv2 with all others.
    #[default]
    Native,
    /// RoCEv2 with everybody.
    Roce,
}

/// What both tools take.
#[derive(Args, Debug)]
pub(crate) struct Way {
    /// Wire mode.
    #[arg(long, value_enum, default_value_t)]
    pub mode: Wire,
    /// By which way: auto takes shared memory to a peer of this machine.
    #[arg(long, value_enum, default_value_t)]
    pub link: Offer,
    /// Congestion control of what this side sends.
    #[arg(long, value_enum, default_value_t)]
    pub cc: Cc,
    /// Losses and the like.
    #[command(flatten)]
    pub faults: Faults,
    /// How to wait.
    #[arg(long, value_enum, default_value_t)]
    pub poll: Poll,
    /// How to print.
    #[arg(long = "output-format", value_enum, default_value_t)]
    pub output: Format,
}

/// `flexblk rdma-ping`.
#[derive(Args, Debug)]
pub(crate) struct RdmaPing {
    /// Be the server: reads the client's data and writes it back.
    #[arg(short = 's', long, conflicts_with = "client", required_unless_present = "client")]
    pub server: bool,
    /// Be the client.
    #[arg(short = 'c', long)]
    pub client: bool,
    /// Server's address: where to listen, or whom to ping.
    #[arg(short = 'a', long, value_name = "ADDR")]
    pub address: IpAddr,
    /// Server's port.
    #[arg(short = 'p', long, default_value_t = ::bench::rdma::ping::PORT)]
    pub port: u16,
    /// This side's address (client) [chosen].
    #[arg(short = 'I', long, value_name = "ADDR", conflicts_with = "server")]
    pub source: Option<IpAddr>,
    /// Pings (client); 0: until interrupted.
    #[arg(short = 'C', long, value_name = "N", default_value_t = 100, conflicts_with = "server")]
    pub count: u64,
    /// Octets of data, 26 to 65535 (client).
    #[arg(
        short = 'S',
        long,
        value_name = "BYTES",
        default_value_t = 64,
        conflicts_with = "server"
    )]
    pub size: u32,
    /// Compare what comes back (client).
    #[arg(short = 'V', long, conflicts_with = "server")]
    pub validate: bool,
    /// Show the data.
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Stay when a client has left, for up to 16 at once (server).
    #[arg(short = 'P', long, conflicts_with = "client")]
    pub persistent: bool,
    /// The rest.
    #[command(flatten)]
    pub way: Way,
}

/// What `rdma-bw` does to its server.
#[derive(Clone, Copy, ValueEnum, Debug, PartialEq, Eq)]
pub(crate) enum BwVerb {
    /// As `ib_send_bw`.
    Send,
    /// As `ib_write_bw`.
    Write,
    /// As `ib_read_bw`.
    Read,
    /// As `ib_atomic_bw`.
    Atomic,
}

/// Atomics, with perftest's words.
#[derive(Clone, Copy, ValueEnum, Debug, Default, PartialEq, Eq)]
pub(crate) enum AtomicType {
    /// Add one.
    #[default]
    #[value(name = "FETCH_AND_ADD")]
    FetchAndAdd,
    /// Swap zero for one.
    #[value(name = "CMP_AND_SWAP")]
    CmpAndSwap,
}

/// `flexblk rdma-bw`.
#[derive(Args, Debug)]
pub(crate) struct RdmaBw {
    /// Test; both sides name the same.
    #[arg(value_enum)]
    pub verb: BwVerb,
    /// Server's address; without it, be the server.
    pub server: Option<IpAddr>,
    /// This side's address [chosen; a server's: 127.0.0.1].
    #[arg(long = "bind_source_ip", value_name = "ADDR")]
    pub source: Option<IpAddr>,
    /// Server's port.
    #[arg(short = 'p', long, default_value_t = ::bench::rdma::bw::PORT)]
    pub port: u16,
    /// Octets of a message, the same on both sides (atomics have 8).
    #[arg(short = 's', long, default_value = "64KiB", value_parser = crate::units::bytes)]
    pub size: u64,
    /// Messages (client; a perftest server of `send` counts them, too).
    #[arg(short = 'n', long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub iters: u64,
    /// Seconds, instead of -n (client).
    #[arg(short = 'D', long, value_parser = crate::units::some_seconds, conflicts_with = "iters")]
    pub duration: Option<Duration>,
    /// Messages outstanding (client).
    #[arg(short = 't', long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub tx_depth: u32,
    /// Receives posted (server of `send`).
    #[arg(short = 'r', long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub rx_depth: u32,
    /// READs and atomics outstanding.
    #[arg(short = 'o', long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=128))]
    pub outs: u8,
    /// Which atomic (client).
    #[arg(short = 'A', long = "atomic_type", value_enum, default_value_t)]
    pub atomic: AtomicType,
    /// Connect by RDMA CM, as perftest does with this: always so.
    #[arg(short = 'R', long = "rdma_cm")]
    pub rdma_cm: bool,
    /// The rest.
    #[command(flatten)]
    pub way: Way,
}
