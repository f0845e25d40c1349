use super::*;
use crate::cm::MadHeader;
use crate::roce::native::{NativeAck, NativeHeader};
use crate::roce::{Aeth, ExtHeaders, Header, Msn, NakCode, Psn, QKey, QpNum, RnrTimer};
use PacketKind::{
    Ack, AtomicRequest, AtomicResponse, CmDrep, CmDreq, CmMra, CmOther, CmRej, CmRep, CmReq, CmRtu,
    Cnp, Nak, Other, Probe, ReadRequest, ReadResponseFirst, ReadResponseLast, ReadResponseMiddle,
    ReadResponseOnly, RnrNak, SendFirst, SendLast, SendMiddle, SendOnly, WriteFirst, WriteLast,
    WriteMiddle, WriteOnly,
};

fn roce(opcode: Opcode, syndrome: Syndrome) -> PacketKind {
    let ext = ExtHeaders {
        aeth: Some(Aeth { syndrome, msn: Msn::ZERO }),
        reth: Some(super::super::Reth::default()),
        atomic: Some(super::super::AtomicEth { addr: 0, rkey: 0, swap_add: 0, compare: 0 }),
        atomic_ack: Some(0),
        imm: Some(super::super::ImmDt::default()),
        ieth: Some(super::super::Ieth(0)),
        ..ExtHeaders::default()
    };
    let header = Header { bth: Bth::new(opcode, QpNum::new(5), Psn::ZERO), ext };
    PacketKind::of(header.emit(0).as_slice()).unwrap()
}

/// Goal: each RoCEv2 packet has the word for its operation and place; an acknowledgement the word
/// for its syndrome.
#[test]
fn roce_packets() {
    let ok = Syndrome::ACK;
    let cases = [
        (Opcode::SendFirst, ok, SendFirst),
        (Opcode::SendMiddle, ok, SendMiddle),
        (Opcode::SendLastImmediate, ok, SendLast),
        (Opcode::SendOnlyInvalidate, ok, SendOnly),
        (Opcode::WriteFirst, ok, WriteFirst),
        (Opcode::WriteMiddle, ok, WriteMiddle),
        (Opcode::WriteLast, ok, WriteLast),
        (Opcode::WriteOnlyImmediate, ok, WriteOnly),
        (Opcode::ReadRequest, ok, ReadRequest),
        (Opcode::ReadResponseFirst, ok, ReadResponseFirst),
        (Opcode::ReadResponseMiddle, ok, ReadResponseMiddle),
        (Opcode::ReadResponseLast, ok, ReadResponseLast),
        (Opcode::ReadResponseOnly, ok, ReadResponseOnly),
        (Opcode::CompareSwap, ok, AtomicRequest),
        (Opcode::FetchAdd, ok, AtomicRequest),
        (Opcode::AtomicAcknowledge, ok, AtomicResponse),
        (Opcode::Acknowledge, ok, Ack),
        (Opcode::Acknowledge, Syndrome::Nak(NakCode::RemoteAccess), Nak),
        (Opcode::Acknowledge, Syndrome::RnrNak(RnrTimer::new(3)), RnrNak),
        (Opcode::Acknowledge, Syndrome::Reserved(0xff), Other),
        (Opcode::Cnp, ok, Cnp),
    ];
    for (opcode, syndrome, kind) in cases {
        assert_eq!(roce(opcode, syndrome), kind, "{opcode:?}");
    }
}

/// Goal: native packets have the same words; their place is in the flags.
#[test]
fn native_packets() {
    let kind = |opcode, flags| {
        let mut header = NativeHeader::new(opcode, QpNum::new(5), Psn::ZERO);
        header.flags = flags;
        let is_atomic = opcode == Opcode::NativeAtomicRequest;
        header.atomic = is_atomic.then_some(super::super::native::AtomicOp::FetchAdd);
        PacketKind::of(&header.emit().as_slice()[..PacketKind::HEAD_LEN]).unwrap()
    };
    let (none, first, last) = (NativeFlags::ACK_VALID, NativeFlags::FIRST, NativeFlags::LAST);
    for (opcode, kinds) in [
        (Opcode::NativeSend, [SendFirst, SendMiddle, SendLast, SendOnly]),
        (Opcode::NativeWrite, [WriteFirst, WriteMiddle, WriteLast, WriteOnly]),
        (
            Opcode::NativeReadResponse,
            [ReadResponseFirst, ReadResponseMiddle, ReadResponseLast, ReadResponseOnly],
        ),
        (Opcode::NativeReadRequest, [ReadRequest; 4]),
        (Opcode::NativeAtomicRequest, [AtomicRequest; 4]),
        (Opcode::NativeAtomicResponse, [AtomicResponse; 4]),
        (Opcode::NativeProbe, [Probe; 4]),
    ] {
        let found = [first, none, last, first | last].map(|flags| kind(opcode, flags));
        assert_eq!(found, kinds, "{opcode:?}");
    }
    for (syndrome, expected) in [
        (Syndrome::ACK, Ack),
        (Syndrome::Nak(NakCode::RemoteAccess), Nak),
        (Syndrome::RnrNak(RnrTimer::new(1)), RnrNak),
    ] {
        let mut ack = NativeAck::new(QpNum::new(5), Psn::ZERO, Psn::ZERO);
        ack.syndrome = syndrome;
        assert_eq!(PacketKind::of(ack.emit().as_slice()), Some(expected));
    }
}

/// Goal: CM messages are told by their attribute; a datagram cut short is one of no attribute.
#[test]
fn management_packets() {
    for (attribute, kind) in [
        (Attribute::Req, CmReq),
        (Attribute::Mra, CmMra),
        (Attribute::Rej, CmRej),
        (Attribute::Rep, CmRep),
        (Attribute::Rtu, CmRtu),
        (Attribute::Dreq, CmDreq),
        (Attribute::Drep, CmDrep),
        (Attribute::SidrReq, CmOther),
    ] {
        let mut header = Header::new(Opcode::UdSendOnly, QpNum::GSI, Psn::ZERO);
        header.ext.deth = Some(Deth { qkey: QKey::GSI, source_qp: QpNum::GSI, ..Deth::default() });
        let mut octets = header.emit(256).as_slice().to_vec();
        octets.extend(MadHeader::new(7, attribute).as_octets());
        assert_eq!(PacketKind::of(&octets[..PacketKind::HEAD_LEN]), Some(kind));
        assert_eq!(PacketKind::of(&octets[..PacketKind::HEAD_LEN - 1]), Some(CmOther));
    }
}

/// Goal: octets that are no packet of ours have no kind, and none makes it panic.
#[test]
fn anything_else() {
    for len in 0..64 {
        for octet in 0..=255 {
            let kind = PacketKind::of(&vec![octet; len]);
            let is_ours = len >= Bth::LEN && Opcode::from_octet(octet).is_some();
            assert_eq!(kind.is_some(), is_ours, "{octet:#x} of {len}");
        }
    }
}

/// Goal: words are unique, and fit a set of 64 bits.
#[test]
fn words_are_unique() {
    let words: std::collections::BTreeSet<_> = PacketKind::ALL.iter().map(|k| k.as_str()).collect();
    assert_eq!(words.len(), PacketKind::ALL.len());
    assert!(PacketKind::ALL.len() < 64);
    assert!(PacketKind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
}
