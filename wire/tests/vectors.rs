//! What two stock Linux 6.12 peers said to each other decodes, and encodes to the same octets.
//! `vectors/nvme-rdma-rxe-6.12.pcap`: nvme-rdma host, nvmet-rdma target, rdma_rxe; then rping.

mod pcap;

use std::collections::BTreeMap;

use flexblk_wire::cm::{CmBody, CmMessage, IpHeader, NvmeRequestPrivate, PathMtu};
use flexblk_wire::fabrics::{ConnectCmd, ConnectData, PropertyGetCmd, PropertySetCmd};
use flexblk_wire::nvme::{
    AdminOpcode, Cqe, FabricsType, GetLogPageCmd, IdentifyCmd, IoOpcode, Rw, Sgl, Sqe,
};
use flexblk_wire::roce::{
    Header, Icrc, IcrcIp, Opcode, Operation, Packet, QKey, QpNum, TrailerBuf, UdpPorts,
};
use pcap::{Datagram, roce_datagrams};

fn datagrams() -> Vec<Datagram> {
    roce_datagrams(include_bytes!("vectors/nvme-rdma-rxe-6.12.pcap"))
}

fn parse(datagram: &Datagram) -> Packet<'_> {
    Packet::parse(&datagram.payload, true).unwrap()
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
    std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&datagram.ip[12..16]).unwrap())
}

/// Goal: commands and responses read by meaning and write back the same, SGL descriptors included.
#[test]
fn capsules_encode_to_the_octets_they_came_from() {
    let mut commands = 0;
    let mut responses = 0;
    for datagram in &datagrams() {
        let packet = parse(datagram);
        if packet.bth.opcode.operation() != Operation::Send {
            continue;
        }
        match packet.bth.opcode {
            Opcode::SendOnlyInvalidate => {
                let cqe = Cqe::decode(packet.payload).unwrap();
                let mut again = Cqe::new(cqe.cid(), cqe.sq_id(), cqe.sq_head(), cqe.status());
                again.set_result(cqe.result());
                assert_eq!(again.as_octets(), packet.payload);
                responses += 1;
            }
            Opcode::SendOnly if packet.payload.len() == 64 => {
                check_command(&Sqe::decode(packet.payload).unwrap());
                commands += 1;
            }
            Opcode::SendFirst => {
                check_command(&Sqe::decode(packet.payload).unwrap());
                commands += 1;
            }
            Opcode::SendOnly if packet.payload.len() == 64 + 1024 => {
                let data = ConnectData::decode(&packet.payload[64..]).unwrap();
                let (subsystem, host) = (data.subsystem_nqn().unwrap(), data.host_nqn().unwrap());
                let again = ConnectData::new(data.host_id(), data.controller(), &subsystem, &host);
                assert_eq!(again, data);
                check_command(&Sqe::decode(packet.payload).unwrap());
                commands += 1;
            }
            _ => {}
        }
    }
    assert!(commands > 30 && responses > 10, "{commands} commands, {responses} responses");
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
