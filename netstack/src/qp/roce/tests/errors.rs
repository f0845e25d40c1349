//! Refusals, exhausted retries, flushes: each fault ends where it belongs, once.

use super::*;
use crate::qp::testing::{Fate, Setup};
use memory::{Access, Lkey};
use std::time::Duration;
use verbs::{PostError, QpCaps, Remote, Rkey, SendWr, Sge, SgeList, WrFlags};

const FLUSHED: WcStatus = WcStatus::WrFlushErr;

/// Goal: a send that finds no receive waits as long as the peer asked, and then lands.
#[test]
fn receiver_not_ready() {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    world.sides[0].post(1, SendOp::RdmaWrite(world.sides[1].remote(LANDING)), 0, 600);
    world.sides[0].post(2, SendOp::Send, 0, 700);
    world.sides[0].post(3, SendOp::RdmaWrite(world.sides[1].remote(LANDING + 1000)), 0, 600);
    assert!(!world.drive(Duration::from_micros(25)));
    assert_eq!(world.sides[0].take_wcs(), [(1, OK)], "what came before is acknowledged");
    world.sides[1].post_recv(9, LANDING + 4096, 4096);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(2, OK), (3, OK)]);
    assert_eq!(world.sides[1].take_wcs(), [(9, OK)]);
    assert_eq!(world.sides[0].octets(0, 700), world.sides[1].octets(LANDING + 4096, 700));
    let (side, peer) = (&world.sides[0].counters, &world.sides[1].counters);
    assert_eq!((side.timeouts, side.naks_in, peer.naks_out), (0, 0, 0), "no other refusal");
    assert!(peer.rnr_naks_out >= 1);
    let sends: Vec<_> =
        world.trace.iter().filter(|sent| opcode(sent) == Opcode::SendFirst).collect();
    let wait = sends[1].at - sends[0].at;
    assert_eq!(wait, Duration::from_micros(30), "there and back, and timer code 1");
}

/// Goal: RDMA WRITE with immediate needs a receive at its end only, and data placed before an RNR
/// NAK is placed again without harm.
#[test]
fn write_with_immediate_not_ready() {
    for len in [100, 700] {
        let mut world = world(&Setup { mtu: 256, ..Setup::default() });
        let op = SendOp::RdmaWriteWithImm(world.sides[1].remote(LANDING), 3);
        world.sides[0].post(1, op, 0, len);
        assert!(!world.drive(Duration::from_micros(25)));
        world.sides[1].post_recv(9, 0, 0);
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
        assert_eq!(world.sides[1].take_wcs(), [(9, OK)]);
        assert_eq!(world.sides[0].octets(0, len), world.sides[1].octets(LANDING, len));
    }
}

/// Goal: RNR retries are counted exactly (the first try and `rnr_retry` more), then the oldest
/// fails and the rest is flushed; seven goes on.
#[test]
fn rnr_retries_end() {
    for (rnr_retry, tries) in [(0, 1), (3, 4)] {
        let mut world = world(&Setup { rnr_retry, ..Setup::default() });
        world.sides[0].post(1, SendOp::Send, 0, 10);
        world.sides[0].post(2, SendOp::Send, 0, 10);
        world.settle();
        let done = [(1, WcStatus::RnrRetryExcErr), (2, FLUSHED)];
        assert_eq!(world.sides[0].take_wcs(), done);
        assert_eq!(world.sides[1].counters.rnr_naks_out, tries);
    }
    let mut world = world(&Setup { rnr_retry: 7, ..Setup::default() });
    world.sides[0].post(1, SendOp::Send, 0, 10);
    assert!(!world.drive(Duration::from_millis(5)));
    assert!(world.sides[1].counters.rnr_naks_out > 50);
    world.sides[1].post_recv(9, 0, 10);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
}

