//! Copy: blocks of one namespace to other blocks of it, without the host seeing them.
//!
//! Source: NVM Command Set 1.1, "Copy command", source range entries of format 0h.

use super::{Cid, IoOpcode, Lba, Nsid, Sqe, ZeroBased};
use crate::octets::{Bits, Le16, Le32, Le64, get, layout, set};

const CDW10: usize = 40;
const CDW12: usize = 48;

/// Dwords 10 to 12 of Copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCmd {
    /// First block that is written.
    pub destination: Lba,
    /// Source ranges, 1 to 256.
    pub ranges: ZeroBased<u8>,
    /// Format of the source range entries, 4 bits: 0 is [`CopyRange`].
    pub format: u32,
    /// Force unit access.
    pub fua: bool,
    /// Try less hard before failing.
    pub limited_retry: bool,
}

impl CopyCmd {
    /// Reads dwords 10 to 12.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            destination: Lba(get::<Le64, _>(octets, CDW10)),
            ranges: ZeroBased::<u8>::from_raw(octets[CDW12]),
            format: get::<Bits<Le32, 8, 4>, _>(octets, CDW12),
            fua: get::<Bits<Le32, 30, 1>, _>(octets, CDW12),
            limited_retry: get::<Bits<Le32, 31, 1>, _>(octets, CDW12),
        }
    }

    /// A command with these dwords.
    #[must_use]
    pub fn command(&self, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = *Sqe::new(IoOpcode::Copy.octet(), cid, nsid).as_octets();
        set::<Le64, _>(&mut octets, CDW10, self.destination.0);
        octets[CDW12] = self.ranges.raw();
        set::<Bits<Le32, 8, 4>, _>(&mut octets, CDW12, self.format);
        set::<Bits<Le32, 30, 1>, _>(&mut octets, CDW12, self.fua);
        set::<Bits<Le32, 31, 1>, _>(&mut octets, CDW12, self.limited_retry);
        Sqe::from_octets(octets)
    }
}

layout! {
    /// A source range of format 0h.
    #[derive(Copy)]
    CopyRange[32] {
        /// First block.
        slba set_slba: u64 as Le64, 8;
        /// Blocks, zero-based; see [`CopyRange::block_count`].
        nlb set_nlb: u16 as Le16, 16;
    }
}

impl CopyRange {
    /// A range. `None` when `block_count` is 0 or beyond 65,536.
    #[must_use]
    pub fn new(slba: Lba, block_count: u32) -> Option<Self> {
        let mut range = Self::zeroed();
        range.set_slba(slba.0).set_nlb(ZeroBased::<u16>::from_count(block_count)?.raw());
        Some(range)
    }

    /// Blocks, 1 to 65,536.
    #[must_use]
    pub fn block_count(&self) -> u32 {
        ZeroBased::<u16>::from_raw(self.nlb()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: fields lie where the specification has them, and read back.
    #[test]
    fn copy_lies_as_specified() {
        let ranges = ZeroBased::<u8>::from_count(256).unwrap();
        let copy = CopyCmd {
            destination: Lba(0x0102),
            ranges,
            format: 3,
            fua: true,
            limited_retry: false,
        };
        let sqe = copy.command(Cid(1), Nsid(2));
        assert_eq!((sqe.opcode(), sqe.cdw10(), sqe.cdw12()), (0x19, 0x0102, 1 << 30 | 0x3ff));
        assert_eq!(CopyCmd::decode(&sqe), copy);
        let range = CopyRange::new(Lba(7), 65_536).unwrap();
        assert_eq!(range.as_octets()[8..18], [7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(range.block_count(), 65_536);
        assert_eq!(CopyRange::new(Lba(0), 0), None);
    }
}
