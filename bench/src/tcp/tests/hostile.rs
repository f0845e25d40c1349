use super::super::frame::{Header, Op};
use super::*;
use netstack::fabric::DisconnectReason;
use std::io::{Read, Write};
use std::net::TcpStream;

fn reason(end: &End) -> Option<DisconnectReason> {
    match end.told.last() {
        Some(FabricEvent::Disconnected { reason, .. }) => Some(*reason),
        _ => None,
    }
}

/// Goal: a key that does not open what is named ends the connection with an error at both sides,
/// nothing is written, and a READ that was refused says so.
#[test]
fn bad_keys_end_the_connection() {
    type Spoil = fn(Remote) -> Remote;
    let spoils: [Spoil; 4] = [
        |remote| Remote { rkey: memory::Rkey(remote.rkey.0 ^ 1), ..remote },
        |remote| Remote { addr: remote.addr + 4096 - 63, ..remote },
        |remote| Remote { addr: remote.addr.wrapping_sub(1), ..remote },
        |remote| Remote { addr: u64::MAX - 10, ..remote },
    ];
    for spoil in spoils {
        for is_read in [false, true] {
            let (mut target, mut host, at_target, at_host) = connected(11, 4096);
            host.region.fill(0, 4096, 0xee);
            target.post(at_target, 7, WorkOp::Recv, (0, 64));
            let remote = spoil(target.remote(0));
            let op = if is_read { WorkOp::RdmaRead(remote) } else { WorkOp::RdmaWrite(remote) };
            host.post(at_host, 1, op, (0, 64));
            run_until(&mut target, &mut host, |target, host| target.is_over() && host.is_over());
            let error = |status| Some(DisconnectReason::Error(status));
            assert_eq!(reason(&host), error(WcStatus::RemAccessErr));
            assert_eq!(reason(&target), error(WcStatus::LocAccessErr));
            assert_eq!(target.done(), [(7, WcStatus::WrFlushErr)]);
            let outcome = if is_read { WcStatus::RemAccessErr } else { WcStatus::Success };
            assert_eq!(host.done(), [(1, outcome)], "a WRITE was handed over already");
            let mut octets = vec![0; 4096];
            target.region.read(0, &mut octets);
            assert!(octets.iter().all(|&octet| octet == 0));
        }
    }
}

/// Goal: work whose own memory is not open fails as that, and what was posted after it is flushed.
#[test]
fn own_bad_keys_are_told() {
    let (mut target, mut host, at_target, at_host) = connected(12, 4096);
    target.post(at_target, 9, WorkOp::Recv, (0, 64));
    host.post(at_host, 1, SEND, (0, 64));
    host.post(at_host, 2, SEND, (4090, 64));
    host.post(at_host, 3, SEND, (0, 64));
    run_until(&mut target, &mut host, |target, host| target.is_over() && host.is_over());
    let outcomes = [(1, WcStatus::Success), (2, WcStatus::LocProtErr), (3, WcStatus::WrFlushErr)];
    assert_eq!(host.done(), outcomes);
    assert!(matches!(target.told[0], FabricEvent::Recv { token: 9, len: 64, .. }));
    assert_eq!(reason(&target), Some(DisconnectReason::Error(WcStatus::RemOpErr)));
}

/// Goal: a message that is longer than its receive is an error of both, and is not placed.
#[test]
fn long_messages_are_refused() {
    let (mut target, mut host, at_target, at_host) = connected(13, 4096);
    target.post(at_target, 9, WorkOp::Recv, (0, 63));
    host.post(at_host, 1, SEND, (0, 64));
    run_until(&mut target, &mut host, |target, host| target.is_over() && host.is_over());
    assert_eq!(target.done(), [(9, WcStatus::LocLenErr)]);
    assert_eq!(reason(&host), Some(DisconnectReason::Error(WcStatus::RemInvReqErr)));
}

/// A stranger with a socket, connected and accepted, and the target's handle.
fn stranger(number: u8) -> (End, QpHandle, TcpStream) {
    let (mut target, mut host, to) = ends(number, 4096);
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(&Header { depth: 1, ..Header::new(Op::Connect, 0) }.encode()).unwrap();
    run_until(&mut target, &mut host, |target, _| !target.told.is_empty());
    let FabricEvent::ConnectRequest { qp, .. } = target.told[0] else {
        panic!("{:?}", target.told)
    };
    target.fabric.accept(Instant::now(), qp, params(b""));
    target.turn();
    stream.read_exact(&mut [0; 24]).unwrap();
    target.told.clear();
    (target, qp, stream)
}

