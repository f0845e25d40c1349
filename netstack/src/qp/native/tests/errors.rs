//! Refusals, missing receives, broken memory, and peers that misbehave.

use super::*;
use crate::qp::testing::{Random, qpn};
use memory::Access;
use verbs::{Lkey, PostError, Remote, Rkey, WcStatus};
use wire::roce::native::{AtomicOp, NativeAck, NativeFlags, Tail};
use wire::roce::{Msn, NakCode, Opcode, Psn, RnrTimer, Syndrome};

const FLUSH: WcStatus = WcStatus::WrFlushErr;

/// A receive posted late: the SEND waits, comes again, and everything behind it stays in order.
#[test]
fn receiver_not_ready_then_ready() {
    let mut w = world(1024);
    w.sides[0].paint(0, 10_000, 1);
    let to = w.sides[1].remote(50_000);
    w.sides[0].post(1, SendOp::Send, 0, 3000);
    w.sides[0].post(2, SendOp::RdmaWrite(to), 0, 100);
    w.sides[0].post(3, SendOp::Send, 0, 16);
    w.drive(Duration::from_micros(100));
    assert!(w.sides[1].counters.rnr_naks_out > 0);
    assert!(w.sides[0].wcs.is_empty() && w.sides[1].wcs.is_empty());
    w.sides[1].post_recv(8, 1000, 4000);
    w.sides[1].post_recv(9, 90_000, 4000);
    w.settle();
    let done: Vec<_> = (1..4).map(|id| (id, WcStatus::Success)).collect();
    assert_eq!(w.sides[0].take_wcs(), done);
    assert_eq!(w.sides[1].take_wcs(), [(8, WcStatus::Success), (9, WcStatus::Success)]);
    assert_eq!(w.sides[1].octets(1000, 3000), w.sides[0].octets(0, 3000));
}

/// Never a receive: the limit ends it, or there is none and it waits for ever.
#[test]
fn receiver_never_ready() {
    let mut w: Native = World::new(&Setup { rnr_retry: 2, ..Setup::default() });
    w.sides[0].post(1, SendOp::Send, 0, 100);
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::RnrRetryExcErr)]);
    assert_eq!(w.sides[1].counters.rnr_naks_out, 3);
    let mut w: Native = World::new(&Setup { rnr_retry: 7, ..Setup::default() });
    w.sides[0].post(1, SendOp::Send, 0, 100);
    assert!(!w.drive(Duration::from_millis(100)), "still trying");
    assert!(w.sides[1].counters.rnr_naks_out > 100);
}

/// Each refused request completes with its own status, what was before it succeeds, what is after
/// it is flushed, and the responder's side ends too.
#[test]
fn refused_requests() {
    let bad = |remote: Remote| Remote { rkey: Rkey(remote.rkey.0 ^ 0x0100_0000), ..remote };
    type Op = fn(Remote) -> SendOp;
    let cases: [(Op, u32, WcStatus); 5] = [
        (SendOp::RdmaWrite, 100, WcStatus::RemAccessErr),
        (SendOp::RdmaRead, 100, WcStatus::RemAccessErr),
        (|remote| SendOp::RdmaWriteWithImm(remote, 1), 5000, WcStatus::RemAccessErr),
        (|remote| SendOp::FetchAdd { remote, add: 1 }, 8, WcStatus::RemAccessErr),
        (|_| SendOp::Send, 500, WcStatus::RemInvReqErr),
    ];
    for (op, len, status) in cases {
        let mut w = world(1024);
        w.sides[1].paint(0, 9000, 1);
        w.sides[1].post_recv(20, 0, 100);
        w.sides[1].post_recv(21, 0, 100);
        let good = w.sides[1].remote(0);
        w.sides[0].post(1, SendOp::RdmaRead(good), 0, 9000);
        w.sides[0].post(2, op(bad(good)), 0, len);
        w.sides[0].post(3, SendOp::Send, 0, 10);
        w.settle();
        let wcs = w.sides[0].take_wcs();
        assert_eq!(wcs, [(1, WcStatus::Success), (2, status), (3, FLUSH)], "{op:?}");
        assert_eq!(w.sides[0].octets(0, 9000), w.sides[1].octets(0, 9000));
        assert!(w.sides[0].machine.is_failed() && w.sides[1].machine.is_failed());
    }
}

/// A message longer than its receive: `LocLenErr` there, `RemInvReqErr` here.
#[test]
fn message_too_long() {
    for len in [11, 16, 5000] {
        let mut w = world(1024);
        w.sides[1].post_recv(7, 0, 10);
        w.sides[1].post_recv(8, 0, 10);
        w.sides[0].post(1, SendOp::Send, 0, len);
        w.settle();
        assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::RemInvReqErr)]);
        assert_eq!(w.sides[1].take_wcs(), [(7, WcStatus::LocLenErr), (8, FLUSH)]);
        assert_eq!(w.sides[1].octets(10, 100), vec![0; 100], "nothing beyond the receive");
    }
}

