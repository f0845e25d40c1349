//! Values survive, and octets from outside never panic.

use super::*;
use crate::nvme::{Cqe, Sqe};
use proptest::prelude::*;

fn framings() -> impl Strategy<Value = Framing> {
    (any::<bool>(), any::<bool>(), 0..=31_u8).prop_map(|(header_digest, data_digest, pda)| {
        Framing { header_digest, data_digest, pda, data_max: 1 << 20 }
    })
}

fn datas(to_host: bool) -> impl Strategy<Value = Data> {
    let numbers = (any::<u16>(), any::<u16>(), any::<u32>(), any::<u32>());
    (numbers, any::<bool>(), any::<bool>()).prop_map(move |(numbers, last, success)| {
        let (cid, ttag, offset, length) = numbers;
        Data { cid, ttag, offset, length, last, success: success && to_host }
    })
}

fn pdus() -> impl Strategy<Value = Pdu> {
    let ic = (any::<u16>(), any::<u8>(), any::<bool>(), any::<bool>(), any::<u32>());
    let numbers = (any::<u16>(), any::<u16>(), any::<u32>(), any::<u32>());
    prop_oneof![
        ic.prop_map(|(pfv, hpda, header_digest, data_digest, maxr2t)| {
            Pdu::IcReq(IcReq { pfv, hpda, header_digest, data_digest, maxr2t })
        }),
        ic.prop_map(|(pfv, cpda, header_digest, data_digest, max_h2c_data)| {
            Pdu::IcResp(IcResp { pfv, cpda, header_digest, data_digest, max_h2c_data })
        }),
        (any::<u16>(), any::<u32>())
            .prop_map(|(status, information)| Pdu::H2cTermReq(TermReq { status, information })),
        (any::<u16>(), any::<u32>())
            .prop_map(|(status, information)| Pdu::C2hTermReq(TermReq { status, information })),
        any::<[u8; 64]>().prop_map(|octets| Pdu::CapsuleCmd(Sqe::from_octets(octets))),
        any::<[u8; 16]>().prop_map(|octets| Pdu::CapsuleResp(Cqe::from_octets(octets))),
        datas(false).prop_map(Pdu::H2cData),
        datas(true).prop_map(Pdu::C2hData),
        numbers.prop_map(|(cid, ttag, offset, length)| Pdu::R2t(R2t { cid, ttag, offset, length })),
    ]
}

fn receiver_of(kind: PduKind) -> Receiver {
    if kind.may_reach(Receiver::Host) { Receiver::Host } else { Receiver::Controller }
}

proptest! {
    /// Goal: what was encoded has the shape that was asked for, and decodes to itself.
    #[test]
    fn pdus_survive(pdu in pdus(), framing in framings(), bytes in 1..=65_536_u32) {
        let kind = pdu.kind();
        let carries = matches!(kind, PduKind::CapsuleCmd | PduKind::H2cData | PduKind::C2hData);
        let data_bytes = if carries { bytes } else { 0 };
        let mut octets = Vec::new();
        pdu.encode(&framing, data_bytes, &mut octets);
        let common = CommonHeader::decode(octets.first_chunk().unwrap());
        let shape = common.shape(receiver_of(kind), &framing).unwrap();
        prop_assert_eq!((shape.kind, shape.data_bytes), (kind, data_bytes));
        prop_assert_eq!(shape.header_bytes + shape.pad_bytes, octets.len());
        prop_assert!(data_bytes == 0 || octets.len().is_multiple_of(framing.alignment()));
        let tail = if shape.data_digest { DIGEST_LEN } else { 0 };
        prop_assert_eq!(common.plen as usize, octets.len() + data_bytes as usize + tail);
        prop_assert_eq!(Pdu::decode(kind, &octets), Some(pdu));
        if shape.header_digest {
            let (header, sum) = octets[..shape.header_bytes].split_at(usize::from(kind.hlen()));
            prop_assert_eq!(&digest(header), sum);
        }
    }

    /// Goal: any octets have a shape whose lengths add up and are bounded, or a fault; no panic.
    #[test]
    fn any_octets_are_a_shape_or_a_fault(
        octets in any::<[u8; 8]>(),
        kind in 0..12_u8,
        small in any::<bool>(),
        framing in framings(),
        receiver in prop_oneof![Just(Receiver::Host), Just(Receiver::Controller)],
    ) {
        let mut common = CommonHeader::decode(&octets);
        prop_assert_eq!(common.encode(), octets);
        common.kind = kind;
        if small {
            common.plen %= 1 << 12;
            common.hlen = PduKind::from_octet(kind).map_or(0, PduKind::hlen);
        }
        if let Ok(shape) = common.shape(receiver, &framing) {
            let tail = if shape.data_digest { DIGEST_LEN } else { 0 };
            let all = shape.header_bytes + shape.pad_bytes + shape.data_bytes as usize + tail;
            prop_assert_eq!(all, common.plen as usize);
            prop_assert!(shape.data_bytes <= framing.data_max && shape.header_bytes <= HEADER_MAX + 4);
            prop_assert!(shape.kind.may_reach(receiver));
        }
    }

    /// Goal: a header that is cut decodes to nothing, a whole one to what encodes to its fields.
    #[test]
    fn any_header_decodes(octets in proptest::collection::vec(any::<u8>(), 0..160)) {
        for kind in PduKind::ALL {
            let pdu = Pdu::decode(*kind, &octets);
            prop_assert_eq!(pdu.is_some(), octets.len() >= usize::from(kind.hlen()));
            if let Some(pdu) = pdu {
                let mut again = Vec::new();
                pdu.encode(&Framing::PLAIN, 0, &mut again);
                prop_assert_eq!(Pdu::decode(*kind, &again), Some(pdu));
            }
        }
    }
}

