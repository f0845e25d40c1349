//! Copy.

use super::host::Host;
use super::identify::identify;
use super::probe::Probe;
use super::{BLOCKS, World};
use crate::Config;
use std::rc::Rc;
use storage::DiskStatus;
use wire::nvme::identify::{Cns, IdentifyNamespace};
use wire::nvme::{Cid, CopyCmd, CopyRange, Cqe, IoOpcode, Lba, Nsid, Sgl, Sqe, Status, ZeroBased};

/// Where a host keeps its source ranges.
const RANGES_AT: usize = 1 << 20;

fn command(host: &mut Host, ranges: &[(u64, u32)], to: u64, in_capsule: bool) -> (Sqe, Vec<u8>) {
    let octets: Vec<u8> = ranges
        .iter()
        .flat_map(|(start, count)| *CopyRange::new(Lba(*start), *count).unwrap().as_octets())
        .collect();
    let count = ZeroBased::<u8>::from_count(ranges.len() as u16).unwrap();
    let copy = CopyCmd {
        destination: Lba(to),
        ranges: count,
        format: 0,
        fua: false,
        limited_retry: false,
    };
    let mut sqe = copy.command(Cid(0), Nsid(1));
    host.data.write(RANGES_AT, &octets);
    let len = octets.len() as u32;
    sqe.set_sgl(if in_capsule {
        Sgl::InCapsule { offset: 0, len }
    } else {
        host.sgl(RANGES_AT, len)
    });
    (sqe, octets)
}
fn copy(host: &mut Host, world: &mut World, ranges: &[(u64, u32)], to: u64) -> Cqe {
    let in_capsule = ranges.len() <= 128 && host.next_cid.is_multiple_of(2);
    let (sqe, octets) = command(host, ranges, to, in_capsule);
    host.execute(world, 1, sqe, &octets)
}
fn read(host: &mut Host, world: &mut World, start: u64, count: u32) -> Vec<u8> {
    let sqe = host.rw(IoOpcode::Read, start, count, 0);
    assert!(host.execute(world, 1, sqe, &[]).status().is_success());
    host.read_data(0, count as usize * 512)
}

/// Goal: blocks of all ranges, in order, are where they were to be copied, also when source and
/// destination overlap: as if everything was read first.
#[test]
fn blocks_are_copied() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    let many: Vec<(u64, u32)> = (0..256).map(|at| (at * 7 % 900, 1)).collect();
    for (ranges, to) in [
        (vec![(3, 1)], 1000),
        (vec![(0, 100), (50, 60), (200, 1)], 2000),
        (vec![(10, 20)], 15),
        (vec![(40, 20), (30, 20)], 35),
        (vec![(0, 256)], BLOCKS - 256),
        (many, 3000),
    ] {
        let mut expected = Vec::new();
        for (start, count) in &ranges {
            expected.extend(read(&mut host, &mut world, *start, *count));
        }
        let cqe = copy(&mut host, &mut world, &ranges, to);
        assert!(cqe.status().is_success(), "{ranges:?}: {}", cqe.status());
        let count = (expected.len() / 512) as u32;
        assert!(read(&mut host, &mut world, to, count) == expected, "{ranges:?}");
    }
}

/// Goal: limits are told, and what exceeds them is refused with the number of the range to blame;
/// nothing is written then.
#[test]
fn limits_are_kept() {
    let mut world = World::new();
    let mut host = world.connected(1, 8);
    let octets = identify(&mut host, &mut world, Cns::Namespace.octet(), 1).unwrap();
    let id = IdentifyNamespace::decode(&octets).unwrap();
    assert_eq!((id.mssrl(), id.mcl(), id.msrc()), (256, 256, 255));
    let before = read(&mut host, &mut world, 2000, 256);
    for (ranges, to, status, number) in [
        (vec![(0, 1), (0, 257)], 2000, Status::COMMAND_SIZE_LIMIT, 1),
        (vec![(0, 200), (0, 50), (0, 10)], 2000, Status::COMMAND_SIZE_LIMIT, 2),
        (vec![(0, 65_536)], 2000, Status::COMMAND_SIZE_LIMIT, 0),
        (vec![(0, 1), (BLOCKS, 1)], 2000, Status::LBA_OUT_OF_RANGE, 1),
        (vec![(u64::MAX, 2)], 2000, Status::LBA_OUT_OF_RANGE, 0),
        (vec![(0, 2)], BLOCKS - 1, Status::LBA_OUT_OF_RANGE, 0),
        (vec![(0, 2)], u64::MAX, Status::LBA_OUT_OF_RANGE, 0),
    ] {
        let cqe = copy(&mut host, &mut world, &ranges, to);
        assert!(cqe.status().is(status) && cqe.status().dnr, "{ranges:?}: {}", cqe.status());
        assert_eq!(cqe.dw0(), number, "{ranges:?}");
    }
    let (mut sqe, _) = command(&mut host, &[(0, 1)], 2000, false);
    sqe.set_cdw12(sqe.cdw12() | 1 << 8);
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is(Status::INVALID_FIELD), "format 1");
    let (mut sqe, _) = command(&mut host, &[(0, 1), (0, 1)], 2000, false);
    sqe.set_sgl(host.sgl(RANGES_AT, 63));
    assert!(host.execute(&mut world, 1, sqe, &[]).status().is(Status::SGL_DATA_LENGTH));
    assert!(read(&mut host, &mut world, 2000, 256) == before);
}

/// Goal: many copies at once take turns and all finish; a disk that fails ends one with its status,
/// without a buffer left; a host that dies in the middle leaves nothing.
#[test]
fn copies_take_turns() {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(1024);
    let state = Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 32);
    for turn in 0..20 {
        let (sqe, octets) = command(&mut host, &[(turn, 8), (100 + turn, 8)], 500 + turn, true);
        host.submit(1, sqe, &octets);
    }
    host.run(&mut world);
    let done: Vec<_> = host.queues[1].completions.drain(..).map(|cqe| cqe.status()).collect();
    assert_eq!(done, [Status::SUCCESS; 20]);
    state.status.set(Some(DiskStatus::ReadError));
    let cqe = copy(&mut host, &mut world, &[(0, 1), (1, 1)], 9);
    assert!(cqe.status().is(Status::UNRECOVERED_READ));
    state.status.set(None);
    assert!(copy(&mut host, &mut world, &[(0, 1), (1, 1)], 9).status().is_success());
    assert_eq!(state.buffers_out.get(), 0);
    for turns in 0..8 {
        let mut host = world.connected(1, 32);
        for turn in 0..6 {
            let (sqe, octets) = command(&mut host, &[(turn, 8), (9, 8)], 500, turn % 2 == 0);
            host.submit(1, sqe, &octets);
        }
        for _ in 0..turns {
            world.reactor.turn(world.now);
        }
        host.queues.iter().for_each(|queue| host.fabric.cut(queue.qp));
        world.settle();
        assert_eq!((state.buffers_out.get(), world.reactor.controller_count()), (0, 1), "{turns}");
    }
}
