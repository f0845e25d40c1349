//! A disk of limited speed.

use crate::{Backend, Done, Full, Op, Request};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Limits; `None`: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rates {
    /// Operations a second.
    pub iops: Option<u64>,
    /// Octets of reads, writes, compares and verifies a second.
    pub bytes_per_s: Option<u64>,
}

/// How much may pass at once after a pause: what the rate gives in this time.
const BURST: Duration = Duration::from_millis(10);
/// Most requests that wait for their turn.
const WAITING_MAX: usize = 1024;
const NANOS: u128 = 1_000_000_000;

/// Lets requests through as fast as two token buckets fill, in order of arrival. Grants of
/// buffers pass: they do not touch the medium.
pub struct Rate<B> {
    inner: B,
    operations: Bucket,
    octets: Bucket,
    waiting: VecDeque<Request>,
    last_poll: Option<Instant>,
    waited_count: u64,
}

/// A bucket that may go below zero once: a request larger than the bucket passes when it is full,
/// and the next ones wait for the debt.
struct Bucket {
    per_second: Option<u64>,
    /// In billionths of a token.
    level: i128,
}

impl Bucket {
    fn new(per_second: Option<u64>) -> Bucket {
        let mut bucket = Bucket { per_second, level: 0 };
        bucket.level = bucket.capacity();
        bucket
    }
    fn capacity(&self) -> i128 {
        self.gain(BURST).max(i128::try_from(NANOS).unwrap_or(i128::MAX))
    }
    fn gain(&self, time: Duration) -> i128 {
        let rate = u128::from(self.per_second.unwrap_or(0));
        i128::try_from(time.as_nanos().saturating_mul(rate)).unwrap_or(i128::MAX)
    }
    fn fill(&mut self, time: Duration) {
        self.level = self.level.saturating_add(self.gain(time)).min(self.capacity());
    }
    fn is_open(&self) -> bool {
        self.per_second.is_none() || self.level > 0
    }
    fn take(&mut self, tokens: u64) {
        if self.per_second.is_some() {
            let cost = u128::from(tokens) * NANOS;
            self.level = self.level.saturating_sub_unsigned(cost);
        }
    }
    /// Time until it opens.
    fn wait(&self) -> Duration {
        let (Some(rate), false) = (self.per_second, self.is_open()) else { return Duration::ZERO };
        let missing = self.level.unsigned_abs() + 1;
        let nanos = missing.div_ceil(u128::from(rate.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl<B: Backend> Rate<B> {
    /// A layer over `inner`.
    pub fn new(inner: B, rates: Rates) -> Rate<B> {
        Rate {
            inner,
            operations: Bucket::new(rates.iops),
            octets: Bucket::new(rates.bytes_per_s),
            waiting: VecDeque::with_capacity(WAITING_MAX),
            last_poll: None,
            waited_count: 0,
        }
    }

    fn octets_of(&self, op: Op) -> u64 {
        match op {
            Op::Read(range) | Op::Write(range, _) | Op::Compare(range) | Op::Verify(range) => {
                u64::from(range.count) * u64::from(self.inner.geometry().block_bytes)
            }
            Op::CompareAndWrite(range, _) => {
                2 * u64::from(range.count) * u64::from(self.inner.geometry().block_bytes)
            }
            Op::Prepare(..) | Op::Flush | Op::WriteZeroes { .. } | Op::Deallocate(_) => 0,
        }
    }

    fn let_through(&mut self) {
        while self.operations.is_open() && self.octets.is_open() {
            let Some(request) = self.waiting.pop_front() else { return };
            let octets = self.octets_of(request.op);
            if let Err(Full(request)) = self.inner.submit(request) {
                self.waiting.push_front(request);
                return;
            }
            self.operations.take(1);
            self.octets.take(octets);
        }
    }
}

impl<B: Backend> Backend for Rate<B> {
    super::forward_the_disk!();
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        if let Op::Prepare(..) = request.op {
            return self.inner.submit(request);
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(Full(request));
        }
        self.waiting.push_back(request);
        self.let_through();
        self.waited_count += u64::from(!self.waiting.is_empty());
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        let passed =
            self.last_poll.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last_poll = Some(now);
        self.operations.fill(passed);
        self.octets.fill(passed);
        self.let_through();
        self.inner.poll(now, done);
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.waiting.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let wait = self.operations.wait().max(self.octets.wait());
        let next =
            if self.waiting.is_empty() { None } else { self.last_poll.map(|last| last + wait) };
        super::sooner(self.inner.poll_timeout(), next)
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        report("rate_waits", self.waited_count);
    }
}
