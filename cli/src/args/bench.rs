//! `flexblk bench` and `flexblk limits`.

use super::{Faults, Format, Poll, Secrets};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `flexblk bench`.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// 'trtype=rdma|tcp traddr=… trsvcid=4420 subnqn=… ns=1', or nvme-rdma://ADDR:4420/NQN/1, or
    /// nvme-tcp://…. With link=udp|shm|raw|auto [auto] (RDMA): a target of this machine is reached by
    /// shared memory if it can. With cc=fixed|swift|dcqcn [fixed] (RDMA): congestion control. With
    /// hdgst=on ddgst=on (TCP): digests. With path=ADDR:PORT, each time: more paths to the subsystem. With
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
    /// Each job counts its own packets.
    #[command(flatten)]
    pub faults: Faults,
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
