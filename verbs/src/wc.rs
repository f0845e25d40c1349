//! Work completions.

use crate::QpNum;

/// Outcome of a work request, with `ibv_wc_status`' numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum WcStatus {
    /// Done.
    #[default]
    Success = 0,
    /// Local: a message was longer than the landing place.
    LocLenErr = 1,
    /// Local: the queue pair itself is inconsistent.
    LocQpOpErr = 2,
    /// Local: an element's key does not cover it.
    LocProtErr = 4,
    /// Flushed: the queue pair went to the error state before this was done.
    WrFlushErr = 5,
    /// Bad response from the peer.
    BadRespErr = 7,
    /// Local: access error at the responder side of this host.
    LocAccessErr = 8,
    /// The peer found the request invalid.
    RemInvReqErr = 9,
    /// The peer's memory was not open to us.
    RemAccessErr = 10,
    /// The peer could not complete the operation.
    RemOpErr = 11,
    /// No acknowledgement within the retry limit.
    RetryExcErr = 12,
    /// The peer had no receive posted within the retry limit.
    RnrRetryExcErr = 13,
    /// Anything else.
    GeneralErr = 21,
}

impl WcStatus {
    /// The status of an `ibv_wc_status` number; [`WcStatus::GeneralErr`] for those without a name
    /// here.
    #[must_use]
    pub fn from_number(number: u32) -> WcStatus {
        match number {
            0 => WcStatus::Success,
            1 => WcStatus::LocLenErr,
            2 => WcStatus::LocQpOpErr,
            4 => WcStatus::LocProtErr,
            5 => WcStatus::WrFlushErr,
            7 => WcStatus::BadRespErr,
            8 => WcStatus::LocAccessErr,
            9 => WcStatus::RemInvReqErr,
            10 => WcStatus::RemAccessErr,
            11 => WcStatus::RemOpErr,
            12 => WcStatus::RetryExcErr,
            13 => WcStatus::RnrRetryExcErr,
            _ => WcStatus::GeneralErr,
        }
    }
}

/// What completed, with `ibv_wc_opcode`'s numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum WcOpcode {
    /// SEND of any kind.
    #[default]
    Send = 0,
    /// RDMA WRITE of any kind.
    RdmaWrite = 1,
    /// RDMA READ.
    RdmaRead = 2,
    /// Compare-and-swap.
    CompSwap = 3,
    /// Fetch-and-add.
    FetchAdd = 4,
    /// Local invalidate.
    LocalInv = 6,
    /// A receive, by SEND.
    Recv = 128,
    /// A receive, consumed by RDMA WRITE with immediate.
    RecvRdmaWithImm = 129,
}

/// One work completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wc {
    /// From the work request.
    pub wr_id: u64,
    /// Outcome.
    pub status: WcStatus,
    /// What completed (for failures: still what was asked).
    pub opcode: WcOpcode,
    /// Octets received (receives, READ, atomics).
    pub byte_len: u32,
    /// Queue pair.
    pub qp: QpNum,
    /// Immediate data that came with the message.
    pub imm: Option<u32>,
    /// Key that the peer's message invalidated here.
    pub invalidated: Option<crate::Rkey>,
    /// The sender asked for an event.
    pub solicited: bool,
}
