//! No octet changes outside the buffers of outstanding reads.

use super::Violation;
use memory::Region;
use std::io;

/// Octets before and after each buffer.
const GUARD_BYTES: usize = 256;
/// What guards hold.
const GUARD: u8 = 0xa5;

/// A buffer in an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(pub usize);

/// A host's data memory: buffers between guards, in one region.
pub(crate) struct Arena {
    region: Region,
    slot_bytes: usize,
    /// For each idle buffer and each that nobody may write to: what it holds, as a checksum.
    sums: Vec<Option<u32>>,
    free: Vec<Slot>,
    scratch: Vec<u8>,
}

impl Arena {
    /// `slots` buffers of `slot_bytes`.
    ///
    /// Errors: what mapping memory says.
    pub(crate) fn new(slots: usize, slot_bytes: usize) -> io::Result<Arena> {
        let region = Region::allocate(slots * (slot_bytes + GUARD_BYTES) + GUARD_BYTES)?;
        region.fill(0, region.len(), GUARD);
        let mut arena = Arena {
            region,
            slot_bytes,
            sums: vec![None; slots],
            free: (0..slots).rev().map(Slot).collect(),
            scratch: vec![0; slot_bytes],
        };
        (0..slots).for_each(|slot| arena.freeze(Slot(slot)));
        Ok(arena)
    }
    /// The region, to be registered.
    #[must_use]
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }
    /// Address of a buffer.
    #[must_use]
    pub(crate) fn addr(&self, slot: Slot) -> u64 {
        self.region.addr() + self.offset(slot) as u64
    }
    /// Takes a buffer, whose content must be as it was left.
    ///
    /// Errors: somebody wrote to it meanwhile.
    pub(crate) fn take(&mut self) -> Result<Option<Slot>, Violation> {
        let Some(slot) = self.free.pop() else { return Ok(None) };
        self.check(slot)?;
        Ok(Some(slot))
    }
    /// Fills a buffer.
    pub(crate) fn write(&mut self, slot: Slot, octets: &[u8]) {
        self.region.write(self.offset(slot), octets);
    }
    /// Copies a buffer out.
    pub(crate) fn read(&self, slot: Slot, octets: &mut [u8]) {
        self.region.read(self.offset(slot), octets);
    }
    /// From here on nobody may write to the buffer.
    pub(crate) fn freeze(&mut self, slot: Slot) {
        self.sums[slot.0] = Some(self.sum(slot));
    }
    /// From here on the target may write to the buffer.
    pub(crate) fn thaw(&mut self, slot: Slot) {
        self.sums[slot.0] = None;
    }
    /// Gives a buffer back.
    ///
    /// Errors: it was frozen and changed, or octets beside it changed.
    pub(crate) fn give_back(&mut self, slot: Slot) -> Result<(), Violation> {
        self.check(slot)?;
        self.freeze(slot);
        self.free.push(slot);
        Ok(())
    }
    /// Everything that nobody may have written to.
    ///
    /// Errors: somebody did.
    pub(crate) fn check_all(&mut self) -> Result<(), Violation> {
        (0..self.sums.len()).try_for_each(|slot| self.check(Slot(slot)))
    }
    /// All buffers are back.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        self.free.len() == self.sums.len()
    }

    fn check(&mut self, slot: Slot) -> Result<(), Violation> {
        let start = self.offset(slot);
        for at in [start - GUARD_BYTES, start + self.slot_bytes] {
            let mut guard = [0; GUARD_BYTES];
            self.region.read(at, &mut guard);
            if guard != [GUARD; GUARD_BYTES] {
                return Err(changed(format!("beside buffer {}", slot.0)));
            }
        }
        let expected = self.sums[slot.0];
        if expected.is_some_and(|expected| expected != self.sum(slot)) {
            return Err(changed(format!("in buffer {}", slot.0)));
        }
        Ok(())
    }
    fn sum(&mut self, slot: Slot) -> u32 {
        let offset = self.offset(slot);
        self.region.read(offset, &mut self.scratch);
        crc32fast::hash(&self.scratch)
    }
    fn offset(&self, slot: Slot) -> usize {
        GUARD_BYTES + slot.0 * (self.slot_bytes + GUARD_BYTES)
    }
}

fn changed(detail: String) -> Violation {
    Violation::new("no octet changes outside the buffers of outstanding reads", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a stray octet is seen beside a buffer, in an idle one and in one that was sent.
    #[test]
    fn stray_octets_are_seen() {
        for (offset, is_thawed) in
            [(10, true), (GUARD_BYTES + 9, false), (GUARD_BYTES + 4096, true)]
        {
            let mut arena = Arena::new(1, 4096).unwrap();
            let slot = arena.take().unwrap().unwrap();
            if is_thawed {
                arena.thaw(slot);
            }
            arena.region().fill(offset, 1, 0);
            assert!(arena.give_back(slot).is_err(), "at {offset}");
        }
        let mut arena = Arena::new(1, 4096).unwrap();
        let slot = arena.take().unwrap().unwrap();
        arena.thaw(slot);
        arena.region().fill(GUARD_BYTES, 4096, 0);
        assert_eq!(arena.give_back(slot), Ok(()));
    }
}
