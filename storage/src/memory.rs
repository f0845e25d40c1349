//! A disk in memory: reads leave from the blocks themselves, writes land in them.

use crate::in_place::InPlace;
use crate::staging::MAX_TRANSFER_BYTES;
use crate::{Backend, Done, Full, Geometry, Request};
use ::memory::{DmaBuf, Region};
use std::io;
use std::time::Instant;

/// Octets filled at a time with random data.
const FILL_BYTES: usize = 64 << 10;

/// Blocks in one region on huge pages. Its content goes with the process: Flush and FUA have
/// nothing to do.
pub struct Memory {
    geometry: Geometry,
    disk: InPlace,
    last_poll: Option<Instant>,
}

impl Memory {
    /// `block_count` zeroed blocks of `block_bytes` octets (resident once touched), at most
    /// `depth` requests in flight.
    ///
    /// Errors: what `mmap` says; `InvalidInput` for no blocks, or more than the address space.
    pub fn new(block_bytes: u32, block_count: u64, depth: u32) -> io::Result<Memory> {
        let octets = block_count
            .checked_mul(u64::from(block_bytes))
            .and_then(|octets| usize::try_from(octets).ok())
            .ok_or(io::ErrorKind::InvalidInput)?;
        Memory::over(Region::allocate(octets)?.streaming(), block_bytes, depth)
    }

    /// The same over memory that is there already, with whatever it holds. Blocks that its end cuts
    /// short are left out.
    ///
    /// Errors: what `mmap` says; `InvalidInput` for memory of less than a block.
    pub fn over(blocks: Region, block_bytes: u32, depth: u32) -> io::Result<Memory> {
        let block_count = blocks.len() as u64 / u64::from(block_bytes);
        if block_count == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Memory {
            geometry: Geometry {
                block_bytes,
                block_count,
                volatile_write_cache: false,
                max_transfer_bytes: MAX_TRANSFER_BYTES,
                write_zeroes: true,
                deallocate: true,
                in_place: true,
            },
            disk: InPlace::new(blocks, block_bytes, depth, false)?,
            last_poll: None,
        })
    }

    /// Fills all blocks with data made from `seed`, which no layer can compress or deduplicate.
    /// Call it before the disk is used.
    pub fn fill_random(&mut self, seed: u64) {
        let Some(blocks) = self.disk.regions().first() else { return };
        let mut piece = vec![0u8; FILL_BYTES];
        let mut random = crate::random::SplitMix64::new(seed);
        let mut offset = 0;
        while offset < blocks.len() {
            for word in piece.chunks_exact_mut(8) {
                word.copy_from_slice(&random.next_u64().to_le_bytes());
            }
            let len = FILL_BYTES.min(blocks.len() - offset);
            blocks.write(offset, &piece[..len]);
            offset += len;
        }
    }
}

impl Backend for Memory {
    fn geometry(&self) -> Geometry {
        self.geometry
    }
    fn regions(&self) -> &[Region] {
        self.disk.regions()
    }
    #[inline]
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        self.disk.submit(request, 0)
    }
    #[inline]
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        self.last_poll = Some(now);
        self.disk.drain(done);
    }
    #[inline]
    fn release(&mut self, buffer: DmaBuf) {
        self.disk.release(buffer);
    }
    fn resize(&mut self, block_count: u64) -> io::Result<()> {
        self.disk.check_resize(block_count)?;
        self.geometry.block_count = block_count;
        Ok(())
    }
    fn in_flight(&self) -> usize {
        self.disk.in_flight()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        if self.disk.has_work() { self.last_poll } else { None }
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.disk.counters(report);
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
