//! Exact packets, against facts of Linux rxe: opcodes, PSNs, lengths, flags.

use super::*;
use crate::link::TxBatch;
use crate::qp::testing::{Setup, qpn};
use wire::roce::{Aeth, Header, Msn, NakCode, Psn, Reth, Syndrome, pad_count};

/// One packet as a line: who, what, PSN, payload, flags, AETH.
fn line(sent: &Sent) -> String {
    let packet = packet(sent);
    let bth = packet.bth;
    assert_eq!(bth.dest_qp, qpn(sent.from ^ 1));
    let asks = if bth.ack_req { " ack?" } else { "" };
    let aeth = packet.ext.aeth.map_or(String::new(), |aeth| {
        format!(" {:#04x} msn={}", aeth.syndrome.octet(), aeth.msn.get())
    });
    let (opcode, psn, len) = (bth.opcode, bth.psn.get(), packet.payload.len());
    format!("{} {opcode:?} psn={psn} len={len}{asks}{aeth}", sent.from)
}

fn lines(world: &RoceWorld) -> Vec<String> {
    world.trace.iter().map(line).collect()
}

/// Goal: an in-capsule NVMe write at MTU 4,096 is FIRST of 4,096 and LAST of 64, one
/// acknowledgement for both (facts: 1.3).
#[test]
fn a_capsule_with_data() {
    let setup = Setup { mtu: 4096, ..Setup::default() };
    let mut world = world_with(&setup, |_| SendOp::Send, 4160);
    world.settle();
    let expected = [
        "0 SendFirst psn=100 len=4096",
        "0 SendLast psn=101 len=64 ack?",
        "1 Acknowledge psn=101 len=0 0x1f msn=1",
    ];
    assert_eq!(lines(&world), expected);
}

/// Goal: an NVMe read's answer is WRITE then SEND with invalidate, back to back; the acknowledgement
/// of both is one packet (rxe would send two; a cumulative one serves).
#[test]
fn data_and_completion() {
    let setup = Setup { mtu: 1024, ..Setup::default() };
    let mut world = world(&setup);
    let rkey = world.sides[1].mr.rkey;
    world.sides[1].post_recv(9, LANDING, 16);
    world.sides[0].post(1, SendOp::RdmaWrite(world.sides[1].remote(LANDING + 64)), 0, 2600);
    world.sides[0].post(2, SendOp::SendWithInv(rkey), 0, 15);
    world.settle();
    let expected = [
        "0 WriteFirst psn=100 len=1024",
        "0 WriteMiddle psn=101 len=1024",
        "0 WriteLast psn=102 len=552 ack?",
        "0 SendOnlyInvalidate psn=103 len=15 ack?",
        "1 Acknowledge psn=103 len=0 0x1f msn=2",
    ];
    assert_eq!(lines(&world), expected);
}

/// Goal: a READ takes as many PSNs as its response has packets; FIRST, LAST and ONLY carry an
/// AETH, MIDDLE none; what follows continues after them (facts: 1.3, 1.4).
#[test]
fn reads_take_their_responses_psns() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let mut world = world(&setup);
    world.sides[1].post_recv(9, LANDING, 16);
    world.sides[0].post(1, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 600);
    world.sides[0].post(2, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 0);
    let remote = world.sides[1].remote(LANDING);
    world.sides[0].post(3, SendOp::FetchAdd { remote, add: 1 }, LANDING, 8);
    world.sides[0].post(4, SendOp::Send, 0, 0);
    world.settle();
    let expected = [
        "0 ReadRequest psn=100 len=0 ack?",
        "0 ReadRequest psn=103 len=0 ack?",
        "0 FetchAdd psn=104 len=0 ack?",
        "0 SendOnly psn=105 len=0 ack?",
        "1 ReadResponseFirst psn=100 len=256 0x1f msn=4",
        "1 ReadResponseMiddle psn=101 len=256",
        "1 ReadResponseLast psn=102 len=88 0x1f msn=4",
        "1 ReadResponseOnly psn=103 len=0 0x1f msn=4",
        "1 AtomicAcknowledge psn=104 len=0 0x1f msn=4",
        "1 Acknowledge psn=105 len=0 0x1f msn=4",
    ];
    assert_eq!(lines(&world), expected);
}

