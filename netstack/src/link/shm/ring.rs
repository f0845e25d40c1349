//! One direction of a link in shared memory: a ring of one-word descriptors.
//!
//! Shape: a line with the count of descriptors that the consumer is done with, a line with the flag
//! that it sleeps, then a power of two of words. The top bit of a word is the owner (lap) bit: it
//! equals the producer's lap parity once written, so the consumer polls the word that it will read.
//! A batch is published from its last word to its first.
//!
//! The other side may be hostile: each side keeps its own counts and believes nothing that it could
//! compute. A word is read once. No `unsafe`: words are atomics; checked by loom.

use std::sync::atomic::Ordering;

/// The owner bit.
const OWNER: u64 = 1 << 63;
/// Where things lie, in words.
const RELEASED: usize = 0;
const ARMED: usize = 8;
const CELLS: usize = 16;
/// Descriptors that may wait for `publish`; one more publishes by itself: a cache line of them, so
/// that the consumer begins while the rest of a burst is gathered.
const BATCH_MAX: usize = 8;

/// Words of a ring of `capacity` descriptors.
pub(super) const fn words_of(capacity: usize) -> usize {
    CELLS + capacity
}

/// An atomic word: the standard library's, or the model checker's.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn swap(&self, value: u64, order: Ordering) -> u64;
    fn fence();
}

macro_rules! word {
    ($($path:ident)::+) => {
        impl Word for $($path)::+::AtomicU64 {
            #[inline]
            fn load(&self, order: Ordering) -> u64 {
                self.load(order)
            }
            #[inline]
            fn store(&self, value: u64, order: Ordering) {
                self.store(value, order);
            }
            #[inline]
            fn swap(&self, value: u64, order: Ordering) -> u64 {
                self.swap(value, order)
            }
            #[inline]
            fn fence() {
                $($path)::+::fence(Ordering::SeqCst);
            }
        }
    };
}
word!(std::sync::atomic);
#[cfg(feature = "loom")]
word!(loom::sync::atomic);

/// Where the words are.
pub(super) trait Space {
    type Word: Word;
    fn words(&self) -> &[Self::Word];
}

/// The other side wrote what no honest side writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Misbehaved;

/// The end that writes.
pub(super) struct Producer<S> {
    space: S,
    capacity: usize,
    /// Descriptors pushed, ever.
    next: u64,
    /// Descriptors that came back, ever.
    released: u64,
    staged: [u64; BATCH_MAX],
    staged_len: usize,
}

impl<S: Space> Producer<S> {
    pub(super) fn new(space: S, capacity: usize) -> Producer<S> {
        assert!(capacity.is_power_of_two() && space.words().len() == words_of(capacity));
        Producer { space, capacity, next: 0, released: 0, staged: [0; BATCH_MAX], staged_len: 0 }
    }
    /// How many descriptors came back since it was last asked.
    pub(super) fn reclaim(&mut self) -> Result<usize, Misbehaved> {
        // Acquire: the consumer's reads of a slot come before it is written again.
        let released = self.space.words()[RELEASED].load(Ordering::Acquire);
        let count = released.wrapping_sub(self.released);
        if count > self.next - self.released {
            return Err(Misbehaved);
        }
        self.released = released;
        usize::try_from(count).map_err(|_| Misbehaved)
    }
    /// Adds a descriptor (63 bits); the consumer sees it at `publish`. Panics when the ring is full:
    /// the caller has no more slots than it has cells.
    pub(super) fn push(&mut self, descriptor: u64) {
        assert!(self.next - self.released < self.capacity as u64, "more slots than cells");
        if self.staged_len == BATCH_MAX {
            self.publish();
        }
        self.staged[self.staged_len] = descriptor & !OWNER | owner(self.next, self.capacity);
        self.staged_len += 1;
        self.next += 1;
    }
    /// Hands what was pushed to the consumer. True when there was anything.
    pub(super) fn publish(&mut self) -> bool {
        for (back, word) in (1..).zip(self.staged[..self.staged_len].iter().rev()) {
            let cell = &self.space.words()[cell(self.next - back, self.capacity)];
            // Release: the slot's octets are visible with the descriptor.
            cell.store(*word, Ordering::Release);
        }
        std::mem::take(&mut self.staged_len) > 0
    }
    /// After publishing: true when the consumer must be woken, by the one that asked.
    pub(super) fn must_wake(&self) -> bool {
        S::Word::fence();
        let armed = &self.space.words()[ARMED];
        armed.load(Ordering::Relaxed) != 0 && armed.swap(0, Ordering::Relaxed) != 0
    }
}

/// The end that reads.
pub(super) struct Consumer<S> {
    space: S,
    capacity: usize,
    /// Descriptors taken, ever.
    next: u64,
}

impl<S: Space> Consumer<S> {
    pub(super) fn new(space: S, capacity: usize) -> Consumer<S> {
        assert!(capacity.is_power_of_two() && space.words().len() == words_of(capacity));
        Consumer { space, capacity, next: 0 }
    }
    /// The oldest descriptor, read once. It stays the oldest until `advance`.
    #[inline]
    pub(super) fn peek(&self) -> Option<u64> {
        // Acquire: pairs with the Release in `publish`.
        let word = self.space.words()[cell(self.next, self.capacity)].load(Ordering::Acquire);
        (word & OWNER == owner(self.next, self.capacity)).then_some(word & !OWNER)
    }
    /// The oldest is taken; its slot stays ours until `release`.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }
    /// Gives back all that was taken.
    pub(super) fn release(&self) {
        self.space.words()[RELEASED].store(self.next, Ordering::Release);
    }
    /// From here on the producer wakes us. Look once more before sleeping.
    pub(super) fn arm(&self) {
        self.space.words()[ARMED].store(1, Ordering::Relaxed);
        S::Word::fence();
    }
    /// Awake again.
    pub(super) fn disarm(&self) {
        self.space.words()[ARMED].store(0, Ordering::Relaxed);
    }
}

#[inline]
fn cell(at: u64, capacity: usize) -> usize {
    CELLS + usize::try_from(at & (capacity as u64 - 1)).unwrap_or(0)
}

/// The owner bit of descriptor `at`: set in the first lap, clear in the second, and so on.
#[inline]
fn owner(at: u64, capacity: usize) -> u64 {
    if (at >> capacity.trailing_zeros()) & 1 == 0 { OWNER } else { 0 }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
