//! What arrived: the bitmap that filters duplicates, what waits for its turn, and when the peer
//! is to be told.

use super::fault::Fault;
use super::psn::{self, Bits, WINDOW};
use wire::roce::Psn;
use wire::roce::native::{NativeHeader, Sack};

/// Packets after which an acknowledgement leaves of its own.
const OWED_PACKETS_MAX: u32 = 32;
/// Payload octets after which it does: the peer's buffers are not held longer.
const OWED_BYTES_MAX: usize = 256 << 10;
/// Longest time for which an acknowledgement waits for a packet to ride on. Far above the turn-
/// around of a request at depth 1, far below a retransmission timer.
pub(super) const ACK_DELAY_US: u64 = 100;

/// A packet that was placed before its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    pub(super) header: NativeHeader,
    pub(super) payload_len: u32,
    pub(super) fault: Option<Fault>,
}

/// How a packet's number relates to what arrived before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// The next.
    Next,
    /// After a gap.
    Early,
    /// Arrived before.
    Duplicate,
    /// Beyond what a sane peer sends.
    Beyond,
}

/// Receiving half of the packet stream.
#[derive(Debug)]
pub(super) struct Receiver {
    /// All before it were delivered.
    expected: u64,
    early: Bits,
    /// Beyond the newest that arrived.
    end: u64,
    /// By window slot; made when the first packet comes early.
    records: Vec<Option<Early>>,
    owed_packets: u32,
    owed_bytes: usize,
    due_us: Option<u64>,
    now: bool,
    /// A message found no receive since the last acknowledgement: its packet.
    not_ready: Option<u64>,
    stamp: Option<(u32, u64)>,
    marks: u8,
}

impl Receiver {
    pub(super) fn new(first: u64) -> Receiver {
        Receiver {
            expected: first,
            early: Bits::default(),
            end: first,
            records: Vec::new(),
            owed_packets: 0,
            owed_bytes: 0,
            due_us: None,
            now: false,
            not_ready: None,
            stamp: None,
            marks: 0,
        }
    }

    pub(super) fn expected(&self) -> u64 {
        self.expected
    }
    /// The full number of a packet, and how it relates to what arrived.
    pub(super) fn classify(&self, psn: Psn) -> (u64, Arrival) {
        let psn = psn::extend(self.expected, psn.get());
        let arrival = if psn == self.expected {
            Arrival::Next
        } else if psn < self.expected {
            Arrival::Duplicate
        } else if psn - self.expected >= WINDOW {
            Arrival::Beyond
        } else if self.early.get(psn) {
            Arrival::Duplicate
        } else {
            Arrival::Early
        };
        (psn, arrival)
    }

    /// Remembers the peer's clock, to be echoed, and counts congestion marks.
    pub(super) fn note(&mut self, now: u64, stamp: u32, marked: bool) {
        self.stamp = Some((stamp, now));
        self.marks = self.marks.wrapping_add(u8::from(marked));
    }
    /// The peer's clock as it reads now, had it stopped while a packet travelled: the latest
    /// stamp plus the time for which it was held. Once per stamp; 0 when there is none.
    pub(super) fn take_echo(&mut self, now: u64) -> u32 {
        let Some((stamp, at)) = self.stamp.take() else { return 0 };
        #[expect(clippy::cast_possible_truncation, reason = "a clock modulo 2^32")]
        let held = (now - at) as u32;
        // 0 says "none": a microsecond of error once in an hour.
        stamp.wrapping_add(held).max(1)
    }
    /// Congestion marks seen, modulo 256.
    pub(super) fn marks(&self) -> u8 {
        self.marks
    }

    /// A new packet was placed: an acknowledgement is owed.
    pub(super) fn owe(&mut self, now: u64, payload_len: usize, asked: bool) {
        self.owed_packets += 1;
        self.owed_bytes += payload_len;
        let much = self.owed_packets >= OWED_PACKETS_MAX || self.owed_bytes >= OWED_BYTES_MAX;
        self.now |= much || asked;
        self.due_us.get_or_insert(now + ACK_DELAY_US);
    }
    /// The next packet was delivered.
    pub(super) fn step(&mut self) {
        self.early.clear(self.expected);
        self.expected += 1;
        self.end = self.end.max(self.expected);
    }
    /// A packet was placed before its turn.
    pub(super) fn keep(&mut self, psn: u64, early: Early) {
        if self.records.is_empty() {
            self.records.resize(psn::slot(WINDOW - 1) + 1, None);
        }
        self.records[psn::slot(psn)] = Some(early);
        self.early.set(psn);
        self.end = self.end.max(psn + 1);
        self.now = true;
    }
    /// The next packet, if it arrived early.
    pub(super) fn take_next(&mut self) -> Option<Early> {
        if self.early.count() == 0 || !self.early.get(self.expected) {
            return None;
        }
        self.records[psn::slot(self.expected)].take()
    }
    /// Packets that arrived early, after `psn`, in order.
    pub(super) fn later(&self, psn: u64) -> impl Iterator<Item = &Early> {
        let slots = (psn + 1).max(self.expected)..self.end;
        let none = self.early.count() == 0;
        slots.filter(move |_| !none).filter_map(|psn| self.records[psn::slot(psn)].as_ref())
    }

    /// The peer missed an acknowledgement, or asks for one.
    pub(super) fn ask(&mut self) {
        self.now = true;
    }
    /// Nothing moves, and packets are missing: the peer may not have heard of it.
    pub(super) fn ask_for_missing(&mut self) {
        self.now |= self.early.count() > 0;
    }
    /// A message found no receive.
    pub(super) fn refuse(&mut self, psn: u64) {
        self.not_ready = Some(self.not_ready.map_or(psn, |at| at.min(psn)));
        self.now = true;
    }
    /// The refused packet, once.
    pub(super) fn take_refused(&mut self) -> Option<u64> {
        self.not_ready.take()
    }

    /// The delay has passed.
    pub(super) fn on_time(&mut self, now: u64) {
        if self.due_us.is_some_and(|at| at <= now) {
            self.due_us = None;
            self.now = true;
        }
    }
    /// When the delay has passed.
    pub(super) fn due_us(&self) -> Option<u64> {
        if self.now { None } else { self.due_us }
    }
    /// An acknowledgement must leave at `now`.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.now || self.due_us.is_some_and(|at| at <= now)
    }
    /// A data packet carried the cumulative acknowledgement. That is all, unless there are gaps.
    pub(super) fn on_piggyback(&mut self) {
        if self.early.count() == 0 && self.not_ready.is_none() {
            self.on_acknowledged();
        }
    }
    /// An acknowledgement packet left.
    pub(super) fn on_acknowledged(&mut self) {
        (self.owed_packets, self.owed_bytes) = (0, 0);
        (self.due_us, self.now) = (None, false);
    }

    /// What arrived early, as it travels.
    pub(super) fn sack(&self) -> Sack {
        let mut sack = Sack::EMPTY;
        let mut at = self.expected + 1;
        while let Some(psn) = self.early.next_set(at, self.end) {
            let steps = u32::try_from(psn - self.expected).unwrap_or(u32::MAX);
            if !sack.insert(steps) {
                break;
            }
            at = psn + 1;
        }
        sack
    }
}
