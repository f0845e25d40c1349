//! A disk whose blocks are memory: what `memory` and `mmap` have in common.

mod execute;

use crate::lock::{Locks, Mode};
use crate::slab::Slab;
use crate::staging::Staging;
use crate::{BlockRange, DiskStatus, Done, Full, Op, Purpose, Request, Tag};
use ::memory::{DmaBuf, Lender, Region, Stage};
use execute::Zeroing;
use std::collections::VecDeque;
use std::io;

/// The blocks' own place in the regions; staging follows.
const BLOCKS: u32 = 0;

/// A request that must wait until the memory is on the medium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    /// Whose.
    pub(crate) tag: Tag,
    /// These blocks, or everything.
    pub(crate) range: Option<BlockRange>,
}

/// Blocks in memory, with locks and staging.
///
/// Reads and `Prepare(_, Write)` grant the blocks' own memory and hold its lock; staged data is
/// copied in under a lock of its own. Locks are taken last: whoever holds one waits for nothing
/// but its holder, so no cycle of locks and buffers can form.
pub(crate) struct InPlace {
    block_bytes: u32,
    regions: Vec<Region>,
    blocks: Lender,
    locks: Locks,
    staging: Staging,
    waiting: Slab<Request>,
    zeroing: VecDeque<Zeroing>,
    ready: Vec<Done>,
    syncs: VecDeque<Sync>,
    depth: usize,
    volatile: bool,
    copied_octets: u64,
}

