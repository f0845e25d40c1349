//! Equal buffers cut from one region.

use crate::{DmaBuf, Lender, Region};
use std::io;

/// A fixed number of equal buffers in one region, handed out last-in-first-out so that the warm
/// one is used again. Capacity is fixed at the start: `get` says `None`, it never allocates.
pub struct BufferPool {
    lender: Lender,
    buffer_bytes: usize,
    free: Vec<u32>,
    count: usize,
}

impl BufferPool {
    /// `count` buffers of `buffer_bytes` each (rounded up to 4,096 so that O_DIRECT accepts them).
    ///
    /// Errors: what `mmap` says.
    pub fn new(count: u32, buffer_bytes: usize, region_index: u32) -> io::Result<BufferPool> {
        let buffer_bytes = buffer_bytes.next_multiple_of(4096);
        let total = buffer_bytes.checked_mul(count as usize).ok_or(io::ErrorKind::InvalidInput)?;
        let region = Region::allocate(total)?;
        Ok(BufferPool {
            lender: Lender::new(region, region_index, count as usize),
            buffer_bytes,
            free: (0..count).rev().collect(),
            count: count as usize,
        })
    }
    /// The region that holds every buffer, to be registered once.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.lender.region()
    }
    /// Buffers not handed out.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free.len()
    }
    /// All buffers.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.count
    }
    /// Octets of one buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }
    /// A buffer cut to `len` octets, or `None` when all are out or `len` exceeds one buffer.
    pub fn get(&mut self, len: usize) -> Option<DmaBuf> {
        if len > self.buffer_bytes {
            return None;
        }
        let index = self.free.pop()? as usize;
        Some(self.lender.lend(index * self.buffer_bytes, len))
    }
    /// Takes a buffer back. Panics if it is not one of this pool's (a caller bug).
    pub fn put(&mut self, buffer: DmaBuf) {
        assert!(self.free.len() < self.count, "more buffers returned than handed out");
        let index = buffer.offset() / self.buffer_bytes;
        self.lender.take_back(buffer);
        #[expect(clippy::cast_possible_truncation, reason = "below count, a u32")]
        self.free.push(index as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: buffers never overlap, are all handed out, and come back.
    #[test]
    fn buffers_are_disjoint_and_recycled() {
        let mut pool = BufferPool::new(3, 5000, 0).unwrap();
        assert_eq!(pool.buffer_bytes(), 8192);
        let held: Vec<DmaBuf> = (0..3).map(|_| pool.get(5000).unwrap()).collect();
        assert!(pool.get(1).is_none());
        let mut starts: Vec<usize> = held.iter().map(DmaBuf::offset).collect();
        starts.sort_unstable();
        assert_eq!(starts, [0, 8192, 16384]);
        held.into_iter().for_each(|b| pool.put(b));
        assert_eq!(pool.available(), 3);
        assert!(pool.get(8193).is_none());
    }
}
