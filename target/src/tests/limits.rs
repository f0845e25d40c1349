//! Namespaces with rate limits, over the whole target.

use super::host::Host;
use super::{NQN, World};
use crate::RateLimit;
use std::time::Duration;
use wire::nvme::{AbortCmd, AdminOpcode, Cid, IoOpcode, Nsid, QueueId, Status};

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

fn ios(ios_per_second: u64) -> RateLimit {
    RateLimit { ios_per_second, ..RateLimit::default() }
}

/// Goal: a host's limit holds over its controllers and namespaces together, from the start and live;
/// another host is as fast as ever, and where the namespace is slower the namespace's holds.
#[test]
fn a_host_keeps_its_limit_everywhere() {
    let mut world = World::new();
    let mut first = world.connected(1, 32);
    let host_nqn = first.nqn();
    world.reactor.set_host_limit(NQN, host_nqn.as_str(), ios(1000)).unwrap();
    // Another controller of the same host, and another host.
    let mut second = world.host();
    second.id = first.id;
    second.connect_admin(&mut world, NQN);
    second.enable(&mut world);
    second.connect_io(&mut world, 1, 32);
    let mut other = world.connected(1, 32);
    assert_eq!(load(&mut world, &mut other, 50, 16), 800, "another host");
    let (mut sent, mut answered) = ([0_u32; 2], [0_u32; 2]);
    for _ in 0..2000 {
        let counts = sent.iter_mut().zip(&mut answered);
        for ((host, nsid), (sent, answered)) in
            [(&mut first, 1), (&mut second, 2)].into_iter().zip(counts)
        {
            while *sent < *answered + 16 {
                let mut sqe = host.rw(IoOpcode::Read, 0, 1, 0);
                sqe.set_nsid(Nsid(nsid));
                sqe.set_sgl(host.sgl(0, if nsid == 1 { 512 } else { 4096 }));
                host.submit(1, sqe, &[]);
                *sent += 1;
            }
            host.run(&mut world);
            for cqe in host.queues[1].completions.drain(..) {
                assert!(cqe.status().is_success(), "{}", cqe.status());
                *answered += 1;
            }
        }
        world.advance(STEP);
    }
    let [one, two] = answered;
    assert!((1950..=2030).contains(&(one + two)), "{one} and {two} in two seconds");
    assert!(one.abs_diff(two) < 100, "both take turns: {one} and {two}");
    let timeout = world.reactor.turn(world.now).next_timeout.unwrap();
    assert!(timeout > world.now && timeout <= world.now + STEP, "it sleeps until the next turn");
    // The namespace is slower, then the limit goes.
    world.reactor.set_limit(NQN, 1, ios(100)).unwrap();
    world.reactor.set_host_limit(NQN, host_nqn.as_str(), RateLimit::default()).unwrap();
    for host in [&mut first, &mut second] {
        host.run(&mut world);
        world.advance(Duration::from_secs(1));
        host.run(&mut world);
        host.queues[1].completions.clear();
    }
    world.reactor.set_host_limit(NQN, host_nqn.as_str(), ios(1000)).unwrap();
    let answered = load(&mut world, &mut first, 1000, 16);
    assert!((95..=125).contains(&answered), "{answered} in one second, limited by the namespace");
    world.reactor.set_limit(NQN, 1, RateLimit::default()).unwrap();
    world.reactor.set_host_limit(NQN, host_nqn.as_str(), RateLimit::default()).unwrap();
    first.run(&mut world);
    first.queues[1].completions.clear();
    assert_eq!(load(&mut world, &mut first, 100, 16), 1600, "no limit is left");
}

/// Goal: what waits for its host's turn ends with its connection, starts when its namespace goes, and
/// is answered when the subsystem's limits are lifted.
#[test]
fn what_waits_for_a_host_ends() {
    let mut world = World::new();
    let mut host = world.connected(1, 32);
    world.reactor.set_host_limit(NQN, host.nqn().as_str(), ios(1)).unwrap();
    for _ in 0..8 {
        let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
        host.submit(1, sqe, &[]);
    }
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len(), 1);
    world.reactor.remove_namespace(NQN, 1).unwrap();
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len(), 8);
    for _ in 0..8 {
        let mut sqe = host.rw(IoOpcode::Write, 0, 8, 0);
        sqe.set_nsid(Nsid(2));
        sqe.set_sgl(host.sgl(0, 8 * 4096));
        host.submit(1, sqe, &[]);
    }
    host.run(&mut world);
    let now = world.now;
    for queue in [1, 0] {
        let qp = host.queues[queue].qp;
        netstack::fabric::Fabric::disconnect(&mut host.fabric, now, qp);
    }
    host.run(&mut world);
    assert_eq!((world.reactor.connection_count(), world.reactor.controller_count()), (0, 0));
    world.reactor.remove_subsystem(NQN).unwrap();
    world.reactor.add_subsystem(NQN).unwrap();
    assert!(world.reactor.set_host_limit("nqn.2026-01.io.none", "nqn.h", ios(1)).is_err());
}

/// Goal: a command that waits for its turn is aborted when its host asks, is answered once, and costs
/// nothing; one that has started runs on.
#[test]
fn commands_that_wait_are_aborted() {
    for of_host in [false, true] {
        let mut world = World::new();
        let mut host = world.connected(1, 32);
        let nqn = host.nqn();
        let set = |world: &mut World, limit| match of_host {
            true => world.reactor.set_host_limit(NQN, nqn.as_str(), limit).unwrap(),
            false => world.reactor.set_limit(NQN, 1, limit).unwrap(),
        };
        set(&mut world, ios(10));
        let cids: Vec<u16> = [IoOpcode::Read, IoOpcode::Read, IoOpcode::Write, IoOpcode::Compare]
            .into_iter()
            .map(|opcode| {
                let sqe = host.rw(opcode, 0, 8, 0);
                host.submit(1, sqe, &[])
            })
            .collect();
        host.run(&mut world);
        assert_eq!(host.queues[1].completions.len(), 1, "one has had its turn");
        host.queues[1].completions.clear();
        let abort = |host: &mut super::Host, world: &mut World, cid: u16| {
            let sqe = AbortCmd { queue: QueueId(1), cid: Cid(cid) }.command(Cid(0));
            host.execute(world, 0, sqe, &[]).dw0()
        };
        assert_eq!(abort(&mut host, &mut world, cids[0]), 1, "it was answered already");
        for cid in &cids[2..] {
            assert_eq!(abort(&mut host, &mut world, *cid), 0);
            let cqe = host.queues[1].completions.pop_front().expect("an answer");
            assert_eq!((cqe.cid().0, cqe.status()), (*cid, Status::ABORT_REQUESTED));
            assert_eq!(abort(&mut host, &mut world, *cid), 1, "once is enough");
        }
        assert!(host.queues[1].completions.is_empty(), "the other waits on");
        world.advance(Duration::from_millis(100));
        host.run(&mut world);
        let cqe = host.queues[1].completions.pop_front().expect("its turn has come");
        assert_eq!((cqe.cid().0, cqe.status()), (cids[1], Status::SUCCESS));
        set(&mut world, RateLimit::default());
        host.run(&mut world);
        assert_eq!(world.reactor.connections().iter().map(|it| it.in_flight).sum::<usize>(), 0);
    }
}
