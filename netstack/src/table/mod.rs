//! Tables of things with numbers on the wire: a slab whose keys are random-looking and never soon
//! used again, and one timer per slot.

mod lazy;
mod timers;

pub(crate) use lazy::LazyTimers;
pub(crate) use memory::Unguessable as Random;
pub(crate) use timers::Timers;

/// Up to 2^`index_bits` - 1 values. A key of `key_bits` is `nonce | slot index`; the nonce of a slot
/// walks through all its values before one comes again, in an order that the seed chooses, so a
/// packet for a closed connection finds nothing. Lookup is one array access.
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: std::collections::VecDeque<u32>,
    index_bits: u32,
    nonce_bits: u32,
    live: usize,
}

struct Slot<T> {
    value: Option<T>,
    key: u32,
    generation: u32,
    order: Order,
}

/// A permutation of the nonces: `generation * odd + start`, mixed.
#[derive(Clone, Copy)]
struct Order {
    odd: u32,
    start: u32,
}

impl<T> Table<T> {
    /// Room for `capacity` values, with keys of `key_bits`. Keys 0 and 1 are never given.
    pub(crate) fn new(capacity: u32, key_bits: u32, random: &mut Random) -> Table<T> {
        let index_bits = (capacity + 1).next_power_of_two().trailing_zeros().max(2);
        assert!(index_bits < key_bits && key_bits <= 32, "no bits left for the nonce");
        let slots = (0..capacity).map(|_| Slot {
            value: None,
            key: 0,
            generation: 0,
            order: Order { odd: random.next_u32() | 1, start: random.next_u32() },
        });
        Table {
            slots: slots.collect(),
            free: (0..capacity).collect(),
            index_bits,
            nonce_bits: key_bits - index_bits,
            live: 0,
        }
    }

    /// Puts `make(key)` into a free slot; `None` when there is none. Slots are used in turn, the
    /// longest free first.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> T) -> Option<u32> {
        let index = self.free.pop_front()?;
        let (bits, index_bits) = (self.nonce_bits, self.index_bits);
        let slot = &mut self.slots[index as usize];
        let mut key = 0;
        while key <= 1 {
            key = slot.order.nonce(slot.generation, bits) << index_bits | index;
            slot.generation = slot.generation.wrapping_add(1);
        }
        slot.key = key;
        slot.value = Some(make(key));
        self.live += 1;
        Some(key)
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let index = self.index(key);
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.key == key)?;
        let value = slot.value.take()?;
        self.free.push_back(index);
        self.live -= 1;
        Some(value)
    }

    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        let slot = self.slots.get(self.index(key) as usize)?;
        if slot.key == key { slot.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        let index = self.index(key);
        let slot = self.slots.get_mut(index as usize)?;
        if slot.key == key { slot.value.as_mut() } else { None }
    }

    /// Asks the cache for a value.
    #[inline]
    pub(crate) fn prefetch(&self, key: u32) {
        let slot = self.slots.as_ptr().wrapping_add(self.index(key) as usize);
        memory::prefetch_value(slot);
    }

    /// The slot that a key names, whether or not the key is live. May be beyond the table.
    #[inline]
    pub(crate) fn index(&self, key: u32) -> u32 {
        key & ((1 << self.index_bits) - 1)
    }

    /// The live key of a slot.
    #[inline]
    pub(crate) fn key_at(&self, index: u32) -> Option<u32> {
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref().map(|_| slot.key)
    }

    /// A key that names no slot: what a caller gets who could not get one.
    pub(crate) fn nobody(&self, serial: u32) -> u32 {
        let nonce = serial & ((1 << self.nonce_bits) - 1);
        nonce << self.index_bits | ((1 << self.index_bits) - 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }
}

impl Order {
    /// Bijective in `generation` modulo 2^`bits`: odd factor, sum, and a xor of the high half into
    /// the low one.
    fn nonce(self, generation: u32, bits: u32) -> u32 {
        let mask = u32::MAX >> (32 - bits);
        let half = bits.div_ceil(2);
        let mut x = generation.wrapping_mul(self.odd).wrapping_add(self.start) & mask;
        x ^= x >> half;
        x = x.wrapping_mul(0x9e37_79b1) & mask;
        x ^ (x >> half)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
