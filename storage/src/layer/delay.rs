//! A disk that answers later.

use crate::random::SplitMix64;
use crate::{Backend, Done, Full, Op, Request, Tag};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How much later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// Always as much.
    Fixed(Duration),
    /// Anything between, evenly; results change their order.
    Random {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
        /// Makes the sequence.
        seed: u64,
    },
}

/// Holds each result back. Grants of buffers pass: they do not touch the medium.
pub struct Delay<B> {
    inner: B,
    time: Time,
    random: SplitMix64,
    prepares: HashSet<Tag>,
    /// Which result is due when; the number keeps equal moments in order.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    held: HashMap<u64, Done>,
    held_count: u64,
    arrived: Vec<Done>,
}

impl<B: Backend> Delay<B> {
    /// A layer over `inner`.
    pub fn new(inner: B, time: Time) -> Delay<B> {
        let seed = match time {
            Time::Fixed(_) => 0,
            Time::Random { seed, .. } => seed,
        };
        Delay {
            inner,
            time,
            random: SplitMix64::new(seed),
            prepares: HashSet::new(),
            due: BinaryHeap::new(),
            held: HashMap::new(),
            held_count: 0,
            arrived: Vec::new(),
        }
    }

    fn pick(&mut self) -> Duration {
        match self.time {
            Time::Fixed(time) => time,
            Time::Random { min, max, .. } => {
                let width = max.saturating_sub(min).as_nanos();
                let width = u64::try_from(width).unwrap_or(u64::MAX).saturating_add(1);
                min + Duration::from_nanos(self.random.below(width))
            }
        }
    }
}

impl<B: Backend> Backend for Delay<B> {
    super::forward_the_disk!();
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        // As many results as there are places may be held, and no more.
        if self.held.len() >= HELD_MAX {
            return Err(Full(request));
        }
        let (tag, is_prepare) = (request.tag, matches!(request.op, Op::Prepare(..)));
        self.inner.submit(request)?;
        if is_prepare {
            self.prepares.insert(tag);
        }
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.inner.poll(now, &mut self.arrived);
        let mut arrived = std::mem::take(&mut self.arrived);
        for result in arrived.drain(..) {
            if self.prepares.remove(&result.tag) {
                done.push(result);
                continue;
            }
            let when = now + self.pick();
            self.due.push(Reverse((when, self.held_count)));
            self.held.insert(self.held_count, result);
            self.held_count += 1;
        }
        self.arrived = arrived;
        while let Some(Reverse((when, number))) = self.due.peek().copied() {
            if when > now {
                break;
            }
            self.due.pop();
            done.extend(self.held.remove(&number));
        }
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.held.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let next = self.due.peek().map(|Reverse((when, _))| *when);
        super::sooner(self.inner.poll_timeout(), next)
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        report("delayed", self.held_count);
    }
}

/// Most results held back.
const HELD_MAX: usize = 4096;