/// Goal: every message has its own RNR retries, and a duplicated RNR NAK uses up none.
#[test]
fn rnr_retries_are_per_message() {
    let mut world = world(&Setup { rnr_retry: 1, ..Setup::default() });
    world.script = Some(Box::new(|sent| match sent.from {
        1 => Fate::Duplicate,
        _ => Fate::Deliver,
    }));
    world.faults.late_max = Duration::from_nanos(100);
    for id in 0..3 {
        world.sides[0].post(id, SendOp::Send, 0, 10);
        world.drive(Duration::from_micros(25));
        world.sides[1].post_recv(id, LANDING, 10);
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(id, OK)]);
    }
    assert_eq!(world.sides[1].counters.rnr_naks_out, 3);
}

/// Goal: a silent peer is given up after `retry_cnt` retransmissions, with growing pauses; every
/// post completes once, receives too; nothing is sent afterwards.
#[test]
fn a_silent_peer_is_given_up() {
    let mut world = world(&Setup { retry_cnt: 3, timeout: 4, ..Setup::default() });
    world.script = Some(Box::new(|_| Fate::Drop));
    world.sides[0].post_recv(8, LANDING, 10);
    for id in 0..3 {
        world.sides[0].post(id, SendOp::Send, 0, 10);
    }
    world.settle();
    let done = [(0, WcStatus::RetryExcErr), (1, FLUSHED), (2, FLUSHED), (8, FLUSHED)];
    assert_eq!(world.sides[0].take_wcs(), done);
    assert!(world.sides[0].machine.is_failed());
    assert_eq!((world.sides[0].counters.timeouts, world.trace.len()), (4, 12));
    let base = Duration::from_nanos(4096 << 4);
    let pauses: Vec<_> = world.trace.windows(2).map(|w| w[1].at - w[0].at).collect();
    let pauses: Vec<_> = pauses.into_iter().filter(|pause| !pause.is_zero()).collect();
    assert_eq!(pauses, [base, base * 2, base * 4]);
    let now = world.now;
    world.sides[0].with(now, |machine, cx| machine.fail(cx, WcStatus::GeneralErr));
    assert!(world.sides[0].wcs.is_empty(), "failing again tells nothing new");
    world.sides[0].post(5, SendOp::Send, 0, 10);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(5, FLUSHED)], "posted later, flushed");
    assert_eq!(world.trace.len(), 12);
}

/// Runs one operation that the peer refuses; returns both sides' completions.
fn refused(op: SendOp, len: u32) -> (RoceWorld, WcStatus) {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    let before = world.sides[1].octets(0, 1 << 20);
    world.sides[1].post_recv(8, LANDING, 4096);
    world.sides[0].post(1, op, 0, len);
    world.sides[0].post(2, SendOp::RdmaWrite(world.sides[1].remote(LANDING)), 0, 100);
    world.settle();
    assert_eq!(world.sides[1].octets(0, 1 << 20), before, "{op:?}: not one octet");
    assert!(world.sides.iter().all(|side| side.machine.is_failed()), "{op:?}: both fail");
    let done = world.sides[0].take_wcs();
    assert_eq!((done.len(), done[0].0, done[1]), (2, 1, (2, FLUSHED)), "{op:?}");
    (world, done[0].1)
}

/// Goal: keys, bounds and rights that do not cover a request refuse it before anything is placed.
#[test]
fn remote_access_errors() {
    let probe = world(&Setup::default());
    let bad = |offset: u64| {
        let remote = probe.sides[1].remote(0);
        Remote { addr: remote.addr + offset, rkey: Rkey(remote.rkey.0 ^ 0x100) }
    };
    let ops = [
        (SendOp::RdmaWrite(bad(0)), 100),
        (SendOp::RdmaWrite(bad(0)), 1000),
        (SendOp::RdmaWriteWithImm(bad(0), 1), 600),
        (SendOp::RdmaRead(bad(0)), 1000),
        (SendOp::FetchAdd { remote: bad(0), add: 1 }, 8),
    ];
    for (op, len) in ops {
        let (mut world, status) = refused(op, len);
        assert_eq!(status, WcStatus::RemAccessErr, "{op:?}");
        assert_eq!(world.sides[1].take_wcs(), [(8, FLUSHED)], "{op:?}");
        assert_eq!(world.sides[1].counters.access_errors_in, 1, "{op:?}");
    }
}

