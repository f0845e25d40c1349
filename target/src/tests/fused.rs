//! Fused Compare and Write.

use super::World;
use super::host::Host;
use super::identify::identify;
use super::probe::Probe;
use crate::Config;
use std::rc::Rc;
use storage::DiskStatus;
use wire::nvme::identify::{Cns, IdentifyController, IdentifyNamespace};
use wire::nvme::{AdminOpcode, Cid, Cqe, IoOpcode, Nsid, Sgl, Sqe, Status};

/// Where expected and new data lie in the host's memory.
const EXPECTED: usize = 0;
const NEW: usize = 1 << 20;

fn half(host: &Host, fuse: u8, start: u64, count: u32) -> Sqe {
    let (opcode, at) =
        if fuse == 1 { (IoOpcode::Compare, EXPECTED) } else { (IoOpcode::Write, NEW) };
    let mut sqe = host.rw(opcode, start, count, at);
    sqe.set_fuse(fuse);
    sqe
}
fn fill(host: &Host, at: usize, value: u8, count: u32) {
    host.data.write(at, &vec![value; count as usize * 512]);
}
/// Sends commands one behind the other; their statuses in the order of sending.
fn together(host: &mut Host, world: &mut World, sqes: &[Sqe]) -> Vec<Status> {
    let cids: Vec<u16> = sqes.iter().map(|sqe| host.submit(1, *sqe, &[])).collect();
    host.run(world);
    let done: Vec<Cqe> = host.queues[1].completions.drain(..).collect();
    assert_eq!(done.len(), sqes.len());
    let of = |cid: &u16| done.iter().find(|cqe| cqe.cid() == Cid(*cid)).unwrap().status();
    cids.iter().map(of).collect()
}
fn pair(host: &mut Host, world: &mut World, start: u64, count: u32) -> [Status; 2] {
    let sqes = [half(host, 1, start, count), half(host, 2, start, count)];
    together(host, world, &sqes).try_into().unwrap()
}
fn read(host: &mut Host, world: &mut World, start: u64) -> u8 {
    let sqe = host.rw(IoOpcode::Read, start, 1, 1 << 19);
    assert!(host.execute(world, 1, sqe, &[]).status().is_success());
    host.read_data(1 << 19, 1)[0]
}

/// Goal: blocks that are as expected are written, others are not, and both halves say so; the limit
/// is told and kept.
#[test]
fn pairs_compare_and_write() {
    let mut world = World::new();
    let mut host = world.connected(1, 16);
    let id = identify(&mut host, &mut world, Cns::Controller.octet(), 0).unwrap();
    let id = IdentifyController::decode(&id).unwrap();
    let ns = identify(&mut host, &mut world, Cns::Namespace.octet(), 1).unwrap();
    let ns = IdentifyNamespace::decode(&ns).unwrap();
    assert_eq!((id.fuses(), id.acwu(), ns.nacwu(), ns.nsfeat()), (1, 15, 127, 2));
    for count in [1, 128] {
        fill(&host, NEW, 0x11, count);
        let sqe = host.rw(IoOpcode::Write, 100, count, NEW);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
        fill(&host, EXPECTED, 0x11, count);
        fill(&host, NEW, 0x22, count);
        assert_eq!(pair(&mut host, &mut world, 100, count), [Status::SUCCESS; 2]);
        assert_eq!(read(&mut host, &mut world, 100), 0x22);
        fill(&host, NEW, 0x33, count);
        let [first, second] = pair(&mut host, &mut world, 100, count);
        assert!(first.is(Status::COMPARE_FAILURE), "{first}");
        assert!(second.is(Status::ABORTED_FAILED_FUSED), "{second}");
        assert_eq!(read(&mut host, &mut world, 100), 0x22);
    }
    let [first, second] = pair(&mut host, &mut world, 100, 129);
    assert!(first.is(Status::ATOMIC_WRITE_UNIT) && second.is(Status::ABORTED_FAILED_FUSED));
}

