//! Namespaces that change while hosts use them.

use super::access::{heard, listen};
use super::host::Host;
use super::identify::identify;
use super::probe::Probe;
use super::{BLOCKS, NQN, World};
use crate::{Config, ExportError};
use storage::Memory;
use wire::nvme::identify::{Cns, IdentifyNamespace};
use wire::nvme::{AsyncEvent, Cid, FeatureCmd, FeatureId, IoOpcode, Nsid, Status};

fn rw(host: &mut Host, world: &mut World, opcode: IoOpcode, start: u64) -> Status {
    let sqe = host.rw(opcode, start, 1, 0);
    host.execute(world, 1, sqe, &[]).status()
}

/// Goal: a removed namespace is gone at once for new commands; those at its disk finish, and the
/// disk is dropped only then; its place serves the next namespace.
#[test]
fn a_namespace_is_removed_in_use() {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(64);
    let state = std::rc::Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 8);
    listen(&mut host, &mut world);
    state.held.set(true);
    for start in 0..4 {
        let sqe =
            host.rw(if start % 2 == 0 { IoOpcode::Read } else { IoOpcode::Write }, start, 1, 0);
        host.submit(1, sqe, &[]);
    }
    world.settle_held();
    world.reactor.remove_namespace(NQN, 1).unwrap();
    world.settle_held();
    assert_eq!(heard_held(&mut host, &world), [AsyncEvent::NAMESPACE_CHANGED]);
    assert!(std::rc::Rc::strong_count(&state) > 1, "dropped while commands were at it");
    state.held.set(false);
    host.run(&mut world);
    let done: Vec<_> = host.queues[1].completions.drain(..).map(|cqe| cqe.status()).collect();
    assert_eq!(done, [Status::SUCCESS; 4]);
    assert!(rw(&mut host, &mut world, IoOpcode::Read, 0).is(Status::INVALID_NAMESPACE));
    assert_eq!((std::rc::Rc::strong_count(&state), state.buffers_out.get()), (1, 0));
    assert_eq!(world.reactor.remove_namespace(NQN, 1), Err(ExportError::NoSuchNamespace(1)));
    world.add(1, Box::new(Memory::new(512, 8, 8).unwrap()));
    assert!(rw(&mut host, &mut world, IoOpcode::Write, 7).is_success());
    let page = super::admin::log(&mut host, &mut world, wire::nvme::log::LogId::Smart, 0, 512);
    let smart = wire::nvme::log::SmartLog::decode(&page).unwrap();
    assert_eq!((smart.host_reads(), smart.host_writes()), (2, 3), "counts outlive a namespace");
}
/// What came while the disk holds everything up.
fn heard_held(host: &mut Host, world: &World) -> Vec<AsyncEvent> {
    host.poll(world);
    let told = host.queues[0].completions.drain(..);
    told.map(|cqe| AsyncEvent::from_dword(cqe.dw0())).collect()
}

/// Goal: hosts hear of a new size, commands are checked against it at once, and a command behind the
/// new end that was accepted before still finishes.
#[test]
fn a_namespace_is_resized_in_use() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    listen(&mut host, &mut world);
    let sqe = host.rw(IoOpcode::Write, BLOCKS - 1, 1, 0);
    host.submit(1, sqe, &[]);
    world.reactor.turn(world.now);
    world.reactor.resize_namespace(NQN, 1, 100).unwrap();
    host.run(&mut world);
    assert!(host.queues[1].completions.pop_front().unwrap().status().is_success());
    assert_eq!(heard(&mut host, &mut world), [AsyncEvent::NAMESPACE_CHANGED]);
    assert!(rw(&mut host, &mut world, IoOpcode::Read, 100).is(Status::LBA_OUT_OF_RANGE));
    assert!(rw(&mut host, &mut world, IoOpcode::Read, 99).is_success());
    let octets = identify(&mut host, &mut world, Cns::Namespace.octet(), 1).unwrap();
    assert_eq!(IdentifyNamespace::decode(&octets).unwrap().nsze(), 100);
    for (size, is_possible) in [(0, false), (BLOCKS + 1, false), (BLOCKS, true)] {
        let resized = world.reactor.resize_namespace(NQN, 1, size);
        assert_eq!(resized.is_ok(), is_possible, "{size}: {resized:?}");
    }
    assert!(rw(&mut host, &mut world, IoOpcode::Read, BLOCKS - 1).is_success());
}

fn protect(host: &mut Host, world: &mut World, value: u32) -> Status {
    let sqe = FeatureCmd::set(FeatureId::WRITE_PROTECT, value, Cid(0), Nsid(1));
    host.execute(world, 0, sqe, &[]).status()
}

/// Goal: a write-protected namespace takes no command that changes it, by any host, and says so;
/// what was cached is durable before the host hears of it; an operator's word stands above a host's.
#[test]
fn namespaces_are_protected_from_writes() {
    let mut world = World::new();
    let (mut host, mut other) = (world.connected(1, 8), world.connected(1, 8));
    listen(&mut other, &mut world);
    assert!(protect(&mut host, &mut world, 1).is_success());
    assert_eq!(heard(&mut other, &mut world), [AsyncEvent::NAMESPACE_CHANGED]);
    for (opcode, is_refused) in [
        (IoOpcode::Write, true),
        (IoOpcode::WriteZeroes, true),
        (IoOpcode::DatasetManagement, true),
        (IoOpcode::Read, false),
        (IoOpcode::Flush, false),
        (IoOpcode::Verify, false),
    ] {
        for host in [&mut host, &mut other] {
            let status = rw(host, &mut world, opcode, 0);
            assert_eq!(status.is(Status::WRITE_PROTECTED), is_refused, "{opcode:?}: {status}");
        }
    }
    let get = FeatureCmd::get(FeatureId::WRITE_PROTECT, Cid(0), Nsid(1));
    assert_eq!(other.execute(&mut world, 0, get, &[]).dw0(), 1);
    let octets = identify(&mut other, &mut world, Cns::Namespace.octet(), 1).unwrap();
    assert_eq!(IdentifyNamespace::decode(&octets).unwrap().nsattr(), 1);
    assert!(protect(&mut host, &mut world, 2).is(Status::INVALID_FIELD), "until a power cycle");
    assert!(protect(&mut other, &mut world, 0).is_success());
    assert!(rw(&mut host, &mut world, IoOpcode::Write, 0).is_success());
    world.reactor.set_read_only(NQN, 1, true).unwrap();
    assert!(protect(&mut host, &mut world, 0).is(Status::FEATURE_NOT_CHANGEABLE));
    assert!(rw(&mut host, &mut world, IoOpcode::Write, 0).is(Status::WRITE_PROTECTED));
    let mut all = FeatureCmd::set(FeatureId::WRITE_PROTECT, 1, Cid(0), Nsid::ALL);
    assert!(host.execute(&mut world, 0, all, &[]).status().is(Status::INVALID_NAMESPACE));
    all.set_nsid(Nsid(9));
    assert!(host.execute(&mut world, 0, all, &[]).status().is(Status::INVALID_NAMESPACE));
}
