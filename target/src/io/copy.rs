//! Copy: its source ranges, checked.
//!
//! Source: NVM Command Set 1.1, "Copy command" (source range entries of format 0h, its limits in
//! Identify Namespace).

use super::plan::check_range;
use crate::fault::{Fault, field};
use crate::queue::CopyPlan;
use crate::subsystem::Namespace;
use storage::{BlockRange, Geometry};
use wire::nvme::{CopyRange, Status};

/// Octets of a source range entry.
#[expect(clippy::cast_possible_truncation, reason = "32")]
pub(crate) const COPY_RANGE_BYTES: u32 = CopyRange::LEN as u32;
/// Source ranges of one Copy (MSRC is one less).
pub(crate) const COPY_RANGES_MAX: u16 = 256;
/// Most octets of one Copy: they are held in memory between reading and writing.
const COPY_BYTES_MAX: u32 = 128 << 10;

/// Most blocks of one Copy, and of one of its ranges (MCL, MSSRL).
pub(crate) fn copy_blocks_max(geometry: Geometry) -> u16 {
    let bytes = COPY_BYTES_MAX.min(geometry.max_transfer_bytes);
    u16::try_from(bytes / geometry.block_bytes).unwrap_or(u16::MAX)
}

/// The ranges in `octets`, to be copied to the blocks from `start` on. Errors: the host's fault; dword
/// 0 says which range is to blame.
pub(crate) fn parse_copy(
    octets: &[u8],
    start: u64,
    namespace: &Namespace,
) -> Result<CopyPlan, Fault> {
    let most = u32::from(copy_blocks_max(namespace.geometry));
    let too_long = Fault::at(Status::COMMAND_SIZE_LIMIT, field::DATA_POINTER);
    let mut sources = Vec::new();
    let mut count = 0;
    for (number, entry) in (0..).zip(octets.as_chunks::<{ CopyRange::LEN }>().0) {
        let entry = CopyRange::from_octets(*entry);
        let source = BlockRange { start: entry.slba(), count: entry.block_count() };
        count += source.count;
        // Checked range by range: the sum cannot overflow.
        if source.count > most || count > most {
            return Err(Fault { result: number, ..too_long });
        }
        let checked = check_range(source, namespace);
        sources.push(checked.map_err(|fault| Fault { result: number, ..fault })?);
    }
    let destination = check_range(BlockRange { start, count }, namespace)?;
    Ok(CopyPlan { sources, destination })
}