/// Goal: a half without the other, or with one that does not fit, ends with the status for it; what
/// comes behind is served.
#[test]
fn halves_need_each_other() {
    let mut world = World::new();
    let mut host = world.connected(1, 16);
    let (first, second) = (half(&host, 1, 5, 1), half(&host, 2, 5, 1));
    let plain = host.rw(IoOpcode::Read, 0, 1, 1 << 19);
    let (mut compare_second, mut write_first) = (first, second);
    compare_second.set_fuse(2);
    write_first.set_fuse(1);
    let mut elsewhere = second;
    elsewhere.set_nsid(Nsid(2)).set_sgl(host.sgl(NEW, 4096));
    let (bad_first, bad_second) = (half(&host, 1, 1 << 40, 1), half(&host, 2, 1 << 40, 1));
    let ok = Status::SUCCESS;
    let (missing, failed) = (Status::ABORTED_MISSING_FUSED, Status::ABORTED_FAILED_FUSED);
    let (invalid, range) = (Status::INVALID_FIELD, Status::LBA_OUT_OF_RANGE);
    for (sqes, expected) in [
        (vec![first, plain], vec![missing, ok]),
        (vec![second, plain], vec![missing, ok]),
        (vec![first, first, plain], vec![missing, missing, ok]),
        (vec![first, half(&host, 2, 6, 1)], vec![invalid, invalid]),
        (vec![first, half(&host, 2, 5, 2)], vec![invalid, invalid]),
        (vec![first, elsewhere], vec![invalid, invalid]),
        (vec![first, compare_second], vec![invalid, invalid]),
        (vec![write_first, second], vec![invalid, failed]),
        (vec![bad_first, second], vec![range, failed]),
        (vec![first, bad_second], vec![failed, range]),
        (vec![first, plain, second], vec![missing, ok, missing]),
    ] {
        let got = together(&mut host, &mut world, &sqes);
        let fits = got.iter().zip(&expected).all(|(got, expected)| got.is(*expected));
        assert!(fits, "{sqes:?}: {got:?}, not {expected:?}");
    }
    let mut admin = host.admin(AdminOpcode::KeepAlive);
    admin.set_fuse(1);
    assert!(host.execute(&mut world, 0, admin, &[]).status().is(invalid));
}

/// Goal: data may come in the capsule, over the network, or one each way.
#[test]
fn halves_bring_their_data_either_way() {
    let mut world = World::new();
    let mut host = world.connected(1, 16);
    for way in 0..4 {
        fill(&host, NEW, 0x40, 1);
        let sqe = host.rw(IoOpcode::Write, 9, 1, NEW);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
        fill(&host, EXPECTED, 0x40, 1);
        fill(&host, NEW, 0x50, 1);
        let (mut first, mut second) = (half(&host, 1, 9, 1), half(&host, 2, 9, 1));
        let capsule = Sgl::InCapsule { offset: 0, len: 512 };
        if way & 1 != 0 {
            first.set_sgl(capsule);
        }
        if way & 2 != 0 {
            second.set_sgl(capsule);
        }
        host.submit(1, first, &[0x40; 512]);
        host.submit(1, second, &[0x50; 512]);
        host.run(&mut world);
        let done: Vec<_> = host.queues[1].completions.drain(..).map(|cqe| cqe.status()).collect();
        assert_eq!(done, [Status::SUCCESS; 2], "{way}");
        assert_eq!(read(&mut host, &mut world, 9), 0x50);
    }
}

/// Goal: of hosts that race for a lock with Compare and Write, one gets it in each round, whatever
/// the order; nothing of the others is written.
#[test]
fn one_of_many_wins() {
    let mut world = World::new();
    let mut hosts: Vec<Host> = (0..4).map(|_| world.connected(1, 16)).collect();
    let sqe = hosts[0].rw(IoOpcode::WriteZeroes, 50, 1, 0);
    assert!(hosts[0].execute(&mut world, 1, sqe, &[]).status().is_success());
    for round in 0..20u8 {
        for (number, host) in (1..).zip(&mut hosts) {
            let owner = if round == 0 { 0 } else { 100 + round };
            fill(host, EXPECTED, owner, 1);
            fill(host, NEW, 200 + number, 1);
            for fuse in [1, 2] {
                let sqe = half(host, fuse, 50, 1);
                host.submit(1, sqe, &[]);
            }
        }
        let mut winners = Vec::new();
        for (number, host) in (1..).zip(&mut hosts) {
            host.run(&mut world);
            let done: Vec<_> = host.queues[1].completions.drain(..).map(|c| c.status()).collect();
            assert_eq!(done.len(), 2);
            if done.iter().all(|status| status.is_success()) {
                winners.push(200 + number);
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let owner = read(&mut hosts[0], &mut world, 50);
        assert_eq!(owner, winners[0]);
        fill(&hosts[0], NEW, 101 + round, 1);
        let sqe = hosts[0].rw(IoOpcode::Write, 50, 1, NEW);
        assert!(hosts[0].execute(&mut world, 1, sqe, &[]).status().is_success());
    }
}

/// Goal: a disk that fails, a host that dies between or after the halves: each half is answered once,
/// no buffer is left.
#[test]
fn pairs_end_in_every_way() {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(64);
    let state = Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 16);
    state.status.set(Some(DiskStatus::Internal));
    let [first, second] = pair(&mut host, &mut world, 0, 1);
    assert!(first.is(Status::INTERNAL_ERROR) && second.is(Status::ABORTED_FAILED_FUSED));
    state.status.set(None);
    assert_eq!(state.buffers_out.get(), 0);
    for turns in 0..10 {
        for halves in 1..=2 {
            let mut host = world.connected(1, 16);
            for fuse in 1..=halves {
                let sqe = half(&host, fuse, 1, 1);
                host.submit(1, sqe, &[]);
            }
            for _ in 0..turns {
                world.reactor.turn(world.now);
            }
            host.queues.iter().for_each(|queue| host.fabric.cut(queue.qp));
            world.settle();
            let left = (state.buffers_out.get(), world.reactor.controller_count());
            assert_eq!(left, (0, 1), "{halves} halves, {turns} turns");
        }
    }
}
