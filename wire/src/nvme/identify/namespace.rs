//! Identify Namespace (CNS 00h) and its command set independent part (CNS 08h).

use super::IDENTIFY_LEN;
use crate::octets::{Bits, Le16, Le32, Le64, Le128, Raw, U8, get, layout, set};

layout! {
    /// What a namespace is. Names are those of the specification.
    IdentifyNamespace[IDENTIFY_LEN] {
        /// Size, blocks.
        nsze set_nsze: u64 as Le64, 0;
        /// Capacity, blocks.
        ncap set_ncap: u64 as Le64, 8;
        /// Used, blocks.
        nuse set_nuse: u64 as Le64, 16;
        /// Features: bit 0 = thin, 1 = own atomicity, 2 = deallocated error, 4 = I/O hints.
        nsfeat set_nsfeat: u8 as U8, 24;
        /// LBA formats, zero-based.
        nlbaf set_nlbaf: u8 as U8, 25;
        /// The format in use, low four bits.
        flbas_index set_flbas_index: u8 as Bits<U8, 0, 4>, 26;
        /// Metadata capabilities.
        mc set_mc: u8 as U8, 27;
        /// Protection capabilities.
        dpc set_dpc: u8 as U8, 28;
        /// Protection settings.
        dps set_dps: u8 as U8, 29;
        /// Sharing: bit 0 = several controllers.
        nmic set_nmic: u8 as U8, 30;
        /// Reservation capabilities: bit 0 = they persist through power loss, 1 to 6 = types 1 to
        /// 6, 7 = Ignore Existing Key as in NVMe 1.3 and later.
        rescap set_rescap: u8 as U8, 31;
        /// Format progress.
        fpi set_fpi: u8 as U8, 32;
        /// Deallocation: bits 2-0 = what deallocated blocks read as (1 = zeros), 3 = write zeroes
        /// may deallocate.
        dlfeat set_dlfeat: u8 as U8, 33;
        /// Atomic write unit, zero-based blocks.
        nawun set_nawun: u16 as Le16, 34;
        /// Atomic write unit at power failure.
        nawupf set_nawupf: u16 as Le16, 36;
        /// Atomic compare and write unit.
        nacwu set_nacwu: u16 as Le16, 38;
        /// Atomic boundary size, normal.
        nabsn set_nabsn: u16 as Le16, 40;
        /// Atomic boundary offset.
        nabo set_nabo: u16 as Le16, 42;
        /// Atomic boundary size at power failure.
        nabspf set_nabspf: u16 as Le16, 44;
        /// Optimal I/O boundary, blocks.
        noiob set_noiob: u16 as Le16, 46;
        /// Capacity, octets.
        nvmcap set_nvmcap: u128 as Le128, 48;
        /// Preferred write granularity, zero-based blocks.
        npwg set_npwg: u16 as Le16, 64;
        /// Preferred write alignment.
        npwa set_npwa: u16 as Le16, 66;
        /// Preferred deallocate granularity.
        npdg set_npdg: u16 as Le16, 68;
        /// Preferred deallocate alignment.
        npda set_npda: u16 as Le16, 70;
        /// Optimal write size.
        nows set_nows: u16 as Le16, 72;
        /// Most blocks of one source range of Copy.
        mssrl set_mssrl: u16 as Le16, 74;
        /// Most blocks that one Copy moves.
        mcl set_mcl: u32 as Le32, 76;
        /// Most source ranges of Copy, zero-based.
        msrc set_msrc: u8 as U8, 80;
        /// ANA group.
        anagrpid set_anagrpid: u32 as Le32, 92;
        /// Attributes: bit 0 = write protected.
        nsattr set_nsattr: u8 as U8, 99;
        /// NVM set.
        nvmsetid set_nvmsetid: u16 as Le16, 100;
        /// Endurance group.
        endgid set_endgid: u16 as Le16, 102;
        /// Globally unique id.
        nguid set_nguid: [u8; 16] as Raw, 104;
        /// IEEE extended unique id.
        eui64 set_eui64: [u8; 8] as Raw, 120;
    }
}

/// One LBA format: sizes of block and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbaFormat {
    /// Octets of metadata per block.
    pub metadata_bytes: u16,
    /// Log2 of the block size; below 9 is not valid (0 = format not available).
    pub block_shift: u8,
    /// Relative performance, 2 bits: 0 = best.
    pub performance: u8,
}

impl LbaFormat {
    /// Block size in octets; `None` when the shift is not between 9 and 31.
    #[must_use]
    pub fn block_bytes(&self) -> Option<u32> {
        (9..32).contains(&self.block_shift).then(|| 1 << self.block_shift)
    }
}

const FORMATS: usize = 128;

impl IdentifyNamespace {
    /// LBA format `index`; `None` beyond 15.
    #[must_use]
    pub fn lba_format(&self, index: u8) -> Option<LbaFormat> {
        let at = Self::format_at(index)?;
        Some(LbaFormat {
            metadata_bytes: get::<Le16, _>(&self.octets, at),
            block_shift: self.octets[at + 2],
            performance: get::<Bits<U8, 0, 2>, _>(&self.octets, at + 3),
        })
    }

    /// Writes [`Self::lba_format`]. Panics when `index` is beyond 15.
    pub fn set_lba_format(&mut self, index: u8, format: LbaFormat) -> &mut Self {
        let at = Self::format_at(index).expect("sixteen LBA formats");
        set::<Le16, _>(&mut self.octets, at, format.metadata_bytes);
        self.octets[at + 2] = format.block_shift;
        set::<Bits<U8, 0, 2>, _>(&mut self.octets, at + 3, format.performance);
        self
    }

    /// The format in use.
    #[must_use]
    pub fn current_format(&self) -> Option<LbaFormat> {
        self.lba_format(self.flbas_index())
    }

    fn format_at(index: u8) -> Option<usize> {
        (index < 16).then(|| FORMATS + 4 * usize::from(index))
    }
}

layout! {
    /// The part of Identify Namespace that holds for every command set.
    IndependentNamespace[IDENTIFY_LEN] {
        /// Features.
        nsfeat set_nsfeat: u8 as U8, 0;
        /// Sharing: bit 0 = several controllers.
        nmic set_nmic: u8 as U8, 1;
        /// Reservation capabilities.
        rescap set_rescap: u8 as U8, 2;
        /// Format progress.
        fpi set_fpi: u8 as U8, 3;
        /// ANA group.
        anagrpid set_anagrpid: u32 as Le32, 4;
        /// Attributes: bit 0 = write protected.
        nsattr set_nsattr: u8 as U8, 8;
        /// NVM set.
        nvmsetid set_nvmsetid: u16 as Le16, 10;
        /// Endurance group.
        endgid set_endgid: u16 as Le16, 12;
        /// Ready for I/O.
        ready set_ready: bool as Bits<U8, 0, 1>, 14;
    }
}
