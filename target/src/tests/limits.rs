//! Namespaces with rate limits, over the whole target.

use super::host::Host;
use super::{NQN, World};
use crate::RateLimit;
use std::time::Duration;
use wire::nvme::{AdminOpcode, IoOpcode};

const STEP: Duration = Duration::from_millis(1);

/// Keeps `depth` reads outstanding for `steps` milliseconds. Returns how many were answered.
fn load(world: &mut World, host: &mut Host, steps: u32, depth: usize) -> usize {
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..steps {
        while sent - answered < depth {
            let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
            host.submit(1, sqe, &[]);
            sent += 1;
        }
        host.run(world);
        for cqe in host.queues[1].completions.drain(..) {
            assert!(cqe.status().is_success(), "{}", cqe.status());
            answered += 1;
        }
        world.advance(STEP);
    }
    answered
}

/// Goal: 2,000 commands a second are 2,000, admin commands do not wait, and the limit goes live; the
/// other namespace is as fast as ever.
#[test]
fn a_namespace_keeps_its_limit() {
    let mut world = World::new();
    let mut host = world.connected(1, 32);
    let limit = RateLimit { ios_per_second: 2000, ..RateLimit::default() };
    world.reactor.set_limit(NQN, 1, limit).unwrap();
    let answered = load(&mut world, &mut host, 2000, 16);
    assert!((3950..=4030).contains(&answered), "{answered} in two seconds");
    let timeout = world.reactor.turn(world.now).next_timeout.unwrap();
    assert!(timeout > world.now && timeout <= world.now + STEP, "it sleeps until the next turn");
    let admin = host.admin(AdminOpcode::KeepAlive);
    assert!(host.execute(&mut world, 0, admin, &[]).status().is_success());
    let mut other = host.rw(IoOpcode::Read, 0, 1, 0);
    other.set_nsid(wire::nvme::Nsid(2));
    other.set_sgl(host.sgl(0, 4096));
    let cid = host.submit(1, other, &[]);
    host.run(&mut world);
    assert!(host.queues[1].completions.iter().any(|cqe| cqe.cid().0 == cid));

    world.reactor.set_limit(NQN, 1, RateLimit::default()).unwrap();
    host.run(&mut world);
    world.advance(STEP);
    host.run(&mut world);
    host.queues[1].completions.clear();
    assert_eq!(load(&mut world, &mut host, 100, 16), 1600);
}

/// Goal: a connection that ends while its commands wait takes them with it, and its namespace can go.
#[test]
fn commands_that_wait_end_with_their_connection() {
    let mut world = World::new();
    let mut host = world.connected(1, 32);
    let limit = RateLimit { ios_per_second: 10, ..RateLimit::default() };
    world.reactor.set_limit(NQN, 1, limit).unwrap();
    for at in 0..8 {
        let opcode = if at % 2 == 0 { IoOpcode::Read } else { IoOpcode::Write };
        let sqe = host.rw(opcode, 0, 1, 0);
        host.submit(1, sqe, &[]);
    }
    host.run(&mut world);
    assert!(world.reactor.connections().iter().any(|it| it.in_flight > 0), "they wait");
    let now = world.now;
    for queue in [1, 0] {
        let qp = host.queues[queue].qp;
        netstack::fabric::Fabric::disconnect(&mut host.fabric, now, qp);
    }
    host.run(&mut world);
    assert_eq!((world.reactor.connection_count(), world.reactor.controller_count()), (0, 0));
}

/// Goal: commands that wait at a namespace that goes are answered, and its disk is dropped.
#[test]
fn commands_that_wait_finish_when_their_namespace_goes() {
    let mut world = World::new();
    let mut host = world.connected(1, 32);
    let limit = RateLimit { ios_per_second: 1, ..RateLimit::default() };
    world.reactor.set_limit(NQN, 1, limit).unwrap();
    for _ in 0..8 {
        let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
        host.submit(1, sqe, &[]);
    }
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len(), 1);
    world.reactor.remove_namespace(NQN, 1).unwrap();
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len(), 8);
}