/// Goal: a span that starts inside the registration and ends outside is refused as a whole.
#[test]
fn bounds_are_of_the_whole_message() {
    for is_read in [false, true] {
        let mut world = world(&Setup { mtu: 256, ..Setup::default() });
        let before = world.sides[1].octets(0, 1 << 20);
        let remote = world.sides[1].remote((1 << 20) - 1000);
        let op = if is_read { SendOp::RdmaRead(remote) } else { SendOp::RdmaWrite(remote) };
        world.sides[0].post(1, op, 0, 1001);
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemAccessErr)]);
        assert_eq!(world.sides[1].octets(0, 1 << 20), before);
    }
}

/// Goal: a misaligned atomic and a message longer than the receive are invalid requests; the
/// receive tells its own side of it.
#[test]
fn invalid_requests() {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    let remote = world.sides[1].remote(4);
    world.sides[0].post(1, SendOp::FetchAdd { remote, add: 1 }, 0, 8);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemInvReqErr)]);
    for len in [101, 1000] {
        let mut world = super::world(&Setup { mtu: 256, ..Setup::default() });
        world.sides[1].post_recv(8, LANDING, 100);
        world.sides[1].post_recv(9, LANDING, 100);
        world.sides[0].post(1, SendOp::Send, 0, len);
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemInvReqErr)]);
        assert_eq!(world.sides[1].take_wcs(), [(8, WcStatus::LocLenErr), (9, FLUSHED)]);
        assert_eq!(world.sides[1].octets(LANDING + 100, 1000), [0; 1000]);
    }
}

/// Goal: the receiver's own broken landing place is its operational error, not the sender's fault.
#[test]
fn a_bad_landing_place() {
    let mut world = world(&Setup::default());
    let mut sge = world.sides[1].sge(LANDING, 100);
    sge.lkey = Lkey(sge.lkey.0 ^ 1);
    let sges = SgeList::from_slice(&[sge]);
    world.sides[1].receives.post(verbs::RecvWr { wr_id: 8, sges }).unwrap();
    world.sides[0].post(1, SendOp::Send, 0, 10);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemOpErr)]);
    assert_eq!(world.sides[1].take_wcs(), [(8, WcStatus::LocProtErr)]);
}

/// Goal: invalidating a key that is none fails the send that asked for it.
#[test]
fn invalidating_nothing() {
    let mut world = world(&Setup::default());
    world.sides[1].post_recv(8, LANDING, 100);
    world.sides[0].post(1, SendOp::SendWithInv(Rkey(0x77)), 0, 10);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemOpErr)]);
    assert_eq!(world.sides[1].take_wcs(), [(8, WcStatus::RemInvReqErr)]);
    let mut world = super::world(&Setup::default());
    world.sides[0].post(1, SendOp::LocalInv(Rkey(0x77)), 0, 0);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::LocQpOpErr)]);
}

/// Goal: a bad local key fails its own request, after everything posted before it completed.
#[test]
fn local_key_errors_wait_their_turn() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let remote = |w: &RoceWorld| w.sides[1].remote(LANDING);
    for op in [SendOp::Send, SendOp::RdmaRead(Remote::default())] {
        let mut world = world(&setup);
        let write = SendOp::RdmaWrite(remote(&world));
        world.sides[0].post(1, write, 0, 2000);
        let bad = Sge { addr: world.sides[0].mr.addr, length: 600, lkey: Lkey(3) };
        let sges = SgeList::from_slice(&[world.sides[0].sge(0, 300), bad]);
        let wr = SendWr { wr_id: 2, op, sges, flags: WrFlags::default() };
        world.sides[0].machine.post_send(wr).unwrap();
        world.sides[0].post(3, write, 0, 10);
        world.settle();
        let done = [(1, OK), (2, WcStatus::LocProtErr), (3, FLUSHED)];
        assert_eq!(world.sides[0].take_wcs(), done, "{op:?}");
        assert_eq!(world.sides[0].octets(0, 2000), world.sides[1].octets(LANDING, 2000));
    }
}

