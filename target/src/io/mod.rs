//! NVM command set: from a command to the requests that a disk gets.
//!
//! Source: NVM Command Set 1.0, "I/O Command Set Commands"; refusals follow Linux nvmet.

mod copy;
mod plan;
mod sgl;

pub(crate) use copy::{COPY_RANGES_MAX, copy_blocks_max, parse_copy};
pub(crate) use plan::{Limits, check_flags, parse_ranges, plan};
pub(crate) use sgl::{Direction, map};

use crate::access::Needs;
use crate::reservation::Change;
use crate::subsystem::DiskIndex;
use storage::{BlockRange, Durability, Geometry};
use verbs::{Remote, Rkey};

/// Most octets of a fused Compare and Write.
const FUSED_BYTES_MAX: u32 = 64 << 10;

/// Most octets of a fused Compare and Write (NACWU): the disk takes both halves at once.
pub(crate) fn fused_bytes_max(geometry: Geometry) -> u32 {
    FUSED_BYTES_MAX.min(geometry.max_transfer_bytes / 2).max(geometry.block_bytes)
}

/// A checked I/O command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Io {
    /// What to do.
    pub(crate) kind: IoKind,
    /// Where.
    pub(crate) disk: DiskIndex,
    /// Blocks (of Dataset Management: none).
    pub(crate) range: BlockRange,
    /// Octets of data.
    pub(crate) bytes: u32,
    /// Durable before the response.
    pub(crate) durability: Durability,
    /// Where the data is, or goes.
    pub(crate) data: DataPointer,
    /// Namespace, for the error log.
    pub(crate) nsid: u32,
}

impl Default for Io {
    fn default() -> Io {
        Io {
            kind: IoKind::Nothing,
            disk: DiskIndex(0),
            range: BlockRange { start: 0, count: 0 },
            bytes: 0,
            durability: Durability::Cached,
            data: DataPointer::None,
            nsid: 0,
        }
    }
}

/// What an I/O command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum IoKind {
    /// Nothing that needs a disk.
    #[default]
    Nothing,
    /// NVMe Read data / RDMA WRITE.
    Read,
    /// NVMe Write data / RDMA READ, or in the capsule.
    Write,
    /// Compare host data with blocks.
    Compare,
    /// Everything acknowledged so far becomes durable.
    Flush,
    /// Blocks become zeroes.
    WriteZeroes {
        /// Their space may be freed.
        deallocate: bool,
    },
    /// Read without data.
    Verify,
    /// Reservation Register, Acquire or Release: the data holds keys.
    Reserve(Change),
    /// Reservation Report.
    Report,
    /// Copy: the data holds `ranges` source ranges.
    Copy {
        /// 1 to 256.
        ranges: u16,
    },
    /// First half of a fused pair.
    FusedCompare,
    /// Second half of a fused pair, under whose name the disk works.
    FusedWrite,
    /// Dataset Management, deallocate: the data holds `ranges` descriptors.
    Deallocate {
        /// 1 to 256.
        ranges: u16,
    },
}

impl IoKind {
    /// It goes to the disk as it is: nothing has to be fetched for the target itself.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        match self {
            IoKind::Read
            | IoKind::Write
            | IoKind::Compare
            | IoKind::Flush
            | IoKind::WriteZeroes { .. }
            | IoKind::Verify
            | IoKind::Nothing => true,
            IoKind::Deallocate { .. }
            | IoKind::Copy { .. }
            | IoKind::FusedCompare
            | IoKind::FusedWrite
            | IoKind::Reserve(_)
            | IoKind::Report => false,
        }
    }
    /// The disk is asked more than once for it, in ways of its own.
    pub(crate) const fn has_steps(self) -> bool {
        matches!(self, IoKind::Copy { .. } | IoKind::FusedWrite)
    }
    /// What the namespace must allow.
    pub(crate) const fn needs(self) -> Needs {
        match self {
            IoKind::Read | IoKind::Compare | IoKind::FusedCompare | IoKind::Verify => Needs::READ,
            // Dataset Management counts as a write even when it is a hint and nothing is done.
            IoKind::Write
            | IoKind::FusedWrite
            | IoKind::WriteZeroes { .. }
            | IoKind::Deallocate { .. }
            | IoKind::Nothing => Needs::WRITE,
            IoKind::Flush => Needs::FLUSH,
            IoKind::Copy { .. } => Needs::READ.and(Needs::WRITE),
            IoKind::Reserve(_) | IoKind::Report => Needs::RESERVE,
        }
    }
}

/// Where data is, as a command's descriptor says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum DataPointer {
    /// No data.
    #[default]
    None,
    /// Memory of the host.
    Keyed {
        /// Address and key.
        remote: Remote,
        /// Octets.
        bytes: u32,
        /// The response invalidates the key.
        invalidate: bool,
    },
    /// Behind the command, in the capsule.
    Capsule {
        /// Octets behind the command.
        offset: u32,
        /// Octets.
        bytes: u32,
    },
}

impl DataPointer {
    /// Octets that the host described.
    pub(crate) fn bytes(self) -> u32 {
        match self {
            DataPointer::None => 0,
            DataPointer::Keyed { bytes, .. } | DataPointer::Capsule { bytes, .. } => bytes,
        }
    }
    /// The key that goes with the response.
    pub(crate) fn invalidate(self) -> Option<Rkey> {
        match self {
            DataPointer::Keyed { remote, invalidate: true, .. } => Some(remote.rkey),
            DataPointer::Keyed { .. } | DataPointer::Capsule { .. } | DataPointer::None => None,
        }
    }
}
