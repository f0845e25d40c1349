//! Peers that break the protocol: each is told what it did, by the field that the standard names.

use super::world::{DATA, End, World, config};
use crate::fabric::{Gather, WorkOp};
use crate::nvme_tcp::{Stop, TcpConfig};
use proptest::prelude::*;
use wire::nvme::{Cid, Cqe, IoOpcode, Nsid, QueueId, Sqe, Status};
use wire::nvme_tcp::{
    CommonHeader, Data, FatalStatus, Framing, IcReq, IcResp, Pdu, PduFault, PduKind, R2t, TermReq,
    digest, field,
};

fn plain() -> TcpConfig {
    TcpConfig {
        header_digest: false,
        data_digest: false,
        max_h2c_data: 8192,
        maxr2t: 1,
        ..config()
    }
}
fn encoded(pdu: Pdu, data: &[u8]) -> Vec<u8> {
    let framing = Framing { header_digest: false, data_digest: false, pda: 0, data_max: 1 << 20 };
    let mut octets = Vec::new();
    pdu.encode(&framing, data.len() as u32, &mut octets);
    octets.extend_from_slice(data);
    octets
}
/// What `end` says to `octets`: the fault, and that its last PDU is the termination request for it.
fn told(end: &mut End, octets: &[u8], kind: PduKind) -> PduFault {
    let Err(Stop::Fault(fault)) = end.take(octets) else { panic!("taken: {octets:02x?}") };
    let sent = end.sent();
    let last = {
        let mut rest = sent.as_slice();
        loop {
            let common = CommonHeader::decode(rest.first_chunk().unwrap());
            let (now, later) = rest.split_at(common.plen as usize);
            if later.is_empty() {
                break now;
            }
            rest = later;
        }
    };
    let said = TermReq { status: u16::from(fault.status.octet()), information: fault.information };
    let is_ours = kind == PduKind::C2hTermReq;
    let expected = if is_ours { Pdu::C2hTermReq(said) } else { Pdu::H2cTermReq(said) };
    assert_eq!(Pdu::decode(kind, last), Some(expected));
    assert_eq!(&last[..1], [kind.octet()]);
    let repeated = last.len() - 24;
    assert_eq!(last[24..], octets[..repeated], "it repeats the header");
    assert!(end.is_over());
    fault
}
fn told_controller(octets: &[u8]) -> PduFault {
    let mut world = World::connected(plain(), plain(), true);
    world.command(1, world.keyed(IoOpcode::Write, 4, 4096), None);
    world.run();
    // Tag 0x0100: the first place, used once.
    let place = Gather::one(world.controller.sge(DATA, 4096));
    world.controller.post(70, WorkOp::RdmaRead(World::memory_of(4, 0)), place);
    told(&mut world.controller, octets, PduKind::C2hTermReq)
}
fn told_host(octets: &[u8]) -> PduFault {
    let mut world = World::connected(plain(), plain(), true);
    world.command(1, world.keyed(IoOpcode::Write, 4, 8192), None);
    world.command(2, world.keyed(IoOpcode::Read, 5, 4096), None);
    world.host.sent();
    told(&mut world.host, octets, PduKind::H2cTermReq)
}

const TTAG: u16 = 0x0100;

/// Goal: every class of malformed PDU that a host can send.
#[test]
fn controllers_name_the_fault() {
    let data = Data { cid: 4, ttag: TTAG, offset: 0, length: 512, last: false, success: false };
    let h2c = |change: fn(&mut Data), bytes: usize| {
        let mut data = data;
        change(&mut data);
        encoded(Pdu::H2cData(data), &vec![1; bytes])
    };
    let out_of_range = PduFault::OUT_OF_RANGE;
    for (octets, fault) in [
        (h2c(|d| d.ttag = 0x0200, 512), PduFault::field(field::TTAG)),
        (h2c(|d| d.ttag = 0x0101, 512), PduFault::field(field::TTAG)),
        (h2c(|d| d.cid = 5, 512), PduFault::field(field::CCCID)),
        (h2c(|d| d.length = 511, 512), PduFault::field(field::LENGTH)),
        (h2c(|d| d.offset = 4, 512), out_of_range),
        (h2c(|d| d.offset = u32::MAX, 512), out_of_range),
        (h2c(|d| d.length = 4100, 4100), out_of_range),
        (h2c(|d| d.length = 8196, 8196).clone(), PduFault::LIMIT_EXCEEDED),
        (h2c(|d| d.last = true, 512), PduFault::field(field::FLAGS)),
        (encoded(Pdu::IcReq(ic_req()), &[]), PduFault::SEQUENCE),
        (encoded(Pdu::CapsuleResp(Cqe::zeroed()), &[]), PduFault::field(field::TYPE)),
        (vec![8; 8], PduFault::field(field::TYPE)),
        (vec![4, 0, 70, 0, 72, 0, 0, 0], PduFault::field(field::HLEN)),
        (vec![4, 1, 72, 0, 72, 0, 0, 0], PduFault::field(field::FLAGS)),
        (vec![4, 0, 72, 71, 80, 0, 0, 0], PduFault::field(field::PDO)),
        (vec![4, 0, 72, 0, 71, 0, 0, 0], PduFault::field(field::PLEN)),
    ] {
        // What exceeds an agreed bound is seen by the common header, except a capsule's data.
        assert_eq!(told_controller(&octets), fault, "{:02x?}", &octets[..octets.len().min(24)]);
    }
    let sqe = Sqe::new(IoOpcode::Write.octet(), Cid(9), Nsid(1));
    let long = encoded(Pdu::CapsuleCmd(sqe), &vec![0; 16388]);
    let mut world = World::connected(plain(), TcpConfig { max_h2c_data: 1 << 20, ..plain() }, true);
    let fault = told(&mut world.controller, &long, PduKind::C2hTermReq);
    assert_eq!(fault, PduFault::field(field::PLEN), "more in-capsule data than was offered");
}

