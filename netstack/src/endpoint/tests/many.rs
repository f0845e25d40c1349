//! Many connections: none is starved, none is slow to find, all end.

use super::super::{ConnEvent, EndpointConfig, Mode};
use super::world::{Host, PORT, World, addr, config, params};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use verbs::{QpNum, SendOp};

fn crowded(mode: Mode, qps: u32) -> World {
    let mut world = World::new(30);
    let config = |seed| EndpointConfig { max_qps: qps, max_pending: qps, ..config(seed, mode) };
    world.hosts.push(Host::new(addr(1, 50_000), config(1)));
    world.hosts.push(Host::new(addr(2, 4791), config(2)));
    world.hosts[1].endpoint.listen(PORT);
    world.tracing = false;
    world
}

/// Accepts what asks at host 1; each server queue pair gets a receive of its own.
fn accept_all(world: &mut World) -> Vec<QpNum> {
    let mut accepted = Vec::new();
    for event in world.hosts[1].events() {
        if let ConnEvent::ConnectRequest { qp, .. } = event {
            world.hosts[1].post_recv(qp, u64::from(qp.get()), 0, 64);
            world.hosts[1].endpoint.accept(world.now, qp, params(b""));
            accepted.push(qp);
        }
    }
    world.hosts[1].told.clear();
    accepted
}

/// A thousand connections at once: each gets its own message through and ends with its own event.
#[test]
fn a_thousand_connections() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = crowded(mode, 1000);
        let to = addr(2, PORT);
        let clients: Vec<QpNum> = (0..1000)
            .map(|_| world.hosts[0].endpoint.connect(world.now, to, params(b"")))
            .collect();
        assert_eq!(clients.iter().collect::<HashSet<_>>().len(), 1000);
        world.drive(Duration::from_millis(1));
        assert_eq!(accept_all(&mut world).len(), 1000);
        world.drive(Duration::from_millis(1));
        for &qp in &clients {
            world.hosts[0].post(qp, u64::from(qp.get()), SendOp::Send, 0, 64);
        }
        world.drive(Duration::from_millis(5));
        let done: HashSet<u64> = world.hosts[0].wcs().iter().map(|wc| wc.wr_id).collect();
        let received: HashSet<u64> = world.hosts[1].wcs().iter().map(|wc| wc.wr_id).collect();
        assert_eq!((done.len(), received.len()), (1000, 1000));
        for &qp in &clients {
            world.hosts[0].endpoint.disconnect(world.now, qp);
        }
        world.outlast();
        for host in &world.hosts {
            assert_eq!((host.endpoint.qp_count(), host.endpoint.poll_timeout()), (0, None));
        }
    }
}

/// One more than there is room for is refused, on either side, and room comes back.
#[test]
fn the_table_is_bounded() {
    let mut world = crowded(Mode::Native, 4);
    let to = addr(2, PORT);
    let qps: Vec<QpNum> =
        (0..5).map(|_| world.hosts[0].endpoint.connect(world.now, to, params(b""))).collect();
    world.settle();
    let events = world.hosts[0].events();
    assert!(
        matches!(&events[..], [ConnEvent::Rejected { qp, reason: 1, .. }] if *qp == qps[4]),
        "{events:?}"
    );
    world.hosts[0].told.clear();
    assert_eq!(accept_all(&mut world).len(), 4);
    world.settle();
    world.hosts[0].endpoint.disconnect(world.now, qps[0]);
    world.settle();
    let again = world.hosts[0].endpoint.connect(world.now, to, params(b""));
    assert!(!qps.contains(&again));
    world.settle();
    assert_eq!(accept_all(&mut world).len(), 1);
}

/// Two connections with much to send take turns: in any stretch of packets, neither has sent more
/// than a turn and a window ahead, and each one's packets come in long runs.
#[test]
fn turns_are_fair_and_long() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = crowded(mode, 4);
        let to = addr(2, PORT);
        let qps: Vec<QpNum> =
            (0..2).map(|_| world.hosts[0].endpoint.connect(world.now, to, params(b""))).collect();
        world.settle();
        accept_all(&mut world);
        world.settle();
        world.tracing = true;
        let remote = world.hosts[1].remote(0);
        for &qp in &qps {
            for id in 0..16 {
                world.hosts[0].post(qp, id, SendOp::RdmaWrite(remote), 0, 256 << 10);
            }
        }
        world.drive(Duration::from_millis(50));
        let dest: HashMap<u32, usize> = qps
            .iter()
            .enumerate()
            .map(|(i, &qp)| (world.hosts[0].endpoint.qp_attr(qp).unwrap().dest_qp.get(), i))
            .collect();
        let data = world.trace.iter().filter(|d| d.octets.len() > 1000);
        let order: Vec<usize> = data
            .map(|d| dest[&u32::from_be_bytes([0, d.octets[5], d.octets[6], d.octets[7]])])
            .collect();
        let mut lead = 0i64;
        for &who in &order {
            lead += if who == 0 { 1 } else { -1 };
            assert!(lead.abs() <= 256, "{mode:?}: one is {lead} packets ahead");
        }
        let runs = 1 + order.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(order.len() / runs >= 8, "{mode:?}: {} packets in {runs} runs", order.len());
        assert_eq!(world.hosts[0].wcs().len(), 32);
    }
}
