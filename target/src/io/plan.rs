//! One I/O command, checked against the namespace that it names.

use super::copy::COPY_RANGE_BYTES;
use super::{DataPointer, Direction, Io, IoKind, map};
use crate::access::Gates;
use crate::fault::{Fault, field};
use crate::reservation::Change;
use crate::subsystem::{Namespace, Subsystem};
use storage::{BlockRange, Durability};
use wire::nvme::{CopyCmd, DsmCmd, DsmRange, IoOpcode, Rw, Sqe, Status};

/// What bounds a command apart from its namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Most octets of data (MDTS).
    pub(crate) max_transfer_bytes: u32,
    /// Octets that came behind the command in its capsule.
    pub(crate) capsule_bytes: u32,
    /// Writes may be acknowledged from the volatile cache (the host did not switch it off).
    pub(crate) write_cache: bool,
}

/// Octets of one range descriptor of Dataset Management.
pub(crate) const DSM_RANGE_BYTES: u32 = 16;

/// Not half of a pair; the metadata pointer is a buffer, the data pointer an SGL.
pub(crate) fn check_flags(sqe: &Sqe) -> Result<(), Fault> {
    if sqe.fuse() != 0 {
        return Err(Fault::invalid_field(field::FLAGS));
    }
    check_pointers(sqe)
}
#[inline]
fn check_pointers(sqe: &Sqe) -> Result<(), Fault> {
    if sqe.psdt() == 1 { Ok(()) } else { Err(Fault::invalid_field(field::FLAGS)) }
}

/// Checks `sqe`, apart from being half of a pair, and says what to do. Errors: the host's fault, with the status for it.
pub(crate) fn plan(
    sqe: &Sqe,
    subsystem: &Subsystem,
    gates: &Gates,
    limits: Limits,
) -> Result<Io, Fault> {
    check_pointers(sqe)?;
    let namespace = subsystem
        .namespace(sqe.nsid().0)
        .ok_or(Fault::at(Status::INVALID_NAMESPACE, field::NSID))?;
    let kind = kind_of(sqe)?;
    gates.get(sqe.nsid().0).check(kind.needs())?;
    let data = map(&sqe.sgl(), Direction::of_opcode(sqe.opcode()), limits.capsule_bytes)?;
    let io = Io { kind, disk: namespace.disk, nsid: sqe.nsid().0, data, ..Io::default() };
    match kind {
        IoKind::Read | IoKind::Write | IoKind::Compare => {
            plan_data(with_range(io, sqe, namespace)?, namespace, limits)
        }
        IoKind::WriteZeroes { .. } | IoKind::Verify => with_range(io, sqe, namespace),
        IoKind::Nothing
        | IoKind::Flush
        | IoKind::Deallocate { .. }
        | IoKind::Reserve(_)
        | IoKind::Report
        | IoKind::Copy { .. }
        | IoKind::FusedCompare
        | IoKind::FusedWrite => plan_without_blocks(io, sqe),
    }
    .map(|io| with_durability(io, sqe, limits))
}

/// Commands whose dwords name no range of blocks.
#[cold]
fn plan_without_blocks(io: Io, sqe: &Sqe) -> Result<Io, Fault> {
    match io.kind {
        IoKind::Deallocate { ranges } => plan_list(io, u32::from(ranges) * DSM_RANGE_BYTES),
        IoKind::Reserve(change) => plan_list(io, change.data_bytes()),
        IoKind::Copy { ranges } => {
            let range = BlockRange { start: CopyCmd::decode(sqe).destination.0, count: 0 };
            plan_list(Io { range, ..io }, u32::from(ranges) * COPY_RANGE_BYTES)
        }
        IoKind::Nothing | IoKind::Flush | IoKind::Report => Ok(io),
        IoKind::FusedCompare
        | IoKind::FusedWrite
        | IoKind::Read
        | IoKind::Write
        | IoKind::Compare
        | IoKind::WriteZeroes { .. }
        | IoKind::Verify => unreachable!("{:?} is planned with its blocks", io.kind),
    }
}