/// Goal: every class of malformed PDU that a controller can send.
#[test]
fn hosts_name_the_fault() {
    let read = Data { cid: 5, ttag: 0, offset: 0, length: 512, last: false, success: false };
    let c2h = |change: fn(&mut Data), bytes: usize| {
        let mut data = read;
        change(&mut data);
        encoded(Pdu::C2hData(data), &vec![1; bytes])
    };
    let r2t = |change: fn(&mut R2t)| {
        let mut r2t = R2t { cid: 4, ttag: 1, offset: 0, length: 512 };
        change(&mut r2t);
        encoded(Pdu::R2t(r2t), &[])
    };
    let out_of_range = PduFault::OUT_OF_RANGE;
    for (octets, fault) in [
        (c2h(|d| d.cid = 77, 512), PduFault::field(field::CCCID)),
        (c2h(|d| d.cid = 4, 512), PduFault::field(field::CCCID)),
        (c2h(|d| d.length = 508, 512), PduFault::field(field::LENGTH)),
        (c2h(|d| d.offset = 512, 512), out_of_range),
        (c2h(|d| d.length = 4100, 4100), out_of_range),
        (c2h(|d| d.success = true, 512), PduFault::field(field::FLAGS)),
        (c2h(|d| (d.last, d.success) = (true, true), 512), PduFault::field(field::FLAGS)),
        (r2t(|r| r.cid = 5), PduFault::field(field::CCCID)),
        (r2t(|r| r.cid = 78), PduFault::field(field::CCCID)),
        (r2t(|r| r.length = 0), out_of_range),
        (r2t(|r| r.length = 8196), out_of_range),
        (r2t(|r| r.offset = u32::MAX), out_of_range),
        (encoded(Pdu::IcResp(ic_resp()), &[]), PduFault::SEQUENCE),
        (vec![6, 0, 24, 24, 28, 0, 0, 0], PduFault::field(field::TYPE)),
        (vec![7, 0, 24, 24, 24, 0, 0, 0], PduFault::field(field::PLEN)),
        (vec![5, 0, 24, 0, 28, 0, 0, 0], PduFault::field(field::PLEN)),
    ] {
        assert_eq!(told_host(&octets), fault, "{:02x?}", &octets[..octets.len().min(24)]);
    }
}

/// Goal: more R2Ts of a command at once than were allowed, and data that is asked for twice, are told.
#[test]
fn r2ts_are_counted() {
    let r2t = |ttag, offset, length| encoded(Pdu::R2t(R2t { cid: 4, ttag, offset, length }), &[]);
    let three = [r2t(1, 0, 512), r2t(2, 512, 512), r2t(3, 1024, 512)];
    let mut world = World::connected(plain(), plain(), true);
    world.command(1, world.keyed(IoOpcode::Write, 4, 8192), None);
    world.host.sent();
    assert_eq!(world.host.take(&three[0]), Ok(()));
    assert_eq!(world.host.take(&three[1]), Ok(()));
    // What was handed over counts no more.
    assert_eq!(world.host.sent().len(), 2 * (24 + 512));
    assert_eq!(world.host.take(&three[2]), Ok(()));
    assert_eq!(world.host.take(&r2t(4, 1536, 512)), Ok(()));
    let fault = told(&mut world.host, &r2t(5, 2048, 512), PduKind::H2cTermReq);
    assert_eq!(fault, PduFault::LIMIT_EXCEEDED);
    let mut world = World::connected(plain(), plain(), true);
    world.command(1, world.keyed(IoOpcode::Write, 4, 8192), None);
    world.host.sent();
    assert_eq!(world.host.take(&r2t(1, 0, 8192)), Ok(()));
    let fault = told(&mut world.host, &r2t(2, 0, 4), PduKind::H2cTermReq);
    assert_eq!(fault, PduFault::OUT_OF_RANGE);
}

fn ic_req() -> IcReq {
    IcReq { pfv: 0, hpda: 0, header_digest: false, data_digest: false, maxr2t: 0 }
}
fn ic_resp() -> IcResp {
    IcResp { pfv: 0, cpda: 0, header_digest: false, data_digest: false, max_h2c_data: 4096 }
}

