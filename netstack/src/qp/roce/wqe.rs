//! One posted send in the queue.

use super::segment;
use super::sequence::Seq;
use std::time::Instant;
use verbs::{QpNum, SendOp, SendWr, Wc, WcOpcode, WcStatus};

/// A posted send with its PSNs.
pub(super) struct Wqe {
    pub(super) wr: SendWr,
    pub(super) first: Seq,
    /// PSNs: packets of the request, or for a READ those of the response. None if it is local.
    pub(super) packets: u32,
    pub(super) len: u32,
    /// When its last packet left, if that was sent once.
    pub(super) sent_at: Option<Instant>,
}

impl Wqe {
    pub(super) fn new(wr: SendWr, first: Seq, len: u32, mtu: u32) -> Wqe {
        let packets = match wr.op {
            SendOp::LocalInv(_) => 0,
            SendOp::CompareSwap { .. } | SendOp::FetchAdd { .. } => 1,
            SendOp::Send
            | SendOp::SendWithImm(_)
            | SendOp::SendWithInv(_)
            | SendOp::RdmaWrite(_)
            | SendOp::RdmaWriteWithImm(..)
            | SendOp::RdmaRead(_) => segment::packets(len, mtu),
        };
        Wqe { wr, first, packets, len, sent_at: None }
    }
    /// One past its last PSN.
    pub(super) fn end(&self) -> Seq {
        self.first + self.packets
    }
    pub(super) fn is_local(&self) -> bool {
        matches!(self.wr.op, SendOp::LocalInv(_))
    }
    pub(super) fn is_read(&self) -> bool {
        matches!(self.wr.op, SendOp::RdmaRead(_))
    }
    pub(super) fn is_atomic(&self) -> bool {
        matches!(self.wr.op, SendOp::CompareSwap { .. } | SendOp::FetchAdd { .. })
    }
    /// A READ or an atomic: acknowledged by its own response only.
    pub(super) fn awaits_response(&self) -> bool {
        self.is_read() || self.is_atomic()
    }
    /// Octets of the message in the packets before `seq`, which lies in it or at its end.
    pub(super) fn octets_before(&self, seq: Seq, mtu: u32) -> u64 {
        (seq.max(self.first) - self.first).saturating_mul(u64::from(mtu)).min(u64::from(self.len))
    }
    pub(super) fn completion(&self, qp: QpNum, status: WcStatus, byte_len: u32) -> Wc {
        let opcode = match self.wr.op {
            SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_) => WcOpcode::Send,
            SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..) => WcOpcode::RdmaWrite,
            SendOp::RdmaRead(_) => WcOpcode::RdmaRead,
            SendOp::CompareSwap { .. } => WcOpcode::CompSwap,
            SendOp::FetchAdd { .. } => WcOpcode::FetchAdd,
            SendOp::LocalInv(_) => WcOpcode::LocalInv,
        };
        Wc { wr_id: self.wr.wr_id, status, opcode, byte_len, qp, ..Wc::default() }
    }
}