/// Local memory out of reach: `LocProtErr` in its turn, after the work before it.
#[test]
fn unreachable_local_memory() {
    let mut w = world(1024);
    w.sides[1].post_recv(7, 0, 5000);
    let bad = Sge { lkey: Lkey(1), ..w.sides[0].sge(0, 50) };
    w.sides[0].post(1, SendOp::Send, 0, 5000);
    w.sides[0].machine.post_send(wr(2, SendOp::Send, &[bad])).unwrap();
    w.sides[0].post(3, SendOp::Send, 0, 5);
    w.settle();
    let wcs = w.sides[0].take_wcs();
    assert_eq!(wcs, [(1, WcStatus::Success), (2, WcStatus::LocProtErr), (3, FLUSH)]);
    // A receive's own memory: this host's fault, told to the peer as operational.
    let mut w = world(1024);
    let sges = SgeList::from_slice(&[Sge { lkey: Lkey(1), ..w.sides[1].sge(0, 50) }]);
    w.sides[1].receives.post(verbs::RecvWr { wr_id: 7, sges }).unwrap();
    w.sides[0].post(1, SendOp::Send, 0, 50);
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::RemOpErr)]);
    assert_eq!(w.sides[1].take_wcs(), [(7, WcStatus::LocProtErr)]);
    // A READ's landing place.
    let mut w = world(1024);
    let remote = w.sides[1].remote(0);
    let bad = Sge { lkey: Lkey(1), ..w.sides[0].sge(0, 50) };
    w.sides[0].machine.post_send(wr(1, SendOp::RdmaRead(remote), &[bad])).unwrap();
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::LocProtErr)]);
}

/// A host may take the memory back as soon as the peer said, by a SEND, that its READ is done;
/// an acknowledgement lost meanwhile does not break the connection.
#[test]
fn memory_taken_back_after_a_read() {
    use crate::qp::testing::Fate;
    let mut w = world(1024);
    let region = w.sides[1].region.clone();
    let lent = w.sides[1].memory.register(&region, Access::REMOTE_READ).unwrap();
    let remote = Remote { addr: lent.addr, rkey: lent.rkey };
    let mut dropped = 0;
    w.script = Some(Box::new(move |sent| {
        dropped += u32::from(sent.from == 0);
        if sent.from == 0 && (2..4).contains(&dropped) { Fate::Drop } else { Fate::Deliver }
    }));
    w.sides[0].post(1, SendOp::RdmaRead(remote), 0, 900);
    run_until(&mut w, |w| !w.sides[0].wcs.is_empty());
    w.sides[1].memory.invalidate(lent.rkey).unwrap();
    w.settle();
    w.sides[1].post_recv(5, 0, 100);
    w.sides[0].post(2, SendOp::Send, 0, 100);
    w.settle();
    assert_eq!(w.sides[0].take_wcs(), [(1, WcStatus::Success), (2, WcStatus::Success)]);
    assert!(!w.sides[1].machine.is_failed());
}

/// What `post_send` refuses.
#[test]
fn refused_posts() {
    let caps = verbs::QpCaps { max_send_wr: 2, max_send_sge: 2, ..Default::default() };
    let mut w: Native = World::new(&Setup { caps, ..Setup::default() });
    let sge = w.sides[0].sge(0, 9);
    let remote = w.sides[1].remote(0);
    let machine = &mut w.sides[0].machine;
    let malformed = [
        wr(1, SendOp::Send, &[sge; 3]),
        wr(1, SendOp::FetchAdd { remote, add: 1 }, &[sge]),
        wr(1, SendOp::LocalInv(remote.rkey), &[sge]),
        wr(1, SendOp::Send, &[Sge { length: u32::MAX, ..sge }]),
    ];
    for wr in malformed {
        assert_eq!(machine.post_send(wr), Err(PostError::Malformed));
    }
    machine.post_send(wr(1, SendOp::RdmaWrite(remote), &[sge])).unwrap();
    machine.post_send(wr(2, SendOp::RdmaWrite(remote), &[sge])).unwrap();
    assert_eq!(machine.post_send(wr(3, SendOp::Send, &[])), Err(PostError::Full));
    w.settle();
    assert_eq!(w.sides[0].take_wcs().len(), 2);
}

