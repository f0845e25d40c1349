//! What a disk was asked for.

use crate::{Backend, DiskStatus, Done, Full, Op, Request};
use std::time::Instant;

/// Counts requests, octets, failures and depth: a few additions a request.
pub struct Stats<B> {
    inner: B,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    reads: u64,
    read_octets: u64,
    writes: u64,
    write_octets: u64,
    prepares: u64,
    compares: u64,
    flushes: u64,
    write_zeroes: u64,
    deallocates: u64,
    verifies: u64,
    finished: u64,
    failed: u64,
    compare_differences: u64,
    full: u64,
    in_flight_max: u64,
}

impl<B: Backend> Stats<B> {
    /// A layer over `inner`.
    pub fn new(inner: B) -> Stats<B> {
        Stats { inner, counts: Counts::default() }
    }

    fn count(&mut self, op: Op) {
        let block = u64::from(self.inner.geometry().block_bytes);
        let counts = &mut self.counts;
        match op {
            Op::Read(range) => {
                counts.reads += 1;
                counts.read_octets += u64::from(range.count) * block;
            }
            Op::Write(range, _) => {
                counts.writes += 1;
                counts.write_octets += u64::from(range.count) * block;
            }
            Op::Prepare(..) => counts.prepares += 1,
            Op::Compare(_) => counts.compares += 1,
            Op::CompareAndWrite(range, _) => {
                counts.compares += 1;
                counts.writes += 1;
                counts.write_octets += u64::from(range.count) * block;
            }
            Op::Flush => counts.flushes += 1,
            Op::WriteZeroes { .. } => counts.write_zeroes += 1,
            Op::Deallocate(_) => counts.deallocates += 1,
            Op::Verify(_) => counts.verifies += 1,
        }
    }
}

impl<B: Backend> Backend for Stats<B> {
    super::forward_the_disk!();
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        let op = request.op;
        match self.inner.submit(request) {
            Ok(()) => {
                self.count(op);
                let in_flight = self.inner.in_flight() as u64;
                self.counts.in_flight_max = self.counts.in_flight_max.max(in_flight);
                Ok(())
            }
            Err(full) => {
                self.counts.full += 1;
                Err(full)
            }
        }
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        let before = done.len();
        self.inner.poll(now, done);
        let Some(fresh) = done.get(before..) else { return };
        for result in fresh {
            self.counts.finished += 1;
            match result.status {
                DiskStatus::Good => {}
                DiskStatus::CompareFailed => self.counts.compare_differences += 1,
                DiskStatus::ReadError
                | DiskStatus::WriteError
                | DiskStatus::CapacityExceeded
                | DiskStatus::Unsupported
                | DiskStatus::Internal => self.counts.failed += 1,
            }
        }
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        let counts = &self.counts;
        for (name, value) in [
            ("reads", counts.reads),
            ("read_octets", counts.read_octets),
            ("writes", counts.writes),
            ("write_octets", counts.write_octets),
            ("prepares", counts.prepares),
            ("compares", counts.compares),
            ("flushes", counts.flushes),
            ("write_zeroes", counts.write_zeroes),
            ("deallocates", counts.deallocates),
            ("verifies", counts.verifies),
            ("finished", counts.finished),
            ("failed", counts.failed),
            ("compare_differences", counts.compare_differences),
            ("full", counts.full),
            ("in_flight", self.inner.in_flight() as u64),
            ("in_flight_max", counts.in_flight_max),
        ] {
            report(name, value);
        }
    }
}
