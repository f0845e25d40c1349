//! A hash for numbers that this process gave out itself: nobody can make them collide, and every
//! command looks one up.

use std::hash::{BuildHasherDefault, Hasher};

/// For `HashMap`.
pub(super) type NumberHash = BuildHasherDefault<NumberHasher>;

/// Fibonacci hashing: one multiplication by 2^64 over the golden ratio.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl NumberHasher {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(32) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.mix(u64::from(*octet)));
    }
    fn write_u16(&mut self, number: u16) {
        self.mix(u64::from(number));
    }
    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }
}
