//! What two stock Linux 6.12 peers said to each other decodes, and encodes to the same octets.
//! `vectors/nvme-rdma-rxe-6.12.pcap`: nvme-rdma host, nvmet-rdma target, rdma_rxe; then rping.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping, helpers included")]

mod pcap;

use std::collections::BTreeMap;

use flexblk_wire::cm::{CmBody, CmMessage, IpHeader, NvmeRequestPrivate, PathMtu};
use flexblk_wire::fabrics::{ConnectCmd, ConnectData, Nqn, PropertyGetCmd, PropertySetCmd};
use flexblk_wire::nvme::identify::{
    Cns, DescriptorList, IdentifyController, IdentifyNamespace, NamespaceDescriptor, NamespaceList,
    trim_field,
};
use flexblk_wire::nvme::{
    AdminOpcode, Cqe, FabricsType, GetLogPageCmd, IdentifyCmd, IoOpcode, Nsid, Rw, Sgl, Sqe,
};
use flexblk_wire::roce::{
    Header, Icrc, IcrcIp, Opcode, Operation, Packet, QKey, QpNum, TrailerBuf, UdpPorts,
};
use pcap::{Datagram, roce_datagrams};

fn datagrams() -> Vec<Datagram> {
    roce_datagrams(include_bytes!("vectors/nvme-rdma-rxe-6.12.pcap"))
}

fn parse(datagram: &Datagram) -> Packet<'_> {
    Packet::parse(&datagram.payload, true).expect("the capture holds packets only")
}

/// Goal: every packet, re-encoded from its values alone, is what was on the wire, ICRC included.
#[test]
fn every_packet_encodes_to_the_octets_it_came_from() {
    let datagrams = datagrams();
    assert_eq!(datagrams.len(), 429);
    for (index, datagram) in datagrams.iter().enumerate() {
        let packet = parse(datagram);
        let header = Header { bth: packet.bth, ext: packet.ext }.emit(packet.payload.len());

        let ip = IcrcIp::V4 {
            src: datagram.ip[12..16].try_into().unwrap(),
            dst: datagram.ip[16..20].try_into().unwrap(),
            id: u16::from_be_bytes([datagram.ip[4], datagram.ip[5]]),
            dont_fragment: datagram.ip[6] == 0x40,
        };
        let ports = UdpPorts { src: datagram.source_port, dst: datagram.destination_port };
        let udp_len = u16::try_from(8 + datagram.payload.len()).unwrap();
        let mut icrc = Icrc::new(&ip, ports, udp_len, header.as_slice());
        // In two pieces, as a gathered payload lies in memory.
        let (left, right) = packet.payload.split_at(packet.payload.len() / 3);
        icrc.update(left).update(right).pad(packet.pad_count);
        let trailer = TrailerBuf::new(packet.pad_count, Some(icrc.finish()));

        let again = [header.as_slice(), packet.payload, trailer.as_slice()].concat();
        assert_eq!(again, datagram.payload, "packet {}", index + 1);
    }
}

/// Goal: the capture holds the operations that it is said to hold, so that the test above means
/// something.
#[test]
fn the_capture_covers_the_operations_of_nvme_over_rdma() {
    let mut count = BTreeMap::new();
    for datagram in &datagrams() {
        *count.entry(parse(datagram).bth.opcode.octet()).or_insert(0) += 1;
    }
    for opcode in [
        Opcode::SendFirst,
        Opcode::SendLast,
        Opcode::SendOnly,
        Opcode::SendOnlyInvalidate,
        Opcode::WriteOnly,
        Opcode::WriteFirst,
        Opcode::ReadRequest,
        Opcode::ReadResponseFirst,
        Opcode::ReadResponseMiddle,
        Opcode::ReadResponseLast,
        Opcode::ReadResponseOnly,
        Opcode::Acknowledge,
        Opcode::UdSendOnly,
    ] {
        assert!(count.contains_key(&opcode.octet()), "{opcode:?} is missing; there are {count:?}");
    }
}

