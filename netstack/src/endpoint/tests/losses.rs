//! The handshake and its end with messages lost, doubled and late, each in turn.

use super::super::{ConnEvent, Mode};
use super::world::{Datagram, Fate, PORT, Script, World, addr, params};
use crate::fabric::DisconnectReason;
use std::time::Duration;

const REQ: u16 = 0x10;
const REJ: u16 = 0x12;
const REP: u16 = 0x13;
const RTU: u16 = 0x14;
const DREQ: u16 = 0x15;
const DREP: u16 = 0x16;

/// Does `fate` to the first `count` messages of an attribute.
fn first(attribute: u16, mut count: u32, fate: Fate) -> Script {
    Box::new(move |datagram: &mut Datagram| {
        if datagram.attribute() != Some(attribute) || count == 0 {
            return Fate::Deliver;
        }
        count -= 1;
        fate
    })
}

/// Names of the events of one host.
fn story(world: &World, host: usize) -> Vec<&'static str> {
    let name = |event: &ConnEvent| match event {
        ConnEvent::ConnectRequest { .. } => "request",
        ConnEvent::Established { .. } => "established",
        ConnEvent::Rejected { .. } => "rejected",
        ConnEvent::Disconnected { reason: DisconnectReason::Local, .. } => "local",
        ConnEvent::Disconnected { reason: DisconnectReason::Peer, .. } => "peer",
        ConnEvent::Disconnected { .. } => "broken",
    };
    world.hosts[host].events().iter().map(name).collect()
}

fn assert_nothing_left(world: &mut World, case: &str) {
    world.outlast();
    for host in &world.hosts {
        assert_eq!(host.endpoint.qp_count(), 0, "{case}");
        assert_eq!(host.endpoint.poll_timeout(), None, "{case}");
        assert!(!host.endpoint.has_pending(), "{case}");
    }
}

/// A whole life of a connection, ended by `who`, under a script.
fn live(mode: Mode, who: usize, script: Script) -> World {
    let mut world = World::pair(mode, mode, 11);
    world.script = Some(script);
    let qps = world.connect();
    world.drive(Duration::from_secs(8));
    world.hosts[who].endpoint.disconnect(world.now, [qps.0, qps.1][who]);
    world
}

/// Each message lost once, twice, and often: the story of both sides stays the same.
#[test]
fn every_message_may_be_lost() {
    for mode in [Mode::Native, Mode::Roce] {
        for who in [0, 1] {
            for attribute in [REQ, REP, RTU, DREQ, DREP] {
                for count in [1, 2, 5] {
                    let case = format!("{mode:?}, {who} ends, {attribute:#x} lost {count} times");
                    let mut world = live(mode, who, first(attribute, count, Fate::Drop));
                    world.outlast();
                    let (client, server) =
                        if who == 0 { ("local", "peer") } else { ("peer", "local") };
                    assert_eq!(story(&world, 0), ["established", client], "{case}");
                    assert_eq!(story(&world, 1), ["request", "established", server], "{case}");
                    assert_nothing_left(&mut world, &case);
                }
            }
        }
    }
}

/// Each message doubled, at once or late, even after the connection's end: nobody is asked twice,
/// nothing opens again.
#[test]
fn every_message_may_come_twice() {
    for later in [0, 1_000, 600_000, 9_000_000] {
        for attribute in [REQ, REP, RTU, DREQ, DREP] {
            let case = format!("{attribute:#x} again after {later} us");
            let fate = Fate::Duplicate(Duration::from_micros(later));
            let mut world = live(Mode::Native, 0, first(attribute, 100, fate));
            world.outlast();
            assert_eq!(story(&world, 0), ["established", "local"], "{case}");
            assert_eq!(story(&world, 1), ["request", "established", "peer"], "{case}");
            assert_nothing_left(&mut world, &case);
        }
    }
}

/// The RTU is lost for ever, but data comes: the acceptor is connected by it, before the
/// completion of that data.
#[test]
fn data_says_what_a_lost_rtu_said() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 12);
        world.script = Some(first(RTU, u32::MAX, Fate::Drop));
        let to = addr(2, PORT);
        let a = world.hosts[0].endpoint.connect(world.now, to, params(b""));
        let b = world.await_request();
        world.hosts[1].post_recv(b, 5, 0, 64);
        world.hosts[1].endpoint.accept(world.now, b, params(b""));
        world.drive(Duration::from_millis(5));
        world.hosts[0].post(a, 1, verbs::SendOp::Send, 0, 64);
        world.drive(Duration::from_millis(5));
        let told = &world.hosts[1].told;
        assert!(
            matches!(&told[1], super::world::Told::Event(ConnEvent::Established { .. })),
            "{told:?}"
        );
        assert!(matches!(&told[2], super::world::Told::Wc(wc) if wc.wr_id == 5), "{told:?}");
    }
}

/// A lost rejection is given again, without asking the application again.
#[test]
fn rejections_may_be_lost() {
    let mut world = World::pair(Mode::Native, Mode::Native, 13);
    world.script = Some(first(REJ, 3, Fate::Drop));
    world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
    let server = world.await_request();
    world.hosts[1].endpoint.reject(world.now, server, b"no");
    world.outlast();
    assert_eq!(story(&world, 0), ["rejected"]);
    assert_eq!(story(&world, 1), ["request"]);
    let event = world.hosts[0].events().pop().unwrap();
    assert!(
        matches!(event, ConnEvent::Rejected { reason: 28, private, .. } if private[..2] == *b"no")
    );
    assert_nothing_left(&mut world, "rejected");
}

/// An application that thinks for longer than the peer's retries: MRAs keep the peer waiting.
#[test]
fn slow_applications_keep_their_peers() {
    let mut world = World::pair(Mode::Native, Mode::Native, 14);
    let a = world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
    let server = world.await_request();
    world.drive(Duration::from_secs(20));
    assert_eq!(story(&world, 0), [""; 0], "still waiting");
    world.hosts[1].endpoint.accept(world.now, server, params(b""));
    world.settle();
    assert_eq!(story(&world, 0), ["established"]);
    world.hosts[0].endpoint.disconnect(world.now, a);
    assert_nothing_left(&mut world, "slow");
}

/// Random loss, duplication and reordering of everything: every connection ends in a consistent
/// story, whoever hangs up.
#[test]
fn random_faults() {
    for seed in 0..200 {
        let mode = if seed % 2 == 0 { Mode::Native } else { Mode::Roce };
        let mut world = World::pair(mode, mode, 100 + seed);
        world.loss_permille = 200;
        world.reorder_permille = 300;
        let a = world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
        let b = world.await_request();
        world.hosts[1].endpoint.accept(world.now, b, params(b""));
        world.drive(Duration::from_secs(10));
        let who = usize::from(seed % 3 == 0);
        world.hosts[who].endpoint.disconnect(world.now, [a, b][who]);
        world.outlast();
        for host in 0..2 {
            let story = story(&world, host);
            let ends = story.iter().filter(|e| !matches!(**e, "request" | "established")).count();
            assert_eq!(ends, 1, "seed {seed}: {story:?}");
        }
        assert_nothing_left(&mut world, &format!("seed {seed}"));
    }
}