/// Goal: octets that are no frame, frames that may not come now, and lengths that lie end the
/// connection, and only it, without a panic.
#[test]
fn nonsense_ends_its_connection() {
    let frames = [
        vec![0xff; 24],
        vec![9; 24],
        Header::new(Op::Connect, 0).encode().to_vec(),
        Header::new(Op::Accept, 0).encode().to_vec(),
        Header::new(Op::ReadResponse, 0).encode().to_vec(),
        Header::new(Op::Send, u32::MAX).encode().to_vec(),
        Header::new(Op::Write, u32::MAX).encode().to_vec(),
        Header::new(Op::ReadRequest, u32::MAX).encode().to_vec(),
        Header::new(Op::SendInvalidate, 0).encode().to_vec(),
        Header { reason: 0xffff, ..Header::new(Op::Error, u32::MAX) }.encode().to_vec(),
    ];
    let (mut other, mut host, at_target, at_host) = connected(15, 4096);
    for frame in frames {
        let (mut target, qp, mut stream) = stranger(14);
        target.post(qp, 5, WorkOp::Recv, (0, 64));
        stream.write_all(&frame).unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while !target.is_over() {
            target.turn();
            assert!(Instant::now() < until, "{frame:?}: {:?}", target.told);
        }
        assert!(matches!(reason(&target), Some(DisconnectReason::Error(_))), "{frame:?}");
        assert_eq!(target.done().len(), 1);
        // What it was told, if anything, and the end.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() <= 24);
    }
    other.post(at_target, 0, WorkOp::Recv, (0, 8));
    host.post(at_host, 0, SEND, (0, 8));
    run_until(&mut other, &mut host, |other, _| !other.told.is_empty());
}

/// Goal: any octets at all, in pieces of any size, before and after the handshake, neither panic nor
/// write outside what is open.
#[test]
fn random_octets_do_no_harm() {
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random >> 33
    };
    for _ in 0..40 {
        let (mut target, qp, mut stream) = stranger(16);
        target.post(qp, 5, WorkOp::Recv, (0, 64));
        for _ in 0..20 {
            let mut octets: Vec<u8> = (0..next() % 100).map(|_| next().to_le_bytes()[0]).collect();
            // An operation that exists, and small lengths, more often than by chance.
            if let [op, _, _, _, _, l1, l2, l3, ..] = octets.as_mut_slice() {
                (*op, *l1, *l2, *l3) = (*op % 10, 0, 0, 0);
            }
            if stream.write_all(&octets).is_err() {
                break;
            }
            target.turn();
        }
        drop(stream);
        let until = Instant::now() + Duration::from_secs(5);
        while !target.is_over() {
            target.turn();
            assert!(Instant::now() < until, "{:?}", target.told);
        }
        let receives = target.told.iter().filter(|event| {
            matches!(event, FabricEvent::Done { token: 5, .. } | FabricEvent::Recv { token: 5, .. })
        });
        assert_eq!(receives.count(), 1, "exactly once");
    }
    let (mut target, _, to) = ends(17, 4096);
    for len in [0, 1, 23, 24, 300] {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.write_all(&vec![0; len]).unwrap();
        drop(stream);
        for _ in 0..100 {
            target.turn();
        }
    }
    // 24 zeroes are a proper request.
    assert!(target.told.iter().all(|event| matches!(
        event,
        FabricEvent::ConnectRequest { .. } | FabricEvent::Disconnected { .. }
    )));
}

/// Goal: a peer that is gone ends the connection: in the middle of a frame, while a frame waits for a
/// receive, and while there is more to send than it ever took.
#[test]
fn a_peer_that_is_gone_is_noticed() {
    let over = |mut target: End| {
        let until = Instant::now() + Duration::from_secs(5);
        while !target.is_over() {
            target.turn();
            assert!(Instant::now() < until, "{:?}", target.told);
        }
        assert_eq!(reason(&target), Some(DisconnectReason::Peer));
        target.done()
    };
    let (mut target, qp, mut stream) = stranger(18);
    target.post(qp, 1, WorkOp::Recv, (0, 64));
    stream.write_all(&Header::new(Op::Send, 64).encode()).unwrap();
    stream.write_all(&[1; 63]).unwrap();
    target.turn();
    drop(stream);
    assert_eq!(over(target), [(1, WcStatus::WrFlushErr)], "half a message");

    let (mut target, _, mut stream) = stranger(18);
    stream.write_all(&Header::new(Op::Send, 4).encode()).unwrap();
    target.turn();
    drop(stream);
    assert_eq!(over(target), [], "no receive");

    let (mut target, qp, stream) = stranger(18);
    let region = memory::Region::allocate(64 << 20).unwrap();
    let mr = target.fabric.register(&region, Access::LOCAL_WRITE).unwrap();
    let local = Gather::one(Sge { addr: mr.addr, length: 64 << 20, lkey: mr.lkey });
    target.fabric.post(qp, Work { token: 3, op: SEND, local, signaled: true }).unwrap();
    for _ in 0..10 {
        target.turn();
    }
    drop(stream);
    assert_eq!(over(target), [(3, WcStatus::WrFlushErr)], "too much");
}
