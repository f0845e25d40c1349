use super::*;

fn sack(sender: &mut Sender, base: u64, bits: u64) -> u64 {
    (0..64).filter(|i| bits >> i & 1 == 1).map(|i| sender.acknowledge_one(base + i)).sum()
}

fn sent(count: u64) -> (Sender, u64) {
    let first = super::super::psn::first(0xff_fffe);
    let mut sender = Sender::new(first);
    for i in 0..count {
        assert_eq!(sender.push(i, Source::Work(i), 0, 100, false), first + i);
    }
    (sender, first)
}

/// Three later packets that arrived make one lost; fewer only make it a suspect that ages.
#[test]
fn losses_by_order_then_by_age() {
    let (mut sender, first) = sent(6);
    assert_eq!(sender.acknowledge(first + 1), Some(100));
    assert_eq!(sack(&mut sender, first + 1, 0b110), 200);
    assert_eq!(sender.detect_losses(10, 100), 0, "two later ones");
    assert_eq!(sender.suspect_us(), Some(101));
    assert_eq!(sack(&mut sender, first + 1, 0b1110), 100);
    assert_eq!(sender.detect_losses(10, 100), 1, "three later ones");
    assert_eq!(sender.first_lost(), Some(first + 1));
    assert_eq!(sender.in_flight_bytes(), 100, "only the newest");
    sender.resend(11, first + 1);
    assert_eq!(sender.first_lost(), None);
    assert_eq!(sender.detect_losses(1000, 100), 0, "its retransmission was overtaken by nothing");
    assert_eq!(sender.suspect_us(), None);
    assert_eq!(sender.acknowledge(first + 6), Some(200));
    assert_eq!(sender.in_flight_bytes(), 0);
    assert!(sender.is_empty());
}

/// A retransmission that is lost again is found when later transmissions arrive.
#[test]
fn lost_retransmission_is_found() {
    let (mut sender, first) = sent(5);
    sack(&mut sender, first, 0b11110);
    assert_eq!(sender.detect_losses(10, 100), 1);
    sender.resend(10, first);
    for i in 0..3 {
        sender.push(20, Source::Work(9), i, 100, false);
    }
    sack(&mut sender, first, 0b1111_1110);
    assert_eq!(sender.detect_losses(21, 100), 1, "a loss of its own");
    assert_eq!(sender.first_lost(), Some(first));
}

/// Acknowledgements of what was never sent are refused; stale ones do nothing.
#[test]
fn foreign_acknowledgements() {
    let (mut sender, first) = sent(2);
    assert_eq!(sender.acknowledge(first + 3), None);
    assert_eq!(sack(&mut sender, first, !0), 200, "bits beyond the window are ignored");
    assert_eq!(sender.acknowledge(first + 2), Some(0));
    assert_eq!(sender.acknowledge(first), Some(0));
}
