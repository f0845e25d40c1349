//! Why a packet cannot be delivered: whose fault it is, and what each side hears of it.

use verbs::WcStatus;
use wire::roce::NakCode;

/// Why a packet cannot be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The peer may not reach that memory.
    Access,
    /// The peer's request makes no sense here.
    Invalid,
    /// The message does not fit the receive.
    TooLong,
    /// The receive's own memory is not reachable: the fault of this host.
    ReceiveMemory,
    /// The peer's invalidate names no valid key.
    Invalidate,
    /// The landing place of a READ is not reachable: the fault of this host.
    LandingMemory,
    /// The peer's answer does not fit the question.
    BadAnswer,
}

impl Fault {
    /// What the peer is told.
    pub(super) fn nak(self) -> NakCode {
        match self {
            Fault::Access => NakCode::RemoteAccess,
            Fault::Invalid | Fault::TooLong | Fault::BadAnswer => NakCode::InvalidRequest,
            Fault::ReceiveMemory | Fault::Invalidate | Fault::LandingMemory => {
                NakCode::RemoteOperational
            }
        }
    }
    /// How the receive at hand completes.
    pub(super) fn receive_status(self) -> WcStatus {
        match self {
            Fault::TooLong => WcStatus::LocLenErr,
            Fault::ReceiveMemory => WcStatus::LocProtErr,
            Fault::Access
            | Fault::Invalid
            | Fault::Invalidate
            | Fault::LandingMemory
            | Fault::BadAnswer => WcStatus::WrFlushErr,
        }
    }
    /// How the oldest send of this side completes.
    pub(super) fn send_status(self) -> WcStatus {
        match self {
            Fault::LandingMemory => WcStatus::LocProtErr,
            Fault::BadAnswer => WcStatus::BadRespErr,
            Fault::Access
            | Fault::Invalid
            | Fault::TooLong
            | Fault::ReceiveMemory
            | Fault::Invalidate => WcStatus::WrFlushErr,
        }
    }
}
