//! From what was typed to a live session.

use crate::args::Secrets;
use crate::args::copy::Copy;
use crate::failure::Failure;
use crate::keys;
use initiator::edge::{self, Settings};
use initiator::{NamespaceInfo, PollMode, TargetSpec};
use netstack::fabric::Fabric;
use netstack::link::inject::Rule;
use std::path::PathBuf;

pub(crate) use initiator::edge::AnySession;

/// What verbs choose.
pub(crate) struct Options {
    /// How to wait.
    pub poll: PollMode,
    /// Authentication; wins over the target string's.
    pub secrets: Secrets,
    /// Commands outstanding.
    pub queue_depth: u16,
    /// Record every packet.
    pub pcap: Option<PathBuf>,
    /// What is done to which packets, for tests.
    pub inject: Vec<Rule>,
}

/// A session for reading or writing, and its namespace.
pub(crate) fn namespace(args: &Copy) -> Result<(AnySession, NamespaceInfo), Failure> {
    let (secrets, inject) = (args.secrets.clone(), args.faults.inject.clone());
    let poll = PollMode::Adaptive;
    let options = Options { poll, secrets, queue_depth: 128, pcap: None, inject };
    namespace_with(&args.target, &options)
}

/// A session on a target string, and its namespace.
pub(crate) fn namespace_with(
    target: &str,
    options: &Options,
) -> Result<(AnySession, NamespaceInfo), Failure> {
    let mut spec: TargetSpec =
        target.parse().map_err(|e: initiator::spec::SpecError| Failure::misuse(e))?;
    keys::set(&mut spec, &options.secrets)?;
    if spec.subnqn.is_none() {
        let target = initiator::spec::without_secrets(target);
        return Err(Failure::misuse(format_args!(
            "target {target:?} names no subsystem: add subnqn=NQN (see `flexblk discover`)"
        )));
    }
    let settings = Settings {
        queue_depth: options.queue_depth,
        poll: options.poll,
        pcap: options.pcap.clone(),
        inject: options.inject.clone(),
        ..Settings::default()
    };
    let mut session = edge::connect(&spec, &settings)?;
    let ns = session.namespace(spec.nsid)?;
    Ok((session, ns))
}

/// What `--inject` did, among the messages of `FLEXBLK_LOG=info`, where a target tells it, too.
pub(crate) fn tell_hits(fabric: &impl Fabric) {
    fabric.counters(&mut |name, count| {
        if name.starts_with("inject.") {
            tracing::info!(name, count);
        }
    });
}

/// Moves this thread to a CPU.
pub(crate) fn pin(cpu: Option<usize>) -> Result<(), Failure> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = rustix::thread::CpuSet::new();
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(Failure::new(format!("--cpu {cpu}: no such CPU")));
    }
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|error| Failure::new(format!("--cpu {cpu}: {error}; see `nproc`")))
}
