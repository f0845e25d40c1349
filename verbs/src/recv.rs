//! Receive work requests and the queue that holds them.

use crate::{PostError, SgeList};
use std::collections::VecDeque;

/// One receive work request: where a message of the peer lands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecvWr {
    /// Returned in the completion.
    pub wr_id: u64,
    /// Landing places, filled in order.
    pub sges: SgeList,
}

impl RecvWr {
    /// Octets that fit.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.sges.iter().map(|sge| u64::from(sge.length)).sum()
    }
}

/// Receives that a new queue has memory for; it grows to what is used of its capacity.
const PREALLOCATED: usize = 64;

/// Posted receives, taken first-in-first-out: a queue pair's own, or shared (SRQ).
#[derive(Debug)]
pub struct ReceiveQueue {
    posted: VecDeque<RecvWr>,
    capacity: usize,
}

impl ReceiveQueue {
    /// At most `capacity` posted at once.
    #[must_use]
    pub fn new(capacity: usize) -> ReceiveQueue {
        ReceiveQueue { posted: VecDeque::with_capacity(capacity.min(PREALLOCATED)), capacity }
    }
    /// At most `capacity` posted at once from now on. What is posted stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }
    /// Adds one at the end. Errors: `Full` at capacity.
    pub fn post(&mut self, wr: RecvWr) -> Result<(), PostError> {
        if self.posted.len() >= self.capacity {
            return Err(PostError::Full);
        }
        self.posted.push_back(wr);
        Ok(())
    }
    /// Takes the oldest, or `None`: the peer then hears "receiver not ready".
    pub fn take(&mut self) -> Option<RecvWr> {
        self.posted.pop_front()
    }
    /// Asks the cache for the oldest.
    #[inline]
    pub fn prefetch(&self) {
        memory::prefetch_value(self.posted.as_slices().0.as_ptr());
    }
    /// Posted and not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.posted.len()
    }
    /// Nothing posted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.posted.is_empty()
    }
}
