//! What a controller and a host do to each other's memory, however the octets are cut.

use super::world::{DATA, World, config};
use crate::fabric::{FabricEvent, Gather, QpHandle, WorkOp};
use crate::nvme_tcp::TcpConfig;
use proptest::prelude::*;
use wire::nvme::{Cid, Cqe, IoOpcode, Nsid, Sgl, Sqe, Status};
use wire::nvme_tcp::{CommonHeader, PduKind};

fn pattern(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn digests(header: bool, data: bool) -> TcpConfig {
    TcpConfig { header_digest: header, data_digest: data, max_h2c_data: 8192, ..config() }
}

/// The kinds of the PDUs of a stream, with their flags.
fn kinds(mut octets: &[u8]) -> Vec<(PduKind, u8)> {
    let mut found = Vec::new();
    while let Some(common) = octets.first_chunk() {
        let common = CommonHeader::decode(common);
        found.push((PduKind::from_octet(common.kind).unwrap(), common.flags));
        octets = &octets[common.plen as usize..];
    }
    found
}

/// A read of `bytes` octets: the controller's come to the host's memory.
fn read(world: &mut World, cid: u16, bytes: u32) {
    let content = pattern(cid as u8, bytes as usize);
    world.controller.region.write(DATA as usize, &content);
    world.host.region.fill(DATA as usize, bytes as usize, 0);
    let sqe = world.keyed(IoOpcode::Read, cid, bytes);
    world.command(1, sqe, None);
    world.run();
    let data = Gather::one(world.controller.sge(DATA, bytes));
    world.controller.post(50, WorkOp::RdmaWrite(World::memory_of(cid, 0)), data);
    world.respond(51, cid, Status::SUCCESS);
    world.run();
    let mut landed = vec![0; bytes as usize];
    world.host.region.read(DATA as usize, &mut landed);
    assert!(landed == content, "read of {bytes} octets");
}

/// A write of `bytes` octets: the controller fetches the host's.
fn write(world: &mut World, cid: u16, bytes: u32) {
    let content = pattern(cid as u8, bytes as usize);
    world.host.region.write(DATA as usize, &content);
    let sqe = world.keyed(IoOpcode::Write, cid, bytes);
    world.command(2, sqe, None);
    world.run();
    let half = bytes / 2;
    for (token, offset, length) in [(60, 0, half), (61, half, bytes - half)] {
        let place = Gather::one(world.controller.sge(DATA + u64::from(offset), length));
        let from = World::memory_of(cid, u64::from(offset));
        world.controller.post(token, WorkOp::RdmaRead(from), place);
    }
    world.run();
    let mut landed = vec![0; bytes as usize];
    world.controller.region.read(DATA as usize, &mut landed);
    assert!(landed == content, "write of {bytes} octets");
    world.respond(62, cid, Status::SUCCESS);
    world.run();
}

fn recv(qp: u32, token: u64, len: u32) -> FabricEvent {
    FabricEvent::Recv { qp: QpHandle(qp), token, len, invalidated: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: whatever was agreed on and however the stream is cut, data arrives whole, commands are
    /// seen with a key that names them, and each is answered once.
    #[test]
    fn data_survives_any_cut(
        header in any::<bool>(),
        data in any::<bool>(),
        quiet in any::<bool>(),
        steps in proptest::collection::vec(1..3000_usize, 1..8),
        bytes in 1..60_000_u32,
    ) {
        let mut world = World::connected(digests(header, data), digests(true, true), quiet);
        world.steps = steps.into();
        read(&mut world, 0x101, bytes);
        write(&mut world, 0x102, bytes.max(2));
        let (at_host, at_controller) = (world.host.events(), world.controller.events());
        let responses: Vec<_> =
            at_host.iter().filter(|e| matches!(e, FabricEvent::Recv { .. })).cloned().collect();
        prop_assert_eq!(responses, vec![recv(1, 1, 16), recv(1, 2, 16)]);
        for (slot, cid) in [(1, 0x101), (2, 0x102)] {
            let octets = world.host.received(slot);
            let cqe = Cqe::decode(&octets).unwrap();
            prop_assert_eq!((cqe.cid(), cqe.status()), (Cid(cid), Status::SUCCESS));
            let sqe = Sqe::decode(&world.controller.received(slot)).unwrap();
            let len = if slot == 1 { bytes } else { bytes.max(2) };
            let seen = Sgl::Keyed { addr: 0, len, key: u32::from(cid), invalidate: false };
            prop_assert_eq!(sqe.sgl(), seen);
        }
        let done = |token| {
            let status = verbs::WcStatus::Success;
            at_controller.contains(&FabricEvent::Done { qp: QpHandle(2), token, status })
        };
        prop_assert!([50, 51, 60, 61, 62].into_iter().all(done), "{:?}", at_controller);
    }

    /// Goal: in-capsule data lands behind the command.
    #[test]
    fn capsules_bring_data(digest in any::<bool>(), step in 1..700_usize, bytes in 1..=16384_u32) {
        let mut world = World::connected(digests(digest, digest), config(), true);
        world.steps = [step].into();
        let content = pattern(9, bytes as usize);
        world.host.region.write(DATA as usize, &content);
        let mut sqe = Sqe::new(IoOpcode::Write.octet(), Cid(5), Nsid(1));
        sqe.set_sgl(Sgl::InCapsule { offset: 0, len: bytes });
        world.command(3, sqe, Some(bytes));
        world.run();
        prop_assert_eq!(world.controller.events(), vec![recv(2, 1, 64 + bytes)]);
        let octets = world.controller.received(1);
        prop_assert_eq!(Sqe::decode(&octets).unwrap(), sqe);
        prop_assert!(octets[64..64 + bytes as usize] == content);
    }
}

/// Goal: the success flag stands for a response only when the host said that it need not hear of the
/// queue's head, and only for one that says no more.
#[test]
fn responses_are_elided_only_when_they_say_nothing() {
    let status_of = |quiet: bool, status: Status| {
        let mut world = World::connected(digests(false, false), config(), quiet);
        let sqe = world.keyed(IoOpcode::Read, 3, 4096);
        world.command(1, sqe, None);
        world.run();
        let data = Gather::one(world.controller.sge(DATA, 4096));
        world.controller.post(1, WorkOp::RdmaWrite(World::memory_of(3, 0)), data);
        world.respond(2, 3, status);
        let octets = world.controller.sent();
        let _ = world.host.take(&octets);
        assert_eq!(world.host.events().last(), Some(&recv(1, 1, 16)));
        kinds(&octets)
    };
    let (data, last) = (PduKind::C2hData, 4);
    assert_eq!(status_of(true, Status::SUCCESS), [(data, last | 8)]);
    let plain = [(data, last), (PduKind::CapsuleResp, 0)];
    assert_eq!(status_of(false, Status::SUCCESS), plain);
    assert_eq!(status_of(true, Status::INTERNAL_ERROR), plain);
}

/// Goal: what is outstanding at the end is flushed, each piece once.
#[test]
fn the_end_flushes_everything_once() {
    let mut world = World::connected(digests(false, false), config(), true);
    let sqe = world.keyed(IoOpcode::Write, 4, 4096);
    world.command(1, sqe, None);
    world.run();
    world.controller.events();
    let place = Gather::one(world.controller.sge(DATA, 4096));
    world.controller.post(70, WorkOp::RdmaRead(World::memory_of(4, 0)), place);
    world.controller.post(71, WorkOp::RdmaWrite(World::memory_of(4, 0)), place);
    world.respond(72, 9, Status::SUCCESS);
    world.controller.post(73, WorkOp::RdmaWrite(World::memory_of(4, 0)), place);
    world.controller.machine.end(crate::nvme_tcp::Stop::Gone, &mut world.controller.shared);
    world.controller.machine.flush(&mut world.controller.shared);
    let mut tokens: Vec<u64> = world
        .controller
        .events()
        .iter()
        .map(|event| {
            let FabricEvent::Done { token, status: verbs::WcStatus::WrFlushErr, .. } = event else {
                panic!("{event:?}")
            };
            *token
        })
        .collect();
    tokens.sort_unstable();
    // Two of sixteen receives were used.
    assert_eq!(tokens, (2..16).chain(70..74).collect::<Vec<_>>());
}

/// Goal: a capsule that finds no receive waits for one, and what follows it waits too.
#[test]
fn capsules_wait_for_receives() {
    let mut world = World::connected(digests(true, true), config(), true);
    for number in 0..20 {
        let sqe = Sqe::new(IoOpcode::Flush.octet(), Cid(100 + number), Nsid(1));
        world.command(u64::from(number), sqe, None);
    }
    world.run();
    assert_eq!(world.controller.events().len(), 15, "one of sixteen went to Connect");
    assert!(world.controller.machine.is_blocked());
    for slot in 20..40 {
        world.controller.post_receive(slot, 64 + 16384);
        let resumed = world.controller.machine.resume(&mut world.controller.shared);
        assert_eq!(resumed, Ok(()));
    }
    let cids = (20..25).map(|slot| Sqe::decode(&world.controller.received(slot)).unwrap().cid().0);
    assert_eq!(cids.collect::<Vec<_>>(), (115..120).collect::<Vec<_>>());
    assert_eq!(world.controller.events().len(), 5);
}