/// Goal: each field of the common header that is wrong is told by its offset.
#[test]
fn faults_name_the_field() {
    let framing = Framing { header_digest: false, data_digest: false, pda: 1, data_max: 8192 };
    let h2c = |change: fn(&mut CommonHeader)| {
        let kind = PduKind::H2cData;
        let mut common =
            CommonHeader { kind: kind.octet(), flags: 0, hlen: 24, pdo: 24, plen: 24 + 4096 };
        change(&mut common);
        common.shape(Receiver::Controller, &framing).map(|shape| shape.data_bytes)
    };
    assert_eq!(h2c(|_| {}), Ok(4096));
    assert_eq!(h2c(|c| c.kind = 8), Err(PduFault::field(field::TYPE)));
    assert_eq!(h2c(|c| c.kind = PduKind::C2hData.octet()), Err(PduFault::field(field::TYPE)));
    assert_eq!(h2c(|c| c.hlen = 20), Err(PduFault::field(field::HLEN)));
    assert_eq!(h2c(|c| c.flags = flag::HDGST), Err(PduFault::field(field::FLAGS)));
    assert_eq!(h2c(|c| c.flags = flag::DDGST), Err(PduFault::field(field::FLAGS)));
    assert_eq!(h2c(|c| c.pdo = 20), Err(PduFault::field(field::PDO)));
    assert_eq!(h2c(|c| c.pdo = 28), Err(PduFault::field(field::PDO)), "not a multiple of eight");
    assert_eq!(h2c(|c| c.plen = 23), Err(PduFault::field(field::PLEN)));
    assert_eq!(h2c(|c| c.plen = 24), Err(PduFault::field(field::PLEN)), "data must follow");
    assert_eq!(h2c(|c| c.plen = 24 + 8193), Err(PduFault::LIMIT_EXCEEDED));
    assert_eq!(h2c(|c| c.plen = u32::MAX), Err(PduFault::LIMIT_EXCEEDED));
    let response = CommonHeader { kind: 5, flags: 0, hlen: 24, pdo: 0, plen: 28 };
    let shape = response.shape(Receiver::Host, &framing);
    assert_eq!(shape, Err(PduFault::field(field::PLEN)), "responses have no data");
}

/// Goal: the handshake refuses what is not spoken, by name.
#[test]
fn handshakes_are_checked() {
    let asked =
        IcReq { pfv: 0, hpda: 31, header_digest: false, data_digest: true, maxr2t: u32::MAX };
    assert_eq!(asked.check(), Ok(()));
    assert_eq!(IcReq { pfv: 1, ..asked }.check(), Err(PduFault::unsupported(field::PFV)));
    assert_eq!(IcReq { hpda: 32, ..asked }.check(), Err(PduFault::field(field::PDA)));
    let given =
        IcResp { pfv: 0, cpda: 0, header_digest: false, data_digest: true, max_h2c_data: 4096 };
    assert_eq!(given.check(&asked), Ok(()));
    assert_eq!(IcResp { data_digest: false, ..given }.check(&asked), Ok(()));
    let forced = IcResp { header_digest: true, ..given };
    assert_eq!(forced.check(&asked), Err(PduFault::field(field::DIGESTS)));
    for max_h2c_data in [0, 4095, 4098] {
        let bad = IcResp { max_h2c_data, ..given };
        assert_eq!(bad.check(&asked), Err(PduFault::field(field::MAXIMUM)), "{max_h2c_data}");
    }
}

/// Goal: a termination request says what was wrong and repeats at most 128 octets of it.
#[test]
fn termination_requests_repeat_the_header() {
    let mut octets = Vec::new();
    let fault = PduFault::field(field::PDO);
    TermReq::encode(fault, PduKind::C2hTermReq, &[7; 200], &mut octets);
    assert_eq!(octets.len(), 24 + 128);
    let common = CommonHeader::decode(octets.first_chunk().unwrap());
    let shape = common.shape(Receiver::Host, &Framing::PLAIN).unwrap();
    assert_eq!((shape.kind, shape.data_bytes), (PduKind::C2hTermReq, 128));
    let said = TermReq { status: 1, information: 3 };
    assert_eq!(Pdu::decode(shape.kind, &octets), Some(Pdu::C2hTermReq(said)));
    assert_eq!(said.to_string(), "invalid PDU header field (0x3)");
}
