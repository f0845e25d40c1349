//! One job: a closed loop of `depth` I/Os on one connection.

use super::{JobReport, Load, Verifier, Workload};
use hdrhistogram::Histogram;
use initiator::wait::Idled;
use initiator::{Completion, Host, IoOp, NamespaceInfo, Waiter};
use memory::{Mr, Region};
use netstack::fabric::Fabric;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use wire::nvme::Status;

/// Told about twice a second: I/Os done so far, and the share of the time that has passed.
pub type Progress<'a> = &'a mut dyn FnMut(u64, f64);

/// Latencies above this are recorded as this.
pub const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// Before, in and after the measured time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Not measured yet.
    Ramp,
    /// Measured.
    Measuring,
    /// What is outstanding is waited for.
    Over,
}

/// Gives a function each counter of a fabric.
pub type Counters<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&'static str, u64));

/// Hears what a load does.
pub trait Observer {
    /// A stage begins. `counters` tells the counters of the job's fabric.
    fn stage(&mut self, _stage: Stage, _counters: Counters<'_>) {}
    /// A turn went from `from` to `to`; `did_work`: it found something to do.
    fn turn(&mut self, _from: Instant, _to: Instant, _did_work: bool) {}
    /// Told about twice a second: I/Os done so far, and the share of the time that has passed.
    fn progress(&mut self, _ios: u64, _share: f64) {}
}

/// Whoever only wants to know how far it is.
struct Told<'a>(Progress<'a>);

impl Observer for Told<'_> {
    fn progress(&mut self, ios: u64, share: f64) {
        (self.0)(ios, share);
    }
}

struct Slot {
    started: Instant,
    offset: u64,
    op: IoOp,
    /// Verify: the write's number, or for reads the number that must be seen.
    number: u32,
}

struct Job<'a, F: Fabric> {
    host: &'a mut Host<F>,
    ns: NamespaceInfo,
    load: Load,
    memory: Region,
    mr: Mr,
    slots: Vec<Slot>,
    verifier: Option<Verifier>,
    /// Verify: pieces with an I/O outstanding, which must not get another.
    busy: std::collections::HashSet<u64>,
    random: u64,
    cursor: u64,
    report: JobReport,
    stage: Stage,
    /// The host answers for the target that is gone: more I/Os would only fail as fast as they can.
    gave_up: bool,
}

/// Runs `load` on a live host. `waiter` says how to wait.
///
/// Errors: memory, or a connection that is not live. Failed I/Os are counted, not errors.
pub fn run<F: Fabric>(
    host: &mut Host<F>,
    ns: NamespaceInfo,
    load: Load,
    waiter: Waiter,
    progress: Progress<'_>,
) -> io::Result<JobReport> {
    run_observed(host, ns, load, waiter, &mut Told(progress))
}

/// The same, watched more closely.
///
/// Errors: as `run`.
pub fn run_observed<F: Fabric>(
    host: &mut Host<F>,
    ns: NamespaceInfo,
    load: Load,
    mut waiter: Waiter,
    observer: &mut dyn Observer,
) -> io::Result<JobReport> {
    let memory = Region::allocate(load.io_bytes as usize * usize::from(load.depth))?;
    let mr = host.register(&memory).map_err(io::Error::other)?;
    let mut job = Job::new(host, ns, load, memory, mr);
    let outcome = job.run(&mut waiter, observer);
    let Job { host, mr, report, .. } = job;
    host.deregister(&mr);
    outcome.map(|()| report)
}

