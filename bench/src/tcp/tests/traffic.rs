use super::*;
use netstack::fabric::{DisconnectReason, Full};

fn pattern(octets: usize, seed: usize) -> Vec<u8> {
    (0..octets).map(|at| ((at + seed).wrapping_mul(0x9e37_79b1) >> 11).to_le_bytes()[0]).collect()
}

/// Goal: who connects and who accepts learn each other's private data and depths; a refusal carries
/// its own; where nobody listens is told as such.
#[test]
fn connecting_tells_both_sides() {
    let (mut target, mut host, to) = ends(1, 4096);
    let qp = host.fabric.connect(Instant::now(), to, params(b"hello"));
    run_until(&mut target, &mut host, |target, _| !target.told.is_empty());
    let told = target.take();
    let FabricEvent::ConnectRequest { qp: asked, from, port, private, read_depth } = &told[0]
    else {
        panic!("{told:?}")
    };
    assert_eq!(
        (from.ip(), *port, private.as_slice(), *read_depth),
        (to.ip(), 4420, &b"hello"[..], 4)
    );
    target.fabric.accept(Instant::now(), *asked, ConnectParams { read_depth: 9, ..params(b"yes") });
    run_until(&mut target, &mut host, |target, host| target.told.len() + host.told.len() == 2);
    let (private, read_depth) = (b"yes".to_vec(), 9);
    assert_eq!(host.take(), [FabricEvent::Established { qp, private, read_depth }]);
    let (private, read_depth) = (Vec::new(), 4);
    assert_eq!(target.take(), [FabricEvent::Established { qp: *asked, private, read_depth }]);

    let qp = host.fabric.connect(Instant::now(), to, params(b"again"));
    run_until(&mut target, &mut host, |target, _| !target.told.is_empty());
    let FabricEvent::ConnectRequest { qp: asked, .. } = target.take()[0] else { panic!() };
    target.fabric.reject(Instant::now(), asked, b"no");
    run_until(&mut target, &mut host, |_, host| !host.told.is_empty());
    let rejected =
        |reason, private: &[u8]| FabricEvent::Rejected { qp, reason, private: private.into() };
    assert_eq!(host.take(), [rejected(28, b"no")]);

    let nobody = SocketAddr::new(to.ip(), 4421);
    let qp = host.fabric.connect(Instant::now(), nobody, params(b"?"));
    run_until(&mut target, &mut host, |_, host| !host.told.is_empty());
    assert_eq!(host.take(), [FabricEvent::Rejected { qp, reason: 8, private: Vec::new() }]);
    assert!(target.told.is_empty(), "{:?}", target.told);
}

/// Goal: SEND, WRITE and READ move what they should, from two pieces into two; receives are filled in
/// posting order; work is done in posting order, READs among it.
#[test]
fn octets_arrive_where_they_belong() {
    let (mut target, mut host, at_target, at_host) = connected(2, 1 << 16);
    let octets = pattern(4096, 1);
    host.region.write(0, &octets);
    target.region.write(8192, &octets);
    for token in 0..3 {
        let local =
            Gather::two(target.sge(token * 4096, 16), target.sge(16_384 + token * 4096, 4080));
        let work = Work { token, op: WorkOp::Recv, local, signaled: true };
        target.fabric.post(at_target, work).unwrap();
    }
    host.post(at_host, 10, WorkOp::RdmaRead(target.remote(8192)), (32_768, 4096));
    let local = Gather::two(host.sge(0, 100), host.sge(100, 3996));
    for (token, signaled) in [(11, true), (12, false)] {
        host.fabric.post(at_host, Work { token, op: SEND, local, signaled }).unwrap();
    }
    host.post(at_host, 13, WorkOp::RdmaWrite(target.remote(40_960)), (0, 4096));
    host.post(at_host, 14, SEND, (0, 0));
    run_until(&mut target, &mut host, |target, host| {
        target.told.len() == 3 && host.told.len() == 4
    });
    let success = |token| (token, WcStatus::Success);
    assert_eq!(host.done(), [10, 11, 13, 14].map(success), "behind the READ, in order");
    let landed = |(token, len)| FabricEvent::Recv { qp: at_target, token, len, invalidated: None };
    assert_eq!(target.told, [(0, 4096), (1, 4096), (2, 0)].map(landed));
    let read = |region: &Region, offset, len| {
        let mut found = vec![0; len];
        region.read(offset, &mut found);
        found
    };
    assert_eq!(read(&host.region, 32_768, 4096), octets, "READ");
    assert_eq!(read(&target.region, 40_960, 4096), octets, "WRITE");
    for at in [0, 4096] {
        assert_eq!(read(&target.region, at, 16), octets[..16], "SEND");
        assert_eq!(read(&target.region, 16_384 + at, 4080), octets[16..], "SEND, second piece");
    }
    let mut counters = std::collections::HashMap::new();
    target.fabric.counters(&mut |name, count| {
        counters.insert(name, count);
    });
    assert_eq!(counters["dpa.placed_bytes"], 3 * 4096 + 5, "once, and the private data");
}

