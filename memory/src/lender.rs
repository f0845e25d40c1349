//! Buffers of one region, lent and taken back.

use crate::{DmaBuf, Region};

/// Lends pieces of one region. The handle of a buffer that came back serves for the next: counting
/// references for each buffer would be an atomic instruction, which also waits until everything
/// that was stored past the cache has reached memory.
#[derive(Debug)]
pub struct Lender {
    region: Region,
    region_index: u32,
    spare: Vec<Region>,
}

impl Lender {
    /// A lender of pieces of `region`, known to its users by `region_index`, of which about `count`
    /// are out at once.
    #[must_use]
    pub fn new(region: Region, region_index: u32, count: usize) -> Lender {
        Lender { region, region_index, spare: Vec::with_capacity(count) }
    }
    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
    /// The buffer `offset..offset + len`. The lender's owner promises that no other that may be
    /// written overlaps it. Panics if out of bounds.
    #[must_use]
    #[inline]
    pub fn lend(&mut self, offset: usize, len: usize) -> DmaBuf {
        let region = self.spare.pop().unwrap_or_else(|| self.region.clone());
        DmaBuf::of(region, self.region_index, offset, len)
    }
    /// Takes a buffer back. Panics if it is not of this region (a caller bug).
    #[inline]
    pub fn take_back(&mut self, buffer: DmaBuf) {
        assert!(buffer.region().is_same(&self.region), "buffer of another region");
        if self.spare.len() < self.spare.capacity() {
            self.spare.push(buffer.into_region());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is lent is the piece that was asked for, also with a handle that was used before.
    #[test]
    fn handles_are_used_again() {
        let mut lender = Lender::new(Region::allocate(8192).unwrap(), 3, 1);
        for offset in [0, 4096, 512] {
            let buffer = lender.lend(offset, 1024);
            assert_eq!((buffer.offset(), buffer.len(), buffer.region_index()), (offset, 1024, 3));
            lender.take_back(buffer);
        }
        assert_eq!(lender.spare.len(), 1);
    }

    /// Goal: a buffer of elsewhere is refused.
    #[test]
    #[should_panic(expected = "another region")]
    fn foreign_buffers_are_refused() {
        let mut lender = Lender::new(Region::allocate(4096).unwrap(), 0, 1);
        lender.take_back(DmaBuf::new(&Region::allocate(4096).unwrap(), 0, 0, 64));
    }
}