impl<'a, F: Fabric> Job<'a, F> {
    fn new(host: &'a mut Host<F>, ns: NamespaceInfo, load: Load, memory: Region, mr: Mr) -> Self {
        // Data that compresses to nothing would flatter caches; make every octet count.
        let mut random = load.seed | 1;
        for offset in (0..memory.len()).step_by(8) {
            memory.write(offset, &next(&mut random).to_le_bytes());
        }
        let verifier = load.verify.then(|| Verifier::new(load.io_bytes, load.start, load.span));
        let report = JobReport {
            ios: 0,
            ios_ever: 0,
            bytes: 0,
            errors: 0,
            mismatches: 0,
            time: Duration::from_nanos(1),
            latency: Histogram::new_with_max(LATENCY_MAX_NS, 3).expect("valid bounds"),
            counters: BTreeMap::new(),
            first_error: None,
        };
        let busy = std::collections::HashSet::new();
        let slots = Vec::with_capacity(usize::from(load.depth));
        let stage = Stage::Ramp;
        Job {
            host,
            ns,
            load,
            memory,
            mr,
            slots,
            verifier,
            busy,
            random,
            cursor: 0,
            report,
            stage,
            gave_up: false,
        }
    }

    fn run(&mut self, waiter: &mut Waiter, observer: &mut dyn Observer) -> io::Result<()> {
        let begin = Instant::now();
        let measure_from = begin + self.load.ramp;
        let end = measure_from + self.load.time;
        let mut told = begin;
        let mut counters = BTreeMap::new();
        let mut done: Vec<Completion> = Vec::with_capacity(usize::from(self.load.depth));
        for slot in 0..usize::from(self.load.depth) {
            self.start(begin, slot)?;
        }
        let mut outstanding = usize::from(self.load.depth);
        let (mut now, mut progressed, mut activity) = (begin, true, 0);
        while outstanding > 0 {
            let from = now;
            self.host.turn(now);
            self.host.poll_done(&mut done);
            let moved = self.host.fabric().activity();
            let did_work = progressed | !done.is_empty() | (moved != activity);
            activity = moved;
            progressed = !done.is_empty();
            now = Instant::now();
            observer.turn(from, now, did_work);
            if self.stage == Stage::Ramp && now >= measure_from {
                self.enter(Stage::Measuring, observer);
                counters = self.counters(waiter);
            }
            for completion in done.drain(..) {
                outstanding -= 1;
                let slot = self.finish(now, completion);
                if now < end && !self.gave_up {
                    self.start(now, slot)?;
                    outstanding += 1;
                }
            }
            if progressed && now < end {
                // Send at once what the completions made room for.
                self.host.kick(now);
            }
            if self.stage == Stage::Measuring && now >= end {
                self.stop_measuring(now - measure_from, &counters, waiter);
                self.enter(Stage::Over, observer);
            }
            if now - told > Duration::from_millis(500) {
                told = now;
                let share = (now - begin).as_secs_f64() / (end - begin).as_secs_f64();
                observer.progress(self.report.ios, share);
            }
            let deadline = self.host.poll_timeout();
            if waiter.idle(self.host.fabric(), progressed, now, deadline) == Idled::Away {
                // The time that passed was not this turn's.
                now = Instant::now();
            }
        }
        if self.stage == Stage::Measuring {
            self.stop_measuring(now - measure_from, &counters, waiter);
            self.enter(Stage::Over, observer);
        }
        Ok(())
    }

    fn enter(&mut self, stage: Stage, observer: &mut dyn Observer) {
        self.stage = stage;
        let fabric = self.host.fabric();
        observer.stage(stage, &mut |report| fabric.counters(report));
    }

    fn stop_measuring(
        &mut self,
        time: Duration,
        before: &BTreeMap<&'static str, u64>,
        waiter: &Waiter,
    ) {
        self.report.time = time.max(Duration::from_nanos(1));
        self.report.counters = growth(before, &self.counters(waiter));
    }

