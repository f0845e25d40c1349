//! Losses, each kind alone, bounded in time; and the stream's own repair.

use super::*;
use crate::qp::testing::{Fate, Sent};
use std::cell::Cell;
use std::rc::Rc;
use verbs::WcStatus;

const LATENCY: Duration = Duration::from_micros(10);

/// Everything at once: three SENDs, a WRITE with a fused SEND, a READ, an atomic, a WRITE_IMM.
fn mixed() -> Native {
    let mut w: Native = World::new(&Setup { mtu: 256, timeout: 14, ..Setup::default() });
    w.sides[0].paint(0, 50_000, 1);
    w.sides[1].paint(300_000, 50_000, 2);
    for id in 0..5 {
        w.sides[1].post_recv(id, 100_000 + 5000 * id as u32, 5000);
    }
    let (to, from) = (w.sides[1].remote(200_000), w.sides[1].remote(300_000));
    let cell = w.sides[1].remote(400_000);
    w.sides[0].post(0, SendOp::Send, 0, 700);
    w.sides[0].post(1, SendOp::RdmaWrite(to), 0, 1500);
    w.sides[0].post(2, SendOp::Send, 0, 16);
    w.sides[0].post(3, SendOp::RdmaRead(from), 100_000, 1100);
    w.sides[0].post(4, SendOp::FetchAdd { remote: cell, add: 1 }, 90_000, 8);
    w.sides[0].post(5, SendOp::RdmaWriteWithImm(w.sides[1].remote(250_000), 3), 0, 300);
    w.sides[0].post(6, SendOp::Send, 0, 4);
    w.sides[0].post(7, SendOp::Send, 0, 400);
    w
}

fn check_mixed(w: &mut Native) {
    let done: Vec<_> = (0..8).map(|id| (id, WcStatus::Success)).collect();
    assert_eq!(w.sides[0].take_wcs(), done);
    let got: Vec<_> = w.sides[1].wcs.iter().map(|wc| (wc.wr_id, wc.byte_len)).collect();
    assert_eq!(got, [(0, 700), (1, 16), (2, 300), (3, 4), (4, 400)]);
    let mine = w.sides[0].octets(0, 1500);
    assert_eq!(w.sides[1].octets(100_000, 700), mine[..700]);
    assert_eq!(w.sides[1].octets(200_000, 1500), mine);
    assert_eq!(w.sides[1].octets(250_000, 300), mine[..300]);
    assert_eq!(w.sides[1].octets(120_000, 400), mine[..400]);
    assert_eq!(w.sides[0].octets(100_000, 1100), w.sides[1].octets(300_000, 1100));
    assert_eq!(w.sides[1].octets(400_000, 8), 1u64.to_ne_bytes(), "executed once");
}

/// Time until side 0 has all completions, under a script.
fn run(script: impl FnMut(&Sent) -> Fate + 'static) -> (Native, Duration) {
    let mut w = mixed();
    w.script = Some(Box::new(script));
    let took = run_until(&mut w, |w| w.sides[0].wcs.len() == 8);
    w.settle();
    (w, took)
}

/// Any single packet may be lost, late, or come twice: all completes, exactly once, and soon.
#[test]
fn every_single_fault_is_repaired_in_time() {
    let (mut clean, normal) = run(|_| Fate::Deliver);
    check_mixed(&mut clean);
    assert_eq!(clean.sides[0].counters.retransmitted_packets, 0);
    let packets = clean.trace.len();
    assert!(packets > 20);
    for fate in [Fate::Drop, Fate::Duplicate, Fate::Delay(3 * LATENCY)] {
        for victim in 0..packets + 2 {
            let mut count = 0;
            let (mut w, took) = run(move |_| {
                count += 1;
                if count == victim + 1 { fate } else { Fate::Deliver }
            });
            check_mixed(&mut w);
            // Three round trips of at most 2 ms assumed before the first sample: the probe timer.
            let bound = normal + Duration::from_micros(2_200) + 6 * LATENCY;
            assert!(took <= bound, "{fate:?} of {victim}: {took:?}, normally {normal:?}");
        }
    }
}

/// A lost packet in the middle of a stream is repaired by what follows it, without any timer, and
/// nothing else is sent again.
#[test]
fn a_gap_is_repaired_in_a_round_trip() {
    let mut w: Native = World::new(&Setup { mtu: 1024, ..Setup::default() });
    w.sides[0].paint(0, 100_000, 1);
    let to = w.sides[1].remote(0);
    let mut count = 0;
    w.script = Some(Box::new(move |sent| {
        count += usize::from(sent.from == 0);
        if sent.from == 0 && count == 20 { Fate::Drop } else { Fate::Deliver }
    }));
    w.sides[0].post(1, SendOp::RdmaWrite(to), 0, 100_000);
    let start = w.now;
    w.settle();
    assert!(w.now - start < 6 * LATENCY, "{:?}", w.now - start);
    assert_eq!(w.sides[0].counters.retransmitted_packets, 1);
    assert_eq!(w.sides[1].counters.duplicates_in, 0);
    assert_eq!(w.sides[1].octets(0, 100_000), w.sides[0].octets(0, 100_000));
}

