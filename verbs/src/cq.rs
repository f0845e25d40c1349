//! Completion queue.

use crate::Wc;
use std::collections::VecDeque;

/// Completions that a new queue has memory for; it grows to what is used of its capacity.
const PREALLOCATED: usize = 1024;

/// A bounded queue of completions. Work is accepted only while a place for its completion is
/// reserved, so it cannot overrun.
#[derive(Debug)]
pub struct Cq {
    ready: VecDeque<Wc>,
    capacity: usize,
}

impl Cq {
    /// At most `capacity` completions at once.
    #[must_use]
    pub fn new(capacity: usize) -> Cq {
        Cq { ready: VecDeque::with_capacity(capacity.min(PREALLOCATED)), capacity }
    }
    /// Adds one. Panics at capacity: the owner of the queue broke its reservation.
    pub fn push(&mut self, wc: Wc) {
        assert!(self.ready.len() < self.capacity, "completion queue overrun at {}", self.capacity);
        self.ready.push_back(wc);
    }
    /// Takes the oldest (`ibv_poll_cq` of one).
    pub fn poll(&mut self) -> Option<Wc> {
        self.ready.pop_front()
    }
    /// Completions waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len()
    }
    /// None waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }
    /// Most completions at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
