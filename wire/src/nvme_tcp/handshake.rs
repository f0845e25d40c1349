//! ICReq and ICResp: the first PDU each way.
//!
//! Source: NVMe TCP Transport Specification 1.0, "Initialize Connection Request PDU",
//! "Initialize Connection Response PDU".

use super::shape::field;
use super::{MAX_H2C_DATA_MIN, PFV, PduFault};
use crate::octets::{Bits, Le16, Le32, U8, get};

/// Largest alignment, zero-based in units of four octets.
const PDA_MAX: u8 = 31;

/// What a host wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcReq {
    /// PDU format version; [`PFV`] is what is spoken here.
    pub pfv: u16,
    /// Alignment of data in PDUs to the host: (HPDA + 1) × 4 octets, 0 to 31.
    pub hpda: u8,
    /// It wants header digests.
    pub header_digest: bool,
    /// It wants data digests.
    pub data_digest: bool,
    /// R2Ts outstanding of one command, zero-based.
    pub maxr2t: u32,
}

/// What the controller answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcResp {
    /// PDU format version.
    pub pfv: u16,
    /// Alignment of data in PDUs to the controller: (CPDA + 1) × 4 octets, 0 to 31.
    pub cpda: u8,
    /// PDUs have header digests from here on.
    pub header_digest: bool,
    /// PDUs have data digests from here on.
    pub data_digest: bool,
    /// Octets of data of one H2CData: at least [`MAX_H2C_DATA_MIN`], a multiple of four.
    pub max_h2c_data: u32,
}

impl IcReq {
    /// Errors: the host's fault.
    pub fn check(&self) -> Result<(), PduFault> {
        if self.pfv != PFV {
            return Err(PduFault::unsupported(field::PFV));
        }
        if self.hpda > PDA_MAX {
            return Err(PduFault::field(field::PDA));
        }
        Ok(())
    }
    pub(super) fn read(header: &[u8]) -> IcReq {
        let (pfv, hpda, header_digest, data_digest, maxr2t) = read(header);
        IcReq { pfv, hpda, header_digest, data_digest, maxr2t }
    }
    pub(super) fn write(&self, body: &mut [u8]) {
        write(body, self.pfv, self.hpda, [self.header_digest, self.data_digest], self.maxr2t);
    }
}

impl IcResp {
    /// What `asked` for is what it gets, or less. Errors: the controller's fault.
    pub fn check(&self, asked: &IcReq) -> Result<(), PduFault> {
        if self.pfv != PFV {
            return Err(PduFault::unsupported(field::PFV));
        }
        if self.cpda > PDA_MAX {
            return Err(PduFault::field(field::PDA));
        }
        let forced = (self.header_digest && !asked.header_digest)
            || (self.data_digest && !asked.data_digest);
        if forced {
            return Err(PduFault::field(field::DIGESTS));
        }
        if self.max_h2c_data < MAX_H2C_DATA_MIN || !self.max_h2c_data.is_multiple_of(4) {
            return Err(PduFault::field(field::MAXIMUM));
        }
        Ok(())
    }
    pub(super) fn read(header: &[u8]) -> IcResp {
        let (pfv, cpda, header_digest, data_digest, max_h2c_data) = read(header);
        IcResp { pfv, cpda, header_digest, data_digest, max_h2c_data }
    }
    pub(super) fn write(&self, body: &mut [u8]) {
        let digests = [self.header_digest, self.data_digest];
        write(body, self.pfv, self.cpda, digests, self.max_h2c_data);
    }
}

fn read(header: &[u8]) -> (u16, u8, bool, bool, u32) {
    let digests = field::DIGESTS as usize;
    (
        get::<Le16, _>(header, field::PFV as usize),
        get::<U8, _>(header, field::PDA as usize),
        get::<Bits<U8, 0, 1>, _>(header, digests),
        get::<Bits<U8, 1, 1>, _>(header, digests),
        get::<Le32, _>(header, field::MAXIMUM as usize),
    )
}

/// Into the octets behind the common header.
fn write(body: &mut [u8], pfv: u16, pda: u8, [header, data]: [bool; 2], maximum: u32) {
    body[0..2].copy_from_slice(&pfv.to_le_bytes());
    body[2] = pda;
    body[3] = u8::from(header) | u8::from(data) << 1;
    body[4..8].copy_from_slice(&maximum.to_le_bytes());
}
