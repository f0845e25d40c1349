//! What must hold for any octets. Used by the fuzz targets and by the replay of their corpus.
#![allow(dead_code, reason = "each fuzz target uses one of these")]

use flexblk_wire::cm::{CmBody, CmMessage, IpHeader, MAD_LEN, NativeOffer, NvmeRequestPrivate};
use flexblk_wire::fabrics::{
    ConnectCmd, ConnectData, DiscoveryEntry, PropertyGetCmd, PropertySetCmd,
};
use flexblk_wire::nvme::identify::{DescriptorList, IdentifyController, IdentifyNamespace};
use flexblk_wire::nvme::{
    AbortCmd, Cqe, DsmCmd, DsmRange, FeatureCmd, GetLogPageCmd, IdentifyCmd, Rw, Sgl, Sqe,
};
use flexblk_wire::nvme_tcp::{
    CommonHeader, DIGEST_LEN, Framing, HEADER_MAX, Pdu, PduKind, Receiver,
};
use flexblk_wire::roce::native::NativePacket;
use flexblk_wire::roce::{Header, Packet, TrailerBuf};

/// A datagram: parses without a panic in both wire modes, and what parses is emitted to octets
/// that parse to the same.
pub(crate) fn packet(octets: &[u8]) {
    let _ = flexblk_wire::roce::native::crc_matches(octets);
    for crc in [false, true] {
        if let Ok(packet) = Packet::parse(octets, crc) {
            let header = Header { bth: packet.bth, ext: packet.ext }.emit(packet.payload.len());
            let pad = flexblk_wire::roce::pad_count(packet.payload.len());
            let trailer = TrailerBuf::new(pad, packet.icrc);
            let again = [header.as_slice(), packet.payload, trailer.as_slice()].concat();
            let again = Packet::parse(&again, crc).expect("what was emitted parses");
            assert_eq!((again.ext, again.payload), (packet.ext, packet.payload));
            assert_eq!(again.icrc, packet.icrc);
        }
        match NativePacket::parse(octets, crc) {
            Ok(NativePacket::Data { header, payload }) => {
                let again = [header.emit().as_slice(), payload].concat();
                let again = NativePacket::parse(&again, false);
                assert_eq!(again, Ok(NativePacket::Data { header, payload }));
            }
            Ok(NativePacket::Ack(ack)) => {
                assert!(ack.sack.iter().all(|step| ack.sack.contains(step)));
                assert_eq!(ack.sack.iter().last(), ack.sack.highest());
                let again = ack.emit();
                let again = NativePacket::parse(again.as_slice(), false);
                assert_eq!(again, Ok(NativePacket::Ack(ack)));
            }
            Err(_) => {}
        }
    }
}

/// A PDU of NVMe/TCP: its lengths add up and are bounded, or it is a fault; what decodes is encoded to
/// what decodes to the same. The first octet chooses how it is framed.
pub(crate) fn pdu(octets: &[u8]) {
    let Some((choice, octets)) = octets.split_first() else { return };
    let framing = Framing {
        header_digest: choice & 1 != 0,
        data_digest: choice & 2 != 0,
        pda: choice >> 3,
        data_max: 1 << 20,
    };
    let receiver = if choice & 4 != 0 { Receiver::Host } else { Receiver::Controller };
    for kind in PduKind::ALL {
        let Some(pdu) = Pdu::decode(*kind, octets) else { continue };
        let mut again = Vec::new();
        pdu.encode(&framing, 0, &mut again);
        assert_eq!(Pdu::decode(*kind, &again), Some(pdu));
        assert!(!format!("{pdu:?}").is_empty());
    }
    let Some(common) = octets.first_chunk() else { return };
    let common = CommonHeader::decode(common);
    let Ok(shape) = common.shape(receiver, &framing) else { return };
    let sum = if shape.data_digest { DIGEST_LEN } else { 0 };
    let all = shape.header_bytes + shape.pad_bytes + shape.data_bytes as usize + sum;
    assert_eq!(all, common.plen as usize);
    assert!(shape.data_bytes <= framing.data_max && shape.header_bytes <= HEADER_MAX + DIGEST_LEN);
}

