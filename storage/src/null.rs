//! A disk of zeroes that forgets what is written: the cost of everything but a disk.

use crate::staging::{MAX_TRANSFER_BYTES, Staging};
use crate::{Backend, BlockRange, DiskStatus, Done, Full, Geometry, Op, Purpose, Request, Tag};
use ::memory::{DmaBuf, Region};
use std::io;
use std::time::Instant;

/// Reads give zeroes, all from one shared piece of memory; writes are dropped.
pub struct Null {
    geometry: Geometry,
    regions: Vec<Region>,
    staging: Staging,
    waiting: crate::slab::Slab<Tag>,
    ready: Vec<Done>,
    depth: usize,
    last_poll: Option<Instant>,
}

/// The zeroes' place in `regions`.
const ZEROES: u32 = 0;

impl Null {
    /// `block_count` blocks of `block_bytes` octets, `depth` requests in flight.
    ///
    /// Errors: what `mmap` says about the 29 MiB of staging (not resident until used).
    pub fn new(block_bytes: u32, block_count: u64, depth: u32) -> io::Result<Null> {
        let staging = Staging::new(ZEROES + 1, depth as usize)?;
        let zeroes = Region::allocate(MAX_TRANSFER_BYTES as usize)?;
        Ok(Null {
            geometry: Geometry {
                block_bytes,
                block_count,
                volatile_write_cache: false,
                max_transfer_bytes: MAX_TRANSFER_BYTES,
                write_zeroes: true,
                deallocate: true,
                in_place: false,
            },
            regions: std::iter::once(zeroes).chain(staging.regions()).collect(),
            staging,
            waiting: crate::slab::Slab::new(depth),
            ready: Vec::with_capacity(depth as usize),
            depth: depth as usize,
            last_poll: None,
        })
    }

    fn bytes(&self, range: BlockRange) -> usize {
        range.count as usize * self.geometry.block_bytes as usize
    }

    fn prepare(&mut self, tag: Tag, range: BlockRange, purpose: Purpose) {
        let pieces = if purpose == Purpose::CompareAndWrite { 2 } else { 1 };
        let len = self.bytes(range) * pieces;
        if let Some(buffer) = self.staging.take(len) {
            self.ready.push(Done { tag, status: DiskStatus::Good, buffer: Some(buffer) });
        } else {
            let id = self.waiting.insert(tag);
            self.staging.wait(len, id);
        }
    }

    fn compare(data: Option<&[u8]>) -> DiskStatus {
        let zeroes = data.is_some_and(|data| data.iter().all(|octet| *octet == 0));
        if zeroes { DiskStatus::Good } else { DiskStatus::CompareFailed }
    }
}

impl Backend for Null {
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
        let Request { tag, op, buffer } = request;
        let (status, granted) = match op {
            Op::Prepare(range, purpose) => {
                self.prepare(tag, range, purpose);
                return Ok(());
            }
            Op::Read(range) => {
                let len = self.bytes(range);
                let zeroes = &self.regions[ZEROES as usize];
                (DiskStatus::Good, Some(DmaBuf::new(zeroes, ZEROES, 0, len)))
            }
            Op::Compare(_) => (Null::compare(buffer.as_ref().map(DmaBuf::bytes)), None),
            Op::CompareAndWrite(range, _) => {
                let expected =
                    buffer.as_ref().and_then(|both| both.bytes().get(..self.bytes(range)));
                (Null::compare(expected), None)
            }
            Op::Write(..)
            | Op::Flush
            | Op::WriteZeroes { .. }
            | Op::Deallocate(_)
            | Op::Verify(_) => (DiskStatus::Good, None),
        };
        self.ready.push(Done { tag, status, buffer: granted });
        if let Some(spent) = buffer {
            self.release(spent);
        }
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.last_poll = Some(now);
        done.append(&mut self.ready);
    }
    fn release(&mut self, buffer: DmaBuf) {
        if buffer.region_index() == ZEROES {
            return;
        }
        if let Some((id, buffer)) = self.staging.put(buffer) {
            let tag = self.waiting.remove(id);
            self.ready.push(Done { tag, status: DiskStatus::Good, buffer: Some(buffer) });
        }
    }
    fn resize(&mut self, block_count: u64) -> io::Result<()> {
        self.geometry.block_count = block_count;
        Ok(())
    }
    fn in_flight(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        if self.ready.is_empty() { None } else { self.last_poll }
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("buffer_waits", self.staging.waited_count());
        report("buffers_free", self.staging.available() as u64);
    }
}
