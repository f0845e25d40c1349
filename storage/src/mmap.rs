//! A disk in a mapped file: payload leaves straight from the page cache.
//!
//! Unsafe code of this crate is here and in `uring`, nowhere else.

use crate::errno::{Way, is_transient, status_of};
use crate::in_place::{InPlace, Sync};
use crate::medium::{Direct, FileOptions, Medium};
use crate::staging::MAX_TRANSFER_BYTES;
use crate::uring::{Io, Ring};
use crate::{Backend, DiskStatus, Done, Full, Geometry, Request};
use ::memory::{DmaBuf, Region};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Instant;

/// A file whose pages are the blocks.
///
/// Reading a page that the file system cannot bring, or that it cannot store, is a SIGBUS. So all
/// blocks are allocated at open, the file is locked against other targets, and nothing punches
/// holes. What stays: whoever shortens the file in spite of the lock, or a medium with unreadable
/// sectors, ends the process. Use `file:` for such a medium.
pub struct Mmap {
    geometry: Geometry,
    disk: InPlace,
    syncer: Syncer,
    /// What the running sync covers.
    syncing: Vec<Sync>,
    /// After a failed sync, the system may have dropped what it could not write.
    sync_failed: Option<DiskStatus>,
    depth: usize,
    last_poll: Option<Instant>,
    medium: Medium,
}

enum Syncer {
    /// In the background.
    Ring(Box<Ring>),
    /// Where io_uring is forbidden: in the call. The thread stands still meanwhile.
    Blocking(File),
}

impl Mmap {
    /// Maps `path` for this process alone; `options.direct` has no meaning here.
    ///
    /// Errors, in words for a person: those of `file:`, and no space for all of its blocks.
    pub fn open(path: &Path, options: FileOptions) -> io::Result<Mmap> {
        let medium = Medium::open(path, FileOptions { direct: Direct::Off, ..options })?;
        if !medium.is_device() {
            allocate(&medium.file, medium.octets).map_err(|e| {
                let path = path.display();
                let what = format!("{path} cannot have all of its blocks allocated ({e})");
                io::Error::new(e.kind(), format!("{what}: free some space, or use file:"))
            })?;
        }
        let blocks = map(&medium)?;
        let syncer = match Ring::new(medium.file.try_clone()?, 8) {
            Ok(ring) => Syncer::Ring(Box::new(ring)),
            Err(_) => Syncer::Blocking(medium.file.try_clone()?),
        };
        Ok(Mmap {
            geometry: Geometry {
                block_bytes: options.block_bytes,
                block_count: medium.octets / u64::from(options.block_bytes),
                volatile_write_cache: true,
                max_transfer_bytes: MAX_TRANSFER_BYTES,
                write_zeroes: true,
                // A hole might not be filled again on a full file system: a SIGBUS.
                deallocate: false,
                in_place: true,
            },
            disk: InPlace::new(blocks, options.block_bytes, options.depth, true)?,
            syncer,
            syncing: Vec::with_capacity(options.depth as usize),
            sync_failed: None,
            depth: options.depth as usize,
            last_poll: None,
            medium,
        })
    }

    /// Starts a sync for all that wait for one: those that come meanwhile share the next.
    fn start_sync(&mut self) {
        if !self.syncing.is_empty() {
            return;
        }
        while let Some(sync) = self.disk.next_sync() {
            self.syncing.push(sync);
        }
        let (offset, len) = match self.syncing.as_slice() {
            [] => return,
            [Sync { range: Some(range), .. }] => {
                let block = self.geometry.block_bytes;
                // A range too long for the operation is the whole file's sync.
                (range.start * u64::from(block), range.count.checked_mul(block).unwrap_or(0))
            }
            _ => (0, 0),
        };
        let offset = if len == 0 { 0 } else { offset };
        if let Syncer::Ring(ring) = &mut self.syncer {
            ring.push(0, Io::Sync { offset, len }, None);
        }
    }

    /// Fetches the outcome of the running sync.
    fn finish_sync(&mut self, done: &mut Vec<Done>) {
        let result = match &mut self.syncer {
            Syncer::Ring(ring) => {
                if ring.wants_enter() {
                    ring.enter();
                }
                let Some(completion) = ring.pop() else { return };
                completion.result.map(drop)
            }
            Syncer::Blocking(file) => {
                file.sync_data().map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))
            }
        };
        let status = match (result, self.sync_failed) {
            (_, Some(status)) => status,
            (Ok(()), None) => DiskStatus::Good,
            (Err(errno), None) if is_transient(errno) => DiskStatus::Internal,
            (Err(errno), None) => {
                tracing::error!(errno, "sync failed: what was cached may be lost");
                let status = status_of(errno, Way::Out);
                self.sync_failed = Some(status);
                status
            }
        };
        done.extend(self.syncing.drain(..).map(|s| Done { tag: s.tag, status, buffer: None }));
    }
}

impl Backend for Mmap {
    fn geometry(&self) -> Geometry {
        self.geometry
    }
    fn regions(&self) -> &[Region] {
        self.disk.regions()
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        debug_assert!(self.syncing.len() <= self.depth, "more syncs than requests");
        self.disk.submit(request, self.syncing.len())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.last_poll = Some(now);
        self.disk.drain(done);
        self.start_sync();
        if !self.syncing.is_empty() {
            self.finish_sync(done);
            // Those that came meanwhile must not wait for another poll to be started.
            self.start_sync();
            if let Syncer::Ring(ring) = &mut self.syncer
                && ring.has_pushed()
            {
                ring.enter();
            }
        }
    }
    fn release(&mut self, buffer: DmaBuf) {
        self.disk.release(buffer);
    }
    fn resize(&mut self, block_count: u64) -> io::Result<()> {
        self.disk.check_resize(block_count)?;
        self.geometry.block_count = block_count;
        Ok(())
    }
    fn in_flight(&self) -> usize {
        self.disk.in_flight() + self.syncing.len()
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.syncer {
            Syncer::Ring(ring) => Some(ring.fd()),
            Syncer::Blocking(_) => None,
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        if self.disk.has_work() { self.last_poll } else { None }
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.disk.counters(report);
        report("mapped_octets", self.medium.octets);
    }
}

/// Gives every block of the file its place on the medium. Data stays.
fn allocate(file: &File, octets: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(octets).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a system call on an open descriptor of ours, without pointers.
    let outcome = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn map(medium: &Medium) -> io::Result<Region> {
    let len = usize::try_from(medium.octets).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mapping: MmapRaw = MmapOptions::new().len(len).map_raw(&medium.file)?;
    let base = NonNull::new(mapping.as_mut_ptr()).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: `mapping`, which the region owns, maps `len` octets readable and writable until it
    // is dropped; it is raw, so nobody holds Rust references into it. The file's blocks are
    // allocated and the file is locked, so that no access beyond its end can happen.
    Ok(unsafe { Region::from_owner(base, len, Box::new(mapping)) }.streaming())
}

#[cfg(test)]
#[path = "mmap_tests.rs"]
mod tests;