/// A whole burst lost, acknowledgements lost, a burst repeated: recovered by probes alone.
#[test]
fn bursts() {
    for (from, range) in [(0, 5..500), (1, 0..40), (0, 0..20)] {
        let (mut count, mut start) = ([0; 2], None);
        let (mut w, _) = run(move |sent| {
            count[sent.from] += 1;
            let storm = sent.at - *start.get_or_insert(sent.at) < Duration::from_millis(5);
            let hit = sent.from == from && range.contains(&count[from]);
            if hit && storm { Fate::Drop } else { Fate::Deliver }
        });
        check_mixed(&mut w);
    }
}

/// A thread that was not scheduled for longer than every timer costs duplicates, not errors.
#[test]
fn spurious_expiry_is_harmless() {
    let mut w: Native = World::new(&Setup { mtu: 1024, timeout: 17, ..Setup::default() });
    let to = w.sides[1].remote(0);
    w.sides[0].post(1, SendOp::RdmaWrite(to), 0, 200_000);
    let asleep = Rc::new(Cell::new(true));
    let state = Rc::clone(&asleep);
    w.script = Some(Box::new(move |sent| match (sent.from, state.get()) {
        (0, true) => Fate::Delay(Duration::from_millis(30)),
        _ => Fate::Deliver,
    }));
    w.drive(Duration::from_millis(25));
    asleep.set(false);
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::Success)]);
    assert!(w.sides[0].counters.retransmitted_packets < 20, "{:?}", w.sides[0].counters);
}

/// A WRITE that comes late does not undo a later WRITE to the same place.
#[test]
fn a_late_write_does_not_undo_a_later_one() {
    let mut w: Native = World::new(&Setup { mtu: 1024, ..Setup::default() });
    w.sides[0].paint(0, 10_000, 1);
    let mut first = true;
    w.script = Some(Box::new(
        move |_| {
            if std::mem::take(&mut first) { Fate::Drop } else { Fate::Deliver }
        },
    ));
    let remote = |w: &Native, at| w.sides[1].remote(at);
    let ops = [(0, 5000, 1000), (1, 5100, 200), (2, 5600, 100), (3, 5900, 1000), (4, 5650, 10)];
    let mut expected = vec![0; 1900];
    for (id, at, len) in ops {
        let op = SendOp::RdmaWrite(remote(&w, at));
        w.sides[0].post(id, op, 1500 * id as u32, len);
        let octets = w.sides[0].octets(1500 * id as u32, len);
        let at = at as usize - 5000;
        expected[at..at + octets.len()].copy_from_slice(&octets);
    }
    w.settle();
    assert_eq!(w.sides[0].counters.retransmitted_packets, 1);
    assert_eq!(w.sides[1].octets(5000, 1900), expected);
}

/// Nobody answers: the connection ends with `RetryExcErr` after about the time that the local
/// ACK timeout and the retry count say, everything else is flushed, and nothing is sent any more.
#[test]
fn retries_are_exhausted() {
    let mut w: Native = World::new(&Setup { timeout: 12, retry_cnt: 3, ..Setup::default() });
    w.script = Some(Box::new(|_| Fate::Drop));
    let to = w.sides[1].remote(0);
    w.sides[0].post(1, SendOp::RdmaWrite(to), 0, 5000);
    w.sides[0].post(2, SendOp::Send, 0, 10);
    w.sides[0].post_recv(3, 0, 10);
    let start = w.now;
    w.settle();
    let took = w.now - start;
    let expected = Duration::from_nanos(4096 << 12) * 4;
    assert!(took > expected && took < 2 * expected, "{took:?} for {expected:?}");
    assert!(w.sides[0].machine.is_failed());
    let flush = WcStatus::WrFlushErr;
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::RetryExcErr), (2, flush), (3, flush)]);
}

/// A peer that dies after it acknowledged a READ, and before the answer, is noticed.
#[test]
fn a_dead_responder_is_noticed() {
    let mut w: Native = World::new(&Setup { timeout: 10, ..Setup::default() });
    let from = w.sides[1].remote(0);
    w.script = Some(Box::new(|sent| {
        if sent.from == 1 && !is_ack(&sent.octets) { Fate::Drop } else { Fate::Deliver }
    }));
    w.sides[0].post(1, SendOp::RdmaRead(from), 0, 5000);
    w.drive(Duration::from_micros(300));
    w.script = Some(Box::new(|_| Fate::Drop));
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::RetryExcErr)]);
}
