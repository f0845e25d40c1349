use super::World;
use super::probe::{Probe, State};
use crate::Config;
use netstack::fabric::Fabric;
use std::rc::Rc;
use storage::DiskStatus;
use wire::fabrics::disconnect_command;
use wire::nvme::{AdminOpcode, Cid, IoOpcode, Sgl, Status};

/// A world whose one disk can be held up.
fn probed() -> (World, Rc<State>) {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(4096);
    let state = Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    (world, state)
}

/// Reads, fetched writes, compares and writes in the capsule, on queue `at`.
fn submit_mix(host: &mut super::Host, at: usize, count: u64) {
    for n in 0..count {
        let opcode =
            [IoOpcode::Read, IoOpcode::Write, IoOpcode::Compare, IoOpcode::Write][n as usize % 4];
        let mut sqe = host.rw(opcode, n * 8, 8, 0);
        if n % 4 == 3 {
            sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 4096 });
        }
        host.submit(at, sqe, &[n as u8; 4096]);
    }
}

/// Goal: whatever moment a connection dies at (commands at the disk, on the wire, answered and
/// not acknowledged), all its buffers come back and nothing of it stays; other hosts go on.
#[test]
fn a_dead_host_leaves_nothing() {
    for turns_before in 0..12 {
        for held in [false, true] {
            let (mut world, state) = probed();
            let mut other = world.connected(1, 8);
            let mut host = world.connected(2, 64);
            let waiting = host.admin(AdminOpcode::AsyncEventRequest);
            host.submit(0, waiting, &[]);
            submit_mix(&mut host, 1, 48);
            submit_mix(&mut host, 2, 48);
            state.held.set(held);
            for _ in 0..turns_before {
                world.reactor.turn(world.now);
            }
            for queue in &host.queues {
                host.fabric.cut(queue.qp);
            }
            world.settle_held();
            state.held.set(false);
            world.settle();
            assert_eq!(state.buffers_out.get(), 0, "after {turns_before} turns, held {held}");
            assert_eq!(world.reactor.controller_count(), 1);
            assert_eq!(world.reactor.connections().len(), 2);
            let sqe = other.rw(IoOpcode::Write, 0, 8, 0);
            assert!(
                other.execute(&mut world, 1, sqe, &[]).status().is_success(),
                "no lock is left"
            );
        }
    }
}

/// Goal: when the admin queue dies, or the host disconnects it, its I/O queues are ended with it.
#[test]
fn queues_follow_their_admin_queue() {
    let (mut world, state) = probed();
    let mut host = world.connected(3, 8);
    submit_mix(&mut host, 2, 4);
    let qp = host.queues[0].qp;
    host.fabric.disconnect(world.now, qp);
    host.run(&mut world);
    assert!(host.queues.iter().all(|queue| queue.disconnected));
    assert_eq!((world.reactor.controller_count(), state.buffers_out.get()), (0, 0));
    assert!(world.reactor.connections().is_empty());
}

/// Goal: an I/O queue that dies alone can be connected again, to the same controller; Disconnect
/// is answered before the queue ends.
#[test]
fn one_queue_can_come_back() {
    let (mut world, state) = probed();
    let mut host = world.connected(2, 8);
    submit_mix(&mut host, 1, 4);
    let qp = host.queues[1].qp;
    host.fabric.cut(qp);
    host.run(&mut world);
    assert_eq!(state.buffers_out.get(), 0);
    let at = host.connect_io(&mut world, 1, 8);
    let sqe = host.rw(IoOpcode::Read, 0, 8, 0);
    assert!(host.execute(&mut world, at, sqe, &[]).status().is_success());
    let cqe = host.execute(&mut world, at, disconnect_command(Cid(0)), &[]);
    assert!(cqe.status().is_success());
    assert!(host.queues[at].disconnected);
    assert!(!host.queues[0].disconnected && !host.queues[2].disconnected);
}

/// Goal: a connection that takes the place of one that died in the same turn gets nothing of what
/// the dead one still had to post: neither answers nor receives.
#[test]
fn a_new_connection_inherits_nothing() {
    for commands in 0..8 {
        let (mut world, state) = probed();
        let mut dead = world.connected(2, 16);
        submit_mix(&mut dead, 1, commands);
        submit_mix(&mut dead, 2, commands);
        for queue in &dead.queues {
            dead.fabric.cut(queue.qp);
        }
        let mut host = world.connected(2, 8);
        let sqe = host.rw(IoOpcode::Write, 0, 8, 0);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success(), "{commands}");
        assert_eq!((state.buffers_out.get(), world.reactor.controller_count()), (0, 1));
    }
}

/// Goal: a target that stops tells its hosts, nothing is left of them, and a host that connects
/// again at once is not let in to be forgotten.
#[test]
fn shutting_down_ends_every_connection() {
    let (mut world, state) = probed();
    let mut hosts = [world.connected(2, 16), world.connected(1, 16)];
    submit_mix(&mut hosts[0], 1, 12);
    world.reactor.turn(world.now);
    world.reactor.shut_down(world.now);
    for host in &mut hosts {
        host.run(&mut world);
        assert!(host.queues.iter().all(|queue| queue.disconnected));
    }
    assert!(world.reactor.connections().is_empty());
    assert_eq!((world.reactor.controller_count(), state.buffers_out.get()), (0, 0));
    let again = hosts[0].open(&mut world, 0, 32);
    assert!(hosts[0].queues[again].rejected.is_some());
    assert!(world.reactor.connections().is_empty());
}

/// Goal: a failing disk fails the command with the status that fits, keeps no buffer, and the
/// queue goes on.
#[test]
fn disk_errors_become_statuses() {
    let (mut world, state) = probed();
    let mut host = world.connected(1, 8);
    for (disk, status) in [
        (DiskStatus::ReadError, Status::UNRECOVERED_READ),
        (DiskStatus::WriteError, Status::WRITE_FAULT),
        (DiskStatus::CapacityExceeded, Status::CAPACITY_EXCEEDED),
        (DiskStatus::Internal, Status::INTERNAL_ERROR),
        (DiskStatus::Unsupported, Status::INVALID_OPCODE),
    ] {
        state.status.set(Some(disk));
        for opcode in [IoOpcode::Read, IoOpcode::Write] {
            let sqe = host.rw(opcode, 0, 8, 0);
            let cqe = host.execute(&mut world, 1, sqe, &[]);
            assert!(cqe.status().is(status), "{disk:?}: {:?}", cqe.status());
        }
        assert_eq!(state.buffers_out.get(), 0);
    }
    state.status.set(None);
    let sqe = host.rw(IoOpcode::Read, 0, 8, 0);
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
}

/// Goal: a target that is dropped in the middle of work gives up without complaint.
#[test]
fn dropping_a_busy_target_is_quiet() {
    let (mut world, state) = probed();
    let mut host = world.connected(1, 64);
    state.held.set(true);
    submit_mix(&mut host, 1, 40);
    for _ in 0..3 {
        world.reactor.turn(world.now);
    }
    drop(world);
}
