//! Connect, accept, reject, disconnect, on a wire without faults.

use super::super::{ConnEvent, Mode};
use super::world::{PORT, World, addr, params};
use crate::fabric::DisconnectReason;
use std::time::Duration;

fn established(private: &[u8], qp: verbs::QpNum, is_native: bool) -> ConnEvent {
    ConnEvent::Established { qp, private: private.to_vec(), read_depth: 16, is_native }
}

/// Both sides of an accepted connection hear of it, with exact private data, and each pair of
/// modes ends in the right transport.
#[test]
fn accepted_in_each_pair_of_modes() {
    for (client, server, native) in [
        (Mode::Native, Mode::Native, true),
        (Mode::Native, Mode::Roce, false),
        (Mode::Roce, Mode::Native, false),
        (Mode::Roce, Mode::Roce, false),
    ] {
        let mut world = World::pair(client, server, 1);
        let (a, b) = world.connect();
        world.settle();
        let mut private = b"server".to_vec();
        private.resize(172, 0);
        assert_eq!(world.hosts[0].events(), [established(&private, a, native)]);
        let mut asked = b"client".to_vec();
        asked.resize(32, 0);
        let from = world.hosts[0].addr;
        let request =
            ConnEvent::ConnectRequest { qp: b, from, port: PORT, private: asked, read_depth: 16 };
        assert_eq!(world.hosts[1].events(), [request, established(b"", b, native)]);
        assert_eq!(world.trace.len(), 3, "REQ, REP, RTU: {:?}", world.trace);
    }
}

/// What each side sends first is what the other expects first (the direction of PSNs), and READ
/// depths are the smaller of what is asked and granted.
#[test]
fn attributes_agree() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 2);
        let (a, b) = world.connect();
        world.settle();
        let [a, b] = [(0, a), (1, b)].map(|(i, qp)| world.hosts[i].endpoint.qp_attr(qp).unwrap());
        assert_eq!((a.sq_psn, a.rq_psn), (b.rq_psn, b.sq_psn));
        assert_ne!(a.sq_psn, a.rq_psn);
        assert_eq!((a.max_rd_atomic, a.max_dest_rd_atomic), (16, 16));
        assert_eq!((b.max_rd_atomic, b.max_dest_rd_atomic), (16, 16));
        assert_eq!((a.path_mtu_bytes, b.path_mtu_bytes), (4096, 4096));
        assert_eq!((a.dest, b.dest), (world.hosts[1].addr, world.hosts[0].addr));
    }
}

/// The smaller path MTU counts; a RoCEv2 requester with a larger one than the acceptor is refused
/// (26), since only it may choose.
#[test]
fn path_mtu_is_the_smaller() {
    for mode in [Mode::Native, Mode::Roce] {
        for (client, server, expected) in
            [(1024, 4096, Some(1024)), (4096, 1024, (mode == Mode::Native).then_some(1024))]
        {
            let mut world = World::pair(mode, mode, 3);
            for (index, mtu) in [client, server].into_iter().enumerate() {
                let mut config = super::world::config(7 + index as u64, mode);
                config.path_mtu_bytes = mtu;
                let addr = world.hosts[index].addr;
                world.hosts[index] = super::world::Host::new(addr, config);
            }
            world.hosts[1].endpoint.listen(PORT);
            let to = addr(2, PORT);
            let a = world.hosts[0].endpoint.connect(world.now, to, params(b""));
            world.settle();
            let Some(expected) = expected else {
                let event = world.hosts[0].events().pop().unwrap();
                assert!(matches!(event, ConnEvent::Rejected { reason: 26, .. }), "{event:?}");
                continue;
            };
            let request = world.hosts[1].events().pop().unwrap();
            let ConnEvent::ConnectRequest { qp: b, .. } = request else { panic!("{request:?}") };
            world.hosts[1].endpoint.accept(world.now, b, params(b""));
            world.settle();
            for (index, qp) in [(0, a), (1, b)] {
                let attr = world.hosts[index].endpoint.qp_attr(qp).unwrap();
                assert_eq!(attr.path_mtu_bytes, expected);
            }
        }
    }
}

