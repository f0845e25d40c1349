//! `flexblk compare`, and the processes that it starts.

use super::Format;
use clap::Args;
use std::path::PathBuf;

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
