//! Packets that must be refused, each for its own reason; tables of opcodes and syndromes.

use core::time::Duration;

use super::super::native::{NativeHeader, NativePacket, Sack, Tail, crc_matches};
use super::super::*;
use super::*;

fn send(payload_len: usize) -> Vec<u8> {
    let header = Header::new(Opcode::SendOnly, QpNum::new(0x12), Psn::new(1)).emit(payload_len);
    let pad = usize::from(pad_count(payload_len));
    [header.as_slice(), &vec![7; payload_len], &vec![0; pad], &[0; 4]].concat()
}

fn refused(octets: &[u8]) -> ParseError {
    Packet::parse(octets, true).unwrap_err()
}

/// Goal: each way of being wrong has its own reason, which is what operators count by.
#[test]
fn each_fault_has_its_reason() {
    let good = send(5);
    assert_eq!(Packet::parse(&good, true).unwrap().payload, [7; 5]);
    for len in 0..16 {
        assert_eq!(refused(&good[..len]), ParseError::Truncated, "{len} octets");
    }
    let with = |at: usize, octet: u8| {
        let mut octets = good.clone();
        octets[at] = octet;
        octets
    };
    assert_eq!(refused(&with(0, 0x15)), ParseError::UnknownOpcode);
    assert_eq!(refused(&with(1, 0x01)), ParseError::BadVersion);
    assert_eq!(refused(&with(0, 0xc0)), ParseError::WrongMode);
    // An acknowledgement cannot carry payload: the five octets are an AETH and more.
    assert_eq!(refused(&with(0, 0x11)), ParseError::UnexpectedPayload);
    // A READ request needs 16 octets of RETH; there are 8.
    assert_eq!(refused(&with(0, 0x0c)), ParseError::Truncated);
    let mut empty = send(0);
    empty[1] = 0x30;
    assert_eq!(refused(&empty), ParseError::BadPadding);
}

/// Goal: native faults, likewise.
#[test]
fn each_native_fault_has_its_reason() {
    let header = NativeHeader::new(Opcode::NativeSend, QpNum::new(1), Psn::new(1)).emit();
    let with = |at: usize, octet: u8| {
        let mut octets = header.as_slice().to_vec();
        octets[at] = octet;
        NativePacket::parse(&octets, false).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, Opcode::SendOnly.octet()), ParseError::WrongMode);
    assert_eq!(with(1, 0x10), ParseError::BadPadding);
    assert_eq!(with(13, 17), ParseError::BadNativeHeader);
    // An operation where there is no atomic, and an atomic without one.
    assert_eq!(with(15, 1), ParseError::BadNativeHeader);
    assert_eq!(with(0, Opcode::NativeAtomicRequest.octet()), ParseError::BadNativeHeader);
    let short = NativePacket::parse(&header.as_slice()[..79], false);
    assert_eq!(short.unwrap_err(), ParseError::Truncated);
    let mut probe = header.as_slice().to_vec();
    probe[0] = Opcode::NativeProbe.octet();
    probe.push(0);
    assert_eq!(NativePacket::parse(&probe, false).unwrap_err(), ParseError::UnexpectedPayload);
}