/// A rejection arrives with its reason and private data, and leaves nothing.
#[test]
fn rejected_by_the_application() {
    let mut world = World::pair(Mode::Native, Mode::Native, 4);
    let to = addr(2, PORT);
    let qp = world.hosts[0].endpoint.connect(world.now, to, params(b"?"));
    let server = world.await_request();
    world.hosts[1].endpoint.reject(world.now, server, &[0, 0, 3, 0]);
    world.settle();
    let events = world.hosts[0].events();
    let [ConnEvent::Rejected { qp: rejected, reason: 28, private }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((*rejected, &private[..5]), (qp, &[0, 0, 3, 0, 0][..]));
    for host in &world.hosts {
        assert_eq!(host.endpoint.qp_count(), 0);
    }
}

/// Nobody listens: reason 8, without a queue pair on the other side.
#[test]
fn rejected_for_want_of_a_listener() {
    let mut world = World::pair(Mode::Native, Mode::Native, 5);
    let qp = world.hosts[0].endpoint.connect(world.now, addr(2, 9), params(b""));
    world.settle();
    let events = world.hosts[0].events();
    assert!(
        matches!(&events[..], [ConnEvent::Rejected { qp: q, reason: 8, .. }] if *q == qp),
        "{events:?}"
    );
    assert_eq!(world.hosts[1].counter("cm.refused"), 1);
}

/// Either side may hang up: each hears of it once, with the right reason, and nothing is left.
#[test]
fn disconnected_by_either_side() {
    for who in [0, 1] {
        for mode in [Mode::Native, Mode::Roce] {
            let mut world = World::pair(mode, mode, 6);
            let qps = world.connect();
            let qps = [qps.0, qps.1];
            world.settle();
            world.hosts[who].endpoint.disconnect(world.now, qps[who]);
            world.settle();
            for (index, qp) in qps.into_iter().enumerate() {
                let reason = match index == who {
                    true => DisconnectReason::Local,
                    false => DisconnectReason::Peer,
                };
                let event = world.hosts[index].events().pop().unwrap();
                assert_eq!(event, ConnEvent::Disconnected { qp, reason });
                assert_eq!(world.hosts[index].endpoint.qp_count(), 0);
                assert_eq!(world.hosts[index].endpoint.poll_timeout(), None, "no timer is left");
            }
        }
    }
}

/// Both hang up at once: each hears of its own end only.
#[test]
fn disconnects_may_cross() {
    let mut world = World::pair(Mode::Native, Mode::Native, 7);
    let (a, b) = world.connect();
    world.settle();
    world.hosts[0].endpoint.disconnect(world.now, a);
    world.hosts[1].endpoint.disconnect(world.now, b);
    world.outlast();
    for (index, qp) in [(0, a), (1, b)] {
        let ends: Vec<_> = world.hosts[index].events();
        let reason = DisconnectReason::Local;
        assert_eq!(ends.last(), Some(&ConnEvent::Disconnected { qp, reason }));
        let count = ends.iter().filter(|e| matches!(e, ConnEvent::Disconnected { .. })).count();
        assert_eq!(count, 1);
        assert_eq!(world.hosts[index].endpoint.poll_timeout(), None);
    }
}

/// A caller that hangs up before the answer, and an application that does not answer: the other
/// side hears of it, and nothing is left.
#[test]
fn given_up_before_the_answer() {
    let mut world = World::pair(Mode::Native, Mode::Native, 8);
    let qp = world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
    let server = world.await_request();
    world.hosts[0].endpoint.disconnect(world.now, qp);
    world.outlast();
    let reason = DisconnectReason::Peer;
    let last = world.hosts[1].events().pop();
    assert_eq!(last, Some(ConnEvent::Disconnected { qp: server, reason }));
    let reason = DisconnectReason::Local;
    assert_eq!(world.hosts[0].events(), [ConnEvent::Disconnected { qp, reason }]);

    let mut world = World::pair(Mode::Native, Mode::Native, 9);
    world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
    world.await_request();
    world.outlast();
    for host in &world.hosts {
        let last = host.events().pop();
        let timed_out =
            matches!(last, Some(ConnEvent::Disconnected { reason: DisconnectReason::Timeout, .. }))
                || matches!(last, Some(ConnEvent::Rejected { reason: 4, .. }));
        assert!(timed_out, "{last:?}");
        assert_eq!(host.endpoint.qp_count(), 0);
    }
}

/// A dead address: `Disconnected` for want of an answer, after all retries, with the receives that
/// were posted flushed before.
#[test]
fn nobody_answers() {
    let mut world = World::pair(Mode::Native, Mode::Native, 10);
    world.hosts[1].is_dead = true;
    let begin = world.now;
    let qp = world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
    world.hosts[0].post_recv(qp, 77, 0, 64);
    world.drive(Duration::from_secs(3));
    assert_eq!(world.hosts[0].told.len(), 0, "patience");
    world.outlast();
    assert_eq!(world.hosts[0].wcs().len(), 1);
    assert_eq!(world.hosts[0].wcs()[0].status, verbs::WcStatus::WrFlushErr);
    let reason = DisconnectReason::Timeout;
    assert_eq!(world.hosts[0].events(), [ConnEvent::Disconnected { qp, reason }]);
    assert_eq!(world.trace.iter().filter(|d| d.attribute() == Some(0x10)).count(), 8);
    assert!(begin < world.now);
}