/// Goal: each CM message survives decode and encode, and the fields say what the kernel is known
/// to say.
#[test]
fn cm_messages_encode_to_the_octets_they_came_from() {
    let mut requests = 0;
    let mut words = BTreeMap::new();
    for datagram in &datagrams() {
        let packet = parse(datagram);
        if packet.bth.opcode.operation() != Operation::DatagramSend {
            continue;
        }
        assert_eq!(packet.bth.dest_qp, QpNum::GSI);
        assert_eq!(packet.ext.deth.unwrap().qkey, QKey::GSI);
        let message = CmMessage::decode(packet.payload).unwrap();
        assert_eq!(message.encode(), packet.payload);
        *words.entry(message.body.attribute().as_str()).or_insert(0) += 1;
        if let CmBody::Req(req) = &message.body {
            requests += 1;
            assert_eq!(req.path_mtu(), Some(PathMtu::Octets4096));
            assert_eq!(req.primary_ack_timeout(), 17);
            assert_eq!(req.max_cm_retries(), 15);
            assert_eq!((req.retry_count(), req.rnr_retry_count()), (7, 7));
            assert_eq!(req.primary_hop_limit(), 64);
            let caller = IpHeader::decode(&req.private_data()).unwrap();
            assert_eq!(caller.source().unwrap().to_string(), format!("{}", source_of(datagram)));
            if req.service_id().port() == Some(4420) {
                let private = NvmeRequestPrivate::decode(&req.private_data()[36..]).unwrap();
                let send = private.host_send_queue_size();
                assert_eq!(private.host_receive_queue_size(), send + 1);
                assert!(private.queue_id() <= 1);
            }
        }
    }
    assert!(requests >= 3, "discovery or admin, I/O, rping; got {words:?}");
    for word in ["req", "rep", "rtu", "dreq", "drep"] {
        assert!(words.contains_key(word), "no {word} in {words:?}");
    }
}

fn source_of(datagram: &Datagram) -> std::net::Ipv4Addr {
    let ip = &datagram.ip;
    std::net::Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15])
}

/// Goal: commands and responses read by meaning and write back the same, SGL descriptors included.
#[test]
fn capsules_encode_to_the_octets_they_came_from() {
    let mut commands = 0;
    let mut responses = 0;
    let mut connects = 0;
    for datagram in &datagrams() {
        let packet = parse(datagram);
        if packet.bth.opcode == Opcode::ReadResponseOnly
            && let Some(data) = ConnectData::decode(packet.payload)
        {
            connects += 1;
            check_connect_data(&data);
        }
        if packet.bth.opcode.operation() != Operation::Send {
            continue;
        }
        let (opcode, payload) = (packet.bth.opcode, packet.payload);
        if opcode == Opcode::SendOnlyInvalidate {
            let cqe = Cqe::decode(payload).unwrap();
            let mut again = Cqe::new(cqe.cid(), cqe.sq_id(), cqe.sq_head(), cqe.status());
            again.set_result(cqe.result());
            assert_eq!(again.as_octets(), payload);
            responses += 1;
        } else if opcode.begins_message() && payload.len() >= Sqe::LEN {
            let sqe = Sqe::decode(payload).unwrap();
            check_command(&sqe);
            commands += 1;
            if sqe.fabrics_type() == Some(FabricsType::Connect) && payload.len() > Sqe::LEN {
                connects += 1;
                check_connect_data(&ConnectData::decode(&payload[Sqe::LEN..]).unwrap());
            }
        }
    }
    assert!(connects >= 2, "admin queue (RDMA READ), I/O queue (in capsule): {connects}");
    assert!(commands > 30 && responses > 10, "{commands} commands, {responses} responses");
}

