//! Commands of the NVM command set: what their dwords 10 to 13 say.
//!
//! Source: NVM Command Set 1.0, one section for each command.

use super::{Cid, IoOpcode, Lba, Nsid, Sqe, ZeroBased};
use crate::octets::{Bits, Le32, Le64, get, layout, set};

const CDW10: usize = 40;
const CDW11: usize = 44;
const CDW12: usize = 48;

/// Read, Write, Compare, Write Zeroes, Verify: a range of blocks and how to treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rw {
    /// First block.
    pub slba: Lba,
    /// Number of blocks.
    pub blocks: ZeroBased<u16>,
    /// Write Zeroes: deallocate rather than write, where possible.
    pub deallocate: bool,
    /// Protection information field, 4 bits: action and checks.
    pub protection: u32,
    /// Force unit access: durable (or from the medium) before completion.
    pub fua: bool,
    /// Try less hard before failing.
    pub limited_retry: bool,
}

impl Rw {
    /// A plain range. `None` when `block_count` is 0 or beyond 65,536.
    #[must_use]
    pub fn new(slba: Lba, block_count: u32) -> Option<Self> {
        Some(Self {
            slba,
            blocks: ZeroBased::<u16>::from_count(block_count)?,
            deallocate: false,
            protection: 0,
            fua: false,
            limited_retry: false,
        })
    }

    /// Reads dwords 10 to 12.
    #[inline]
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        let cdw12 = sqe.cdw12();
        Self {
            slba: Lba(get::<Le64, _>(octets, CDW10)),
            blocks: ZeroBased::<u16>::from_raw(get::<crate::octets::Le16, _>(octets, CDW12)),
            deallocate: crate::bits(cdw12.into(), 25, 1) != 0,
            protection: get::<Bits<Le32, 26, 4>, _>(octets, CDW12),
            fua: get::<Bits<Le32, 30, 1>, _>(octets, CDW12),
            limited_retry: get::<Bits<Le32, 31, 1>, _>(octets, CDW12),
        }
    }

    /// A command with these dwords.
    #[inline]
    #[must_use]
    pub fn command(&self, opcode: IoOpcode, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = *Sqe::new(opcode.octet(), cid, nsid).as_octets();
        set::<Le64, _>(&mut octets, CDW10, self.slba.0);
        set::<Le32, _>(&mut octets, CDW12, u32::from(self.blocks.raw()));
        set::<Bits<Le32, 25, 1>, _>(&mut octets, CDW12, self.deallocate);
        set::<Bits<Le32, 26, 4>, _>(&mut octets, CDW12, self.protection);
        set::<Bits<Le32, 30, 1>, _>(&mut octets, CDW12, self.fua);
        set::<Bits<Le32, 31, 1>, _>(&mut octets, CDW12, self.limited_retry);
        Sqe::from_octets(octets)
    }
}

/// Dataset Management: hints for a list of [`DsmRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DsmCmd {
    /// Number of ranges, 1 to 256.
    pub ranges: ZeroBased<u8>,
    /// The ranges may be deallocated.
    pub deallocate: bool,
    /// They will be written as a whole.
    pub integral_write: bool,
    /// They will be read as a whole.
    pub integral_read: bool,
}

impl DsmCmd {
    /// Reads dwords 10 and 11.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            ranges: ZeroBased::<u8>::from_raw(octets[CDW10]),
            deallocate: get::<Bits<Le32, 2, 1>, _>(octets, CDW11),
            integral_write: get::<Bits<Le32, 1, 1>, _>(octets, CDW11),
            integral_read: get::<Bits<Le32, 0, 1>, _>(octets, CDW11),
        }
    }

    /// A command with these dwords.
    #[must_use]
    pub fn command(&self, cid: Cid, nsid: Nsid) -> Sqe {
        let opcode = IoOpcode::DatasetManagement.octet();
        let mut octets = *Sqe::new(opcode, cid, nsid).as_octets();
        octets[CDW10] = self.ranges.raw();
        set::<Bits<Le32, 2, 1>, _>(&mut octets, CDW11, self.deallocate);
        set::<Bits<Le32, 1, 1>, _>(&mut octets, CDW11, self.integral_write);
        set::<Bits<Le32, 0, 1>, _>(&mut octets, CDW11, self.integral_read);
        Sqe::from_octets(octets)
    }
}

layout! {
    /// One range of a Dataset Management command.
    #[derive(Copy)]
    DsmRange[16] {
        /// Hints; 0.
        context set_context: u32 as Le32, 0;
        /// Blocks, not zero-based.
        block_count set_block_count: u32 as Le32, 4;
        /// First block.
        slba_raw set_slba_raw: u64 as Le64, 8;
    }
}

impl DsmRange {
    /// A range without hints.
    #[must_use]
    pub fn new(slba: Lba, block_count: u32) -> Self {
        let mut range = Self::zeroed();
        range.set_slba_raw(slba.0).set_block_count(block_count);
        range
    }

    /// First block.
    #[must_use]
    pub fn slba(&self) -> Lba {
        Lba(self.slba_raw())
    }
}
