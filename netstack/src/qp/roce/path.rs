//! Packets of one connection: the headers, and who they go to. Payload stays a list of elements.

use super::segment;
use super::sequence::Seq;
use crate::link::{Trailer, Transmit};
use crate::qp::QpConfig;
use std::net::SocketAddr;
use verbs::{QpNum, Remote, SendOp, SendWr, SgeList};
use wire::roce::{
    Aeth, AtomicEth, Header, Ieth, ImmDt, Msn, Opcode, Position, Reth, Syndrome, pad_count,
};

/// What all packets to the peer have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    dest: SocketAddr,
    dest_qp: QpNum,
    trailer: Trailer,
}

/// One packet of a posted send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) seq: Seq,
    pub(super) position: Position,
    /// Octets of the message before it.
    pub(super) offset: u32,
    /// Octets that it carries; of a READ or an atomic those of the response.
    pub(super) bytes: u32,
    pub(super) ack_req: bool,
}

impl Path {
    pub(super) fn new(config: &QpConfig) -> Path {
        let attr = &config.attr;
        Path { dest: attr.dest, dest_qp: attr.dest_qp, trailer: config.trailer }
    }

    /// A request packet. Panics on LOCAL_INV, which is none.
    pub(super) fn request(&self, wr: &SendWr, request: &Request, payload: SgeList) -> Transmit {
        let Request { seq, position, offset, bytes, ack_req } = *request;
        let opcode = opcode_of(wr.op, position);
        let mut header = Header::new(opcode, self.dest_qp, seq.psn());
        header.bth.ack_req = ack_req;
        header.bth.solicited = wr.flags.solicited && segment::ends(position);
        let carried = if payload.is_empty() { 0 } else { bytes };
        match wr.op {
            SendOp::Send | SendOp::LocalInv(_) => {}
            SendOp::SendWithImm(imm) => header.ext.imm = Some(ImmDt(imm.to_be_bytes())),
            SendOp::SendWithInv(rkey) => header.ext.ieth = Some(Ieth(rkey.0)),
            SendOp::RdmaWrite(remote) => header.ext.reth = Some(whole(remote, wr)),
            SendOp::RdmaWriteWithImm(remote, imm) => {
                header.ext.reth = Some(whole(remote, wr));
                header.ext.imm = Some(ImmDt(imm.to_be_bytes()));
            }
            SendOp::RdmaRead(Remote { addr, rkey }) => {
                let addr = addr.wrapping_add(u64::from(offset));
                header.ext.reth = Some(Reth { addr, rkey: rkey.0, len: bytes });
            }
            SendOp::CompareSwap { remote, compare, swap } => {
                header.ext.atomic = Some(atomic(remote, swap, compare));
            }
            SendOp::FetchAdd { remote, add } => header.ext.atomic = Some(atomic(remote, add, 0)),
        }
        self.transmit(&header, payload, carried)
    }

    /// An acknowledgement of any kind.
    pub(super) fn ack(&self, seq: Seq, syndrome: Syndrome, msn: Msn) -> Transmit {
        let mut header = Header::new(Opcode::Acknowledge, self.dest_qp, seq.psn());
        header.ext.aeth = Some(Aeth { syndrome, msn });
        self.transmit(&header, SgeList::new(), 0)
    }

    /// An atomic's result.
    pub(super) fn atomic_ack(&self, seq: Seq, msn: Msn, old: u64) -> Transmit {
        let mut header = Header::new(Opcode::AtomicAcknowledge, self.dest_qp, seq.psn());
        header.ext.aeth = Some(Aeth { syndrome: Syndrome::ACK, msn });
        header.ext.atomic_ack = Some(old);
        self.transmit(&header, SgeList::new(), 0)
    }

    /// One packet of a READ's response, `bytes` long.
    pub(super) fn read_response(
        &self,
        seq: Seq,
        position: Position,
        msn: Msn,
        payload: SgeList,
        bytes: u32,
    ) -> Transmit {
        let opcode = match position {
            Position::First => Opcode::ReadResponseFirst,
            Position::Middle => Opcode::ReadResponseMiddle,
            Position::Last => Opcode::ReadResponseLast,
            Position::Only => Opcode::ReadResponseOnly,
        };
        let mut header = Header::new(opcode, self.dest_qp, seq.psn());
        header.ext.aeth = Some(Aeth { syndrome: Syndrome::ACK, msn });
        self.transmit(&header, payload, bytes)
    }

    fn transmit(&self, header: &Header, payload: SgeList, bytes: u32) -> Transmit {
        Transmit {
            to: self.dest,
            header: header.emit(bytes as usize),
            payload,
            pad: pad_count(bytes as usize),
            trailer: self.trailer,
        }
    }
}

/// The RETH of a WRITE: the whole message.
fn whole(remote: Remote, wr: &SendWr) -> Reth {
    let len = u32::try_from(wr.len()).expect("checked when it was posted");
    Reth { addr: remote.addr, rkey: remote.rkey.0, len }
}

fn atomic(remote: Remote, swap_add: u64, compare: u64) -> AtomicEth {
    AtomicEth { addr: remote.addr, rkey: remote.rkey.0, swap_add, compare }
}

/// Source: IBTA 1.4, "Base Transport Header", table of opcodes.
fn opcode_of(op: SendOp, position: Position) -> Opcode {
    use Position::{First, Last, Middle, Only};
    match (op, position) {
        (SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_), First) => {
            Opcode::SendFirst
        }
        (SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_), Middle) => {
            Opcode::SendMiddle
        }
        (SendOp::Send, Last) => Opcode::SendLast,
        (SendOp::Send, Only) => Opcode::SendOnly,
        (SendOp::SendWithImm(_), Last) => Opcode::SendLastImmediate,
        (SendOp::SendWithImm(_), Only) => Opcode::SendOnlyImmediate,
        (SendOp::SendWithInv(_), Last) => Opcode::SendLastInvalidate,
        (SendOp::SendWithInv(_), Only) => Opcode::SendOnlyInvalidate,
        (SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..), First) => Opcode::WriteFirst,
        (SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..), Middle) => Opcode::WriteMiddle,
        (SendOp::RdmaWrite(_), Last) => Opcode::WriteLast,
        (SendOp::RdmaWrite(_), Only) => Opcode::WriteOnly,
        (SendOp::RdmaWriteWithImm(..), Last) => Opcode::WriteLastImmediate,
        (SendOp::RdmaWriteWithImm(..), Only) => Opcode::WriteOnlyImmediate,
        (SendOp::RdmaRead(_), _) => Opcode::ReadRequest,
        (SendOp::CompareSwap { .. }, _) => Opcode::CompareSwap,
        (SendOp::FetchAdd { .. }, _) => Opcode::FetchAdd,
        (SendOp::LocalInv(_), _) => unreachable!("local work has no packet"),
    }
}
