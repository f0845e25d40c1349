//! Properties of packets: what is emitted parses back, and no octets make the parsers panic.

use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::native::{
    AtomicOp, NATIVE_HEADER_LEN, NativeAck, NativeFlags, NativeHeader, NativePacket, Sack, Tail,
};
use super::*;

fn roce_opcode() -> impl Strategy<Value = Opcode> {
    let opcodes: Vec<_> =
        Opcode::ALL.iter().copied().filter(|opcode| !opcode.is_native()).collect();
    select(opcodes)
}

fn bth(opcode: impl Strategy<Value = Opcode>) -> impl Strategy<Value = Bth> {
    let flags = any::<(bool, bool, bool, bool, bool)>();
    let numbers = any::<(u16, u32, u32)>();
    (opcode, flags, 0_u8..64, 0_u8..128, numbers).prop_map(
        |(opcode, (solicited, mig_req, fecn, becn, ack_req), reserved6, reserved7, numbers)| {
            let (pkey, qp, psn) = numbers;
            Bth {
                solicited,
                mig_req,
                pkey: PKey(pkey),
                fecn,
                becn,
                reserved6,
                ack_req,
                reserved7,
                ..Bth::new(opcode, QpNum::new(qp), Psn::new(psn))
            }
        },
    )
}

fn header() -> impl Strategy<Value = Header> {
    let numbers = any::<(u64, u64, u64, u32, u32, u8)>();
    (bth(roce_opcode()), numbers, uniform4(any::<u8>())).prop_map(|(bth, numbers, imm)| {
        let (addr, swap_add, compare, rkey, len, syndrome) = numbers;
        let opcode = bth.opcode;
        let aeth = Aeth { syndrome: Syndrome::from_octet(syndrome), msn: Msn::new(len) };
        let deth = Deth { qkey: QKey(rkey), reserved: syndrome, source_qp: QpNum::new(len) };
        let ext = ExtHeaders {
            deth: opcode.has_deth().then_some(deth),
            feth: opcode.has_feth().then_some(Feth(rkey)),
            reth: opcode.has_reth().then_some(Reth { addr, rkey, len }),
            atomic: opcode.has_atomic().then_some(AtomicEth { addr, rkey, swap_add, compare }),
            aeth: opcode.has_aeth().then_some(aeth),
            atomic_ack: opcode.has_atomic_ack().then_some(swap_add),
            imm: opcode.has_imm().then_some(ImmDt(imm)),
            ieth: opcode.has_ieth().then_some(Ieth(rkey)),
        };
        Header { bth, ext }
    })
}

fn native_header() -> impl Strategy<Value = NativeHeader> {
    let opcodes: Vec<_> = Opcode::ALL
        .iter()
        .copied()
        .filter(|opcode| opcode.is_native() && *opcode != Opcode::NativeAck)
        .collect();
    let numbers = any::<(u8, u8, u32, u32, u32, u32)>();
    let rest = any::<(u64, u32, u32, u32, bool)>();
    (bth(select(opcodes)), numbers, rest, uniform4(any::<u8>()), vec(any::<u8>(), 0..=16)).prop_map(
        |(bth, numbers, rest, imm, tail)| {
            let (flags, ecn_count, ack_psn, timestamp_us, echo_us, msn) = numbers;
            let (addr, rkey, message_len, invalidate, is_add) = rest;
            let atomic = if is_add { AtomicOp::FetchAdd } else { AtomicOp::CompareSwap };
            NativeHeader {
                bth,
                flags: NativeFlags::from_octet(flags),
                ecn_count,
                atomic: (bth.opcode == Opcode::NativeAtomicRequest).then_some(atomic),
                ack_psn: Psn::new(ack_psn),
                timestamp_us,
                echo_us,
                msn: Msn::new(msn),
                addr,
                rkey,
                message_len,
                invalidate,
                immediate: ImmDt(imm),
                tail: Tail::new(&tail).unwrap(),
            }
        },
    )
}

fn native_ack() -> impl Strategy<Value = NativeAck> {
    let numbers = any::<(u8, u8, u8, u32, u32, u32, u32)>();
    (bth(Just(Opcode::NativeAck)), numbers, vec(0..Sack::BITS, 0..40)).prop_map(
        |(bth, numbers, steps)| {
            let (flags, syndrome, ecn_count, ack_psn, timestamp_us, echo_us, nak_psn) = numbers;
            let mut sack = Sack::EMPTY;
            for step in steps {
                assert!(sack.insert(step));
            }
            NativeAck {
                bth,
                flags: NativeFlags::from_octet(flags),
                syndrome: Syndrome::from_octet(syndrome),
                ecn_count,
                ack_psn: Psn::new(ack_psn),
                timestamp_us,
                echo_us,
                nak_psn: Psn::new(nak_psn),
                sack,
            }
        },
    )
}

/// A datagram of `header`, `payload` and trailer.
fn datagram(header: &[u8], payload: &[u8], trailer: &TrailerBuf) -> Vec<u8> {
    [header, payload, trailer.as_slice()].concat()
}

