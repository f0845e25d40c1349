//! A disk in a file or on a block device, through io_uring.

use crate::errno::{is_transient, is_unsupported, status_of};
use crate::lock::Locks;
use crate::medium::{FileOptions, Medium};
use crate::slab::Slab;
use crate::staging::{MAX_TRANSFER_BYTES, Staging};
use crate::uring::{Completion, Ring};
use crate::{Backend, BlockRange, DiskStatus, Done, Full, Geometry, Op, Purpose, Request, Tag};
use ::memory::{DmaBuf, Region};
use job::{Job, Next, Stage};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Instant;

mod job;

/// Rounds of reaping and submitting in one poll: the second and later ones are for what the first
/// let through.
const ROUNDS_MAX: usize = 4;

/// A file or block device. Data waits in staging buffers; the device moves it to and from the
/// medium, each overlapping range in its turn.
///
/// A request first gets its buffer, then its lock, and with it needs nothing but the device: no
/// cycle of buffers and locks can form.
pub struct FileDisk {
    geometry: Geometry,
    regions: Vec<Region>,
    /// Zeroes to write where the medium cannot zero by itself: the last of `regions`.
    zeroes_index: u32,
    locks: Locks,
    staging: Staging,
    /// Where Compare, Compare and Write, and Verify read to, one at a time, so that they never wait for buffers that
    /// prepared writes hold.
    scratch: Option<DmaBuf>,
    scratch_waiting: VecDeque<u32>,
    jobs: Slab<Job>,
    ready: Vec<Done>,
    ring: Ring,
    depth: usize,
    last_poll: Option<Instant>,
    /// After a failed sync, the system may have dropped what it could not write: from then on no
    /// Flush can be honest.
    sync_failed: Option<DiskStatus>,
    is_pinned: bool,
    medium: Medium,
}

impl FileDisk {
    /// Opens `path` for itself alone.
    ///
    /// Errors, in words for a person: no such file, in use, a size that is no multiple of the
    /// block, no direct I/O where it was demanded, io_uring forbidden.
    pub fn open(path: &Path, options: FileOptions) -> io::Result<FileDisk> {
        let medium = Medium::open(path, options)?;
        let mut ring = Ring::new(medium.file.try_clone()?, options.depth).map_err(|e| {
            let cure = if e.raw_os_error() == Some(libc::ENOMEM) {
                "raise the limit of locked memory (ulimit -l), or use mmap: instead of file:"
            } else {
                "use mmap: instead of file:"
            };
            io::Error::new(e.kind(), format!("io_uring is not available here ({e}): {cure}"))
        })?;
        let deallocate = medium.can_deallocate(&mut ring);
        let staging = Staging::new(0, options.depth as usize)?;
        let mut regions: Vec<Region> = staging.regions().collect();
        // The smallest buffers carry the most requests, and are all that an unprivileged user may
        // pin.
        let is_pinned = regions.first().is_some_and(|region| ring.pin(region, 0));
        let zeroes_index = u32::try_from(regions.len()).unwrap_or(u32::MAX);
        regions.push(Region::allocate(MAX_TRANSFER_BYTES as usize)?);
        let scratch_region = Region::allocate(MAX_TRANSFER_BYTES as usize)?;
        regions.push(scratch_region.clone());
        let block_count = medium.octets / u64::from(options.block_bytes);
        Ok(FileDisk {
            geometry: Geometry {
                block_bytes: options.block_bytes,
                block_count,
                volatile_write_cache: true,
                max_transfer_bytes: MAX_TRANSFER_BYTES,
                write_zeroes: true,
                deallocate,
                in_place: false,
            },
            zeroes_index,
            scratch: Some(DmaBuf::new(&scratch_region, zeroes_index + 1, 0, scratch_region.len())),
            regions,
            locks: Locks::new(block_count, options.depth as usize),
            staging,
            scratch_waiting: VecDeque::with_capacity(options.depth as usize),
            jobs: Slab::new(options.depth),
            ready: Vec::with_capacity(options.depth as usize),
            ring,
            depth: options.depth as usize,
            last_poll: None,
            sync_failed: None,
            is_pinned,
            medium,
        })
    }