/// Goal: in a long message every 64th packet asks for an acknowledgement, and the last does.
#[test]
fn long_messages_ask_every_64_packets() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let op: fn(&RoceWorld) -> SendOp = |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING));
    let mut world = world_with(&setup, op, 256 * 150);
    world.settle();
    let requests = world.trace.iter().filter(|sent| sent.from == 0);
    let asking: Vec<_> = requests
        .filter(|sent| packet(sent).bth.ack_req)
        .map(|sent| packet(sent).bth.psn.get() - 100)
        .collect();
    assert_eq!(asking, [63, 127, 149]);
}

/// Injects one request packet to side 1, as its peer could send it.
fn inject(world: &mut RoceWorld, header: &Header, payload: &[u8]) {
    let mut octets = header.emit(payload.len()).as_slice().to_vec();
    octets.extend(payload);
    octets.resize(octets.len() + usize::from(pad_count(payload.len())), 0);
    world.inject(1, &octets);
    world.transmit_all();
}

fn header(opcode: Opcode, psn: u32) -> Header {
    let mut header = Header::new(opcode, qpn(1), Psn::new(psn));
    header.bth.ack_req = opcode.ends_message();
    header
}

/// The answers of side 1: PSN and syndrome.
fn answers(world: &RoceWorld) -> Vec<(u32, u8)> {
    let answers = world.trace.iter().filter(|sent| sent.from == 1).map(|sent| {
        let packet = packet(sent);
        (packet.bth.psn.get(), packet.ext.aeth.unwrap().syndrome.octet())
    });
    answers.collect()
}

/// Goal: one sequence NAK per gap with the expected PSN, silence until it is filled, then a new
/// gap is told anew; duplicates are acknowledged with the newest PSN (facts: 1.4).
#[test]
fn one_nak_per_gap() {
    let mut world = world(&Setup::default());
    for id in 0..8 {
        world.sides[1].post_recv(id, LANDING, 100);
    }
    let nak = Syndrome::Nak(NakCode::PsnSequenceError).octet();
    for psn in [100, 102, 103, 101, 103, 100, 102] {
        inject(&mut world, &header(Opcode::SendOnly, psn), b"abc");
    }
    let expected = [(100, 0x1f), (101, nak), (101, 0x1f), (102, nak), (101, 0x1f), (102, 0x1f)];
    assert_eq!(answers(&world), expected);
    let taken: Vec<_> = world.sides[1].take_wcs();
    assert_eq!(taken, [(0, OK), (1, OK), (2, OK)]);
}

/// Goal: a gap that closes before the peer was told of it is nobody's business.
#[test]
fn a_gap_that_closes_is_not_told() {
    let mut world = world(&Setup::default());
    for id in 0..2 {
        world.sides[1].post_recv(id, LANDING, 100);
    }
    for psn in [101, 100, 101] {
        world.inject(1, header(Opcode::SendOnly, psn).emit(0).as_slice());
    }
    world.transmit_all();
    assert_eq!(answers(&world), [(101, 0x1f)]);
}

/// Goal: a READ's response acknowledges what came before it: no packet of its own for that.
#[test]
fn read_responses_acknowledge() {
    let mut world = world(&Setup::default());
    world.sides[1].post_recv(1, LANDING, 100);
    world.inject(1, header(Opcode::SendOnly, 100).emit(0).as_slice());
    let mut read = header(Opcode::ReadRequest, 101);
    let remote = world.sides[1].remote(0);
    read.ext.reth = Some(Reth { addr: remote.addr, rkey: remote.rkey.0, len: 8 });
    world.inject(1, read.emit(0).as_slice());
    world.transmit_all();
    assert_eq!(lines(&world), ["1 ReadResponseOnly psn=101 len=8 0x1f msn=2"]);
}

