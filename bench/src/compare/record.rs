//! What a comparison found out: the JSON that `-o json` prints and `--against` reads.
//!
//! Times are microseconds, rates are per second, sizes are octets, unless a name says otherwise.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of this file. Readers refuse others.
pub const FORMAT: u32 = 1;

/// One run of `flexblk compare`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// [`FORMAT`].
    pub format: u32,
    /// What it ran on.
    pub machine: Machine,
    /// Repeats it.
    pub command: String,
    /// How it was measured.
    pub settings: Settings,
    /// What the machine moves without a protocol, measured in the same run: name and figure.
    pub limits: BTreeMap<String, f64>,
    /// The workloads, in the order in which they ran.
    pub scenarios: Vec<Scenario>,
    /// What a reader must know to judge the figures, in sentences.
    pub remarks: Vec<String>,
}

/// Where it ran.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processor's name.
    pub cpu: String,
    /// Processors that are on line.
    pub cpus: u32,
    /// Octets of memory.
    pub memory_bytes: u64,
    /// Octets of the second-level cache of one processor, and of the last level; 0: not told.
    pub l2_bytes: u64,
    /// See `l2_bytes`.
    pub llc_bytes: u64,
    /// Kernel's name and release.
    pub kernel: String,
    /// A virtual machine.
    pub is_virtual: bool,
    /// FlexBlk's version.
    pub flexblk: String,
}

/// How it was measured.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// `--quick`.
    pub quick: bool,
    /// Alternated rounds of each scenario.
    pub rounds: u32,
    /// Seconds of one sample.
    pub sample_seconds: f64,
    /// Seconds before it that are not measured.
    pub ramp_seconds: f64,
    /// Processor that has the server's threads, and the one that has the client's.
    pub server_cpu: usize,
    /// See `server_cpu`.
    pub client_cpu: usize,
    /// Memory of disks and buffers is on huge pages, for all stacks alike.
    pub huge_pages: bool,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// One workload, run over several stacks in turn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scenario {
    /// Word that `--only` takes: "randread-4k-x32".
    pub name: String,
    /// In words: "4 KiB random read, depth 32".
    pub title: String,
    /// Scenarios of one family are points of one curve: "working-set", "connections".
    pub family: Option<String>,
    /// Position on the curve: octets, connections.
    pub x: f64,
    /// What decides: throughput, or latency (lower is better).
    pub decides: Measure,
    /// Octets of one I/O.
    pub io_bytes: u32,
    /// I/Os outstanding, all connections together.
    pub depth: u32,
    /// "busy": nobody sleeps. "adaptive": whoever is idle for a while sleeps.
    pub poll: String,
    /// One for each stack.
    pub results: Vec<StackResult>,
    /// FlexiNS over the baseline's best variant, with everything on both stacks counted.
    pub equal_total_cores: Option<Ratio>,
    /// The same by busy CPU time of the hosts alone.
    pub per_host_core: Option<Ratio>,
    /// The figure to reach, where one is wanted: for each view, and for the stack beside the
    /// machine's limit.
    pub wanted: Wanted,
    /// The limit that belongs to it (a name of [`Comparison::limits`]), in the unit that decides.
    pub limit: Option<String>,
}

/// What a scenario is judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// I/Os per second: more is better.
    Iops,
    /// Octets per second: more is better.
    Bandwidth,
    /// Median latency: less is better.
    Latency,
}

/// What is wanted of a scenario.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// At least (for latency: at most).
    pub equal_total_cores: Option<f64>,
    /// At least.
    pub per_host_core: Option<f64>,
}

/// FlexiNS against one baseline, round by round.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ratio {
    /// Name of the FlexiNS result in it.
    pub stack: String,
    /// Name of the baseline's best variant.
    pub baseline: String,
    /// Median of the rounds' ratios.
    pub median: f64,
    /// The least and the most.
    pub least: f64,
    /// See `least`.
    pub most: f64,
}

/// One stack's samples of one scenario.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StackResult {
    /// Name: "flexins", "flexins-piped", "microkernel", "kernel-tcp", …
    pub stack: String,
    /// What it is to the comparison.
    pub role: Role,
    /// One for each round.
    pub samples: Vec<Sample>,
    /// Medians over the rounds, each figure for itself.
    pub median: Figures,
    /// Instructions and cache misses, if they were asked for.
    pub work: Option<WorkPerIo>,
}

/// What a stack is to the comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The product.
    Flexins,
    /// The product with one technique switched off.
    Ablation,
    /// A variant of the microkernel stack that may be the best one.
    Baseline,
    /// A variant that is reported apart, or another stack.
    Other,
}

/// One round.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Round, from 0.
    pub round: u32,
    /// Its figures.
    pub figures: Figures,
    /// Latency in microseconds at 0, 1, … 100 percent, and at 99.9: 102 values.
    pub latency_percentiles: Vec<f64>,
    /// Counters of all processes of the stack, summed: what the figures come from.
    pub counters: BTreeMap<String, f64>,
}

/// Figures of one sample, or medians of several.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// I/Os per second.
    pub iops: f64,
    /// 10^9 octets of blocks per second.
    pub gb_per_s: f64,
    /// Latency.
    pub p50_us: f64,
    /// Latency.
    pub p99_us: f64,
    /// Latency.
    pub p999_us: f64,
    /// CPU time per I/O, both hosts together, in applications.
    pub app_user_us: f64,
    /// In engines or NIC threads.
    pub engine_user_us: f64,
    /// In the kernel, for any of them.
    pub kernel_us: f64,
    /// In soft interrupts that the kernel accounts for apart.
    pub softirq_us: f64,
    /// Busy time per I/O (turns that found no work left out) of application threads.
    pub app_busy_us: f64,
    /// Of engines or NIC threads.
    pub engine_busy_us: f64,
    /// Of what runs on hosts: applications, and engines where they are host software.
    pub host_busy_us: f64,
    /// User-space copies per octet of payload that was sent.
    pub tx_copies: f64,
    /// Per octet that was received.
    pub rx_copies: f64,
    /// System calls on the data path per I/O.
    pub syscalls: f64,
    /// Of them, looks at a socket that found nothing.
    pub empty_polls: f64,
    /// Context switches per I/O.
    pub context_switches: f64,
    /// UDP or TCP payload per I/O, both directions.
    pub wire_bytes: f64,
    /// Resident octets of all processes of the stack that belong to it and not to disks.
    pub memory_bytes: f64,
}

/// Counted or modelled work of one I/O, both hosts together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkPerIo {
    /// "perf" (counted) or "cachegrind" (user space, modelled caches).
    pub source: String,
    /// Instructions.
    pub instructions: f64,
    /// Misses of the first data cache.
    pub l1_misses: f64,
    /// Misses of the last cache.
    pub llc_misses: f64,
}