    /// Goes around the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.medium.is_direct
    }

    /// A job that needs a buffer first.
    fn start_with_buffer(&mut self, id: u32, range: BlockRange, pieces: usize) {
        let len = range.count as usize * self.geometry.block_bytes as usize * pieces;
        match self.staging.take(len) {
            Some(buffer) => self.got_buffer(id, buffer),
            None => self.staging.wait(len, id),
        }
    }

    fn got_buffer(&mut self, id: u32, buffer: DmaBuf) {
        let job = self.jobs.get_mut(id);
        if let Op::Prepare(..) = job.op {
            let tag = self.jobs.remove(id).tag;
            self.finish(tag, DiskStatus::Good, Some(buffer));
        } else {
            job.buffer = Some(buffer);
            self.lock(id);
        }
    }

    /// A job that needs the scratch buffer first.
    fn start_with_scratch(&mut self, id: u32) {
        match self.scratch.take() {
            Some(buffer) => self.got_scratch(id, buffer),
            None => self.scratch_waiting.push_back(id),
        }
    }

    fn got_scratch(&mut self, id: u32, buffer: DmaBuf) {
        self.jobs.get_mut(id).scratch = Some(buffer);
        self.lock(id);
    }

    fn lock(&mut self, id: u32) {
        let Some((range, mode)) = self.jobs.get_mut(id).lock_wanted() else {
            panic!("a job that takes no lock")
        };
        if self.locks.try_lock(range, mode) {
            self.advance(id);
        } else {
            self.locks.wait(range, mode, id);
        }
    }

    /// Queues the job's next step at the device, or finishes it.
    fn advance(&mut self, id: u32) {
        if let Some(status) = self.refuse_sync(id) {
            self.end(id, status);
            return;
        }
        let block_bytes = self.geometry.block_bytes;
        let job = self.jobs.get_mut(id);
        match job.next(block_bytes) {
            Next::Device(io) => {
                let buffer = job.buffer_for_device();
                self.ring.push(id, io, buffer);
            }
            Next::Zeroes(io) => {
                let region = &self.regions[self.zeroes_index as usize];
                let zeroes = DmaBuf::new(region, self.zeroes_index, 0, region.len());
                self.ring.push(id, io, Some(zeroes));
            }
            Next::End(status) => self.end(id, status),
        }
    }

    /// A sync after a failed one would lie.
    fn refuse_sync(&mut self, id: u32) -> Option<DiskStatus> {
        let status = self.sync_failed?;
        self.jobs.get_mut(id).wants_durability().then_some(status)
    }

    fn completed(&mut self, completion: Completion) {
        let Completion { id, result, buffer } = completion;
        let job = self.jobs.get_mut(id);
        job.take_back(buffer);
        match result {
            Ok(octets) => job.moved(octets, self.geometry.block_bytes),
            Err(errno) if is_transient(errno) => {}
            Err(errno) if is_unsupported(errno) && job.stage == Stage::Allocate => {
                job.stage = job.after_unsupported();
            }
            Err(errno) => {
                let status = status_of(errno, job.way());
                // A direct write that failed left nothing in the cache: it is its own affair.
                let is_cached = !self.medium.is_direct && job.wants_durability();
                if job.stage == Stage::Sync || (is_cached && status == DiskStatus::WriteError) {
                    self.sync_failed = Some(status);
                    tracing::error!(errno, "sync failed: what was cached may be lost");
                }
                self.end(id, status);
                return;
            }
        }
        self.advance(id);
    }

    /// Gives everything back that the job holds, and reports it.
    fn end(&mut self, id: u32, status: DiskStatus) {
        let job = self.jobs.remove(id);
        if let Some((range, mode)) = job.lock_wanted() {
            self.locks.unlock(range, mode);
        }
        let mut granted = job.buffer;
        if let Some(buffer) = granted.take_if(|_| !(job.is_read && status == DiskStatus::Good)) {
            self.put(buffer);
        }
        self.finish(job.tag, status, granted);
        if let Some(scratch) = job.scratch {
            match self.scratch_waiting.pop_front() {
                Some(next) => self.got_scratch(next, scratch),
                None => self.scratch = Some(scratch),
            }
        }
    }

    fn put(&mut self, buffer: DmaBuf) {
        if let Some((id, buffer)) = self.staging.put(buffer) {
            self.got_buffer(id, buffer);
        }
    }

    /// Runs what unlocking let through.
    fn settle(&mut self) {
        while let Some(id) = self.locks.next_granted() {
            self.advance(id);
        }
    }

    fn finish(&mut self, tag: Tag, status: DiskStatus, buffer: Option<DmaBuf>) {
        self.ready.push(Done { tag, status, buffer });
    }
}

impl Backend for FileDisk {
    fn geometry(&self) -> Geometry {
        self.geometry
    }
    fn regions(&self) -> &[Region] {
        &self.regions
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        if self.in_flight() >= self.depth {
            return Err(Full(request));
        }
        let op = request.op;
        let id = self.jobs.insert(Job::new(request, self.geometry.block_bytes));
        match op {
            Op::Prepare(range, Purpose::CompareAndWrite) => self.start_with_buffer(id, range, 2),
            Op::Read(range) | Op::Prepare(range, _) => self.start_with_buffer(id, range, 1),
            Op::Compare(_) | Op::CompareAndWrite(..) | Op::Verify(_) => {
                self.start_with_scratch(id);
            }
            Op::Flush => self.advance(id),
            Op::Deallocate(_) if !self.geometry.deallocate => {
                // A hint that this medium has no use for.
                let tag = self.jobs.remove(id).tag;
                self.finish(tag, DiskStatus::Good, None);
            }
            Op::Write(..) | Op::WriteZeroes { .. } | Op::Deallocate(_) => self.lock(id),
        }
        // Only a refused FUA unlocks here.
        self.settle();
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.last_poll = Some(now);
        for _ in 0..ROUNDS_MAX {
            while let Some(completion) = self.ring.pop() {
                self.completed(completion);
                self.settle();
            }
            if !self.ring.wants_enter() {
                break;
            }
            self.ring.enter();
        }
        done.append(&mut self.ready);
    }
    fn release(&mut self, buffer: DmaBuf) {
        self.put(buffer);
    }
    fn resize(&mut self, block_count: u64) -> io::Result<()> {
        self.medium.grow(block_count.saturating_mul(u64::from(self.geometry.block_bytes)))?;
        self.geometry.block_count = block_count;
        Ok(())
    }
    fn in_flight(&self) -> usize {
        self.jobs.len() + self.ready.len()
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(self.ring.fd())
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let has_work = !self.ready.is_empty() || self.ring.has_pushed();
        if has_work { self.last_poll } else { None }
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("lock_waits", self.locks.waited_count());
        report("buffer_waits", self.staging.waited_count());
        report("buffers_free", self.staging.available() as u64);
        report("system_calls", self.ring.enter_count());
        report("is_direct", u64::from(self.medium.is_direct));
        report("is_pinned", u64::from(self.is_pinned));
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