/// Goal: a READ's response that does not fit its request fails the READ as a bad response.
#[test]
fn bad_responses() {
    let cases = [
        (Opcode::ReadResponseFirst, 256, None),
        (Opcode::ReadResponseOnly, 256, Some(WcStatus::BadRespErr)),
        (Opcode::ReadResponseFirst, 255, Some(WcStatus::BadRespErr)),
        (Opcode::AtomicAcknowledge, 0, Some(WcStatus::BadRespErr)),
    ];
    for (opcode, len, status) in cases {
        let mut world = world(&Setup { mtu: 256, ..Setup::default() });
        world.sides[0].post(1, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 600);
        world.transmit_all();
        let mut response = Header::new(opcode, qpn(0), Psn::new(100));
        response.ext.aeth = Some(Aeth { syndrome: Syndrome::ACK, msn: Msn::new(1) });
        response.ext.atomic_ack = Some(1);
        let mut octets = response.emit(len).as_slice().to_vec();
        octets.resize(octets.len() + len.next_multiple_of(4), 1);
        world.inject(0, &octets);
        let statuses = world.sides[0].take_wcs();
        assert_eq!(statuses.first().map(|&(_, status)| status), status, "{opcode:?} of {len}");
    }
}

/// Goal: duplicates of parts of READs cannot pile up work without bound.
#[test]
fn duplicate_reads_are_bounded() {
    let mut world = world(&Setup { mtu: 256, max_rd_atomic: 3, ..Setup::default() });
    let remote = world.sides[1].remote(0);
    let mut read = header(Opcode::ReadRequest, 100);
    let reth = Reth { addr: remote.addr, rkey: remote.rkey.0, len: 256 * 100 };
    read.ext.reth = Some(reth);
    inject(&mut world, &read, b"");
    world.trace.clear();
    for index in 0..100 {
        let mut part = header(Opcode::ReadRequest, 100 + index);
        let addr = reth.addr + u64::from(index) * 256;
        part.ext.reth = Some(Reth { addr, len: 256, ..reth });
        world.inject(1, part.emit(0).as_slice());
    }
    world.transmit_all();
    assert_eq!(world.trace.len(), 3);
}

/// Goal: an acknowledgement is owed once per turn, not once per request.
#[test]
fn acknowledgements_are_coalesced() {
    let mut world = world(&Setup::default());
    for psn in 100..110 {
        world.sides[1].post_recv(u64::from(psn), LANDING, 100);
        world.inject(1, header(Opcode::SendOnly, psn).emit(0).as_slice());
    }
    world.transmit_all();
    assert_eq!(answers(&world), [(109, 0x1f)]);
}

/// Goal: every break of the payload and order rules is NAK 0x61 and the end of the connection
/// (facts: 1.3).
#[test]
fn payload_and_order_rules() {
    let full = [7; 1024];
    let reth = |len| Some(Reth { addr: 0, rkey: 0, len });
    let write = |opcode, len| {
        let mut header = header(opcode, 100);
        header.ext.reth = reth(len);
        header
    };
    let cases: [(&str, Header, &[u8]); 8] = [
        ("FIRST shorter than the MTU", header(Opcode::SendFirst, 100), &full[..1023]),
        ("FIRST longer than the MTU", header(Opcode::SendFirst, 100), &[7; 1025]),
        ("ONLY longer than the MTU", header(Opcode::SendOnly, 100), &[7; 1028]),
        ("MIDDLE of nothing", header(Opcode::SendMiddle, 100), &full),
        ("LAST of nothing", header(Opcode::WriteLast, 100), &full),
        ("ONLY that is not its RETH's length", write(Opcode::WriteOnly, 9), &full[..8]),
        ("beyond 2^31", write(Opcode::WriteFirst, (1 << 31) + 1), &full),
        ("not spoken by RC responders here", write(Opcode::AtomicWrite, 8), &full[..8]),
    ];
    for (what, header, payload) in cases {
        let mut world = world(&Setup::default());
        world.sides[1].post_recv(1, LANDING, 4096);
        inject(&mut world, &header, payload);
        assert_eq!(answers(&world), [(100, 0x61)], "{what}");
        assert!(world.sides[1].machine.is_failed(), "{what}");
        let statuses: Vec<_> = world.sides[1].take_wcs();
        assert_eq!(statuses, [(1, WcStatus::WrFlushErr)], "{what}");
    }
}