impl InPlace {
    /// A disk over `blocks`, at most `depth` requests in flight. `volatile`: Flush and FUA end in
    /// [`InPlace::next_sync`] for the caller to finish; otherwise they are done at once.
    ///
    /// Errors: what `mmap` says about the staging buffers.
    pub(crate) fn new(
        blocks: Region,
        block_bytes: u32,
        depth: u32,
        volatile: bool,
    ) -> io::Result<InPlace> {
        let capacity = depth as usize;
        let staging = Staging::new(BLOCKS + 1, capacity)?;
        let block_count = blocks.len() as u64 / u64::from(block_bytes);
        let lender = Lender::new(blocks.clone(), BLOCKS, capacity);
        Ok(InPlace {
            block_bytes,
            blocks: lender,
            regions: std::iter::once(blocks).chain(staging.regions()).collect(),
            locks: Locks::new(block_count, capacity),
            staging,
            waiting: Slab::new(depth),
            zeroing: VecDeque::with_capacity(capacity),
            ready: Vec::with_capacity(capacity),
            syncs: VecDeque::with_capacity(capacity),
            depth: capacity,
            volatile,
            copied_octets: 0,
        })
    }
    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }
    /// Checks a new number of blocks: the memory was mapped once, so it can only lie within that.
    ///
    /// Errors: `InvalidInput` beyond.
    pub(crate) fn check_resize(&self, block_count: u64) -> io::Result<()> {
        let all = self.regions[BLOCKS as usize].len() as u64 / u64::from(self.block_bytes);
        if (1..=all).contains(&block_count) {
            return Ok(());
        }
        let why = format!("this disk was made with {all} blocks and cannot have {block_count}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }
    /// Requests that were not yet given back by `drain` or `next_sync`.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.ready.len() + self.waiting.len() + self.zeroing.len() + self.syncs.len()
    }
    /// Something to fetch without waiting for anybody.
    pub(crate) fn has_work(&self) -> bool {
        !(self.ready.is_empty() && self.zeroing.is_empty() && self.syncs.is_empty())
    }

    /// Starts a request. Errors: [`Full`], `reserved` places being taken elsewhere.
    #[inline]
    pub(crate) fn submit(&mut self, request: Request, reserved: usize) -> Result<(), Full> {
        if self.in_flight() + reserved >= self.depth {
            return Err(Full(request));
        }
        match request.op {
            Op::Read(range) if self.locks.try_lock(range, Mode::Shared) => {
                let own = self.own(range);
                own.prefetch(Stage::Granted);
                self.finish(request.tag, DiskStatus::Good, Some(own));
            }
            Op::Prepare(range, Purpose::StagedWrite | Purpose::Compare) => {
                let (_, len) = self.octets(range);
                self.stage(request, len);
            }
            Op::Prepare(range, Purpose::CompareAndWrite) => {
                let (_, len) = self.octets(range);
                self.stage(request, 2 * len);
            }
            Op::Flush => self.finish_durably(request.tag, None),
            // Hints that memory has no use for: where it stays, so does its content.
            Op::Deallocate(_) if self.volatile => {
                self.finish(request.tag, DiskStatus::Good, None);
            }
            Op::Verify(_) => self.finish(request.tag, DiskStatus::Good, None),
            Op::Write(range, _) if self.is_own(request.buffer.as_ref()) => {
                self.finish_in_place(request, range);
            }
            Op::Read(range) | Op::Compare(range) => self.lock(request, range, Mode::Shared),
            Op::Prepare(range, Purpose::Write)
            | Op::Write(range, _)
            | Op::CompareAndWrite(range, _)
            | Op::WriteZeroes { range, .. }
            | Op::Deallocate(range) => self.lock(request, range, Mode::Exclusive),
        }
        Ok(())
    }

    /// One step of zeroing, and all that finished.
    #[inline]
    pub(crate) fn drain(&mut self, done: &mut Vec<Done>) {
        if !self.zeroing.is_empty() {
            self.zero_step();
            self.settle();
        }
        done.append(&mut self.ready);
    }

    /// The next request that waits for the medium, if `volatile`.
    pub(crate) fn next_sync(&mut self) -> Option<Sync> {
        self.syncs.pop_front()
    }

    /// Takes back a buffer that was granted, and unlocks its blocks if it was their memory.
    #[inline]
    pub(crate) fn release(&mut self, buffer: DmaBuf) {
        if buffer.region_index() == BLOCKS {
            let range = self.range_of(&buffer);
            // Nobody reads what is held alone, so the range itself tells how it is held.
            let mode = self.locks.mode_of(range);
            self.blocks.take_back(buffer);
            self.locks.unlock(range, mode);
            self.settle();
        } else if let Some((id, buffer)) = self.staging.put(buffer) {
            let tag = self.waiting.remove(id).tag;
            self.finish(tag, DiskStatus::Good, Some(buffer));
        }
    }

    pub(crate) fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("staged_octets_copied", self.copied_octets);
        report("lock_waits", self.locks.waited_count());
        report("buffer_waits", self.staging.waited_count());
        report("buffers_free", self.staging.available() as u64);
    }

    fn stage(&mut self, request: Request, len: usize) {
        if let Some(buffer) = self.staging.take(len) {
            self.finish(request.tag, DiskStatus::Good, Some(buffer));
        } else {
            let id = self.waiting.insert(request);
            self.staging.wait(len, id);
        }
    }

    #[inline]
    fn lock(&mut self, request: Request, range: BlockRange, mode: Mode) {
        if self.locks.try_lock(range, mode) {
            self.locked(request);
            self.settle();
        } else {
            let id = self.waiting.insert(request);
            self.locks.wait(range, mode, id);
        }
    }

    /// Runs what unlocking let through.
    #[inline]
    fn settle(&mut self) {
        while let Some(id) = self.locks.next_granted() {
            let request = self.waiting.remove(id);
            self.locked(request);
        }
    }

    #[inline]
    fn finish(&mut self, tag: Tag, status: DiskStatus, buffer: Option<DmaBuf>) {
        self.ready.push(Done { tag, status, buffer });
    }

    fn is_own(&self, buffer: Option<&DmaBuf>) -> bool {
        buffer.is_some_and(|buffer| buffer.region_index() == BLOCKS)
    }

    #[inline]
    fn own(&mut self, range: BlockRange) -> DmaBuf {
        let (offset, len) = self.octets(range);
        self.blocks.lend(offset, len)
    }

    /// Offset and length in the blocks' region, which checks them again.
    #[inline]
    fn octets(&self, range: BlockRange) -> (usize, usize) {
        #[expect(clippy::cast_possible_truncation, reason = "a mapped region fits in usize")]
        let offset = (range.start * u64::from(self.block_bytes)) as usize;
        (offset, range.count as usize * self.block_bytes as usize)
    }

    #[inline]
    fn range_of(&self, buffer: &DmaBuf) -> BlockRange {
        let block = u64::from(self.block_bytes);
        let count = buffer.len() as u64 / block;
        #[expect(clippy::cast_possible_truncation, reason = "made from a u32 count")]
        BlockRange { start: buffer.offset() as u64 / block, count: count as u32 }
    }
}