/// A MAD: what decodes encodes to the same octets, and every field can be read.
pub(crate) fn cm(octets: &[u8]) {
    let Ok(message) = CmMessage::decode(octets) else { return };
    assert_eq!(message.encode()[..], octets[..MAD_LEN]);
    assert!(!format!("{message:?}").is_empty());
    if let CmBody::Req(req) = &message.body {
        let private = req.private_data();
        let header = IpHeader::decode(&private).expect("92 octets hold it");
        let _ = (header.source(), header.destination(), req.path_mtu(), req.service_id().port());
        let _ = NvmeRequestPrivate::decode(&private[IpHeader::LEN..]);
        let _ = NativeOffer::find(&private);
    }
}

/// A capsule: a command and data behind it. Every reading of both is total, and the commands that
/// are made from what was read say the same.
pub(crate) fn capsule(octets: &[u8]) {
    let Some(sqe) = Sqe::decode(octets) else { return };
    let (cid, nsid) = (sqe.cid(), sqe.nsid());
    assert_eq!(Sgl::decode(&sqe.sgl().encode()), sqe.sgl());
    let _ = (sqe.admin_opcode(), sqe.io_opcode(), sqe.fabrics_type(), FeatureCmd::decode(&sqe));
    let rw = Rw::decode(&sqe);
    assert_eq!(Rw::decode(&rw.command(flexblk_wire::nvme::IoOpcode::Write, cid, nsid)), rw);
    let dsm = DsmCmd::decode(&sqe);
    assert_eq!(DsmCmd::decode(&dsm.command(cid, nsid)), dsm);
    let identify = IdentifyCmd::decode(&sqe);
    assert_eq!(IdentifyCmd::decode(&identify.command(cid, nsid)), identify);
    let log = GetLogPageCmd::decode(&sqe);
    assert_eq!(GetLogPageCmd::decode(&log.command(cid, nsid)), log);
    let abort = AbortCmd::decode(&sqe);
    assert_eq!(AbortCmd::decode(&abort.command(cid)), abort);
    let connect = ConnectCmd::decode(&sqe);
    assert_eq!(ConnectCmd::decode(&connect.command(cid)), connect);
    let get = PropertyGetCmd::decode(&sqe);
    assert_eq!(PropertyGetCmd::decode(&get.command(cid)), get);
    let set = PropertySetCmd::decode(&sqe);
    assert_eq!(PropertySetCmd::decode(&set.command(cid)), set);
    data(&octets[Sqe::LEN..]);
}

/// Data of any kind, read as every kind.
fn data(octets: &[u8]) {
    if let Some(connect) = ConnectData::decode(octets) {
        for nqn in [connect.subsystem_nqn(), connect.host_nqn()].into_iter().flatten() {
            assert!(nqn.as_str().len() <= 223);
        }
    }
    if let Some(entry) = DiscoveryEntry::decode(octets) {
        let _ = (entry.traddr(), entry.trsvcid(), entry.subnqn());
    }
    if let Some(cqe) = Cqe::decode(octets) {
        assert!(!cqe.status().to_string().is_empty());
    }
    if let Some(list) = DescriptorList::decode(octets) {
        assert!(list.iter().count() <= 1024);
    }
    if let Some(id) = IdentifyController::decode(octets) {
        let _ = (id.mdts_bytes(), id.in_capsule_bytes());
    }
    if let Some(ns) = IdentifyNamespace::decode(octets) {
        let _ = ns.current_format().and_then(|format| format.block_bytes());
    }
    for range in octets.chunks(DsmRange::LEN).filter_map(DsmRange::decode) {
        let _ = (range.slba(), range.block_count());
    }
}
