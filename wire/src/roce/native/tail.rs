//! What rides in a native header's last 16 octets.

use crate::octets::{Be64, get, set};

/// A message of 0 to 16 octets that rides in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    octets: [u8; Self::CAPACITY],
    len: u8,
}

impl Tail {
    /// The most that fits: one completion queue entry.
    pub const CAPACITY: usize = 16;

    /// `None` when `message` is longer than [`Self::CAPACITY`].
    #[inline]
    #[must_use]
    pub fn new(message: &[u8]) -> Option<Self> {
        let mut octets = [0; Self::CAPACITY];
        octets.get_mut(..message.len())?.copy_from_slice(message);
        Some(Self { octets, len: u8::try_from(message.len()).ok()? })
    }

    /// `None` when `len` exceeds the area.
    #[inline]
    pub(super) fn from_area(octets: [u8; Self::CAPACITY], len: u8) -> Option<Self> {
        (usize::from(len) <= Self::CAPACITY).then_some(Self { octets, len })
    }

    #[inline]
    pub(super) const fn area(&self) -> &[u8; Self::CAPACITY] {
        &self.octets
    }

    #[inline]
    pub(super) const fn len_octet(&self) -> u8 {
        self.len
    }

    /// The message.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Both operands of an atomic: swap/add and compare.
    #[must_use]
    pub fn from_operands(swap_add: u64, compare: u64) -> Self {
        let mut octets = [0; Self::CAPACITY];
        set::<Be64, _>(&mut octets, 0, swap_add);
        set::<Be64, _>(&mut octets, 8, compare);
        Self { octets, len: 16 }
    }

    /// What [`Self::from_operands`] stored.
    #[must_use]
    pub fn operands(&self) -> (u64, u64) {
        (get::<Be64, _>(&self.octets, 0), get::<Be64, _>(&self.octets, 8))
    }
}