/// Goal: the words of counters are stable, and the message of an error is the same word.
#[test]
fn reasons_are_words() {
    for error in ParseError::ALL {
        assert_eq!(error.to_string(), error.as_str());
        assert!(error.as_str().bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'));
    }
}

/// Goal: an opcode's octet, place and headers agree with the table of the standard.
#[test]
fn opcodes_know_their_headers() {
    for octet in 0..=u8::MAX {
        if let Some(opcode) = Opcode::from_octet(octet) {
            assert_eq!(opcode.octet(), octet);
        }
    }
    assert!(Opcode::ALL.iter().all(|opcode| Opcode::from_octet(opcode.octet()) == Some(*opcode)));
    let with_reth: Vec<_> = Opcode::ALL.iter().filter(|opcode| opcode.has_reth()).collect();
    assert_eq!(
        with_reth,
        [
            &Opcode::WriteFirst,
            &Opcode::WriteOnly,
            &Opcode::WriteOnlyImmediate,
            &Opcode::ReadRequest,
            &Opcode::Flush,
            &Opcode::AtomicWrite
        ]
    );
    assert!(Opcode::ReadResponseFirst.has_aeth() && !Opcode::ReadResponseMiddle.has_aeth());
    assert!(Opcode::WriteLastImmediate.consumes_receive() && !Opcode::WriteLast.consumes_receive());
    assert!(Opcode::SendLastInvalidate.ends_message() && !Opcode::SendMiddle.begins_message());
}

/// Goal: every syndrome octet survives, and those of the facts mean what they should.
#[test]
fn syndromes_survive() {
    for octet in 0..=u8::MAX {
        assert_eq!(Syndrome::from_octet(octet).octet(), octet);
    }
    assert_eq!(Syndrome::from_octet(0x1f), Syndrome::ACK);
    assert_eq!(Syndrome::from_octet(0x60), Syndrome::Nak(NakCode::PsnSequenceError));
    assert_eq!(Syndrome::from_octet(0x61), Syndrome::Nak(NakCode::InvalidRequest));
    assert_eq!(Syndrome::from_octet(0x62), Syndrome::Nak(NakCode::RemoteAccess));
    assert_eq!(Syndrome::from_octet(0x63), Syndrome::Nak(NakCode::RemoteOperational));
    assert_eq!(Syndrome::from_octet(0x2e), Syndrome::RnrNak(RnrTimer::new(14)));
}

/// Goal: the RNR table ascends from code 1, wraps to the longest at 0, and choosing a timer never
/// chooses a shorter one while there is a longer.
#[test]
fn rnr_timers_are_a_table() {
    let of = |code| RnrTimer::new(code).duration();
    assert_eq!(of(1), Duration::from_micros(10));
    assert_eq!(of(14), Duration::from_micros(1_280));
    assert_eq!(of(31), Duration::from_micros(491_520));
    assert_eq!(of(0), Duration::from_micros(655_360));
    assert!((1..31).all(|code| of(code) < of(code + 1)));
    for code in 0..32 {
        assert_eq!(RnrTimer::at_least(of(code)), RnrTimer::new(code));
    }
    assert_eq!(RnrTimer::at_least(Duration::from_micros(11)), RnrTimer::new(2));
    assert_eq!(RnrTimer::at_least(Duration::from_secs(9)), RnrTimer::new(0));
}

/// Goal: the selective bitmap says what was put into it, in order, and refuses what is beyond.
#[test]
fn sack_is_a_set() {
    let steps = [1, 63, 64, 200, 383];
    let mut sack = Sack::EMPTY;
    assert!(sack.is_empty() && sack.highest().is_none());
    for step in steps {
        assert!(sack.insert(step));
    }
    assert!(!sack.insert(Sack::BITS));
    assert_eq!(sack.iter().collect::<Vec<_>>(), steps);
    assert_eq!(sack.highest(), Some(383));
    assert!((0..Sack::BITS + 9).all(|step| sack.contains(step) == steps.contains(&step)));
}

/// Goal: a response capsule fits the tail, and what is longer does not.
#[test]
fn tail_holds_a_completion() {
    assert_eq!(Tail::new(&[3; 16]).unwrap().as_slice(), [3; 16]);
    assert!(Tail::new(&[3; 17]).is_none());
    assert_eq!(Tail::from_operands(5, 6).operands(), (5, 6));
}

/// Goal: one packet by hand against an ICRC that was computed octet by octet, so that the masks
/// are checked apart from the code that is tested, for the native CRC as well.
#[test]
fn icrc_masks_what_routers_change() {
    let mut header = Header::new(Opcode::SendOnly, QpNum::new(0x12), Psn::new(5));
    header.bth.becn = true;
    let header = header.emit(1);
    let ip = IcrcIp::V4 { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], id: 3, dont_fragment: true };
    let ports = UdpPorts { src: 0xc000, dst: UDP_PORT };
    let mut icrc = Icrc::new(&ip, ports, 28, header.as_slice());
    icrc.update(&[0xaa]).pad(3);

    let mut octets = vec![0xff; 8];
    octets.extend([0x45, 0xff, 0, 48, 0, 3, 0x40, 0, 0xff, 17, 0xff, 0xff]);
    octets.extend([10, 0, 0, 1, 10, 0, 0, 2, 0xc0, 0, 0x12, 0xb7, 0, 28, 0xff, 0xff]);
    octets.extend([4, 0x30, 0xff, 0xff, 0xff, 0, 0, 0x12, 0, 0, 0, 5, 0xaa, 0, 0, 0]);
    assert_eq!(icrc.finish(), bitwise_crc32(&octets).to_le_bytes());

    let mut native = Icrc::native(header.as_slice());
    native.update(&[0xaa]).pad(3);
    let without_ip = [&octets[..8], &octets[36..]].concat();
    assert_eq!(native.finish(), bitwise_crc32(&without_ip).to_le_bytes());
}

/// Goal: a native datagram is accepted with its CRC however its congestion bits were changed on
/// the way, and not after any other bit of it was.
#[test]
fn native_crc_guards_all_but_congestion_bits() {
    let header = NativeHeader::new(Opcode::NativeSend, QpNum::new(1), Psn::new(1)).emit();
    let mut octets = [header.as_slice(), &[7; 33]].concat();
    let mut crc = Icrc::native(header.as_slice());
    crc.update(&[7; 33]);
    octets.extend(crc.finish());
    assert!(crc_matches(&octets));
    for at in 0..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 0x40;
        assert_eq!(crc_matches(&changed), at == 4, "octet {at}");
    }
    assert!((0..16).all(|len| !crc_matches(&octets[..len])));
}

/// CRC-32 by its definition, one bit at a time.
fn bitwise_crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}
