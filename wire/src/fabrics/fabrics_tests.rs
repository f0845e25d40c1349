//! Fabrics commands, properties, names and the discovery log, by their octets.

use proptest::prelude::*;

use super::*;
use crate::nvme::{Cid, ControllerId, FabricsType, QueueId, Sqe, ZeroBased};

/// Goal: Connect by octets, and its data back.
#[test]
fn connect_lies_as_specified() {
    let connect = ConnectCmd {
        record_format: 0,
        queue: QueueId(1),
        sq_size: ZeroBased::<u16>::from_count(128).unwrap(),
        attributes: ConnectCmd::NO_FLOW_CONTROL,
        keep_alive_ms: 15_000,
    };
    let sqe = connect.command(Cid(7));
    assert_eq!(sqe.as_octets()[..5], [0x7f, 0x40, 7, 0, 1]);
    assert_eq!(sqe.as_octets()[40..52], [0, 0, 1, 0, 127, 0, 4, 0, 0x98, 0x3a, 0, 0]);
    assert_eq!(sqe.fabrics_type(), Some(FabricsType::Connect));
    assert_eq!(ConnectCmd::decode(&sqe), connect);

    let (subsystem, host) = (Nqn::new("nqn.2014-08.org.x:a").unwrap(), Nqn::lenient("h").unwrap());
    let data = ConnectData::new([5; 16], ControllerId::DYNAMIC, &subsystem, &host);
    assert_eq!(data.as_octets()[16..18], [0xff, 0xff]);
    assert_eq!(&data.as_octets()[256..260], b"nqn.");
    assert_eq!(data.as_octets()[512..514], [b'h', 0]);
    assert_eq!(data.subsystem_nqn(), Ok(subsystem));
    assert_eq!(data.host_nqn(), Ok(host));
    assert_eq!(ConnectFault::SUBSYSTEM_NQN.dword(), 0x0001_0100);
    assert_eq!(ConnectFault::from_dword(0x0001_0100), ConnectFault::SUBSYSTEM_NQN);
    let result = ConnectResult { controller: ControllerId(3), authentication: 0 };
    assert_eq!(ConnectResult::from_dword(result.dword()), result);
}

/// Goal: properties are where the specification says, bit by bit.
#[test]
fn properties_are_their_bits() {
    let mut cap = Cap::zeroed();
    cap.set_mqes(0x7f).set_cqr(true).set_timeout_500ms(15).set_css(1);
    // What the Python peer answered and a Linux guest accepted.
    assert_eq!(cap.word(), 0x7f | 1 << 16 | 0x0f << 24 | 1 << 37);
    assert_eq!(Cap::from_word(3 << 59).crms(), 3);
    assert_eq!(Cap::from_word(1 << 36 | 5 << 52).mpsmax(), 5);
    assert!(Cap::from_word(1 << 36).nssrs());

    // As Linux's host enables a controller, and shuts it down.
    let cc = Cc::from_word(0x0046_0001);
    assert!(cc.enable());
    assert_eq!((cc.iosqes(), cc.iocqes(), cc.mps(), cc.shutdown()), (6, 4, 0, Shutdown::None));
    assert_eq!(Cc::from_word(0x0046_4001).shutdown(), Shutdown::Normal);

    let mut csts = Csts::zeroed();
    csts.set_ready(true).set_shutdown_state(ShutdownState::Complete);
    assert_eq!(csts.word(), 0x9);
    assert!(csts.is_shut_down());
    assert_eq!(Version::V1_3.word(), 0x0001_0300);
    assert_eq!(Version::from_word(0x0002_0000), Version::V2_0);
    assert_eq!(Property::from_offset(0x1c), Some(Property::Csts));
    assert_eq!(Property::from_offset(4), None);
}

