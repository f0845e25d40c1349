//! Laws of the circle of 2^24.

use proptest::prelude::*;

use super::{Msn, Psn};

const HALF: i32 = 1 << 23;

proptest! {
    /// Goal: going forward and measuring agree, wherever on the circle.
    #[test]
    fn distance_undoes_advance(start in any::<u32>(), steps in -HALF..HALF) {
        let start = Psn::new(start);
        let there = if steps < 0 {
            start.retreat(steps.unsigned_abs())
        } else {
            start.advance(steps.unsigned_abs())
        };
        prop_assert_eq!(there.distance_from(start), steps);
        prop_assert_eq!(there.is_before(start), steps < 0);
        prop_assert_eq!(there.is_after(start), steps > 0);
        prop_assert_eq!(start.advance(there.steps_from(start)), there);
    }

    /// Goal: distance is antisymmetric, but for the opposite point, which is before from both sides.
    #[test]
    fn distance_is_antisymmetric(a in any::<u32>(), b in any::<u32>()) {
        let (a, b) = (Psn::new(a), Psn::new(b));
        let there = a.distance_from(b);
        if there == -HALF {
            prop_assert_eq!(b.distance_from(a), -HALF);
        } else {
            prop_assert_eq!(b.distance_from(a), -there);
        }
    }

    /// Goal: advancing adds up, also over the wrap.
    #[test]
    fn advance_adds_up(start in any::<u32>(), a in any::<u32>(), b in any::<u32>()) {
        let start = Msn::new(start);
        prop_assert_eq!(start.advance(a).advance(b), start.advance(a.wrapping_add(b)));
        prop_assert_eq!(start.advance(a).retreat(a), start);
        prop_assert!(start.advance(a).get() < 1 << 24);
    }
}

/// Goal: the wrap itself, in plain sight.
#[test]
fn wraps_at_two_to_the_24() {
    let last = Psn::new(0x00ff_ffff);
    assert_eq!(last.next(), Psn::ZERO);
    assert_eq!(Psn::ZERO.distance_from(last), 1);
    assert!(last.is_before(Psn::ZERO));
    assert_eq!(Psn::new(0x0100_0005), Psn::new(5));
    assert_eq!(last.to_string(), "0xffffff");
}
