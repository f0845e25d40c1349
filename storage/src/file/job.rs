//! One request on its way through the device.

use crate::errno::Way;
use crate::lock::Mode;
use crate::staging::MAX_TRANSFER_BYTES;
use crate::uring::Io;
use crate::{BlockRange, DiskStatus, Durability, Op, Request, Tag};
use ::memory::DmaBuf;

/// What the device does for the job now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Moves data; of Compare and Write: what is compared.
    Move,
    /// Compare and Write: writes, as the blocks were found equal.
    Store,
    /// Punches a hole, or zeroes without data.
    Allocate,
    /// Writes zeroes, as it cannot do without data.
    WriteZeroes,
    /// Makes durable.
    Sync,
    /// Nothing more.
    Finished,
}

/// The next step.
pub(super) enum Next {
    /// With the job's own buffer, if any.
    Device(Io),
    /// With the shared zeroes.
    Zeroes(Io),
    /// None: report.
    End(DiskStatus),
}

/// A request and how far it is.
pub(super) struct Job {
    pub(super) tag: Tag,
    pub(super) op: Op,
    /// Read: where to. Write, Compare: the prepared data.
    pub(super) buffer: Option<DmaBuf>,
    /// Compare, Compare and Write, Verify: where the blocks are read to.
    pub(super) scratch: Option<DmaBuf>,
    pub(super) stage: Stage,
    pub(super) is_read: bool,
    /// Octets of the range, and how many of them are done.
    total: u64,
    done: u64,
    allocate_mode: i32,
    /// The medium ended before the range did.
    is_short: bool,
}

const HOLE: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;

impl Job {
    pub(super) fn new(request: Request, block_bytes: u32) -> Job {
        let Request { tag, op, buffer } = request;
        let (stage, allocate_mode) = match op {
            Op::Read(_)
            | Op::Prepare(..)
            | Op::Write(..)
            | Op::Compare(_)
            | Op::CompareAndWrite(..)
            | Op::Verify(_) => (Stage::Move, 0),
            Op::Flush => (Stage::Sync, 0),
            Op::WriteZeroes { deallocate: false, .. } => (Stage::Allocate, ZERO),
            Op::WriteZeroes { deallocate: true, .. } | Op::Deallocate(_) => (Stage::Allocate, HOLE),
        };
        let blocks = range_of(op).map_or(0, |range| u64::from(range.count));
        let total = blocks * u64::from(block_bytes);
        if let Op::Write(..) | Op::Compare(_) = op {
            let len = buffer.as_ref().map(DmaBuf::len);
            assert!(len.is_some_and(|len| len as u64 == total), "{op:?} with {len:?} octets");
        }
        if let Op::CompareAndWrite(..) = op {
            let len = buffer.as_ref().map(DmaBuf::len);
            assert!(len.is_some_and(|len| len as u64 == 2 * total), "{op:?} with {len:?} octets");
        }
        let is_read = matches!(op, Op::Read(_));
        Job {
            tag,
            op,
            buffer,
            scratch: None,
            stage,
            is_read,
            total,
            done: 0,
            allocate_mode,
            is_short: false,
        }
    }

    /// The range to lock while the device works.
    pub(super) fn lock_wanted(&self) -> Option<(BlockRange, Mode)> {
        let mode = match self.op {
            Op::Read(_) | Op::Compare(_) | Op::Verify(_) => Mode::Shared,
            Op::Write(..)
            | Op::CompareAndWrite(..)
            | Op::WriteZeroes { .. }
            | Op::Deallocate(_) => Mode::Exclusive,
            Op::Prepare(..) | Op::Flush => return None,
        };
        range_of(self.op).map(|range| (range, mode))
    }

    pub(super) fn way(&self) -> Way {
        match self.op {
            Op::Read(_) | Op::Compare(_) | Op::Verify(_) => Way::In,
            Op::CompareAndWrite(..) if self.stage == Stage::Move => Way::In,
            Op::CompareAndWrite(..)
            | Op::Prepare(..)
            | Op::Write(..)
            | Op::Flush
            | Op::WriteZeroes { .. }
            | Op::Deallocate(_) => Way::Out,
        }
    }

    /// Flush, or force unit access.
    pub(super) fn wants_durability(&self) -> bool {
        match self.op {
            Op::Flush => true,
            Op::Write(_, durability)
            | Op::CompareAndWrite(_, durability)
            | Op::WriteZeroes { durability, .. } => durability == Durability::Fua,
            Op::Read(_) | Op::Prepare(..) | Op::Compare(_) | Op::Deallocate(_) | Op::Verify(_) => {
                false
            }
        }
    }