/// Goal: messages larger than any socket buffer, both ways at once, more READs than the peer allows
/// at once among them: nothing is lost or stuck.
#[test]
fn large_messages_pass_through_small_buffers() {
    const LEN: u32 = 24 << 20;
    let (mut target, mut host, at_target, at_host) = connected(3, 4 * LEN as usize);
    let octets = pattern(LEN as usize, 3);
    for end in [&target, &host] {
        end.region.write(0, &octets);
    }
    let offset = |at: u64| at * u64::from(LEN);
    host.post(at_host, 1, WorkOp::RdmaWrite(target.remote(offset(1))), (0, LEN));
    target.post(at_target, 2, WorkOp::RdmaWrite(host.remote(offset(1))), (0, LEN));
    host.post(at_host, 3, WorkOp::RdmaRead(target.remote(0)), (offset(2), LEN));
    target.post(at_target, 4, WorkOp::RdmaRead(host.remote(0)), (offset(2), LEN));
    for token in 10..30 {
        let at = (token - 10) << 20;
        host.post(at_host, token, WorkOp::RdmaRead(target.remote(at)), (offset(3) + at, 1 << 20));
    }
    run_until(&mut target, &mut host, |target, host| {
        target.told.len() == 2 && host.told.len() == 22
    });
    assert!(host.done().iter().chain(&target.done()).all(|done| done.1 == WcStatus::Success));
    for (end, at) in [(&host, 1), (&target, 1), (&host, 2), (&target, 2), (&host, 3)] {
        let len = if at == 3 { 20 << 20 } else { LEN as usize };
        let mut found = vec![0; len];
        end.region.read(at * LEN as usize, &mut found);
        assert!(found == octets[..len], "piece {at}");
    }
}

/// Goal: without a receive frames wait, and are delivered in order when there is one; a queue that is
/// full says so; the end flushes everything once and is told last.
#[test]
fn frames_wait_for_receives() {
    let (mut target, mut host, at_target, at_host) = connected(4, 1 << 16);
    for token in 0..20 {
        let octet = u8::try_from(token).unwrap();
        host.region.write(octet.into(), &[octet]);
        host.post(at_host, token, SEND, (token, 1));
    }
    run_until(&mut target, &mut host, |_, host| host.told.len() == 20);
    for _ in 0..200 {
        target.turn();
    }
    assert!(target.told.is_empty(), "{:?}", target.told);
    for token in 0..20 {
        target.post(at_target, token, WorkOp::Recv, (1000 + token, 1));
        if token % 3 == 0 {
            target.turn();
        }
    }
    run_until(&mut target, &mut host, |target, _| target.told.len() == 20);
    for (token, event) in (0..).zip(target.take()) {
        assert!(
            matches!(event, FabricEvent::Recv { token: told, .. } if told == token),
            "{event:?}"
        );
        let mut octet = [0];
        target.region.read(1000 + usize::try_from(token).unwrap(), &mut octet);
        assert_eq!(u64::from(octet[0]), token);
    }
    for token in 0..64 {
        target.post(at_target, token, WorkOp::Recv, (0, 1));
    }
    let work = Work { token: 64, op: WorkOp::Recv, local: Gather::default(), signaled: true };
    assert_eq!(target.fabric.post(at_target, work), Err(Full(work)));
    target.fabric.disconnect(Instant::now(), at_target);
    // Between the end and its being told, work is taken and flushed too.
    target.fabric.post(at_target, work).unwrap();
    run_until(&mut target, &mut host, |target, host| target.is_over() && host.is_over());
    let flushed: Vec<_> = (0..=64).map(|token| (token, WcStatus::WrFlushErr)).collect();
    assert_eq!(target.done(), flushed);
    let over = |qp, reason| Some(FabricEvent::Disconnected { qp, reason });
    assert_eq!(target.told.last().cloned(), over(at_target, DisconnectReason::Local));
    assert_eq!(host.told.last().cloned(), over(at_host, DisconnectReason::Peer));
    target.told.clear();
    target.fabric.post(at_target, work).unwrap();
    target.turn();
    assert!(target.told.is_empty() && !target.fabric.has_pending(), "dropped silently");
}

