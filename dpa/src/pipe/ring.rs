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
//! No `unsafe`: cells are atomics. Checked by loom (`--features loom`) and runnable under Miri.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a descriptor.
pub const WORDS: usize = 8;
/// The owner bit, in the last word.
const OWNER: u64 = 1 << 63;
/// Descriptors that may wait for `publish`; one more publishes by itself.
const BATCH_MAX: usize = 32;

/// One descriptor: 64 octets. The top bit of the last word belongs to the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct Descriptor(pub [u64; WORDS]);

#[repr(align(64))]
struct Cell([AtomicU64; WORDS]);

#[repr(align(64))]
struct Line(AtomicU64);

struct Shared {
    cells: Box<[Cell]>,
    /// Descriptors that the consumer is done with, ever.
    released: Line,
}

/// A ring of `capacity` descriptors (rounded up to a power of two, at least 2).
#[must_use]
pub fn ring(capacity: usize) -> (Producer, Consumer) {
    let capacity = capacity.max(2).next_power_of_two();
    let cell = || Cell(std::array::from_fn(|_| AtomicU64::new(0)));
    let shared = Arc::new(Shared {
        cells: (0..capacity).map(|_| cell()).collect(),
        released: Line(AtomicU64::new(0)),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        next: 0,
        released: 0,
        staged: [0; BATCH_MAX],
        staged_len: 0,
    };
    (producer, Consumer { shared, next: 0, released: 0 })
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
    /// Descriptors that fit now.
    pub fn room(&mut self) -> usize {
        let capacity = self.shared.cells.len() as u64;
        if self.next - self.released == capacity {
            // Acquire: the consumer's reads of a cell come before it is written again.
            self.released = self.shared.released.0.load(Ordering::Acquire);
        }
        usize::try_from(capacity - (self.next - self.released)).unwrap_or(0)
    }
    /// As `room`, after asking the consumer's counter in any case.
    pub fn room_now(&mut self) -> usize {
        self.released = self.shared.released.0.load(Ordering::Acquire);
        self.room()
    }
    /// Writes a descriptor; the consumer sees it at `publish`. Errors: the ring is full.
    pub fn push(&mut self, descriptor: Descriptor) -> Result<(), RingFull> {
        if self.room() == 0 {
            return Err(RingFull(descriptor));
        }
        if self.staged_len == BATCH_MAX {
            self.publish();
        }
        let cell = &self.shared.cells[self.index(self.next)];
        let [words @ .., last] = descriptor.0;
        for (to, word) in cell.0.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.staged[self.staged_len] = (last & !OWNER) | owner(self.next, self.shared.cells.len());
        self.staged_len += 1;
        self.next += 1;
        Ok(())
    }
    /// Hands what was pushed to the consumer. True when there was anything.
    pub fn publish(&mut self) -> bool {
        let staged = self.staged[..self.staged_len].iter();
        for (back, word) in (1..).zip(staged.rev()) {
            let cell = &self.shared.cells[self.index(self.next - back)];
            // Release: the words before it are visible with the owner bit.
            cell.0[WORDS - 1].store(*word, Ordering::Release);
        }
        std::mem::take(&mut self.staged_len) > 0
    }
    fn index(&self, at: u64) -> usize {
        index(at, self.shared.cells.len())
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
    /// A descriptor waits.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.last_word().is_some()
    }
    /// Takes the oldest descriptor. Its cell stays taken until `release`.
    pub fn pop(&mut self) -> Option<Descriptor> {
        let last = self.last_word()?;
        let cell = &self.shared.cells[index(self.next, self.shared.cells.len())];
        let mut words = [0; WORDS];
        for (to, word) in words.iter_mut().zip(&cell.0).take(WORDS - 1) {
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
            self.shared.released.0.store(released, Ordering::Release);
        }
    }
    /// The last word of the next cell, if it was written in this lap.
    fn last_word(&self) -> Option<u64> {
        let cell = &self.shared.cells[index(self.next, self.shared.cells.len())];
        // Acquire: pairs with the Release in `publish`.
        let last = cell.0[WORDS - 1].load(Ordering::Acquire);
        (last & OWNER == owner(self.next, self.shared.cells.len())).then_some(last)
    }
}

fn index(at: u64, capacity: usize) -> usize {
    usize::try_from(at & (capacity as u64 - 1)).unwrap_or(0)
}

/// The owner bit of descriptor `at`: set in the first lap, clear in the second, and so on.
fn owner(at: u64, capacity: usize) -> u64 {
    if (at >> capacity.trailing_zeros()) & 1 == 0 { OWNER } else { 0 }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