/// Goal: what nvmet says of itself, moved by RDMA WRITE to the key of an Identify, reads as what
/// nvmet is known to be: the offsets of Identify are right for a peer that is not ours.
#[test]
fn identify_of_nvmet_reads_as_what_it_is() {
    let datagrams = datagrams();
    let mut asked = BTreeMap::new();
    let mut seen = [0; 4];
    for packet in datagrams.iter().map(parse) {
        if packet.bth.opcode == Opcode::SendOnly {
            let identify = Sqe::decode(packet.payload)
                .filter(|sqe| sqe.opcode() == AdminOpcode::Identify.octet());
            if let Some(sqe) = identify
                && let Sgl::Keyed { key, .. } = sqe.sgl()
            {
                asked.insert(key, Cns::from_octet(IdentifyCmd::decode(&sqe).cns));
            }
        } else if let Some(reth) = packet.ext.reth
            && packet.bth.opcode == Opcode::WriteOnly
            && let Some(Some(cns)) = asked.remove(&reth.rkey)
        {
            check_identify(cns, packet.payload);
            seen[usize::from(cns.octet()).min(3)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "CNS 0 to 3 are in the capture: {seen:?}");
}

fn check_identify(cns: Cns, payload: &[u8]) {
    match cns {
        Cns::Controller => {
            let id = IdentifyController::decode(payload).unwrap();
            assert_eq!(trim_field(&id.mn()), Some("Linux"));
            assert!(trim_field(&id.fr()).unwrap().starts_with("6.12"));
            assert_ne!(id.sgls() & IdentifyController::SGLS_KEYED, 0);
            assert!(Nqn::from_field(&id.subnqn()).is_ok());
            if id.cntrltype() == 1 {
                assert_eq!((id.sqes_min(), id.cqes_min(), id.iorcsz()), (6, 4, 1));
                assert_eq!(id.in_capsule_bytes(), 16_384);
            }
        }
        Cns::Namespace => {
            let ns = IdentifyNamespace::decode(payload).unwrap();
            assert!(ns.nsze() > 0 && ns.nsze() == ns.ncap());
            assert!(ns.current_format().unwrap().block_bytes().is_some());
        }
        Cns::ActiveNamespaces => {
            let list = NamespaceList::decode(payload).unwrap();
            assert_eq!(list.iter().collect::<Vec<_>>(), [Nsid(1)]);
        }
        Cns::NamespaceDescriptors => {
            let list = DescriptorList::decode(payload).unwrap();
            assert!(list.iter().any(|id| matches!(id, NamespaceDescriptor::Uuid(_))));
            assert!(!list.iter().any(|id| matches!(id, NamespaceDescriptor::Other { .. })));
        }
        Cns::NamespaceOfCommandSet
        | Cns::ControllerOfCommandSet
        | Cns::IndependentNamespace
        | Cns::AllocatedNamespaces
        | Cns::AllocatedNamespace
        | Cns::NamespaceControllers
        | Cns::Controllers
        | Cns::ActiveNamespacesOfCommandSet
        | Cns::AllocatedNamespacesOfCommandSet
        | Cns::CommandSets => {}
    }
}

/// Re-makes the data of a Connect from its parts.
fn check_connect_data(data: &ConnectData) {
    let (subsystem, host) = (data.subsystem_nqn().unwrap(), data.host_nqn().unwrap());
    let again = ConnectData::new(data.host_id(), data.controller(), &subsystem, &host);
    assert_eq!(&again, data);
}

/// Re-makes a command from its parts: common fields, SGL, and the dwords of its kind.
fn check_command(sqe: &Sqe) {
    let (cid, nsid) = (sqe.cid(), sqe.nsid());
    let sgl = sqe.sgl();
    assert!(!matches!(sgl, Sgl::Other(_)), "{sgl:?}");
    assert_eq!(Sgl::decode(&sgl.encode()), sgl);
    if matches!(sgl, Sgl::Keyed { .. }) {
        assert_eq!(sgl.encode(), sqe.data_pointer());
    }
    let remade = if let Some(fabrics_type) = sqe.fabrics_type() {
        match fabrics_type {
            FabricsType::Connect => Some(ConnectCmd::decode(sqe).command(cid)),
            FabricsType::PropertyGet => Some(PropertyGetCmd::decode(sqe).command(cid)),
            FabricsType::PropertySet => Some(PropertySetCmd::decode(sqe).command(cid)),
            FabricsType::Disconnect
            | FabricsType::AuthenticationSend
            | FabricsType::AuthenticationReceive => None,
        }
    } else {
        match sqe.opcode() {
            opcode if opcode == AdminOpcode::Identify.octet() => {
                Some(IdentifyCmd::decode(sqe).command(cid, nsid))
            }
            // 02h is Get Log Page on the admin queue and Read on the others; both must re-make it.
            opcode if opcode == IoOpcode::Read.octet() => {
                let log = GetLogPageCmd::decode(sqe).command(cid, nsid);
                let read = Rw::decode(sqe).command(IoOpcode::Read, cid, nsid);
                let is_log = log.cdw10() == sqe.cdw10() && log.cdw12() == sqe.cdw12();
                Some(if is_log && log.cdw11() == sqe.cdw11() { log } else { read })
            }
            opcode if opcode == IoOpcode::Write.octet() => {
                Some(Rw::decode(sqe).command(IoOpcode::Write, cid, nsid))
            }
            _ => None,
        }
    };
    if let Some(mut remade) = remade {
        remade.set_data_pointer(sqe.data_pointer());
        remade.set_fuse(sqe.fuse());
        assert_eq!(remade.psdt(), sqe.psdt());
        assert_eq!(remade.as_octets(), sqe.as_octets());
    }
}