proptest! {
    /// Goal: every header of every opcode, with any payload it may have, comes back as it was,
    /// with and without an ICRC, and the padding is a multiple of four.
    #[test]
    fn roce_parse_undoes_emit(
        header in header(),
        payload in vec(any::<u8>(), 0..70),
        crc in option::of(any::<[u8; 4]>()),
    ) {
        let payload = if header.bth.opcode.has_payload() { &payload[..] } else { &[] };
        let emitted = header.emit(payload.len());
        let pad = pad_count(payload.len());
        let octets = datagram(emitted.as_slice(), payload, &TrailerBuf::new(pad, crc));
        prop_assert_eq!(octets.len() % 4, 0);
        let packet = Packet::parse(&octets, crc.is_some()).unwrap();
        prop_assert_eq!(packet.bth, Bth { pad_count: pad, ..header.bth });
        prop_assert_eq!(packet.ext, header.ext);
        prop_assert_eq!(packet.payload, payload);
        prop_assert_eq!(packet.icrc, crc);
    }

    /// Goal: native packets come back as they were, and their headers are all of one size.
    #[test]
    fn native_parse_undoes_emit(
        header in native_header(),
        payload in vec(any::<u8>(), 0..70),
        crc in option::of(any::<[u8; 4]>()),
    ) {
        let payload = if header.bth.opcode.has_payload() { &payload[..] } else { &[] };
        let emitted = header.emit();
        prop_assert_eq!(emitted.len(), NATIVE_HEADER_LEN);
        let octets = datagram(emitted.as_slice(), payload, &TrailerBuf::new(0, crc));
        let parsed = NativePacket::parse(&octets, crc.is_some());
        prop_assert_eq!(parsed, Ok(NativePacket::Data { header, payload }));
    }

    /// Goal: acknowledgements come back as they were, with every selective bit.
    #[test]
    fn native_ack_parse_undoes_emit(ack in native_ack()) {
        let emitted = ack.emit();
        prop_assert_eq!(emitted.len(), NATIVE_HEADER_LEN);
        let parsed = NativePacket::parse(emitted.as_slice(), false);
        prop_assert_eq!(parsed, Ok(NativePacket::Ack(ack)));
    }

    /// Goal: no octets whatever make a parser panic, and what parses can be emitted again to the
    /// same value.
    #[test]
    fn any_octets_parse_or_are_refused(
        opcode in select(Opcode::ALL),
        mut octets in vec(any::<u8>(), 0..160),
        keep_opcode in any::<bool>(),
        zero_second in any::<bool>(),
        crc in any::<bool>(),
    ) {
        // Random opcodes and versions are mostly refused at once; steer some past that.
        if let (Some(first), true) = (octets.first_mut(), keep_opcode) {
            *first = opcode.octet();
        }
        if let (Some(second), true) = (octets.get_mut(1), zero_second) {
            *second &= 0xf0;
        }
        if let Ok(packet) = Packet::parse(&octets, crc) {
            let header = Header { bth: packet.bth, ext: packet.ext };
            let payload_len = packet.payload.len();
            let again = header.emit(payload_len);
            let trailer = TrailerBuf::new(pad_count(payload_len), packet.icrc);
            let again = datagram(again.as_slice(), packet.payload, &trailer);
            let reparsed = Packet::parse(&again, crc).unwrap();
            prop_assert_eq!((reparsed.ext, reparsed.payload), (packet.ext, packet.payload));
        }
        match NativePacket::parse(&octets, crc) {
            Ok(NativePacket::Data { header, payload }) => {
                let again = datagram(header.emit().as_slice(), payload, &TrailerBuf::new(0, None));
                let reparsed = NativePacket::parse(&again, false);
                prop_assert_eq!(reparsed, Ok(NativePacket::Data { header, payload }));
            }
            Ok(NativePacket::Ack(ack)) => {
                let again = ack.emit();
                let reparsed = NativePacket::parse(again.as_slice(), false);
                prop_assert_eq!(reparsed, Ok(NativePacket::Ack(ack)));
            }
            Err(_) => {}
        }
    }

    /// Goal: the ICRC does not depend on how a packet is cut into pieces.
    #[test]
    fn icrc_is_the_same_in_any_pieces(payload in vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
        let header = Header::new(Opcode::SendOnly, QpNum::new(7), Psn::new(9)).emit(payload.len());
        let ip = IcrcIp::V6 { src: [1; 16], dst: [2; 16] };
        let ports = UdpPorts { src: 0xc001, dst: UDP_PORT };
        let (left, right) = payload.split_at(cut.index(payload.len() + 1));
        let mut whole = Icrc::new(&ip, ports, 400, header.as_slice());
        whole.update(&payload);
        let mut pieces = Icrc::new(&ip, ports, 400, header.as_slice());
        pieces.update(left).update(&[]).update(right);
        prop_assert_eq!(whole.finish(), pieces.finish());
    }
}
