//! One direction of the pipe: a ring of 64-octet descriptors between one producer and one consumer.
//!
//! Shape: a power of two of cells, a cache line each. The top bit of a cell's last word is the
//! owner (lap) bit: it equals the producer's lap parity once the cell is written, so the consumer
//! polls the very line that it will read and no index is shared on the way forward. On the way
//! back, credits are one counter in a line of its own, read only when the ring looks full.
//!
//! A batch is published from its last cell to its first: whoever sees the first descriptor of a
//! batch finds all of it.
//!
//! The other end may be another process: whatever it writes, counts here stay within the ring.
//!
//! No `unsafe`: cells are atomics. Checked by loom (`--features loom`) and runnable under Miri.

use super::lines::{Lines, WORDS};
#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(feature = "loom"))]
use memory::Region;
use std::sync::Arc;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU64, Ordering};

/// The owner bit, in the last word.
const OWNER: u64 = 1 << 63;
/// Descriptors that may wait for `publish`; one more publishes by itself.
const BATCH_MAX: usize = 32;

/// One descriptor: 64 octets. The top bit of the last word belongs to the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct Descriptor(pub [u64; WORDS]);

/// A line for each cell, and behind them the count of descriptors that the consumer is done with.
struct Shared {
    lines: Lines,
    capacity: usize,
}

impl Shared {
    fn cell(&self, at: u64) -> &[AtomicU64] {
        self.lines.line(usize::try_from(at & (self.capacity as u64 - 1)).unwrap_or(0))
    }
    fn released(&self) -> &AtomicU64 {
        &self.lines.line(self.capacity)[0]
    }
    /// The owner bit of descriptor `at`: set in the first lap, clear in the second, and so on.
    fn owner(&self, at: u64) -> u64 {
        if (at >> self.capacity.trailing_zeros()) & 1 == 0 { OWNER } else { 0 }
    }
}

/// A ring of `capacity` descriptors (rounded up to a power of two, at least 2).
#[must_use]
pub fn ring(capacity: usize) -> (Producer, Consumer) {
    let capacity = rounded(capacity);
    let shared = Arc::new(Shared { lines: Lines::own(capacity + 1), capacity });
    (Producer::new(Arc::clone(&shared)), Consumer::new(shared))
}

fn rounded(capacity: usize) -> usize {
    capacity.max(2).next_power_of_two()
}

/// Octets of a ring in a region.
#[must_use]
pub fn ring_bytes(capacity: usize) -> usize {
    (rounded(capacity) + 1) * 64
}

/// The producer's end of a ring in zeroed memory of `region`. Panics when it is not inside.
#[cfg(not(feature = "loom"))]
#[must_use]
pub fn producer_in(region: &Region, offset: usize, capacity: usize) -> Producer {
    Producer::new(mapped(region, offset, capacity))
}

/// The consumer's end. Panics when it is not inside.
#[cfg(not(feature = "loom"))]
#[must_use]
pub fn consumer_in(region: &Region, offset: usize, capacity: usize) -> Consumer {
    Consumer::new(mapped(region, offset, capacity))
}

#[cfg(not(feature = "loom"))]
fn mapped(region: &Region, offset: usize, capacity: usize) -> Arc<Shared> {
    let capacity = rounded(capacity);
    Arc::new(Shared { lines: Lines::mapped(region, offset, capacity + 1), capacity })
}

/// The ring is full: the descriptor comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingFull(pub Descriptor);

/// The end that writes.
pub struct Producer {
    shared: Arc<Shared>,
    /// Descriptors pushed, ever.
    next: u64,
    /// `shared.released` as last seen.
    released: u64,
    /// Last words of the cells that wait for `publish`.
    staged: [u64; BATCH_MAX],
    staged_len: usize,
}

impl Producer {
    fn new(shared: Arc<Shared>) -> Producer {
        Producer { shared, next: 0, released: 0, staged: [0; BATCH_MAX], staged_len: 0 }
    }
    /// Descriptors that fit now.
    pub fn room(&mut self) -> usize {
        let capacity = self.shared.capacity as u64;
        if self.taken() >= capacity {
            // Acquire: the consumer's reads of a cell come before it is written again.
            self.released = self.shared.released().load(Ordering::Acquire);
        }
        usize::try_from(capacity.saturating_sub(self.taken())).unwrap_or(0)
    }
    /// As `room`, after asking the consumer's counter in any case.
    pub fn room_now(&mut self) -> usize {
        self.released = self.shared.released().load(Ordering::Acquire);
        self.room()
    }
    /// Cells that are not free. A count that no honest consumer has makes them look all taken.
    fn taken(&self) -> u64 {
        self.next.wrapping_sub(self.released)
    }
    /// Writes a descriptor; the consumer sees it at `publish`. Errors: the ring is full.
    pub fn push(&mut self, descriptor: Descriptor) -> Result<(), RingFull> {
        if self.room() == 0 {
            return Err(RingFull(descriptor));
        }
        if self.staged_len == BATCH_MAX {
            self.publish();
        }
        let [words @ .., last] = descriptor.0;
        for (to, word) in self.shared.cell(self.next).iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.staged[self.staged_len] = (last & !OWNER) | self.shared.owner(self.next);
        self.staged_len += 1;
        self.next += 1;
        Ok(())
    }
    /// Hands what was pushed to the consumer. True when there was anything.
    pub fn publish(&mut self) -> bool {
        let staged = self.staged[..self.staged_len].iter();
        for (back, word) in (1..).zip(staged.rev()) {
            let cell = self.shared.cell(self.next - back);
            // Release: the words before it are visible with the owner bit.
            cell[WORDS - 1].store(*word, Ordering::Release);
        }
        std::mem::take(&mut self.staged_len) > 0
    }
}

/// The end that reads.
pub struct Consumer {
    shared: Arc<Shared>,
    /// Descriptors taken, ever.
    next: u64,
    /// Descriptors released, ever.
    released: u64,
}

impl Consumer {
    fn new(shared: Arc<Shared>) -> Consumer {
        Consumer { shared, next: 0, released: 0 }
    }
    /// A descriptor waits.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.last_word().is_some()
    }
    /// Takes the oldest descriptor. Its cell stays taken until `release`.
    pub fn pop(&mut self) -> Option<Descriptor> {
        let last = self.last_word()?;
        let cell = self.shared.cell(self.next);
        let mut words = [0; WORDS];
        for (to, word) in words.iter_mut().zip(cell).take(WORDS - 1) {
            *to = word.load(Ordering::Relaxed);
        }
        words[WORDS - 1] = last & !OWNER;
        self.next += 1;
        Some(Descriptor(words))
    }
    /// Gives credits back for all descriptors taken but the last `held`.
    pub fn release_but(&mut self, held: usize) {
        let released = self.next - held as u64;
        if released > self.released {
            self.released = released;
            self.shared.released().store(released, Ordering::Release);
        }
    }
    /// The last word of the next cell, if it was written in this lap.
    fn last_word(&self) -> Option<u64> {
        // Acquire: pairs with the Release in `publish`.
        let last = self.shared.cell(self.next)[WORDS - 1].load(Ordering::Acquire);
        (last & OWNER == self.shared.owner(self.next)).then_some(last)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
