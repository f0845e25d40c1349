//! No octet changes outside the buffers of outstanding reads.

use super::Violation;
use memory::Region;
use std::io;

/// Octets before and after each buffer.
const GUARD_BYTES: usize = 256;
/// Octets that are compared at once: enough for speed, few enough for the first-level cache.
const PIECE_BYTES: usize = 4096;
/// What guards hold.
const GUARD: u8 = 0xa5;

/// A buffer in an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(pub usize);

/// A host's data memory: buffers between guards, in one region.
pub(crate) struct Arena {
    region: Region,
    slot_bytes: usize,
    /// What the buffers held when they were last looked at, one after the other.
    copy: Vec<u8>,
    /// Of each buffer, the octets from its start that the target may write to.
    thawed: Vec<usize>,
    free: Vec<Slot>,
}

impl Arena {
    /// `slots` buffers of `slot_bytes`.
    ///
    /// Errors: what mapping memory says.
    pub(crate) fn new(slots: usize, slot_bytes: usize) -> io::Result<Arena> {
        let region = Region::allocate(slots * (slot_bytes + GUARD_BYTES) + GUARD_BYTES)?;
        region.fill(0, region.len(), GUARD);
        Ok(Arena {
            region,
            slot_bytes,
            copy: vec![GUARD; slots * slot_bytes],
            thawed: vec![0; slots],
            free: (0..slots).rev().map(Slot).collect(),
        })
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
    /// Fills a buffer from its start. Nobody else may write to it.
    pub(crate) fn write(&mut self, slot: Slot, octets: &[u8]) {
        self.region.write(self.offset(slot), octets);
        let start = slot.0 * self.slot_bytes;
        self.copy[start..start + octets.len()].copy_from_slice(octets);
    }
    /// Copies a buffer out.
    pub(crate) fn read(&self, slot: Slot, octets: &mut [u8]) {
        self.region.read(self.offset(slot), octets);
    }
    /// From here on the target may write to the buffer's first `len` octets.
    pub(crate) fn thaw(&mut self, slot: Slot, len: usize) {
        self.thawed[slot.0] = len;
    }
    /// Gives a buffer back.
    ///
    /// Errors: it was changed where it was not thawed, or octets beside it were.
    pub(crate) fn give_back(&mut self, slot: Slot) -> Result<(), Violation> {
        self.check(slot)?;
        let (start, len) = (slot.0 * self.slot_bytes, std::mem::take(&mut self.thawed[slot.0]));
        self.region.read(self.offset(slot), &mut self.copy[start..start + len]);
        self.free.push(slot);
        Ok(())
    }
    /// Everything that nobody may have written to.
    ///
    /// Errors: somebody did.
    pub(crate) fn check_all(&self) -> Result<(), Violation> {
        (0..self.thawed.len()).try_for_each(|slot| self.check(Slot(slot)))
    }
    /// All buffers are back.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        self.free.len() == self.thawed.len()
    }

    fn check(&self, slot: Slot) -> Result<(), Violation> {
        let start = self.offset(slot);
        for at in [start - GUARD_BYTES, start + self.slot_bytes] {
            let mut guard = [0; GUARD_BYTES];
            self.region.read(at, &mut guard);
            if guard != [GUARD; GUARD_BYTES] {
                return Err(changed(format!("beside buffer {}", slot.0)));
            }
        }
        let copy = &self.copy[slot.0 * self.slot_bytes..][..self.slot_bytes];
        let (thawed, mut octets) = (self.thawed[slot.0], [0; PIECE_BYTES]);
        for (at, piece) in (thawed..).step_by(PIECE_BYTES).zip(copy[thawed..].chunks(PIECE_BYTES)) {
            let octets = &mut octets[..piece.len()];
            self.region.read(start + at, octets);
            if octets != piece {
                return Err(changed(format!("in buffer {}, after octet {at}", slot.0)));
            }
        }
        Ok(())
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

    /// Goal: a stray octet is seen beside a buffer, in an idle one, in one that was sent, and
    /// behind what a read may write; a read's own octets are no violation.
    #[test]
    fn stray_octets_are_seen() {
        for (offset, is_thawed) in
            [(10, true), (GUARD_BYTES + 9, false), (GUARD_BYTES + 4096, true)]
        {
            let mut arena = Arena::new(1, 4096).unwrap();
            let slot = arena.take().unwrap().unwrap();
            if is_thawed {
                arena.thaw(slot, 4096);
            }
            arena.region().fill(offset, 1, 0);
            assert!(arena.give_back(slot).is_err(), "at {offset}");
        }
        for (stray, is_seen) in [(0, false), (511, false), (512, true)] {
            let mut arena = Arena::new(2, 4096).unwrap();
            let slot = arena.take().unwrap().unwrap();
            arena.write(slot, &[7; 4096]);
            arena.thaw(slot, 512);
            arena.region().fill(GUARD_BYTES + stray, 1, 0);
            assert_eq!(arena.give_back(slot).is_err(), is_seen, "at {stray}");
            assert_eq!(arena.check_all().is_err(), is_seen);
        }
    }
}
