//! Packet sequence numbers: 24 bits on the wire, extended to 64 inside, and bitmaps over a window.

/// Packets that may be unacknowledged at once, and that the receiver can tell apart. A selective
/// acknowledgement speaks of the first 384 of them: more than that are in flight only in small
/// packets, and the rest is told once the gap is filled.
pub(super) const WINDOW: u64 = 512;
const WORDS: usize = 8;
const _: () = assert!(WORDS * 64 == 512 && WINDOW == 512);

const CIRCLE: u64 = 1 << 24;

/// The extended number with which a stream starts: one lap up, so that the number before it exists.
pub(super) fn first(psn: u32) -> u64 {
    CIRCLE + (u64::from(psn) & (CIRCLE - 1))
}

/// The extended number nearest to `near` whose low 24 bits are `psn`.
pub(super) fn extend(near: u64, psn: u32) -> u64 {
    let ahead = u64::from(psn).wrapping_sub(near) & (CIRCLE - 1);
    if ahead < CIRCLE / 2 { near + ahead } else { near.saturating_sub(CIRCLE - ahead) }
}

/// The 24 bits that travel.
pub(super) fn on_wire(psn: u64) -> u32 {
    (psn & (CIRCLE - 1)) as u32
}

/// Place of a number in a ring of `WINDOW` entries.
pub(super) fn slot(psn: u64) -> usize {
    (psn % WINDOW) as usize
}

/// One bit per packet of the window. Without losses none is ever set: the words are made with the
/// first, and while none is set nothing but the count is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Option<Box<[u64; WORDS]>>,
    count: u32,
}

impl Bits {
    #[inline]
    pub(super) fn get(&self, psn: u64) -> bool {
        let slot = slot(psn);
        self.word(slot / 64) >> (slot % 64) & 1 == 1
    }
    #[inline]
    fn word(&self, at: usize) -> u64 {
        if self.count == 0 {
            return 0;
        }
        self.words.as_ref().map_or(0, |words| words[at])
    }
    /// Sets the bit; false if it was set.
    pub(super) fn set(&mut self, psn: u64) -> bool {
        let slot = slot(psn);
        let words = self.words.get_or_insert_default();
        let (word, bit) = (&mut words[slot / 64], 1 << (slot % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        if fresh {
            self.count += 1;
        }
        fresh
    }
    /// Clears the bit; true if it was set.
    #[inline]
    pub(super) fn clear(&mut self, psn: u64) -> bool {
        if !self.get(psn) {
            return false;
        }
        let slot = slot(psn);
        if let Some(words) = self.words.as_mut() {
            words[slot / 64] &= !(1 << (slot % 64));
            self.count -= 1;
        }
        true
    }
    /// Bits that are set.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
    /// The first set bit in `from..to` (at most a window).
    pub(super) fn next_set(&self, from: u64, to: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let mut psn = from;
        while psn < to {
            let slot = slot(psn);
            let rest = self.word(slot / 64) >> (slot % 64);
            if rest != 0 {
                let found = psn + u64::from(rest.trailing_zeros());
                return (found < to).then_some(found);
            }
            psn += 64 - (slot as u64 % 64);
        }
        None
    }
}

#[cfg(test)]
#[path = "psn_tests.rs"]
mod tests;
