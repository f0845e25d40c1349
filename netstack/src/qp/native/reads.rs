//! READs and atomics, both sides of them.
//!
//! A request travels in the requester's packet stream, its answer in the responder's own: both
//! are reliable, so nothing is kept for replay once the answer's packets are acknowledged.

use std::collections::VecDeque;
use verbs::Rkey;

/// Requests of this side whose answers are due, oldest first. Answers come in this order.
#[derive(Debug)]
pub(super) struct Asked {
    works: VecDeque<u64>,
    /// Number of the oldest, 24 bits.
    base: u32,
}

impl Asked {
    pub(super) fn new(depth: u8) -> Asked {
        Asked { works: VecDeque::with_capacity(usize::from(depth)), base: 0 }
    }
    /// The request with the next number left: work `seq` of the send queue.
    pub(super) fn push(&mut self, seq: u64) {
        self.works.push_back(seq);
    }
    /// The work that asked, or `None` if no such answer is due (the peer's fault).
    pub(super) fn find(&self, msn: u32) -> Option<u64> {
        self.works.get((msn.wrapping_sub(self.base) & 0xff_ffff) as usize).copied()
    }
    /// The oldest, if it has that number.
    pub(super) fn oldest(&self, msn: u32) -> Option<u64> {
        if msn == self.base { self.works.front().copied() } else { None }
    }
    /// The oldest was answered.
    pub(super) fn pop(&mut self) {
        self.works.pop_front();
        self.base = (self.base + 1) & 0xff_ffff;
    }
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// Memory of this host, sent from where it lies.
    Read { addr: u64, rkey: Rkey },
    /// The value before the atomic, which was executed once.
    Atomic { original: u64 },
}

/// One answer to the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) what: Answered,
    /// The request's number.
    pub(super) msn: u32,
    /// Octets.
    pub(super) len: u32,
    /// Beyond its last packet, once all of it was cut into packets.
    end: Option<u64>,
}

/// Answers to the peer's requests until they are acknowledged; those from `cursor` on are not
/// (wholly) cut into packets.
#[derive(Debug)]
pub(super) struct Answers {
    queue: VecDeque<Answer>,
    base: u64,
    cursor: u64,
    offset: u32,
    depth: usize,
}

impl Answers {
    pub(super) fn new(depth: u8) -> Answers {
        let depth = usize::from(depth);
        Answers { queue: VecDeque::with_capacity(depth), base: 0, cursor: 0, offset: 0, depth }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
    /// The peer may have no more outstanding.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= self.depth
    }
    /// Adds one. Panics beyond the depth: the caller asked `is_full`.
    pub(super) fn push(&mut self, what: Answered, msn: u32, len: u32) {
        assert!(!self.is_full(), "more answers than responder resources");
        self.queue.push_back(Answer { what, msn, len, end: None });
    }
    /// The answer of that sequence number, if it is still held.
    pub(super) fn get(&self, seq: u64) -> Option<&Answer> {
        self.queue.get(usize::try_from(seq.checked_sub(self.base)?).ok()?)
    }
    /// The answer being cut, with its sequence number and the octets already cut.
    pub(super) fn current(&self) -> Option<(u64, &Answer, u32)> {
        self.get(self.cursor).map(|answer| (self.cursor, answer, self.offset))
    }
    /// `len` more octets were cut into packet `psn`; `last`: nothing is left.
    pub(super) fn advance(&mut self, psn: u64, len: u32, last: bool) {
        self.offset += len;
        if last {
            let at = usize::try_from(self.cursor - self.base).unwrap_or(usize::MAX);
            self.queue[at].end = Some(psn + 1);
            (self.cursor, self.offset) = (self.cursor + 1, 0);
        }
    }
    /// Forgets those whose packets are all before `una`.
    pub(super) fn release(&mut self, una: u64) {
        while self.queue.front().is_some_and(|a| a.end.is_some_and(|end| end <= una)) {
            self.queue.pop_front();
            self.base += 1;
        }
    }
}