    fn start(&mut self, now: Instant, slot: usize) -> io::Result<()> {
        let write = match self.load.workload {
            Workload::Read | Workload::RandRead => false,
            Workload::Write | Workload::RandWrite => true,
            Workload::RandRw { read_percent } => {
                next(&mut self.random) % 100 >= u64::from(read_percent)
            }
        };
        let offset = self.next_offset();
        let at = slot * self.load.io_bytes as usize;
        let mut number = 0;
        if let Some(verifier) = &mut self.verifier {
            self.busy.insert(offset);
            number = verifier.number(offset);
            if write {
                let mut pattern = vec![0; self.load.io_bytes as usize];
                number = verifier.fill(offset, &mut pattern);
                self.memory.write(at, &pattern);
            }
        }
        let op = if write { IoOp::Write } else { IoOp::Read };
        let addr = self.mr.addr + at as u64;
        let command = self
            .ns
            .command(slot as u64, op, offset, self.load.io_bytes, &self.mr, addr)
            .map_err(|bad| io::Error::new(io::ErrorKind::InvalidInput, bad))?;
        let fresh = Slot { started: now, offset, op, number };
        if slot < self.slots.len() {
            self.slots[slot] = fresh;
        } else {
            self.slots.push(fresh);
        }
        self.host
            .submit(now, 0, command)
            .map_err(|_| io::Error::other("queue depth is above what the controller granted"))
    }

    fn next_offset(&mut self) -> u64 {
        let io_bytes = u64::from(self.load.io_bytes);
        let pieces = (self.load.span / io_bytes).max(1);
        loop {
            let piece = if self.load.workload.is_random() {
                // Multiply-shift: unbiased enough for offsets, and no division.
                ((u128::from(next(&mut self.random)) * u128::from(pieces)) >> 64) as u64
            } else {
                self.cursor = (self.cursor + 1) % pieces;
                self.cursor
            };
            let offset = self.load.start + piece * io_bytes;
            if self.verifier.is_none() || !self.busy.contains(&offset) {
                return offset;
            }
        }
    }

    fn finish(&mut self, now: Instant, completion: Completion) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a slot index")]
        let index = completion.tag as usize;
        let Slot { started, offset, op, number } = self.slots[index];
        if completion.status.is_success() {
            self.verify(index, offset, op, number);
        } else {
            self.report.errors += 1;
            if let Some(verifier) = self.verifier.as_mut().filter(|_| op == IoOp::Write) {
                verifier.failed(offset, number);
            }
            self.gave_up |= completion.status.is(Status::HOST_PATHING);
            let why = self.host.error().filter(|_| self.gave_up).map(ToString::to_string);
            let why = why.unwrap_or_else(|| completion.status.to_string());
            self.report.first_error.get_or_insert_with(|| format!("{op:?} at {offset}: {why}"));
        }
        self.busy.remove(&offset);
        self.report.ios_ever += u64::from(completion.status.is_success());
        if self.stage == Stage::Measuring && completion.status.is_success() {
            self.report.ios += 1;
            self.report.bytes += u64::from(self.load.io_bytes);
            let ns = u64::try_from((now - started).as_nanos()).unwrap_or(LATENCY_MAX_NS);
            self.report.latency.saturating_record(ns);
        }
        index
    }

    fn verify(&mut self, slot: usize, offset: u64, op: IoOp, number: u32) {
        let Some(verifier) = &mut self.verifier else { return };
        if op == IoOp::Write {
            verifier.acknowledged(offset, number);
            return;
        }
        let mut data = vec![0; self.load.io_bytes as usize];
        self.memory.read(slot * self.load.io_bytes as usize, &mut data);
        if !verifier.check(offset, number, &data) {
            self.report.mismatches += 1;
            let what = || format!("read at {offset} is not what write {number} put there");
            self.report.first_error.get_or_insert_with(what);
        }
    }

    fn counters(&self, waiter: &Waiter) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::from([("host.sleeps", waiter.sleeps())]);
        self.host.fabric().counters(&mut |name, count| {
            all.insert(name, count);
        });
        all
    }
}

fn growth(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let old = |name| before.get(name).copied().unwrap_or(0);
    after.iter().map(|(&name, &count)| (name, count.saturating_sub(old(name)))).collect()
}

/// xorshift64*: fast, and good enough to draw offsets.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
