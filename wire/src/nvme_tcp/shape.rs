//! The common header, and how long the parts of the PDU behind it are.
//!
//! Source: NVMe TCP Transport Specification 1.0, "PDU Common Header", "PDU Data Alignment".

use super::{DIGEST_LEN, PduFault, PduKind, TERM_DATA_MAX};
use crate::octets::{Le32, get};

/// Octet offsets of header fields, as fatal error information names them.
pub mod field {
    /// PDU type.
    pub const TYPE: u32 = 0;
    /// Flags.
    pub const FLAGS: u32 = 1;
    /// Header length.
    pub const HLEN: u32 = 2;
    /// Data offset.
    pub const PDO: u32 = 3;
    /// PDU length.
    pub const PLEN: u32 = 4;
    /// What follows the common header.
    pub const BODY: u32 = 8;
    /// ICReq, ICResp: format version.
    pub const PFV: u32 = 8;
    /// ICReq, ICResp: alignment.
    pub const PDA: u32 = 10;
    /// ICReq, ICResp: digests.
    pub const DIGESTS: u32 = 11;
    /// ICReq: MAXR2T; ICResp: MAXH2CDATA.
    pub const MAXIMUM: u32 = 12;
    /// H2CData, C2HData, R2T: command.
    pub const CCCID: u32 = 8;
    /// H2CData, R2T: transfer tag.
    pub const TTAG: u32 = 10;
    /// H2CData, C2HData: data offset; R2T: requested offset.
    pub const OFFSET: u32 = 12;
    /// H2CData, C2HData: data length; R2T: requested length.
    pub const LENGTH: u32 = 16;
}

/// Bits of the flags.
pub mod flag {
    /// A header digest follows the header.
    pub const HDGST: u8 = 1;
    /// A data digest follows the data.
    pub const DDGST: u8 = 1 << 1;
    /// The last data of an R2T, or of a command.
    pub const LAST: u8 = 1 << 2;
    /// The command has succeeded, and no response follows.
    pub const SUCCESS: u8 = 1 << 3;
}

/// First eight octets of every PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonHeader {
    /// See [`PduKind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// Octets of the header, without its digest.
    pub hlen: u8,
    /// Where data begins; 0 when there is none (receivers do not look then).
    pub pdo: u8,
    /// Octets in all.
    pub plen: u32,
}

/// Which side takes PDUs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The host.
    Host,
    /// The controller.
    Controller,
}

/// How PDUs in one direction are framed, as the handshake settled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Headers have digests.
    pub header_digest: bool,
    /// Data has digests.
    pub data_digest: bool,
    /// Alignment of data as its receiver announced it: (PDA + 1) × 4 octets.
    pub pda: u8,
    /// Octets of data of one PDU at most.
    pub data_max: u32,
}

/// How long the parts of a PDU are: all of it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What it is.
    pub kind: PduKind,
    /// Octets of the header and its digest, from the start.
    pub header_bytes: usize,
    /// A digest ends those.
    pub header_digest: bool,
    /// Octets between header and data.
    pub pad_bytes: usize,
    /// Octets of data.
    pub data_bytes: u32,
    /// A digest follows the data.
    pub data_digest: bool,
}

impl CommonHeader {
    /// Octets of it.
    pub const LEN: usize = 8;