/// Goal: names are accepted and refused for the right reasons, at both bounds.
#[test]
fn names_are_checked() {
    assert!(Nqn::new(Nqn::DISCOVERY).unwrap().is_discovery());
    let uuid = format!("{}4f2b0c5e-0000-4000-8000-000000000001", Nqn::UUID_PREFIX);
    assert!(Nqn::new(&uuid).is_ok());
    for bad in [
        "testnqn",
        "nqn.2014.org",
        "nqn.2014-8.org",
        "nqn.20x4-08.org",
        "nqn.2014-08.",
        "NQN.2014-08.org",
    ] {
        assert_eq!(Nqn::new(bad), Err(NqnError::NotQualified), "{bad}");
    }
    assert_eq!(Nqn::lenient("testnqn").unwrap().as_str(), "testnqn");
    assert_eq!(Nqn::lenient(""), Err(NqnError::Empty));
    assert_eq!(Nqn::lenient("a\nb"), Err(NqnError::NotText));
    assert!(Nqn::lenient(&"n".repeat(223)).is_ok());
    assert_eq!(Nqn::lenient(&"n".repeat(224)), Err(NqnError::TooLong));
    assert_eq!(Nqn::from_field(&[b'n'; 256]), Err(NqnError::TooLong));
    assert_eq!(Nqn::from_field(&[0; 256]), Err(NqnError::Empty));
    assert_eq!(Nqn::from_field(&[0xff; 256]), Err(NqnError::NotText));
}

/// Goal: an entry of the discovery log by its offsets.
#[test]
fn discovery_entry_lies_as_specified() {
    let nqn = Nqn::new("nqn.2014-08.org.x:a").unwrap();
    let mut entry = DiscoveryEntry::zeroed();
    entry.set_trtype(TransportKind::Rdma.octet()).set_adrfam(AddressFamily::Ipv4.octet());
    entry.set_subtype(SubsystemType::Nvm.octet()).set_treq(Treq::NotRequired.octet());
    entry.set_cntlid(0xffff).set_asqsz(32).set_trsvcid("4420").set_traddr("127.0.0.1");
    entry.set_subnqn(&nqn);
    let mut rdma = RdmaAddress::zeroed();
    rdma.set_qp_type(1).set_provider(4).set_connection(1).set_pkey(0xffff);
    entry.set_tsas(*rdma.as_octets());
    let octets = entry.as_octets();
    assert_eq!(octets[..10], [1, 1, 2, 2, 0, 0, 0xff, 0xff, 32, 0]);
    assert_eq!(&octets[32..37], b"4420 ");
    assert_eq!(&octets[512..522], b"127.0.0.1 ");
    assert_eq!(octets[768..771], [1, 4, 1]);
    assert_eq!((entry.trsvcid(), entry.traddr()), (Some("4420"), Some("127.0.0.1")));
    assert_eq!(entry.subnqn(), Ok(nqn));
}

/// Goal: Disconnect is a Fabrics command of its type.
#[test]
fn disconnect_is_its_type() {
    assert_eq!(disconnect_command(Cid(1)).fabrics_type(), Some(FabricsType::Disconnect));
    assert_eq!(Sqe::zeroed().fabrics_type(), None);
}

proptest! {
    /// Goal: whatever a host sends reads without a panic, and reads back.
    #[test]
    fn commands_read_back(head in any::<[u8; 32]>(), tail in any::<[u8; 32]>()) {
        let mut octets = [0; 64];
        octets[..32].copy_from_slice(&head);
        octets[32..].copy_from_slice(&tail);
        let sqe = Sqe::from_octets(octets);
        let connect = ConnectCmd::decode(&sqe);
        prop_assert_eq!(ConnectCmd::decode(&connect.command(sqe.cid())), connect);
        let get = PropertyGetCmd::decode(&sqe);
        prop_assert_eq!(PropertyGetCmd::decode(&get.command(sqe.cid())), get);
        let set = PropertySetCmd::decode(&sqe);
        prop_assert_eq!(PropertySetCmd::decode(&set.command(sqe.cid())), set);
    }

    /// Goal: a name that is accepted survives its field.
    #[test]
    fn names_survive_their_field(text in "\\PC{0,80}") {
        if let Ok(nqn) = Nqn::lenient(&text) {
            prop_assert_eq!(Nqn::from_field(&nqn.field()), Ok(nqn));
            prop_assert_eq!(nqn.as_str(), text);
        }
    }
}