fn kind_of(sqe: &Sqe) -> Result<IoKind, Fault> {
    match sqe.io_opcode() {
        Some(IoOpcode::Flush) => Ok(IoKind::Flush),
        Some(IoOpcode::Write) => Ok(IoKind::Write),
        Some(IoOpcode::Read) => Ok(IoKind::Read),
        Some(IoOpcode::Compare) => Ok(IoKind::Compare),
        Some(IoOpcode::WriteZeroes) => {
            Ok(IoKind::WriteZeroes { deallocate: Rw::decode(sqe).deallocate })
        }
        Some(IoOpcode::Verify) => Ok(IoKind::Verify),
        Some(IoOpcode::Copy) => copy(CopyCmd::decode(sqe)),
        Some(IoOpcode::ReservationRegister) => Ok(IoKind::Reserve(Change::Register)),
        Some(IoOpcode::ReservationAcquire) => Ok(IoKind::Reserve(Change::Acquire)),
        Some(IoOpcode::ReservationRelease) => Ok(IoKind::Reserve(Change::Release)),
        Some(IoOpcode::ReservationReport) => Ok(IoKind::Report),
        Some(IoOpcode::DatasetManagement) => Ok(dataset_management(DsmCmd::decode(sqe))),
        Some(IoOpcode::WriteUncorrectable | IoOpcode::Fabrics) | None => {
            Err(Fault::invalid_opcode())
        }
    }
}

/// Attributes other than Deallocate are hints: taken, and nothing done.
fn dataset_management(command: DsmCmd) -> IoKind {
    if command.deallocate {
        IoKind::Deallocate { ranges: command.ranges.count() }
    } else {
        IoKind::Nothing
    }
}

/// Source ranges of format 0 only: without protection information, of the same namespace.
fn copy(command: CopyCmd) -> Result<IoKind, Fault> {
    if command.format != 0 {
        return Err(Fault::invalid_field(field::CDW12));
    }
    Ok(IoKind::Copy { ranges: command.ranges.count() })
}

/// Start and count.
fn with_range(io: Io, sqe: &Sqe, namespace: &Namespace) -> Result<Io, Fault> {
    let blocks = Rw::decode(sqe);
    let range = BlockRange { start: blocks.slba.0, count: blocks.blocks.count() };
    Ok(Io { range: check_range(range, namespace)?, ..io })
}

/// LBA Out of Range, unless all blocks exist.
pub(crate) fn check_range(range: BlockRange, namespace: &Namespace) -> Result<BlockRange, Fault> {
    let end = range.start.checked_add(u64::from(range.count));
    if end.is_none_or(|end| end > namespace.geometry.block_count) {
        return Err(Fault::at(Status::LBA_OUT_OF_RANGE, field::CDW10));
    }
    Ok(range)
}

/// The host describes exactly as much memory as the blocks have octets.
#[inline]
fn plan_data(io: Io, namespace: &Namespace, limits: Limits) -> Result<Io, Fault> {
    let bytes = io.range.count * namespace.geometry.block_bytes;
    if bytes > limits.max_transfer_bytes {
        return Err(Fault::invalid_field(field::CDW12));
    }
    if io.data.bytes() != bytes {
        return Err(Fault::data_length());
    }
    Ok(Io { bytes, ..io })
}

/// A list or keys for the target itself. Hosts may describe more memory than it needs (Linux always
/// gives 4,096 octets for ranges).
fn plan_list(io: Io, bytes: u32) -> Result<Io, Fault> {
    if io.data.bytes() < bytes {
        return Err(Fault::data_length());
    }
    let data = match io.data {
        DataPointer::None => DataPointer::None,
        DataPointer::Keyed { remote, invalidate, .. } => {
            DataPointer::Keyed { remote, bytes, invalidate }
        }
        DataPointer::Capsule { offset, .. } => DataPointer::Capsule { offset, bytes },
    };
    Ok(Io { bytes, data, ..io })
}

fn with_durability(io: Io, sqe: &Sqe, limits: Limits) -> Io {
    let forced = Rw::decode(sqe).fua || !limits.write_cache;
    let durability = if forced { Durability::Fua } else { Durability::Cached };
    Io { durability, ..io }
}

/// The range descriptors of Dataset Management. Empty ranges are skipped; each must exist.
pub(crate) fn parse_ranges(
    octets: &[u8],
    namespace: &Namespace,
    into: &mut Vec<BlockRange>,
) -> Result<(), Fault> {
    into.clear();
    for descriptor in octets.as_chunks::<{ DsmRange::LEN }>().0 {
        let descriptor = DsmRange::from_octets(*descriptor);
        let range = BlockRange { start: descriptor.slba().0, count: descriptor.block_count() };
        check_range(range, namespace)?;
        if range.count > 0 {
            into.push(range);
        }
    }
    into.reverse();
    Ok(())
}