    /// Reads it: any octets will do.
    #[inline]
    #[must_use]
    pub fn decode(octets: &[u8; CommonHeader::LEN]) -> CommonHeader {
        let [kind, flags, hlen, pdo, ..] = *octets;
        CommonHeader { kind, flags, hlen, pdo, plen: get::<Le32, _>(octets, 4) }
    }
    /// Its octets.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; CommonHeader::LEN] {
        let [a, b, c, d] = self.plen.to_le_bytes();
        [self.kind, self.flags, self.hlen, self.pdo, a, b, c, d]
    }

    /// Checks everything that the lengths of a PDU depend on. Errors: the sender's fault.
    pub fn shape(&self, to: Receiver, framing: &Framing) -> Result<Shape, PduFault> {
        let kind = PduKind::from_octet(self.kind).filter(|kind| kind.may_reach(to));
        let kind = kind.ok_or(PduFault::field(field::TYPE))?;
        if self.hlen != kind.hlen() {
            return Err(PduFault::field(field::HLEN));
        }
        let header_digest = kind.has_digests() && framing.header_digest;
        let has_header_digest = self.flags & flag::HDGST != 0;
        if kind.has_digests() && has_header_digest != header_digest {
            return Err(PduFault::field(field::FLAGS));
        }
        let header_bytes = usize::from(self.hlen) + if header_digest { DIGEST_LEN } else { 0 };
        let plain = Shape {
            kind,
            header_bytes,
            header_digest,
            pad_bytes: 0,
            data_bytes: 0,
            data_digest: false,
        };
        let behind = (self.plen as usize).checked_sub(header_bytes);
        let behind = behind.ok_or(PduFault::field(field::PLEN))?;
        if behind == 0 && !kind.must_have_data() {
            return Ok(plain);
        }
        match kind {
            PduKind::H2cTermReq | PduKind::C2hTermReq if behind <= TERM_DATA_MAX => {
                Ok(Shape { data_bytes: self.plen - u32::from(self.hlen), ..plain })
            }
            PduKind::CapsuleCmd | PduKind::H2cData | PduKind::C2hData => {
                self.with_data(plain, framing)
            }
            PduKind::IcReq
            | PduKind::IcResp
            | PduKind::H2cTermReq
            | PduKind::C2hTermReq
            | PduKind::CapsuleResp
            | PduKind::R2t => Err(PduFault::field(field::PLEN)),
        }
    }

    fn with_data(&self, plain: Shape, framing: &Framing) -> Result<Shape, PduFault> {
        let data_digest = framing.data_digest;
        if (self.flags & flag::DDGST != 0) != data_digest {
            return Err(PduFault::field(field::FLAGS));
        }
        let pdo = usize::from(self.pdo);
        let pad_bytes = pdo.checked_sub(plain.header_bytes).ok_or(PduFault::field(field::PDO))?;
        if !pdo.is_multiple_of(framing.alignment()) {
            return Err(PduFault::field(field::PDO));
        }
        let digest = if data_digest { DIGEST_LEN } else { 0 };
        let data_bytes = (self.plen as usize).checked_sub(pdo + digest).filter(|&bytes| bytes > 0);
        let data_bytes = data_bytes.and_then(|bytes| u32::try_from(bytes).ok());
        let data_bytes = data_bytes.ok_or(PduFault::field(field::PLEN))?;
        if data_bytes > framing.data_max {
            // Before the handshake nothing with data has its turn, however much it is.
            let is_early = framing.data_max == 0;
            return Err(if is_early { PduFault::SEQUENCE } else { PduFault::LIMIT_EXCEEDED });
        }
        Ok(Shape { pad_bytes, data_bytes, data_digest, ..plain })
    }
}

impl Framing {
    /// Before the handshake: nothing is aligned, has a digest, or carries data.
    pub const PLAIN: Framing =
        Framing { header_digest: false, data_digest: false, pda: 0, data_max: 0 };

    /// Data begins at a multiple of so many octets.
    #[must_use]
    pub fn alignment(&self) -> usize {
        (usize::from(self.pda) + 1) * 4
    }

    /// Header, header digest and pad of a PDU with `data_bytes` octets of data behind: the octets
    /// that count, and how many.
    #[inline]
    pub(super) fn common(
        &self,
        kind: PduKind,
        flags: u8,
        data_bytes: u32,
    ) -> (CommonHeader, usize) {
        let hlen = kind.hlen();
        let has_header_digest = kind.has_digests() && self.header_digest;
        let mut header_end = usize::from(hlen);
        let mut flags = flags;
        if has_header_digest {
            header_end += DIGEST_LEN;
            flags |= flag::HDGST;
        }
        let (mut pdo, mut plen) = (0, header_end);
        let mut pad = 0;
        if data_bytes > 0 {
            pdo = header_end.next_multiple_of(self.alignment());
            pad = pdo - header_end;
            plen = pdo + data_bytes as usize;
            if self.data_digest {
                flags |= flag::DDGST;
                plen += DIGEST_LEN;
            }
        }
        let pdo = u8::try_from(pdo).expect("at most 128 octets, rounded up to 128");
        let plen = u32::try_from(plen).expect("data of a PDU is far below 4 GiB");
        (CommonHeader { kind: kind.octet(), flags, hlen, pdo, plen }, pad)
    }
}
