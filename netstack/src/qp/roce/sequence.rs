//! Packet sequence numbers without the wrap.
//!
//! The wire carries 24 bits; inside, a PSN is the 64-bit number that it is the low part of, so that
//! comparisons and distances are plain arithmetic. 2^64 packets do not wrap in anybody's lifetime.

use std::ops::{Add, Sub};
use wire::roce::Psn;

/// Half of the PSN circle: what lies farther ahead lies behind. Source: IBTA 1.4, "PSN".
const HALF: u64 = 1 << 23;
const CIRCLE: u64 = 1 << 24;

/// Unwrapped PSN. Its low 24 bits are the wire's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Seq(u64);

impl Seq {
    /// The first of a connection. One circle up, so that what lies half a circle behind exists.
    pub(super) fn start(psn: u32) -> Seq {
        Seq(CIRCLE + u64::from(psn) % CIRCLE)
    }
    /// The number with `psn`'s low 24 bits that is nearest to `reference`.
    pub(super) fn near(reference: Seq, psn: Psn) -> Seq {
        let ahead = u64::from(psn.get()).wrapping_sub(reference.0) % CIRCLE;
        if ahead < HALF { Seq(reference.0 + ahead) } else { Seq(reference.0 + ahead - CIRCLE) }
    }
    /// As the wire carries it.
    pub(super) fn psn(self) -> Psn {
        Psn::new((self.0 % CIRCLE) as u32)
    }
    /// The one before.
    pub(super) fn previous(self) -> Seq {
        Seq(self.0 - 1)
    }
    /// Packets from `earlier` to `self`, as an index within one message. Panics if that is
    /// negative or no 32-bit number: the caller compared first.
    pub(super) fn index_from(self, earlier: Seq) -> u32 {
        u32::try_from(self - earlier).expect("within one message")
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, packets: u32) -> Seq {
        Seq(self.0 + u64::from(packets))
    }
}

impl Sub for Seq {
    type Output = u64;
    /// Packets from `earlier` to `self`. Panics if negative (a broken invariant).
    fn sub(self, earlier: Seq) -> u64 {
        self.0.checked_sub(earlier.0).expect("a later PSN minus an earlier one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: unrolling is the inverse of wrapping for everything within half a circle, across the
    /// wrap too.
    #[test]
    fn near_undoes_the_wrap() {
        for start in [0, 5, 0x7f_ffff, 0x80_0000, 0xff_fff0, 0xff_ffff] {
            let reference = Seq::start(start) + 1000;
            for ahead in [0, 1, 15, 16, 100, 0x7f_ffff] {
                assert_eq!(Seq::near(reference, (reference + ahead).psn()), reference + ahead);
            }
            for behind in [1, 500, 0x80_0000] {
                let earlier = Seq(reference.0 - behind);
                assert_eq!(Seq::near(reference, earlier.psn()), earlier);
            }
        }
    }
}
