//! A link that loses, doubles, reorders, corrupts and delays what arrives, from a seed.
//!
//! For simulation and tests: faults are a function of the seed and of the order of arrivals; time
//! is told by [`FaultyLink::advance`].

use super::{Link, LinkCaps, RxRing, TxBatch};
use crate::split_mix;
use memory::Registry;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Calls of the inner link in one `rx_burst` at most.
const DRAIN_CALLS_MAX: usize = 64;
/// Places by which a reordered packet falls back at most.
const REORDER_PLACES: u64 = 8;

/// How often what happens, in packets of a million, and by how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Never arrives.
    pub drop_ppm: u32,
    /// Arrives twice.
    pub duplicate_ppm: u32,
    /// Falls back up to eight places.
    pub reorder_ppm: u32,
    /// One bit is turned.
    pub corrupt_ppm: u32,
    /// Is marked "congestion experienced".
    pub mark_ppm: u32,
    /// Everything arrives this much later.
    pub delay: Duration,
    /// And up to this much more, at random (which reorders too).
    pub jitter: Duration,
}

/// A link around a link. Faults apply to what it receives.
pub struct FaultyLink<L> {
    inner: L,
    faults: Faults,
    random: u64,
    now: Instant,
    sequence: u64,
    arriving: RxRing,
    waiting: BinaryHeap<Reverse<Waiting>>,
    injected: Injected,
}

/// What was done to packets so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Injected {
    /// Packets lost.
    pub dropped: u64,
    /// Packets doubled.
    pub duplicated: u64,
    /// Packets that fell back.
    pub reordered: u64,
    /// Packets with a turned bit.
    pub corrupted: u64,
    /// Packets marked.
    pub marked: u64,
}

/// Ordered by due time, then place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Instant,
    place: u64,
    sequence: u64,
    octets: Vec<u8>,
    from: SocketAddr,
    ecn: u8,
}

impl<L: Link> FaultyLink<L> {
    /// `inner` with `faults` from `seed`, at `now`.
    #[must_use]
    pub fn new(inner: L, faults: Faults, seed: u64, now: Instant) -> FaultyLink<L> {
        FaultyLink {
            inner,
            faults,
            random: seed,
            now,
            sequence: 0,
            arriving: RxRing::new(4, 1 << 16),
            waiting: BinaryHeap::new(),
            injected: Injected::default(),
        }
    }
    /// Time goes on.
    pub fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
    /// Other faults from here on (none: `Faults::default()`).
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }
    /// What was done so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected
    }
    /// When the next packet held back is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(first)| first.due)
    }
    /// The link inside.
    pub fn inner_mut(&mut self) -> &mut L {
        &mut self.inner
    }

    fn take_in(&mut self) {
        for at in 0..self.arriving.packets().len() {
            let packet = self.arriving.packets()[at];
            let octets = self.arriving.octets(&packet).to_vec();
            if self.happens(self.faults.drop_ppm) {
                self.injected.dropped += 1;
                continue;
            }
            if self.happens(self.faults.duplicate_ppm) {
                self.injected.duplicated += 1;
                self.hold(octets.clone(), packet.from, packet.ecn);
            }
            self.hold(octets, packet.from, packet.ecn);
        }
        self.arriving.recycle();
    }

    fn hold(&mut self, mut octets: Vec<u8>, from: SocketAddr, mut ecn: u8) {
        if self.happens(self.faults.corrupt_ppm) && !octets.is_empty() {
            self.injected.corrupted += 1;
            let bit = self.below(octets.len() as u64 * 8);
            octets[usize::try_from(bit / 8).unwrap_or(0)] ^= 1 << (bit % 8);
        }
        if self.happens(self.faults.mark_ppm) {
            self.injected.marked += 1;
            ecn = 3;
        }
        self.sequence += 1;
        let mut place = self.sequence;
        if self.happens(self.faults.reorder_ppm) {
            self.injected.reordered += 1;
            place += 1 + self.below(REORDER_PLACES);
        }
        let jitter_ns = u64::try_from(self.faults.jitter.as_nanos()).unwrap_or(u64::MAX);
        let due = self.now + self.faults.delay + Duration::from_nanos(self.below(jitter_ns));
        let sequence = self.sequence;
        self.waiting.push(Reverse(Waiting { due, place, sequence, octets, from, ecn }));
    }

    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// Below `bound` (0 for a bound of 0).
    fn below(&mut self, bound: u64) -> u64 {
        split_mix::next(&mut self.random).checked_rem(bound).unwrap_or(0)
    }
}

impl<L: Link> Link for FaultyLink<L> {
    fn caps(&self) -> &LinkCaps {
        self.inner.caps()
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        for _ in 0..DRAIN_CALLS_MAX {
            if self.inner.rx_burst(&mut self.arriving)? == 0 {
                break;
            }
            self.take_in();
        }
        let mut added = 0;
        while ring.free_slots() > 0
            && self.next_due().is_some_and(|due| due <= self.now)
            && let Some(Reverse(next)) = self.waiting.pop()
        {
            let len = next.octets.len().min(ring.slot_bytes());
            if let Some(slot) = ring.free_slots_mut().next() {
                slot[..len].copy_from_slice(&next.octets[..len]);
            }
            added += ring.fill(len, len, next.from, next.ecn);
        }
        Ok(added)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        self.inner.tx_burst(batch, memory)
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.fd()
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.inner.set_ecn_capable(capable);
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        report("faults.dropped", self.injected.dropped);
        report("faults.duplicated", self.injected.duplicated);
        report("faults.reordered", self.injected.reordered);
        report("faults.corrupted", self.injected.corrupted);
        report("faults.marked", self.injected.marked);
    }
}

#[cfg(test)]
#[path = "faulty_tests.rs"]
mod tests;