/// Goal: a SEND takes the peer's key away before it is told; a second time it is a fault.
#[test]
fn keys_are_invalidated() {
    let (mut target, mut host, at_target, at_host) = connected(5, 1 << 16);
    let region = Region::allocate(4096).unwrap();
    let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE;
    let mr = target.fabric.register(&region, access).unwrap();
    for token in 0..2 {
        target.post(at_target, token, WorkOp::Recv, (0, 8));
        host.post(at_host, token, WorkOp::Send { invalidate: Some(mr.rkey) }, (0, 8));
    }
    run_until(&mut target, &mut host, |target, host| target.is_over() && host.is_over());
    let invalidated = Some(mr.rkey);
    assert_eq!(target.told[0], FabricEvent::Recv { qp: at_target, token: 0, len: 8, invalidated });
    assert_eq!(target.done(), [(1, WcStatus::LocAccessErr)]);
}

/// Goal: hundreds of connections, each with its own octets, beyond what is read without asking; idle
/// ones cost no system call.
#[test]
fn many_connections_stay_apart() {
    const COUNT: u64 = 200;
    let (mut target, mut host, to) = ends(6, 1 << 20);
    let mut qps = Vec::new();
    for number in 0..COUNT {
        qps.push(host.fabric.connect(Instant::now(), to, params(&number.to_le_bytes())));
    }
    let until = Instant::now() + Duration::from_secs(10);
    let mut established = 0;
    while established < COUNT {
        assert!(Instant::now() < until);
        host.turn();
        target.turn();
        for event in target.take() {
            let FabricEvent::ConnectRequest { qp, private, .. } = event else { continue };
            let number = u64::from(private[0]);
            target.post(qp, number, WorkOp::Recv, (number * 64, 8));
            target.fabric.accept(Instant::now(), qp, params(b""));
        }
        established += host.take().len() as u64;
    }
    for (number, qp) in (0..COUNT).zip(&qps) {
        host.region.write(0, &number.to_le_bytes());
        host.post(*qp, number, SEND, (0, 8));
        // It leaves before its place is used again.
        host.fabric.flush(Instant::now());
    }
    run_until(&mut target, &mut host, |target, _| target.told.len() as u64 == COUNT);
    for number in 0..COUNT {
        let mut octets = [0; 8];
        target.region.read(usize::try_from(number).unwrap() * 64, &mut octets);
        assert_eq!(u64::from_le_bytes(octets), number);
    }
    let calls = |end: &End| {
        let mut calls = 0;
        end.fabric
            .counters(&mut |name, count| calls += u64::from(name == "link.rx_syscalls") * count);
        calls
    };
    let before = calls(&target);
    for _ in 0..1000 {
        target.turn();
    }
    assert!(calls(&target) - before <= 1000, "one look a turn at most");
}

/// Goal: whoever sleeps on the descriptor is woken by a connection, by octets and by the end.
#[test]
fn the_descriptor_wakes() {
    let (mut target, mut host, to) = ends(7, 4096);
    let sleep_until = |end: &mut End, events: usize| {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        for _ in 0..1000 {
            if end.told.len() >= events {
                return;
            }
            if end.fabric.may_sleep() {
                let fd = end.fabric.fd().unwrap();
                let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
                let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap();
                assert_eq!(ready, 1, "slept through it: {:?}", end.told);
            }
            end.turn();
        }
        panic!("woken for nothing, time and again: {:?}", end.told);
    };
    let at_host = host.fabric.connect(Instant::now(), to, params(b""));
    host.turn();
    host.turn();
    sleep_until(&mut target, 1);
    let FabricEvent::ConnectRequest { qp, .. } = target.told[0] else { panic!() };
    target.fabric.accept(Instant::now(), qp, params(b""));
    target.post(qp, 0, WorkOp::Recv, (0, 8));
    target.turn();
    sleep_until(&mut host, 1);
    host.post(at_host, 1, SEND, (0, 8));
    host.turn();
    sleep_until(&mut target, 3);
    host.fabric.disconnect(Instant::now(), at_host);
    host.turn();
    sleep_until(&mut target, 4);
    assert!(target.is_over());
}
