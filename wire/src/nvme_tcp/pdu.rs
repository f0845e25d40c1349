//! Whole headers.

use super::shape::{CommonHeader, Framing, Receiver, field, flag};
use super::{Data, HEADER_MAX, IcReq, IcResp, R2t, TermReq, digest};
use crate::nvme::opcode::codes;
use crate::nvme::{Cqe, Sqe};

codes! {
    /// What a PDU is.
    PduKind {
        IcReq = 0 "ICReq",
        IcResp = 1 "ICResp",
        H2cTermReq = 2 "H2CTermReq",
        C2hTermReq = 3 "C2HTermReq",
        CapsuleCmd = 4 "CapsuleCmd",
        CapsuleResp = 5 "CapsuleResp",
        H2cData = 6 "H2CData",
        C2hData = 7 "C2HData",
        R2t = 9 "R2T",
    }
}

impl PduKind {
    /// Octets of its header.
    #[inline]
    #[must_use]
    pub const fn hlen(self) -> u8 {
        match self {
            PduKind::IcReq | PduKind::IcResp => 128,
            PduKind::CapsuleCmd => 72,
            PduKind::H2cTermReq
            | PduKind::C2hTermReq
            | PduKind::CapsuleResp
            | PduKind::H2cData
            | PduKind::C2hData
            | PduKind::R2t => 24,
        }
    }
    /// Goes to that side.
    #[inline]
    #[must_use]
    pub const fn may_reach(self, receiver: Receiver) -> bool {
        let to_controller = matches!(
            self,
            PduKind::IcReq | PduKind::H2cTermReq | PduKind::CapsuleCmd | PduKind::H2cData
        );
        to_controller == matches!(receiver, Receiver::Controller)
    }
    /// Has digests when they were agreed on: those of the handshake and the last ones never have.
    #[inline]
    pub(super) const fn has_digests(self) -> bool {
        !matches!(
            self,
            PduKind::IcReq | PduKind::IcResp | PduKind::H2cTermReq | PduKind::C2hTermReq
        )
    }
    #[inline]
    pub(super) const fn must_have_data(self) -> bool {
        matches!(self, PduKind::H2cData | PduKind::C2hData)
    }
}

/// What a PDU's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pdu {
    /// The host's wishes.
    IcReq(IcReq),
    /// The controller's answer.
    IcResp(IcResp),
    /// The host ends the connection.
    H2cTermReq(TermReq),
    /// The controller ends the connection.
    C2hTermReq(TermReq),
    /// A command; its in-capsule data follows.
    CapsuleCmd(Sqe),
    /// A response.
    CapsuleResp(Cqe),
    /// Data to the controller.
    H2cData(Data),
    /// Data to the host.
    C2hData(Data),
    /// The controller takes data.
    R2t(R2t),
}

impl Pdu {
    /// Reads a header of `kind`. `None` when `header` is shorter than [`PduKind::hlen`]; fields are
    /// not checked.
    #[inline]
    #[must_use]
    pub fn decode(kind: PduKind, header: &[u8]) -> Option<Pdu> {
        let header = header.get(..usize::from(kind.hlen()))?;
        let body = &header[field::BODY as usize..];
        let flags = header[field::FLAGS as usize];
        let (last, success) = (flags & flag::LAST != 0, flags & flag::SUCCESS != 0);
        Some(match kind {
            PduKind::IcReq => Pdu::IcReq(IcReq::read(header)),
            PduKind::IcResp => Pdu::IcResp(IcResp::read(header)),
            PduKind::H2cTermReq => Pdu::H2cTermReq(TermReq::read(header)),
            PduKind::C2hTermReq => Pdu::C2hTermReq(TermReq::read(header)),
            PduKind::CapsuleCmd => Pdu::CapsuleCmd(Sqe::decode(body)?),
            PduKind::CapsuleResp => Pdu::CapsuleResp(Cqe::decode(body)?),
            // Success is a word of controllers only.
            PduKind::H2cData => Pdu::H2cData(Data::read(header, last, false)),
            PduKind::C2hData => Pdu::C2hData(Data::read(header, last, success)),
            PduKind::R2t => Pdu::R2t(R2t::read(header)),
        })
    }

    /// What it is.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> PduKind {
        match self {
            Pdu::IcReq(_) => PduKind::IcReq,
            Pdu::IcResp(_) => PduKind::IcResp,
            Pdu::H2cTermReq(_) => PduKind::H2cTermReq,
            Pdu::C2hTermReq(_) => PduKind::C2hTermReq,
            Pdu::CapsuleCmd(_) => PduKind::CapsuleCmd,
            Pdu::CapsuleResp(_) => PduKind::CapsuleResp,
            Pdu::H2cData(_) => PduKind::H2cData,
            Pdu::C2hData(_) => PduKind::C2hData,
            Pdu::R2t(_) => PduKind::R2t,
        }
    }

    /// Appends header, header digest and pad; `data_bytes` octets of data are to follow, and their
    /// digest when `framing` has one. Panics when the lengths exceed a PDU's (the caller's bug).
    #[inline]
    pub fn encode(&self, framing: &Framing, data_bytes: u32, out: &mut Vec<u8>) {
        let kind = self.kind();
        let mut flags = 0;
        let mut header = [0; HEADER_MAX];
        let body = &mut header[CommonHeader::LEN..];
        match self {
            Pdu::IcReq(ic) => ic.write(body),
            Pdu::IcResp(ic) => ic.write(body),
            Pdu::H2cTermReq(term) | Pdu::C2hTermReq(term) => term.write(body),
            Pdu::CapsuleCmd(sqe) => body[..Sqe::LEN].copy_from_slice(sqe.as_octets()),
            Pdu::CapsuleResp(cqe) => body[..Cqe::LEN].copy_from_slice(cqe.as_octets()),
            Pdu::H2cData(data) | Pdu::C2hData(data) => {
                flags |= if data.last { flag::LAST } else { 0 };
                flags |= if data.success { flag::SUCCESS } else { 0 };
                data.write(body);
            }
            Pdu::R2t(r2t) => r2t.write(body),
        }
        let (common, pad) = framing.common(kind, flags, data_bytes);
        header[..CommonHeader::LEN].copy_from_slice(&common.encode());
        let header = &header[..usize::from(common.hlen)];
        out.extend_from_slice(header);
        if common.flags & flag::HDGST != 0 {
            out.extend_from_slice(&digest(header));
        }
        out.resize(out.len() + pad, 0);
    }
}