/// Goal: what may not follow an open message is refused: its receive completes with an error.
#[test]
fn a_message_is_not_interrupted() {
    let middle = [7; 1024];
    let mut write = header(Opcode::WriteOnly, 101);
    write.ext.reth = Some(Reth::default());
    let cases: [(Header, &[u8]); 5] = [
        (header(Opcode::SendOnly, 101), b""),
        (header(Opcode::SendLast, 101), b""),
        (header(Opcode::SendMiddle, 101), &middle[..1000]),
        (header(Opcode::WriteMiddle, 101), &middle),
        (write, b""),
    ];
    for (header_, payload) in cases {
        let mut world = world(&Setup::default());
        world.sides[1].post_recv(1, LANDING, 8192);
        inject(&mut world, &header(Opcode::SendFirst, 100), &middle);
        inject(&mut world, &header_, payload);
        assert_eq!(answers(&world), [(101, 0x61)], "{header_:?}");
        assert_eq!(world.sides[1].take_wcs(), [(1, WcStatus::RemInvReqErr)], "{header_:?}");
    }
}

/// Goal: a READ beyond the responder's resources is refused, and so is any when it has none.
#[test]
fn too_many_reads() {
    let mut world = world(&Setup { max_rd_atomic: 0, ..Setup::default() });
    let mut read = header(Opcode::ReadRequest, 100);
    let remote = world.sides[1].remote(0);
    read.ext.reth = Some(Reth { addr: remote.addr, rkey: remote.rkey.0, len: 8 });
    inject(&mut world, &read, b"");
    assert_eq!(answers(&world), [(100, 0x61)]);
}

/// Goal: a duplicate READ of a part is answered from memory as it is, as a response of its own; one
/// of a span that was never asked for is dropped.
#[test]
fn duplicate_reads() {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    let remote = world.sides[1].remote(0);
    let mut read = header(Opcode::ReadRequest, 100);
    read.ext.reth = Some(Reth { addr: remote.addr, rkey: remote.rkey.0, len: 700 });
    inject(&mut world, &read, b"");
    world.trace.clear();
    let mut part = header(Opcode::ReadRequest, 101);
    part.ext.reth = Some(Reth { addr: remote.addr + 256, rkey: remote.rkey.0, len: 444 });
    inject(&mut world, &part, b"");
    let expected = [
        "1 ReadResponseFirst psn=101 len=256 0x1f msn=1",
        "1 ReadResponseLast psn=102 len=188 0x1f msn=1",
    ];
    assert_eq!(lines(&world), expected);
    world.trace.clear();
    part.ext.reth = Some(Reth { addr: remote.addr + 257, rkey: remote.rkey.0, len: 10 });
    inject(&mut world, &part, b"");
    assert!(world.trace.is_empty());
}

/// Goal: a READ whose key dies while its response is leaving ends with a NAK at the first packet
/// that cannot be read.
#[test]
fn a_key_dies_in_the_middle_of_a_read() {
    let mut world = world(&Setup { mtu: 256, ..Setup::default() });
    let mr = world.sides[1].mr;
    let mut read = header(Opcode::ReadRequest, 100);
    read.ext.reth = Some(Reth { addr: mr.addr, rkey: mr.rkey.0, len: 2000 });
    world.inject(1, read.emit(0).as_slice());
    let mut two = TxBatch::new(2);
    let now = world.now;
    world.sides[1].with(now, |machine, cx| machine.poll_transmit(cx, &mut two));
    world.sides[1].memory.invalidate(mr.rkey).unwrap();
    world.transmit_all();
    assert_eq!(answers(&world), [(102, 0x62)]);
    assert!(world.sides[1].machine.is_failed());
}
