//! A host that puts its octets together itself.

use crate::server::{NQN, Server};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire::fabrics::{ConnectCmd, ConnectData, Nqn, PropertySetCmd, PropertySize};
use wire::nvme::{Cid, ControllerId, Cqe, IoOpcode, Lba, Nsid, QueueId, Rw, Sgl, ZeroBased};
use wire::nvme_tcp::{CommonHeader, Data, Framing, IcReq, Pdu, PduKind, R2t};

const BLOCK: u32 = 4096;

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

/// A PDU that came: its header as a value, and the data behind it.
pub(crate) struct Came {
    pub(crate) pdu: Pdu,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn encoded(pdu: Pdu, data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    pdu.encode(&Framing::PLAIN, u32::try_from(data.len()).unwrap(), &mut octets);
    octets.extend_from_slice(data);
    octets
}
pub(crate) fn ic_req() -> IcReq {
    IcReq { pfv: 0, hpda: 0, header_digest: false, data_digest: false, maxr2t: 0 }
}
/// Connect of queue `qid` of 32 entries, with its data.
pub(crate) fn connect(qid: u16, controller: u16, keep_alive_ms: u32) -> Vec<u8> {
    let sq_size = ZeroBased::<u16>::from_raw(31);
    let queue = QueueId(qid);
    let command = ConnectCmd { record_format: 0, queue, sq_size, attributes: 0, keep_alive_ms };
    let mut sqe = command.command(Cid(1));
    sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 1024 });
    let host = Nqn::new("nqn.2026-11.io.flexblk:raw-host").unwrap();
    let data = ConnectData::new([7; 16], ControllerId(controller), &Nqn::new(NQN).unwrap(), &host);
    encoded(Pdu::CapsuleCmd(sqe), data.as_octets())
}
/// Set CC: enabled.
pub(crate) fn enable() -> Vec<u8> {
    let set = PropertySetCmd { size: PropertySize::Four, offset: 0x14, value: 0x46_0001 };
    encoded(Pdu::CapsuleCmd(set.command(Cid(2))), &[])
}
/// A read or write of `blocks`, whose data is not in the capsule.
pub(crate) fn rw(opcode: IoOpcode, cid: u16, start: u64, blocks: u32) -> Vec<u8> {
    let mut sqe = Rw::new(Lba(start), blocks).unwrap().command(opcode, Cid(cid), Nsid(1));
    sqe.set_sgl(Sgl::Transport { len: blocks * BLOCK });
    encoded(Pdu::CapsuleCmd(sqe), &[])
}

impl Peer {
    /// The kernel's connection, and nothing said yet.
    pub(crate) fn dial(server: &Server) -> Peer {
        let stream = TcpStream::connect((server.address.as_str(), 4420)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream }
    }
    /// The handshake is done.
    pub(crate) fn greeted(server: &Server) -> Peer {
        let mut peer = Peer::dial(server);
        peer.send(&encoded(Pdu::IcReq(ic_req()), &[]));
        assert!(matches!(peer.next().unwrap().pdu, Pdu::IcResp(_)));
        peer
    }
    /// An admin queue, enabled; returns it with the controller's identifier.
    pub(crate) fn admin(server: &Server, keep_alive_ms: u32) -> (Peer, u16) {
        let mut peer = Peer::greeted(server);
        peer.send(&connect(0, 0xffff, keep_alive_ms));
        let controller = peer.success().dw0() as u16;
        peer.send(&enable());
        peer.success();
        (peer, controller)
    }
    /// An I/O queue.
    pub(crate) fn io(server: &Server, qid: u16, controller: u16) -> Peer {
        let mut peer = Peer::greeted(server);
        peer.send(&connect(qid, controller, 0));
        peer.success();
        peer
    }
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }
    /// The next PDU. Errors: there is none, as when the target closed the connection.
    pub(crate) fn next(&mut self) -> io::Result<Came> {
        let mut header = [0; 8];
        self.stream.read_exact(&mut header)?;
        let common = CommonHeader::decode(&header);
        let mut octets = header.to_vec();
        octets.resize(common.plen as usize, 0);
        self.stream.read_exact(&mut octets[8..])?;
        let kind = PduKind::from_octet(common.kind).unwrap();
        let data = octets.split_off(usize::from(common.hlen));
        Ok(Came { pdu: Pdu::decode(kind, &octets).unwrap(), data })
    }
    /// The next PDU is a response that tells of success.
    pub(crate) fn success(&mut self) -> Cqe {
        let Came { pdu: Pdu::CapsuleResp(cqe), .. } = self.next().unwrap() else {
            panic!("no response")
        };
        assert!(cqe.status().is_success(), "{}", cqe.status());
        cqe
    }
    /// The target asks for the data of a write.
    pub(crate) fn r2t(&mut self) -> R2t {
        let Came { pdu: Pdu::R2t(r2t), .. } = self.next().unwrap() else { panic!("no R2T") };
        r2t
    }
    /// Writes one block of `value` and reads it back.
    pub(crate) fn check(&mut self, block: u64, value: u8) {
        self.send(&rw(IoOpcode::Write, 5, block, 1));
        let R2t { cid, ttag, offset, length } = self.r2t();
        assert_eq!((cid, offset, length), (5, 0, BLOCK));
        let data = Data { cid, ttag, offset, length, last: true, success: false };
        self.send(&encoded(Pdu::H2cData(data), &vec![value; length as usize]));
        self.success();
        self.send(&rw(IoOpcode::Read, 6, block, 1));
        let mut got = Vec::new();
        loop {
            match self.next().unwrap() {
                Came { pdu: Pdu::C2hData(data), data: octets } => {
                    got.extend(octets);
                    if data.success {
                        break;
                    }
                }
                Came { pdu: Pdu::CapsuleResp(cqe), .. } => {
                    assert!(cqe.status().is_success());
                    break;
                }
                Came { pdu, .. } => panic!("{pdu:?}"),
            }
        }
        assert!(got == vec![value; BLOCK as usize], "block {block} is not what was written");
    }
    /// The target closes the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0; 64]).is_ok_and(|count| count == 0)
    }
}