/// Goal: a handshake that is none is told, on both sides.
#[test]
fn handshakes_name_the_fault() {
    let to_controller = |octets: &[u8]| {
        let mut world = World::strangers(plain(), plain());
        let fault = told(&mut world.controller, octets, PduKind::C2hTermReq);
        assert!(world.controller.events().is_empty(), "nobody knows of it");
        fault
    };
    let command = Sqe::new(IoOpcode::Flush.octet(), Cid(1), Nsid(1));
    for data in [&[][..], &[0; 1024]] {
        assert_eq!(to_controller(&encoded(Pdu::CapsuleCmd(command), data)), PduFault::SEQUENCE);
    }
    let odd = IcReq { pfv: 7, ..ic_req() };
    assert_eq!(to_controller(&encoded(Pdu::IcReq(odd), &[])), PduFault::unsupported(field::PFV));
    let odd = IcReq { hpda: 32, ..ic_req() };
    assert_eq!(to_controller(&encoded(Pdu::IcReq(odd), &[])), PduFault::field(field::PDA));
    let long = [0, 0, 128, 0, 132, 0, 0, 0];
    assert_eq!(to_controller(&long), PduFault::field(field::PLEN));

    let to_host = |octets: &[u8]| {
        let mut world = World::strangers(plain(), plain());
        told(&mut world.host, octets, PduKind::H2cTermReq)
    };
    let response = Cqe::new(Cid(1), QueueId(0), 0, Status::SUCCESS);
    assert_eq!(to_host(&encoded(Pdu::CapsuleResp(response), &[])), PduFault::SEQUENCE);
    let odd = IcResp { max_h2c_data: 4095, ..ic_resp() };
    assert_eq!(to_host(&encoded(Pdu::IcResp(odd), &[])), PduFault::field(field::MAXIMUM));
    let odd = IcResp { data_digest: true, ..ic_resp() };
    assert_eq!(to_host(&encoded(Pdu::IcResp(odd), &[])), PduFault::field(field::DIGESTS));
}

/// Goal: a header with a wrong digest is told with the digest that came; data with one ends the
/// connection, and is not told as landed.
#[test]
fn wrong_digests_end_the_connection() {
    let with = TcpConfig { header_digest: true, data_digest: true, ..plain() };
    let mut world = World::connected(with, with, true);
    world.command(1, world.keyed(IoOpcode::Write, 4, 4096), None);
    let mut octets = world.host.sent();
    octets[20] ^= 1;
    let came = u32::from_le_bytes(*octets[72..].first_chunk().unwrap());
    let fault = told(&mut world.controller, &octets, PduKind::C2hTermReq);
    assert_eq!(fault, PduFault { status: FatalStatus::HeaderDigest, information: came });

    let mut world = World::connected(with, with, true);
    world.command(1, world.keyed(IoOpcode::Read, 4, 4096), None);
    world.run();
    let data = Gather::one(world.controller.sge(DATA, 4096));
    world.controller.post(1, WorkOp::RdmaWrite(World::memory_of(4, 0)), data);
    world.respond(2, 4, Status::SUCCESS);
    let mut octets = world.controller.sent();
    octets[1000] ^= 0x80;
    world.host.events();
    assert_eq!(world.host.take(&octets), Err(Stop::Digest));
    assert!(world.host.events().is_empty());
    assert_eq!(digest(b"123456789"), 0xe306_9283_u32.to_le_bytes());
}

/// Goal: the peer's word that we broke the protocol ends the connection without an answer.
#[test]
fn termination_requests_are_not_answered() {
    let mut world = World::connected(plain(), plain(), true);
    let mut octets = Vec::new();
    TermReq::encode(PduFault::SEQUENCE, PduKind::H2cTermReq, &[1; 72], &mut octets);
    let term = TermReq { status: 2, information: 0 };
    assert_eq!(world.controller.take(&octets), Err(Stop::Told(term)));
    assert!(world.controller.sent().is_empty() && world.controller.is_over());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Goal: any octets, at either side, in any phase, are taken or refused: no panic, and nothing is
    /// kept that grows.
    #[test]
    fn any_octets_are_survived(
        octets in proptest::collection::vec(any::<u8>(), 0..600),
        kind in 0..10_u8,
        digests in any::<bool>(),
        connected in any::<bool>(),
    ) {
        let config = TcpConfig { header_digest: digests, data_digest: digests, ..plain() };
        let mut world = if connected {
            World::connected(config, config, true)
        } else {
            World::strangers(config, config)
        };
        let mut octets = octets;
        // A plausible start, so that the rest is reached.
        if let (Some(kind), true) = (PduKind::from_octet(kind), octets.len() > 8) {
            octets[0] = kind.octet();
            octets[2] = kind.hlen();
            octets[1] &= if digests { 0x0f } else { 0x0c };
            octets[3] = kind.hlen() + if digests { 4 } else { 0 };
            (octets[6], octets[7]) = (0, 0);
        }
        let _ = world.controller.take(&octets);
        let _ = world.host.take(&octets);
        world.controller.sent();
        world.host.sent();
    }
}
