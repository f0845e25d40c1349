use super::*;

/// A 24-bit number extends to the nearest 64-bit one, over the wrap and in both directions.
#[test]
fn extends_to_the_nearest() {
    for near in [first(0), first(5), first(0xff_ffff), first(0xff_fff0) + 77, 1 << 40] {
        for distance in [0u64, 1, 1000, (1 << 23) - 1] {
            assert_eq!(extend(near, on_wire(near + distance)), near + distance);
            assert_eq!(extend(near, on_wire(near - distance)), near - distance);
        }
    }
}

/// Bits are found in order across the ring's end, and counted.
#[test]
fn bits_wrap_around_the_ring() {
    let base = first(509);
    let mut bits = Bits::default();
    for psn in [base + 1, base + 4, base + 70] {
        assert!(bits.set(psn));
        assert!(!bits.set(psn));
    }
    assert_eq!(bits.count(), 3);
    assert_eq!(bits.next_set(base, base + 100), Some(base + 1));
    assert_eq!(bits.next_set(base + 2, base + 100), Some(base + 4));
    assert_eq!(bits.next_set(base + 5, base + 100), Some(base + 70));
    assert_eq!(bits.next_set(base + 5, base + 70), None);
    assert!(bits.clear(base + 4) && !bits.clear(base + 4));
    assert_eq!(bits.count(), 2);
}
