//! A piece of a region with exactly one owner.

use crate::Region;
use crate::cache::{self, Stage};

/// A piece of a region with one owner: whoever holds it may let a device read or write it.
///
/// Not `Clone`: ownership moves with the value, from the backend that granted it, through the
/// target while the transport uses it, and back. A device owns it between submit and done.
#[derive(Debug)]
pub struct DmaBuf {
    region: Region,
    region_index: u32,
    offset: usize,
    len: usize,
}

impl DmaBuf {
    /// A buffer over `offset..offset+len` of `region`. `region_index` is the granter's own name
    /// for the region (its place in `Backend::regions`), by which a holder finds the local key.
    ///
    /// The granter promises that no other `DmaBuf` that may be written overlaps it.
    /// Panics if out of bounds.
    #[must_use]
    pub fn new(region: &Region, region_index: u32, offset: usize, len: usize) -> DmaBuf {
        DmaBuf::of(region.clone(), region_index, offset, len)
    }
    /// The same with a handle of the region that the buffer keeps.
    #[inline]
    pub(crate) fn of(region: Region, region_index: u32, offset: usize, len: usize) -> DmaBuf {
        region.check(offset, len);
        DmaBuf { region, region_index, offset, len }
    }
    pub(crate) fn into_region(self) -> Region {
        self.region
    }
    /// Length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }
    /// No octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Address of the first octet, as work requests carry it.
    #[must_use]
    pub fn addr(&self) -> u64 {
        self.region.addr() + self.offset as u64
    }
    /// Which of the granter's regions this lies in.
    #[must_use]
    pub fn region_index(&self) -> u32 {
        self.region_index
    }
    /// Offset of the first octet in its region.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
    /// The octets. No device may be writing them: true for the owner outside submit … done.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: in bounds since `new`; mapped while `region` is held; the owner of the buffer is
        // the only one that lets a device write, and it holds `&self` here.
        unsafe { std::slice::from_raw_parts(self.region.as_ptr(self.offset), self.len) }
    }
    /// Copies `from` to `at`. Panics if out of bounds.
    pub fn write(&mut self, at: usize, from: &[u8]) {
        assert!(at.checked_add(from.len()).is_some_and(|end| end <= self.len), "beyond the buffer");
        self.region.write(self.offset + at, from);
    }
    /// The same; in a streaming region others see it after [`crate::settle`]: for many in a row.
    pub fn place(&mut self, at: usize, from: &[u8]) {
        assert!(at.checked_add(from.len()).is_some_and(|end| end <= self.len), "beyond the buffer");
        self.region.place(self.offset + at, from);
    }
    /// Places `len` octets of `region` from `offset` at the start. Panics if out of bounds.
    pub fn place_from(&mut self, region: &Region, offset: usize, len: usize) {
        self.place(0, DmaBuf::new(region, 0, offset, len).bytes());
    }
    /// Sets all octets to `value`.
    pub fn fill(&mut self, value: u8) {
        self.region.fill(self.offset, self.len, value);
    }
    /// Asks the cache for the lines whose turn it is, of a buffer that will be sent.
    #[inline]
    pub fn prefetch(&self, stage: Stage) {
        cache::prefetch_stage(self.as_ptr(), self.len, stage);
    }
    /// Pointer to the first octet, for system calls.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.region.as_ptr(self.offset)
    }
}
