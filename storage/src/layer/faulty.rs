//! A disk that fails as told.

use crate::random::SplitMix64;
use crate::{Backend, DiskStatus, Done, Full, Op, Request};
use std::time::Instant;

/// Which operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// All but grants of buffers.
    Any,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Flush.
    Flush,
    /// Compare.
    Compare,
    /// Write Zeroes.
    WriteZeroes,
    /// Deallocate.
    Deallocate,
    /// Verify.
    Verify,
}

/// When.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// The n-th of the kind, from 1, and no other.
    Nth(u64),
    /// Each n-th.
    Every(u64),
    /// The n-th and all after it: a disk that died.
    From(u64),
    /// With this probability in millionths.
    Millionths(u32),
}

/// One rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which operations.
    pub kind: Kind,
    /// When.
    pub when: When,
    /// With what outcome.
    pub status: DiskStatus,
}

/// Fails requests before they reach the disk: a failed write has changed nothing, unless its data
/// landed in place.
pub struct Faulty<B> {
    inner: B,
    /// Each rule with how many operations of its kind it saw.
    faults: Vec<(Fault, u64)>,
    random: SplitMix64,
    failed: Vec<Done>,
    failed_count: u64,
    last_poll: Option<Instant>,
}

impl<B: Backend> Faulty<B> {
    /// A layer over `inner`; `seed` makes the chances.
    pub fn new(inner: B, faults: Vec<Fault>, seed: u64) -> Faulty<B> {
        Faulty {
            inner,
            faults: faults.into_iter().map(|fault| (fault, 0)).collect(),
            random: SplitMix64::new(seed),
            failed: Vec::new(),
            failed_count: 0,
            last_poll: None,
        }
    }

    /// The outcome of the first rule that applies, and where the chances stand then. Nothing is
    /// counted yet: a request that the disk has no room for comes again.
    fn verdict(&self, op: Op) -> (Option<DiskStatus>, SplitMix64) {
        let mut random = self.random.clone();
        let mut verdict = None;
        for (fault, seen) in self.faults.iter().filter(|(fault, _)| applies(fault.kind, op)) {
            let number = seen + 1;
            let strikes = match fault.when {
                When::Nth(n) => number == n,
                When::Every(n) => number.is_multiple_of(n.max(1)),
                When::From(n) => number >= n,
                When::Millionths(chance) => random.below(1_000_000) < u64::from(chance),
            };
            if strikes && verdict.is_none() {
                verdict = Some(fault.status);
            }
        }
        (verdict, random)
    }

    /// Every rule counts, also when another applied.
    fn count(&mut self, op: Op, random: SplitMix64) {
        self.random = random;
        for (_, seen) in self.faults.iter_mut().filter(|(fault, _)| applies(fault.kind, op)) {
            *seen += 1;
        }
    }
}

fn applies(kind: Kind, op: Op) -> bool {
    match op {
        Op::Prepare(..) => false,
        Op::Read(_) => matches!(kind, Kind::Any | Kind::Read),
        Op::Write(..) => matches!(kind, Kind::Any | Kind::Write),
        Op::Compare(_) => matches!(kind, Kind::Any | Kind::Compare),
        Op::CompareAndWrite(..) => matches!(kind, Kind::Any | Kind::Compare | Kind::Write),
        Op::Flush => matches!(kind, Kind::Any | Kind::Flush),
        Op::WriteZeroes { .. } => matches!(kind, Kind::Any | Kind::WriteZeroes),
        Op::Deallocate(_) => matches!(kind, Kind::Any | Kind::Deallocate),
        Op::Verify(_) => matches!(kind, Kind::Any | Kind::Verify),
    }
}

impl<B: Backend> Backend for Faulty<B> {
    super::forward_the_disk!();
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        if self.failed.len() >= FAILED_MAX {
            return Err(Full(request));
        }
        let op = request.op;
        let (verdict, random) = self.verdict(op);
        if let Some(status) = verdict {
            self.failed_count += 1;
            self.failed.push(Done { tag: request.tag, status, buffer: None });
            if let Some(buffer) = request.buffer {
                self.inner.release(buffer);
            }
        } else {
            self.inner.submit(request)?;
        }
        self.count(op, random);
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.last_poll = Some(now);
        done.append(&mut self.failed);
        self.inner.poll(now, done);
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.failed.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let at_once = if self.failed.is_empty() { None } else { self.last_poll };
        super::sooner(self.inner.poll_timeout(), at_once)
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        report("injected_faults", self.failed_count);
    }
}

/// Most failures not yet reported.
const FAILED_MAX: usize = 1024;
