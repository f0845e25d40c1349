//! PDUs that move a command's data.
//!
//! Source: NVMe TCP Transport Specification 1.0, "Host To Controller Data Transfer PDU",
//! "Controller To Host Data Transfer PDU", "Ready to Transfer PDU".

use crate::octets::{Le16, Le32, get};

/// H2CData, C2HData: a piece of a command's data follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Command (CCCID).
    pub cid: u16,
    /// H2CData: of the R2T that it answers. C2HData: reserved, 0.
    pub ttag: u16,
    /// Octets of the command's data before it (DATAO).
    pub offset: u32,
    /// Octets (DATAL).
    pub length: u32,
    /// The last of its R2T (H2CData) or of the command (C2HData).
    pub last: bool,
    /// C2HData: no response follows, the command has succeeded.
    pub success: bool,
}

/// R2T: the controller takes a piece of a command's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct R2t {
    /// Command (CCCID).
    pub cid: u16,
    /// Repeated by each H2CData that answers.
    pub ttag: u16,
    /// Octets of the command's data before it (R2TO).
    pub offset: u32,
    /// Octets (R2TL).
    pub length: u32,
}

impl Data {
    pub(super) fn read(header: &[u8], last: bool, success: bool) -> Data {
        let R2t { cid, ttag, offset, length } = R2t::read(header);
        Data { cid, ttag, offset, length, last, success }
    }
    pub(super) fn write(&self, body: &mut [u8]) {
        let Data { cid, ttag, offset, length, .. } = *self;
        R2t { cid, ttag, offset, length }.write(body);
    }
}

impl R2t {
    pub(super) fn read(header: &[u8]) -> R2t {
        R2t {
            cid: get::<Le16, _>(header, 8),
            ttag: get::<Le16, _>(header, 10),
            offset: get::<Le32, _>(header, 12),
            length: get::<Le32, _>(header, 16),
        }
    }
    /// Into the octets behind the common header.
    pub(super) fn write(&self, body: &mut [u8]) {
        body[0..2].copy_from_slice(&self.cid.to_le_bytes());
        body[2..4].copy_from_slice(&self.ttag.to_le_bytes());
        body[4..8].copy_from_slice(&self.offset.to_le_bytes());
        body[8..12].copy_from_slice(&self.length.to_le_bytes());
    }
}