/// `fail` completes everything once, in order, and silences the machine; twice is once.
#[test]
fn fail_flushes_once() {
    let mut w = world(1024);
    let to = w.sides[1].remote(0);
    for id in 0..5 {
        w.sides[0].post(id, SendOp::RdmaWrite(to), 0, 5000);
    }
    w.sides[0].post_recv(10, 0, 5);
    w.transmit_all();
    for _ in 0..2 {
        w.sides[0].with(w.now, |machine, cx| machine.fail(cx, WcStatus::RetryExcErr));
    }
    let before = w.trace.iter().filter(|s| s.from == 0).count();
    let wcs = w.sides[0].take_wcs();
    assert_eq!(wcs[0], (0, WcStatus::RetryExcErr));
    assert_eq!(wcs[1..], [1, 2, 3, 4, 10].map(|id| (id, FLUSH)));
    w.drive(Duration::from_millis(1));
    assert_eq!(w.trace.iter().filter(|s| s.from == 0).count(), before);
    assert!(w.sides[0].wcs.is_empty());
}

/// A header made of random fields, near the truth often enough to be dangerous.
fn nonsense(random: &mut Random, w: &Native) -> Vec<u8> {
    let opcodes = [
        Opcode::NativeSend,
        Opcode::NativeWrite,
        Opcode::NativeReadRequest,
        Opcode::NativeReadResponse,
        Opcode::NativeAtomicRequest,
        Opcode::NativeAtomicResponse,
        Opcode::NativeProbe,
    ];
    let psn = |random: &mut Random, base: u64| Psn::new((base + random.below(40)) as u32);
    if random.chance(200) {
        let mut ack = NativeAck::new(qpn(1), psn(random, 100), psn(random, 4990));
        ack.echo_us = random.next() as u32;
        for _ in 0..random.below(9) {
            ack.sack.insert(random.below(390) as u32);
        }
        if random.chance(200) {
            ack.syndrome = Syndrome::RnrNak(RnrTimer::new(random.below(3) as u8));
        }
        if random.chance(20) {
            ack.syndrome = Syndrome::Nak(NakCode::InvalidRequest);
        }
        return ack.emit().as_slice().to_vec();
    }
    let opcode = opcodes[random.below(7) as usize];
    let mut h = NativeHeader::new(opcode, qpn(1), psn(random, 95));
    if opcode == Opcode::NativeAtomicRequest {
        let add = random.chance(500);
        h.atomic = Some(if add { AtomicOp::FetchAdd } else { AtomicOp::CompareSwap });
    }
    h.flags = NativeFlags::from_octet(random.next() as u8);
    h.ack_psn = psn(random, 4990);
    h.echo_us = random.next() as u32;
    h.msn = Msn::new(if random.chance(900) { random.below(8) } else { random.next() } as u32);
    h.rkey = if random.chance(900) { w.sides[1].mr.rkey.0 } else { random.next() as u32 };
    h.addr = match random.below(4) {
        0 => random.next(),
        1 => random.below(3000),
        2 => w.sides[1].mr.addr + random.below(w.sides[1].mr.length + 1000),
        _ => w.sides[1].mr.addr + 8 * random.below(100),
    };
    h.message_len = if random.chance(900) { random.below(5000) } else { random.next() } as u32;
    h.invalidate = random.next() as u32;
    h.tail = Tail::new(&[7; 16][..random.below(17) as usize]).unwrap();
    let mut octets = h.emit().as_slice().to_vec();
    let payload =
        matches!(opcode, Opcode::NativeSend | Opcode::NativeWrite | Opcode::NativeReadResponse);
    if payload {
        let len = random.below(1100) as usize;
        octets.resize(octets.len() + len, 0xaa);
    }
    octets
}

/// A peer that says anything at all makes us refuse, never panic, and never reaches a register
/// that it was not given.
#[test]
fn misbehaving_peer() {
    let mut fates = [0; 2];
    for seed in 0..600 {
        let mut w: Native = World::new(&Setup { seed, ..Setup::default() });
        w.script = Some(Box::new(|_| crate::qp::testing::Fate::Drop));
        let mut random = Random(seed);
        for id in 0..6 {
            w.sides[1].post_recv(id, 1000 * id as u32, 1000);
        }
        let remote = w.sides[0].remote(0);
        w.sides[1].post(10, SendOp::RdmaRead(remote), 0, 3000);
        w.sides[1].post(11, SendOp::Send, 0, 3000);
        w.sides[1].post(12, SendOp::FetchAdd { remote, add: 1 }, 0, 8);
        for _ in 0..60 {
            w.transmit_all();
            let octets = nonsense(&mut random, &w);
            w.inject(1, &octets);
            if random.chance(300) {
                w.drive(Duration::from_micros(random.below(300)));
            }
        }
        fates[usize::from(w.sides[1].machine.is_failed())] += 1;
        w.sides[1].with(w.now, |machine, cx| machine.fail(cx, WcStatus::GeneralErr));
        let mut ids: Vec<_> = w.sides[1].take_wcs().iter().map(|wc| wc.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 10, 11, 12], "each exactly once, seed {seed}");
    }
    assert!(fates[0] > 0 && fates[1] > 0, "some survive, some are refused: {fates:?}");
}
