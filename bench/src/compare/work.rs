//! Work per I/O under cachegrind: instructions and misses of modelled caches, in user space, of all
//! processes of a stack. For machines whose counters nobody may read.
//!
//! A stack runs twice, for a short and for a longer time, and the difference of both is divided by
//! the difference of I/Os: set-up and farewell are in both. Idle sides sleep at once, since their
//! spinning is no work. Each process has caches of its own in the model, and stores past the cache count
//! as others.

use super::child::ChildReport;
use super::meter::float;
use super::record::{Role, Scenario, WorkPerIo};
use super::run::{Runner, Take, Times};
use super::scenarios::{Plan, StackPlan};
use crate::stack::Kind;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Seconds of both runs: the model runs at a few per cent of a processor's speed, so the longer one is some
/// thousands of I/Os, far more than its caches hold blocks. Fewer I/Os are counted than in a timed sample;
/// disk, index and pools are as large.
const SECONDS: [f64; 2] = [0.3, 1.2];
/// A run that takes this long is stuck: it needs two to five seconds, most of them to start.
const RUN_MAX: Duration = Duration::from_secs(20);
/// A scenario's stacks together: what is not counted then is not counted.
const SCENARIO_MAX: Duration = Duration::from_secs(45);
/// What is modelled: the caches that one processor of a recent server has to itself, the same on every
/// machine so that figures of two machines can be compared.
const CACHES: [&str; 3] = ["--I1=32768,8,64", "--D1=49152,12,64", "--LL=2097152,16,64"];
/// In the record.
const SOURCE: &str = "cachegrind, 48 KiB / 2 MiB";

/// Whether anything can be counted. Errors: why not.
pub fn available() -> Result<(), String> {
    let mut command = Command::new("valgrind");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("Work per I/O is not counted: valgrind ends with {status}.")),
        Err(error) => Err(format!("Work per I/O is not counted: valgrind: {error}.")),
    }
}

/// Counts the work of a scenario's stacks, if there are some with a technique switched off: those, what
/// they are compared with, and the baseline's variant that is the fastest. Says what could not be
/// counted. `told` hears of each stack.
pub fn fill(
    runner: &mut Runner,
    plan: &Plan,
    scenario: &mut Scenario,
    told: &mut dyn FnMut(&str),
) -> Vec<String> {
    let mut remarks = Vec::new();
    let until = Instant::now() + SCENARIO_MAX;
    if !scenario.results.iter().any(|result| result.role == Role::Ablation) {
        return remarks;
    }
    let baseline = scenario.equal_total_cores.as_ref().map(|ratio| ratio.baseline.clone());
    for (stack, result) in plan.stacks.iter().zip(&mut scenario.results) {
        let is_counted = match stack.role {
            Role::Flexins | Role::Ablation => true,
            Role::Baseline => baseline.as_deref() == Some(stack.name),
            // Kernel TCP's work is the kernel's.
            Role::Other => false,
        };
        if !is_counted {
            continue;
        }
        told(stack.name);
        let not = |why: &str| format!("Work of {} over {}: {why}.", plan.name, stack.name);
        match count(runner, plan, stack, until) {
            Ok(Some(work)) => result.work = Some(work),
            Ok(None) => remarks.push(not("the longer run did no more than the short one")),
            Err(error) => remarks.push(not(&error.to_string())),
        }
    }
    remarks
}

fn count(
    runner: &mut Runner,
    plan: &Plan,
    stack: &StackPlan,
    until: Instant,
) -> io::Result<Option<WorkPerIo>> {
    let mut stack = *stack;
    stack.spec.spin_us = Some(0);
    let [short, long] = SECONDS;
    let short = run(runner, plan, &stack, short, until)?;
    Ok(per_io(&short, &run(runner, plan, &stack, long, until)?))
}

/// One run, with everything counted. Errors: it is not through by `until`, or fails.
fn run(
    runner: &mut Runner,
    plan: &Plan,
    stack: &StackPlan,
    seconds: f64,
    until: Instant,
) -> io::Result<Run> {
    let now = Instant::now();
    if now >= until {
        return Err(io::Error::other("not counted, the scenario's time is up"));
    }
    let folder = Folder::create()?;
    let out = format!("--cachegrind-out-file={}/%p", folder.0.display());
    let words = ["valgrind", "-q", "--tool=cachegrind", "--cache-sim=yes", "--vgdb=no"];
    // The threads of one process take turns, so that neither starves.
    let rest = ["--fair-sched=try", &out];
    let under: Vec<String> =
        words.iter().chain(&CACHES).chain(&rest).map(|&word| word.to_owned()).collect();
    let times = Times { ramp_seconds: 0.0, seconds };
    let take = Take { round: 0, times, under: &under, until: until.min(now + RUN_MAX) };
    let (_, client): (_, ChildReport) = runner.both(plan, stack, take)?;
    let processes = if stack.spec.kind == Kind::Microkernel { 4 } else { 2 };
    Ok(Run { events: folder.sum(processes)?, ios: client.ios_ever })
}

/// Where the processes of one run leave their counts.
struct Folder(PathBuf);