    /// What to do next, from the stage and the octets done.
    pub(super) fn next(&self, block_bytes: u32) -> Next {
        if self.is_short {
            return Next::End(match self.way() {
                Way::In => DiskStatus::ReadError,
                Way::Out => DiskStatus::WriteError,
            });
        }
        let start = range_of(self.op).map_or(0, |range| range.start * u64::from(block_bytes));
        let offset = start + self.done;
        let rest = self.total - self.done;
        #[expect(clippy::cast_possible_truncation, reason = "at most max_transfer")]
        let (at, len) = (self.done as u32, rest.min(u64::from(MAX_TRANSFER_BYTES)) as u32);
        let durable = self.wants_durability();
        match self.stage {
            Stage::Move => match self.op {
                Op::Write(..) => Next::Device(Io::Write { offset, at, len, durable }),
                // May be longer than the scratch buffer: each piece lands at its start.
                Op::Verify(_) => Next::Device(Io::Read { offset, at: 0, len }),
                Op::Read(_) | Op::Compare(_) | Op::CompareAndWrite(..) => {
                    Next::Device(Io::Read { offset, at, len })
                }
                Op::Prepare(..) | Op::Flush | Op::WriteZeroes { .. } | Op::Deallocate(_) => {
                    panic!("{:?} moves no data", self.op)
                }
            },
            Stage::Store => {
                #[expect(clippy::cast_possible_truncation, reason = "half of max_transfer")]
                let half = self.total as u32;
                Next::Device(Io::Write { offset, at: half + at, len, durable })
            }
            Stage::Allocate => Next::Device(Io::Allocate {
                offset: start,
                len: self.total,
                mode: self.allocate_mode,
            }),
            Stage::WriteZeroes => Next::Zeroes(Io::Write { offset, at: 0, len, durable }),
            Stage::Sync => Next::Device(Io::Sync { offset: 0, len: 0 }),
            Stage::Finished => Next::End(self.verdict()),
        }
    }

    /// The buffer that the next step moves data to or from.
    pub(super) fn buffer_for_device(&mut self) -> Option<DmaBuf> {
        match (self.stage, self.op) {
            (Stage::Move, Op::Compare(_) | Op::CompareAndWrite(..) | Op::Verify(_)) => {
                self.scratch.take()
            }
            (Stage::Move | Stage::Store, _) => self.buffer.take(),
            (Stage::Allocate | Stage::WriteZeroes | Stage::Sync | Stage::Finished, _) => None,
        }
    }

    /// The buffer came back from the device.
    pub(super) fn take_back(&mut self, buffer: Option<DmaBuf>) {
        match (self.stage, self.op) {
            (Stage::Move, Op::Compare(_) | Op::CompareAndWrite(..) | Op::Verify(_)) => {
                self.scratch = buffer;
            }
            (Stage::Move | Stage::Store, _) => self.buffer = buffer,
            // The shared zeroes, or none.
            (Stage::Allocate | Stage::WriteZeroes | Stage::Sync | Stage::Finished, _) => {}
        }
    }

    /// A step worked, having moved so many octets.
    pub(super) fn moved(&mut self, octets: u32, block_bytes: u32) {
        match self.stage {
            Stage::Move | Stage::Store | Stage::WriteZeroes => {
                // A torn end is moved again: direct I/O needs whole blocks.
                let whole = u64::from(octets - octets % block_bytes);
                self.is_short = whole == 0;
                self.done = (self.done + whole).min(self.total);
                if self.done == self.total {
                    self.stage = self.after_data();
                }
            }
            Stage::Allocate if self.wants_durability() => self.stage = Stage::Sync,
            Stage::Allocate | Stage::Sync | Stage::Finished => self.stage = Stage::Finished,
        }
    }

    /// All octets were moved.
    fn after_data(&mut self) -> Stage {
        let compared = self.stage == Stage::Move && matches!(self.op, Op::CompareAndWrite(..));
        if compared && self.verdict() == DiskStatus::Good {
            self.done = 0;
            return Stage::Store;
        }
        Stage::Finished
    }

    /// After the medium refused this `fallocate`: another kind, or data.
    pub(super) fn after_unsupported(&mut self) -> Stage {
        if self.allocate_mode == HOLE {
            self.allocate_mode = ZERO;
            Stage::Allocate
        } else {
            Stage::WriteZeroes
        }
    }

    fn verdict(&self) -> DiskStatus {
        let (Op::Compare(_) | Op::CompareAndWrite(..), Some(data), Some(blocks)) =
            (self.op, &self.buffer, &self.scratch)
        else {
            return DiskStatus::Good;
        };
        let len = usize::try_from(self.total).unwrap_or(usize::MAX);
        let equal = blocks.bytes().get(..len) == data.bytes().get(..len);
        if equal { DiskStatus::Good } else { DiskStatus::CompareFailed }
    }
}

fn range_of(op: Op) -> Option<BlockRange> {
    match op {
        Op::Read(range)
        | Op::Prepare(range, _)
        | Op::Write(range, _)
        | Op::Compare(range)
        | Op::CompareAndWrite(range, _)
        | Op::WriteZeroes { range, .. }
        | Op::Deallocate(range)
        | Op::Verify(range) => Some(range),
        Op::Flush => None,
    }
}
