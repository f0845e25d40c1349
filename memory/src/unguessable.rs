//! Numbers on the wire of which some do not tell the others.

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// Half of the key; the other half is the seed.
const KEY: u64 = u64::from_le_bytes(*b"flexblk\0");

/// SipHash-2-4 of a counter. A peer that was told some of the numbers (keys, starting PSNs) finds
/// the next one by no shorter way than trying all seeds. Reproducible from the seed; take that from
/// the operating system outside tests.
///
/// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF".
#[derive(Clone, Copy, Debug)]
pub struct Unguessable {
    under_key: SipHasher24,
    count: u64,
}

impl Unguessable {
    /// The numbers of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Unguessable {
        Unguessable { under_key: SipHasher24::new_with_keys(seed, KEY), count: 0 }
    }
    /// The next one.
    pub fn next_u64(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        let mut hasher = self.under_key;
        hasher.write_u64(self.count);
        hasher.finish()
    }
    /// The next one, half of it.
    #[expect(clippy::cast_possible_truncation, reason = "half of it")]
    pub fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the same seed gives the same numbers, another one others, and none comes twice soon.
    #[test]
    fn seeds_make_streams() {
        let stream = |seed| {
            let mut numbers = Unguessable::new(seed);
            (0..1000).map(|_| numbers.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(stream(1), stream(1));
        let mut all = [stream(1), stream(2), stream(u64::MAX)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3000);
    }

    /// Goal: it is SipHash-2-4, and not something with a shorter way back: the paper's own vector.
    #[test]
    fn the_published_vector() {
        let key = |at: u8| u64::from_le_bytes([0_u8, 1, 2, 3, 4, 5, 6, 7].map(|i| at + i));
        let mut hasher = SipHasher24::new_with_keys(key(0), key(8));
        hasher.write(&(0..15).collect::<Vec<u8>>());
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
        let mut numbers = Unguessable { under_key: SipHasher24::new_with_keys(7, KEY), count: 0 };
        assert_eq!(numbers.next_u64(), Unguessable::new(7).next_u64());
    }
}
