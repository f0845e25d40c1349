//! What was wrong with a PDU, and the last PDU of a connection, which says so.

use super::shape::{CommonHeader, field};
use super::{PduKind, TERM_DATA_MAX};
use crate::nvme::opcode::codes;
use crate::octets::{Le16, Le32, get};

codes! {
    /// Fatal error status (FES) of a termination request.
    FatalStatus {
        InvalidHeaderField = 1 "invalid PDU header field",
        SequenceError = 2 "PDU sequence error",
        HeaderDigest = 3 "header digest error",
        OutOfRange = 4 "data transfer out of range",
        LimitExceeded = 5 "data transfer limit exceeded",
        UnsupportedParameter = 6 "unsupported parameter",
    }
}

/// A fault of the peer that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({information:#x})", status.as_str())]
pub struct PduFault {
    /// What kind.
    pub status: FatalStatus,
    /// Fatal error information (FEI): octet offset of the field that is wrong
    /// ([`FatalStatus::InvalidHeaderField`], [`FatalStatus::UnsupportedParameter`]), the digest that
    /// came ([`FatalStatus::HeaderDigest`]), else 0.
    pub information: u32,
}

impl PduFault {
    /// A field of the header is invalid: its octet offset.
    #[must_use]
    pub const fn field(offset: u32) -> PduFault {
        PduFault { status: FatalStatus::InvalidHeaderField, information: offset }
    }
    /// A parameter is not supported: its octet offset.
    #[must_use]
    pub const fn unsupported(offset: u32) -> PduFault {
        PduFault { status: FatalStatus::UnsupportedParameter, information: offset }
    }
    /// The PDU does not belong there, or then.
    pub const SEQUENCE: PduFault = PduFault { status: FatalStatus::SequenceError, information: 0 };
    /// Data that nobody asked for.
    pub const OUT_OF_RANGE: PduFault = PduFault { status: FatalStatus::OutOfRange, information: 0 };
    /// More at once than was agreed.
    pub const LIMIT_EXCEEDED: PduFault =
        PduFault { status: FatalStatus::LimitExceeded, information: 0 };
}

/// H2CTermReq, C2HTermReq: the sender ends the connection for this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermReq {
    /// Fatal error status; see [`FatalStatus`] for those that have a name.
    pub status: u16,
    /// Fatal error information.
    pub information: u32,
}

impl TermReq {
    /// Octets of its header.
    pub const LEN: usize = 24;

    pub(super) fn read(header: &[u8]) -> TermReq {
        TermReq { status: get::<Le16, _>(header, 8), information: get::<Le32, _>(header, 10) }
    }
    pub(super) fn write(self, body: &mut [u8]) {
        body[..2].copy_from_slice(&self.status.to_le_bytes());
        body[2..6].copy_from_slice(&self.information.to_le_bytes());
    }

    /// Appends the whole PDU: `kind` is one of the two termination requests, `faulty` the header that
    /// was at fault, of which [`TERM_DATA_MAX`] octets are repeated at most.
    pub fn encode(fault: PduFault, kind: PduKind, faulty: &[u8], out: &mut Vec<u8>) {
        let faulty = &faulty[..faulty.len().min(TERM_DATA_MAX)];
        let plen = u32::try_from(TermReq::LEN + faulty.len()).unwrap_or(u32::MAX);
        let common = CommonHeader { kind: kind.octet(), flags: 0, hlen: kind.hlen(), pdo: 0, plen };
        let mut header = [0; TermReq::LEN];
        header[..CommonHeader::LEN].copy_from_slice(&common.encode());
        let said =
            TermReq { status: u16::from(fault.status.octet()), information: fault.information };
        said.write(&mut header[field::BODY as usize..]);
        out.extend_from_slice(&header);
        out.extend_from_slice(faulty);
    }
}

impl core::fmt::Display for TermReq {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = u8::try_from(self.status).ok().and_then(FatalStatus::from_octet);
        match name {
            Some(name) => write!(f, "{} ({:#x})", name.as_str(), self.information),
            None => write!(f, "fatal error {:#x} ({:#x})", self.status, self.information),
        }
    }
}
