//! What a request does that holds its lock: copies, compares, zeroes, and is done.

use super::{BLOCKS, InPlace, Sync};
use crate::lock::Mode;
use crate::{BlockRange, DiskStatus, Durability, Op, Request, Tag};
use ::memory::DmaBuf;

/// Octets zeroed in one poll: long ranges take several, so that none lasts long.
const ZERO_STEP_BYTES: u64 = 1 << 20;

pub(super) struct Zeroing {
    tag: Tag,
    range: BlockRange,
    done_blocks: u32,
    durability: Durability,
}

impl InPlace {
    /// A request that holds its lock.
    #[inline]
    pub(super) fn locked(&mut self, request: Request) {
        let Request { tag, op, buffer } = request;
        match op {
            Op::Read(range) | Op::Prepare(range, _) => {
                let own = self.own(range);
                self.finish(tag, DiskStatus::Good, Some(own));
            }
            Op::Write(range, durability) => self.copy_in(tag, range, durability, buffer),
            Op::Compare(range) => self.compare(tag, range, buffer),
            Op::CompareAndWrite(range, durability) => {
                self.compare_and_write(tag, range, durability, buffer);
            }
            Op::WriteZeroes { range, durability, .. } => self.zero(tag, range, durability),
            Op::Deallocate(range) => self.zero(tag, range, Durability::Cached),
            Op::Flush | Op::Verify(_) => panic!("{op:?} takes no lock"),
        }
    }

    fn copy_in(&mut self, tag: Tag, range: BlockRange, how: Durability, data: Option<DmaBuf>) {
        let data = self.expect_data(range, data);
        let (offset, _) = self.octets(range);
        self.regions[BLOCKS as usize].write(offset, data.bytes());
        self.copied_octets += data.len() as u64;
        self.locks.unlock(range, Mode::Exclusive);
        self.release(data);
        self.finish_write(tag, range, how);
    }

    fn compare(&mut self, tag: Tag, range: BlockRange, data: Option<DmaBuf>) {
        let data = self.expect_data(range, data);
        let own = self.own(range);
        let equal = own.bytes() == data.bytes();
        self.blocks.take_back(own);
        self.locks.unlock(range, Mode::Shared);
        self.release(data);
        self.finish(tag, if equal { DiskStatus::Good } else { DiskStatus::CompareFailed }, None);
    }

    fn compare_and_write(
        &mut self,
        tag: Tag,
        range: BlockRange,
        how: Durability,
        data: Option<DmaBuf>,
    ) {
        let (offset, len) = self.octets(range);
        let data = data.filter(|data| data.len() == 2 * len).expect("both halves, prepared");
        let own = self.own(range);
        let (expected, new) = data.bytes().split_at(len);
        let equal = own.bytes() == expected;
        self.blocks.take_back(own);
        if equal {
            self.regions[BLOCKS as usize].write(offset, new);
            self.copied_octets += len as u64;
        }
        self.locks.unlock(range, Mode::Exclusive);
        self.release(data);
        if equal {
            self.finish_write(tag, range, how);
        } else {
            self.finish(tag, DiskStatus::CompareFailed, None);
        }
    }

    pub(super) fn finish_in_place(&mut self, request: Request, range: BlockRange) {
        let data = self.expect_data(range, request.buffer);
        assert!(self.range_of(&data) == range, "in-place write of blocks that were not prepared");
        self.blocks.take_back(data);
        self.locks.unlock(range, Mode::Exclusive);
        let Op::Write(_, durability) = request.op else { panic!("not a write") };
        self.finish_write(request.tag, range, durability);
        self.settle();
    }

    fn zero(&mut self, tag: Tag, range: BlockRange, durability: Durability) {
        self.zeroing.push_back(Zeroing { tag, range, done_blocks: 0, durability });
        if self.zeroing.len() == 1 && range.count <= self.step_blocks() {
            self.zero_step();
        }
    }

    /// Zeroes a piece of the oldest range. The caller settles: not here, lest a queue of zeroings
    /// of the same blocks recurse.
    pub(super) fn zero_step(&mut self) {
        let step = self.step_blocks();
        let Some(front) = self.zeroing.front_mut() else { return };
        let count = (front.range.count - front.done_blocks).min(step);
        let start = front.range.start + u64::from(front.done_blocks);
        front.done_blocks += count;
        let finished = front.done_blocks == front.range.count;
        let (offset, len) = self.octets(BlockRange { start, count });
        self.regions[BLOCKS as usize].fill(offset, len, 0);
        if finished && let Some(Zeroing { tag, range, durability, .. }) = self.zeroing.pop_front() {
            self.locks.unlock(range, Mode::Exclusive);
            self.finish_write(tag, range, durability);
        }
    }

    fn finish_write(&mut self, tag: Tag, range: BlockRange, durability: Durability) {
        match durability {
            Durability::Cached => self.finish(tag, DiskStatus::Good, None),
            Durability::Fua => self.finish_durably(tag, Some(range)),
        }
    }

    pub(super) fn finish_durably(&mut self, tag: Tag, range: Option<BlockRange>) {
        if self.volatile {
            self.syncs.push_back(Sync { tag, range });
        } else {
            self.finish(tag, DiskStatus::Good, None);
        }
    }

    fn expect_data(&self, range: BlockRange, data: Option<DmaBuf>) -> DmaBuf {
        let Some(data) = data else { panic!("write or compare without its prepared buffer") };
        let (_, len) = self.octets(range);
        assert!(data.len() == len, "{} octets for {range:?}", data.len());
        data
    }

    fn step_blocks(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2,048")]
        let blocks = (ZERO_STEP_BYTES / u64::from(self.block_bytes)) as u32;
        blocks
    }
}
