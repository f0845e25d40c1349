//! A block load generator over the polled host: what `flexblk bench` runs.
//!
//! One job is one thread with one connection, as fio's are. Random offsets are whole blocks of the
//! job's size, drawn with replacement from the job's share of the namespace.

mod job;
mod pattern;
mod report;

pub use job::{Counters, LATENCY_MAX_NS, Observer, Progress, Stage, run, run_observed};
pub use pattern::Verifier;
pub use report::{JobReport, Latency, Report};

use std::time::Duration;

/// What to do with the blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Workload {
    /// Sequential read.
    Read,
    /// Sequential write.
    Write,
    /// Random read.
    RandRead,
    /// Random write.
    RandWrite,
    /// Random mix, `read_percent` of it reads.
    RandRw {
        /// 0 to 100.
        read_percent: u8,
    },
}

impl Workload {
    /// Offsets are random.
    #[must_use]
    pub fn is_random(self) -> bool {
        matches!(self, Workload::RandRead | Workload::RandWrite | Workload::RandRw { .. })
    }
    /// Blocks are changed.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Workload::Read | Workload::RandRead)
    }
}

/// One job's load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// What to do.
    pub workload: Workload,
    /// Octets of one I/O: whole logical blocks.
    pub io_bytes: u32,
    /// I/Os outstanding.
    pub depth: u16,
    /// Measured time.
    pub time: Duration,
    /// Not measured, before.
    pub ramp: Duration,
    /// Write a pattern that names its block, and check it on reads. Reads of blocks that this run
    /// did not write are not checked.
    pub verify: bool,
    /// First octet of the job's share.
    pub start: u64,
    /// Octets of the job's share.
    pub span: u64,
    /// Makes the offsets.
    pub seed: u64,
}
