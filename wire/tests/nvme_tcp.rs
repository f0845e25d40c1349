//! What two stock Linux 6.12 peers said to each other over NVMe/TCP decodes, and encodes to the same
//! octets. `vectors/nvme-tcp-6.12.pcap`: nvme-tcp host, nvmet-tcp target on port 4421; discovery, then
//! a controller with header and data digests.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping, helpers included")]

#[path = "pcap/tcp.rs"]
mod tcp;

use std::collections::BTreeMap;

use flexblk_wire::nvme::Sgl;
use flexblk_wire::nvme_tcp::{
    CommonHeader, DIGEST_LEN, Framing, Pdu, PduKind, Receiver, Shape, digest,
};

const PORT: u16 = 4421;

/// One PDU as it was captured.
struct Captured {
    framing: Framing,
    shape: Shape,
    pdu: Pdu,
    octets: Vec<u8>,
}

/// All PDUs of the capture, connection by connection, both directions.
fn pdus() -> Vec<Captured> {
    let streams = tcp::streams(include_bytes!("vectors/nvme-tcp-6.12.pcap"));
    let mut found = Vec::new();
    for stream in &streams {
        let to_controller = stream.destination_port == PORT;
        let receiver = if to_controller { Receiver::Controller } else { Receiver::Host };
        // What the controller answered holds for both directions.
        let answer = streams.iter().find(|s| {
            let host = if to_controller { stream.source_port } else { stream.destination_port };
            s.source_port == PORT && s.destination_port == host
        });
        let Some(Pdu::IcResp(answer)) = Pdu::decode(PduKind::IcResp, &answer.unwrap().octets)
        else {
            panic!("a connection begins with an ICResp")
        };
        let agreed = Framing {
            header_digest: answer.header_digest,
            data_digest: answer.data_digest,
            pda: 0,
            data_max: 1 << 20,
        };
        let mut rest = stream.octets.as_slice();
        let mut framing = Framing::PLAIN;
        while let Some(common) = rest.first_chunk() {
            let common = CommonHeader::decode(common);
            let shape = common.shape(receiver, &framing).unwrap();
            let Some((octets, later)) = rest.split_at_checked(common.plen as usize) else { break };
            let pdu = Pdu::decode(shape.kind, octets).unwrap();
            found.push(Captured { framing, shape, pdu, octets: octets.to_vec() });
            (rest, framing) = (later, agreed);
        }
        assert!(rest.is_empty(), "{} octets behind the last PDU", rest.len());
    }
    found
}

/// Goal: every header, re-encoded from its values alone, is what was on the wire; every digest of
/// header and data is right.
#[test]
fn every_pdu_encodes_to_the_octets_it_came_from() {
    let (mut header_digests, mut data_digests) = (0, 0);
    for Captured { framing, shape, pdu, octets } in pdus() {
        let mut again = Vec::new();
        pdu.encode(&framing, shape.data_bytes, &mut again);
        let (head, tail) = octets.split_at(shape.header_bytes + shape.pad_bytes);
        assert_eq!(again, head, "{pdu:?}");
        header_digests += usize::from(shape.header_digest);
        if shape.data_digest {
            let (data, sum) = tail.split_at(tail.len() - DIGEST_LEN);
            assert_eq!(digest(data), sum, "{pdu:?}");
            data_digests += 1;
        }
    }
    assert!(header_digests > 80 && data_digests > 30, "{header_digests}, {data_digests}");
}

/// Goal: the capture holds what it is said to hold, so that the test above means something; hosts
/// describe their data as this crate expects.
#[test]
fn the_capture_covers_the_pdus_of_a_session() {
    let mut count = BTreeMap::new();
    let (mut in_capsule, mut by_transport) = (0, 0);
    for Captured { shape, pdu, .. } in pdus() {
        *count.entry(pdu.kind().octet()).or_insert(0) += 1;
        if let Pdu::CapsuleCmd(sqe) = pdu {
            match sqe.sgl() {
                Sgl::InCapsule { offset: 0, len } => {
                    assert_eq!(len, shape.data_bytes);
                    in_capsule += 1;
                }
                Sgl::Transport { len } => {
                    by_transport += usize::from(len > 0);
                    assert_eq!(shape.data_bytes, 0);
                }
                other @ (Sgl::InCapsule { .. }
                | Sgl::DataBlock { .. }
                | Sgl::Keyed { .. }
                | Sgl::Other(_)) => panic!("{other:?} in {sqe:?}"),
            }
        }
    }
    for kind in PduKind::ALL {
        let expected = !matches!(kind, PduKind::H2cTermReq | PduKind::C2hTermReq);
        assert_eq!(count.contains_key(&kind.octet()), expected, "{kind:?}");
    }
    assert!(in_capsule > 5 && by_transport > 20, "{in_capsule}, {by_transport}");
}