/// Goal: a key that is invalidated in the middle of an RDMA WRITE stops it there.
#[test]
fn a_key_dies_in_the_middle_of_a_write() {
    let mut world = world(&Setup { mtu: 256, window_bytes: 512, ..Setup::default() });
    let region = world.sides[1].region.clone();
    let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE;
    let extra = world.sides[1].memory.register(&region, access).unwrap();
    let remote = Remote { addr: extra.addr + u64::from(LANDING), rkey: extra.rkey };
    world.sides[0].post(1, SendOp::RdmaWrite(remote), 0, 256 * 100);
    assert!(!world.drive(Duration::from_micros(100)));
    world.sides[1].memory.invalidate(extra.rkey).unwrap();
    let placed = u32::try_from(world.sides[1].place.octets).unwrap();
    assert!((1..100 * 256).contains(&placed), "in the middle: {placed}");
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, WcStatus::RemAccessErr)]);
    assert_eq!(world.sides[1].place.octets, u64::from(placed), "nothing through a dead key");
}

/// Goal: posts beyond the capabilities come back, and the queue stays usable.
#[test]
fn posts_are_bounded() {
    let caps = QpCaps { max_send_wr: 2, ..QpCaps::default() };
    let mut world = world(&Setup { caps, max_rd_atomic: 0, ..Setup::default() });
    let sges = SgeList::from_slice(&[world.sides[0].sge(0, 8)]);
    let flags = WrFlags::default();
    let remote = world.sides[1].remote(LANDING);
    let mut post = |op, sges: &SgeList| {
        let wr = SendWr { wr_id: 1, op, sges: sges.clone(), flags };
        world.sides[0].machine.post_send(wr)
    };
    assert_eq!(post(SendOp::RdmaRead(remote), &sges), Err(PostError::Malformed), "no READs here");
    let huge = SgeList::from_slice(&[Sge { length: 1 << 31, ..sges[0] }, sges[0]]);
    assert_eq!(post(SendOp::RdmaWrite(remote), &huge), Err(PostError::Malformed));
    assert_eq!(post(SendOp::RdmaWrite(remote), &sges), Ok(()));
    assert_eq!(post(SendOp::RdmaWrite(remote), &sges), Ok(()));
    assert_eq!(post(SendOp::RdmaWrite(remote), &sges), Err(PostError::Full));
    world.settle();
    assert!(world.sides[0].wcs.is_empty(), "unsignalled successes are silent");
    assert!(world.sides[0].machine.is_idle());
}

/// Goal: a receive that is half filled when the connection fails is flushed like the others.
#[test]
fn a_half_filled_receive_is_flushed() {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    world.sides[1].post_recv(8, LANDING, 4096);
    world.sides[1].post_recv(9, LANDING, 4096);
    world.sides[0].post(1, SendOp::Send, 0, 1000);
    let mut count = 0;
    world.script = Some(Box::new(move |_| {
        count += 1;
        if count > 2 { Fate::Drop } else { Fate::Deliver }
    }));
    assert!(!world.drive(Duration::from_micros(50)));
    let now = world.now;
    world.sides[1].with(now, |machine, cx| machine.fail(cx, WcStatus::GeneralErr));
    assert_eq!(world.sides[1].take_wcs(), [(8, FLUSHED), (9, FLUSHED)]);
    assert!(!world.sides[1].machine.wants_transmit(now));
}
