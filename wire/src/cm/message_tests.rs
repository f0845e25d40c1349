//! CM messages: octets survive, wrong ones are refused, fields are where the kernel looks.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;

/// A body in which every bit is different from its neighbours', so that an offset that is wrong by
/// one shows.
fn striped() -> [u8; 232] {
    core::array::from_fn(|index| u8::try_from(index).unwrap().wrapping_mul(37).wrapping_add(11))
}

/// Goal: a setter changes its own bits and nothing else, and its getter reads them back; for the
/// fields that share octets with others.
#[test]
fn fields_that_share_octets_do_not_touch_each_other() {
    let mut req = Req::from_octets(striped());
    let before = req.clone();
    req.set_remote_cm_timeout(20).set_path_mtu(PathMtu::Octets1024).set_retry_count(5);
    req.set_primary_ack_timeout(17).set_max_cm_retries(15).set_primary_flow_label(0xabcde);
    assert_eq!(req.remote_cm_timeout(), 20);
    assert_eq!(req.path_mtu(), Some(PathMtu::Octets1024));
    assert_eq!((req.retry_count(), req.primary_ack_timeout()), (5, 17));
    assert_eq!((req.max_cm_retries(), req.primary_flow_label()), (15, 0xabcde));
    assert_eq!(req.transport_code(), before.transport_code());
    assert_eq!(req.flow_control(), before.flow_control());
    assert_eq!(req.local_cm_timeout(), before.local_cm_timeout());
    assert_eq!(req.rnr_retry_count(), before.rnr_retry_count());
    assert_eq!(req.extended_transport(), before.extended_transport());
    assert_eq!(req.srq(), before.srq());
    assert_eq!(req.primary_packet_rate(), before.primary_packet_rate());
    assert_eq!(req.local_qpn(), before.local_qpn());
    assert_eq!(req.responder_resources(), before.responder_resources());
    assert_eq!(req.private_data(), before.private_data());
}

/// Goal: a REP made by setters has its fields where the Python peer, which a Linux guest accepted,
/// puts them.
#[test]
fn rep_lies_as_a_linux_guest_accepts_it() {
    let mut rep = Rep::zeroed();
    rep.set_local_comm_id(0x7700_0101).set_remote_comm_id(0x1234_5678).set_local_qpn(0x101);
    rep.set_starting_psn(0x1000).set_responder_resources(16).set_initiator_depth(16);
    rep.set_target_ack_delay(15).set_rnr_retry_count(7).set_local_ca_guid(1);
    let message = CmMessage::new(0x0102_0304_0506_0708, rep);
    let octets = message.encode();
    assert_eq!(octets[..8], [1, 7, 2, 3, 0, 0, 0, 0]);
    assert_eq!(octets[8..24], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0x13, 0, 0, 0, 0, 0, 0]);
    assert_eq!(octets[24..32], [0x77, 0, 1, 1, 0x12, 0x34, 0x56, 0x78]);
    assert_eq!(octets[36..40], [0, 1, 1, 0]);
    assert_eq!(octets[44..52], [0, 0x10, 0, 0, 16, 16, 15 << 3, 7 << 5]);
    assert_eq!(octets[52..60], [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(CmMessage::decode(&octets), Ok(message));
}

/// Goal: each way of not being CM has its reason.
#[test]
fn refuses_what_is_not_cm() {
    let good = CmMessage::new(9, Rtu::zeroed()).encode();
    assert!(CmMessage::decode(&good).is_ok());
    assert_eq!(CmMessage::decode(&good[..255]), Err(CmError::Truncated));
    assert_eq!(CmMessage::decode(&[]), Err(CmError::Truncated));
    for at in 0..4 {
        let mut octets = good;
        octets[at] ^= 0x40;
        assert_eq!(CmMessage::decode(&octets), Err(CmError::NotCm), "octet {at}");
    }
    for unknown in [0x00, 0x0f, 0x19, 0x1a] {
        let mut octets = good;
        octets[17] = unknown;
        assert_eq!(CmMessage::decode(&octets), Err(CmError::UnknownAttribute));
    }
    assert_eq!(CmError::NotCm.to_string(), CmError::NotCm.as_str());
}

/// Goal: reasons and MTUs by their codes.
#[test]
fn codes_have_words() {
    let mut rej = Rej::zeroed();
    rej.set_reason(RejReason::CONSUMER).set_message(1).set_info_len(100);
    assert_eq!((rej.reason_code(), rej.message(), rej.info_len()), (28, 1, 100));
    assert_eq!(rej.reason().to_string(), "rejected by the consumer (28)");
    assert_eq!(RejReason(99).to_string(), "unknown reason (99)");
    let mtus: Vec<_> = (0..7).map(|code| PathMtu::from_code(code).map(PathMtu::bytes)).collect();
    assert_eq!(mtus, [None, Some(256), Some(512), Some(1024), Some(2048), Some(4096), None]);
    assert_eq!(PathMtu::from_eth_mtu(1500), Some(PathMtu::Octets1024));
    assert_eq!(PathMtu::from_eth_mtu(4176), Some(PathMtu::Octets4096));
    assert_eq!(PathMtu::from_eth_mtu(4175), Some(PathMtu::Octets2048));
    assert_eq!(PathMtu::from_eth_mtu(335), None);
    assert_eq!(ServiceId::tcp_port(4420).0, 0x0106_1144);
    assert_eq!(ServiceId(0x0106_1144).port(), Some(4420));
    assert_eq!(ServiceId(0x0111_1144).port(), None);
}

/// Goal: the address header reads back for both families.
#[test]
fn address_header_reads_back() {
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fe80::1", "fe80::2")] {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let header = IpHeader::new(source, 7, destination);
        assert_eq!(header.source(), Some(source));
        assert_eq!(header.destination(), Some(destination));
        assert_eq!(header.source_port(), 7);
    }
    assert_eq!(IpHeader::zeroed().source(), None);
}

/// Goal: the native offer lies behind what RDMA CM and NVMe put into a REQ, is found in REQ and
/// REP, and is not found where there is none or one of another version.
#[test]
fn native_offer_is_found_only_where_it_is() {
    let offer = NativeOffer::new(8192, true);
    let mut private = [0; 92];
    private[..68].fill(0xee);
    offer.place(&mut private);
    assert!(private[..68].iter().all(|octet| *octet == 0xee));
    assert_eq!(NativeOffer::find(&private), Some(offer.clone()));
    assert_eq!(NativeOffer::find(&[0; 92]), None);
    assert_eq!(NativeOffer::find(&[0; 3]), None);
    let mut other = offer;
    other.set_version(2);
    other.place(&mut private);
    assert_eq!(NativeOffer::find(&private), None);
}

proptest! {
    /// Goal: no octets make the decoder panic; what decodes encodes to the same octets.
    #[test]
    fn any_octets_survive_or_are_refused(
        mut octets in vec(any::<u8>(), 0..300),
        attribute in 0x0f_u8..0x1b,
        is_cm in any::<bool>(),
    ) {
        if is_cm && octets.len() >= 24 {
            octets[..4].copy_from_slice(&[1, 7, 2, 3]);
            octets[16..18].copy_from_slice(&[0, attribute]);
        }
        if let Ok(message) = CmMessage::decode(&octets) {
            prop_assert_eq!(&message.encode()[..], &octets[..MAD_LEN]);
            // Reading every field does not panic either.
            let text = format!("{message:?}");
            prop_assert!(!text.is_empty());
        }
    }
}