impl Folder {
    fn create() -> io::Result<Folder> {
        let name = format!("flexblk-work-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A process of this number may have been killed before it could clean up.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }
    /// What all together counted. Errors: one of them left nothing.
    fn sum(&self, processes: usize) -> io::Result<Events> {
        let read = |path: &Path| Ok::<_, io::Error>(Events::parse(&std::fs::read_to_string(path)?));
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            all.extend(read(&entry?.path())?);
        }
        if all.len() != processes {
            let left = all.len();
            return Err(io::Error::other(format!("{left} of {processes} processes left counts")));
        }
        Ok(all.into_iter().fold(Events::default(), Events::plus))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a few kilobytes among temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A whole run.
#[derive(Clone, Copy, Default, Debug)]
struct Run {
    events: Events,
    ios: u64,
}

/// What was counted from a process' beginning to its end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Events {
    instructions: u64,
    l1_misses: u64,
    llc_misses: u64,
}

impl Events {
    /// Reads what cachegrind wrote: a line that names the events, and one with their sums (Valgrind
    /// manual, "Cachegrind", section "Cachegrind Output File Format").
    fn parse(text: &str) -> Option<Events> {
        let words = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.map(|line| line.split_whitespace().collect::<Vec<_>>())
        };
        let (names, sums) = (words("events:")?, words("summary:")?);
        let sum = |name: &str| -> Option<u64> {
            sums.get(names.iter().position(|&each| each == name)?)?.parse().ok()
        };
        let all = |names: &[&str]| -> Option<u64> {
            names.iter().try_fold(0_u64, |total, name| total.checked_add(sum(name)?))
        };
        Some(Events {
            instructions: sum("Ir")?,
            l1_misses: all(&["D1mr", "D1mw"])?,
            llc_misses: all(&["ILmr", "DLmr", "DLmw"])?,
        })
    }
    fn plus(self, other: Events) -> Events {
        Events {
            instructions: self.instructions.saturating_add(other.instructions),
            l1_misses: self.l1_misses.saturating_add(other.l1_misses),
            llc_misses: self.llc_misses.saturating_add(other.llc_misses),
        }
    }
}

/// What the longer run did more, for each I/O more. `None`: not more.
fn per_io(short: &Run, long: &Run) -> Option<WorkPerIo> {
    let more = |long: u64, short: u64| long.checked_sub(short);
    let ios = more(long.ios, short.ios).filter(|&ios| ios > 0)?;
    let instructions = more(long.events.instructions, short.events.instructions);
    let instructions = instructions.filter(|&count| count > 0)?;
    let l1_misses = more(long.events.l1_misses, short.events.l1_misses)?;
    // Everything may fit into the last cache.
    let llc_misses = more(long.events.llc_misses, short.events.llc_misses)?;
    let each = |count: u64| float(count) / float(ios);
    Some(WorkPerIo {
        source: SOURCE.into(),
        instructions: each(instructions),
        l1_misses: each(l1_misses),
        llc_misses: each(llc_misses),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "desc: I1 cache: 32768 B, 64 B, 8-way associative\n\
        cmd: flexblk compare-child\n\
        events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw\n\
        fl=a.rs\nfn=f\n7 1 0 0 0 0 0 0 0 0\n\
        summary: 1000 9 1 300 20 4 200 30 8\n";

    /// Goal: the sums are found by their names, and what is cut or foreign is nothing.
    #[test]
    fn counts_are_read() {
        let events = Events { instructions: 1000, l1_misses: 50, llc_misses: 13 };
        assert_eq!(Events::parse(WRITTEN), Some(events));
        let turned = "events: DLmw Ir D1mr D1mw DLmr ILmr\nsummary: 8 1000 20 30 4 1\n";
        assert_eq!(Events::parse(turned), Some(events));
        for bad in [
            "",
            "events: Ir\nsummary: 1000\n",
            "events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw\n",
            "events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw\nsummary: 1000 9 1 300\n",
            "events: Ir ILmr D1mr DLmr D1mw DLmw\nsummary: 1 x 1 1 1 1\n",
        ] {
            assert_eq!(Events::parse(bad), None, "{bad}");
        }
    }

    /// Goal: set-up, which both runs have, is not in the result.
    #[test]
    fn what_both_runs_have_does_not_count() {
        let run = |base: u64, ios: u64| {
            let (instructions, l1_misses, llc_misses) = (base + 70 * ios, base + 5 * ios, base);
            Run { events: Events { instructions, l1_misses, llc_misses }, ios }
        };
        let work = per_io(&run(9_000, 100), &run(9_000, 400)).unwrap();
        let figures = [work.instructions, work.l1_misses, work.llc_misses];
        assert!(
            figures.iter().zip([70.0, 5.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9),
            "{work:?}"
        );
        // No more I/Os, no more instructions, or fewer misses: the runs cannot be compared.
        assert_eq!(per_io(&run(9_000, 100), &run(9_000, 100)), None);
        assert_eq!(per_io(&run(9_000, 400), &run(9_000, 100)), None);
        let still = Run { ios: 500, ..run(9_000, 100) };
        assert_eq!(per_io(&run(9_000, 100), &still), None);
        let mut fewer = run(9_000, 400);
        fewer.events.llc_misses = 8_999;
        assert_eq!(per_io(&run(9_000, 100), &fewer), None);
    }
}
