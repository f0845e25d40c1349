//! In-capsule data that waits in the receive buffer until it is known where it finally belongs.
//!
//! It landed in a receive that was posted before anybody knew of the command. Placed there, it would
//! have to be copied again to its blocks. In memory that its user declared for this
//! ([`memory::Registry::hold_back`]) only the place is noted; the copy is made once, to the blocks, or
//! to the receive when the buffer is needed again.

use memory::{Access, DmaBuf, Registry, Sge};
use std::collections::VecDeque;
use std::ops::Range;

/// Octets of the buffer: what the second-level cache holds beside everything else.
pub(super) const BUFFER_BYTES: usize = 256 << 10;
/// With less room than this the buffer is used from its start again.
const ROOM_BYTES_MIN: usize = 64 << 10;

/// A piece of in-capsule data.
#[derive(Debug)]
struct Piece {
    /// The receive's memory that it was for.
    to: Sge,
    /// Where it is in the buffer.
    at: Range<usize>,
}

/// What octets are received into.
pub(super) struct Buffer {
    octets: Box<[u8]>,
    /// Octets at its front that pieces lie in.
    used: usize,
}

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer { octets: vec![0; BUFFER_BYTES].into_boxed_slice(), used: 0 }
    }
    /// Room for `most` octets, or less.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.octets.len().min(self.used + most);
        &mut self.octets[self.used..end]
    }
    /// The first `count` octets of the room.
    pub(super) fn came(&self, count: usize) -> &[u8] {
        &self.octets[self.used..self.used + count]
    }
    /// Where it is, for [`Held::push`].
    pub(super) fn start(&self) -> usize {
        self.octets.as_ptr() as usize
    }
}

/// Pieces, oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    pieces: VecDeque<Piece>,
    /// Address of the buffer.
    start: usize,
}

impl Held {
    /// Pieces lie in this buffer.
    pub(super) fn new(buffer: &Buffer) -> Held {
        Held { pieces: VecDeque::new(), start: buffer.start() }
    }
    /// `octets` are for `to`. False: they are not in the buffer.
    pub(super) fn push(&mut self, to: Sge, octets: &[u8]) -> bool {
        let at = (octets.as_ptr() as usize).checked_sub(self.start);
        let Some(at) = at.filter(|at| at + octets.len() <= BUFFER_BYTES) else { return false };
        self.pieces.push_back(Piece { to, at: at..at + octets.len() });
        true
    }
    /// A read brought `count` octets: what it brought stays as long as pieces lie in it.
    pub(super) fn keep(&self, buffer: &mut Buffer, count: usize) {
        if !self.pieces.is_empty() {
            buffer.used += count;
        }
    }
    /// The buffer must not be read into before [`Held::settle`].
    pub(super) fn is_full(&self, buffer: &Buffer) -> bool {
        BUFFER_BYTES - buffer.used < ROOM_BYTES_MIN
    }
    /// Places everything where it landed.
    pub(super) fn settle(&mut self, buffer: &mut Buffer, memory: &Registry) {
        for Piece { to, at } in self.pieces.drain(..) {
            // A receive that is gone wants nothing any more.
            if let Ok(span) = memory.local(to, Access::LOCAL_WRITE) {
                span.write(&buffer.octets[at]);
            }
        }
        buffer.used = 0;
    }
    /// Places what landed at `addr..addr + len` at the start of `into` instead. False: not all of it
    /// waits here.
    pub(super) fn copy(&mut self, buffer: &Buffer, addr: u64, len: u64, into: &mut DmaBuf) -> bool {
        let mut found = 0;
        let is_whole = self.pieces.iter().any(|piece| {
            found += if piece.is_inside(addr, len) { u64::from(piece.to.length) } else { 0 };
            found == len
        });
        if !is_whole {
            return false;
        }
        let mut left = len;
        // Mostly it is the oldest alone: data is asked for in the order in which it came.
        while left > 0
            && let Some(at) = self.pieces.iter().position(|piece| piece.is_inside(addr, len))
            && let Some(piece) = self.pieces.remove(at)
        {
            left -= u64::from(piece.to.length);
            let skip = usize::try_from(piece.to.addr - addr).unwrap_or(usize::MAX);
            into.place(skip, &buffer.octets[piece.at]);
        }
        true
    }
}

impl Piece {
    fn is_inside(&self, addr: u64, len: u64) -> bool {
        let skip = self.to.addr.wrapping_sub(addr);
        skip <= len && u64::from(self.to.length) <= len - skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::Region;

    /// Goal: what waits is copied once to where it is asked for, in pieces and in any order, or lands
    /// in its receive; octets from elsewhere do not wait.
    #[test]
    fn pieces_wait_until_they_are_asked_for() {
        let receives = Region::allocate(8192).unwrap();
        let mut memory = Registry::new(2, 1);
        let mr = memory.register(&receives, Access::LOCAL_WRITE).unwrap();
        let sge = |skip, length| Sge { addr: mr.addr + skip, length, lkey: mr.lkey };
        let mut buffer = Buffer::new();
        let mut held = Held::new(&buffer);
        buffer.room(100)[..12].copy_from_slice(b"head12345678");
        let octets = buffer.came(12);
        assert!(held.push(sge(0, 4), &octets[4..8]));
        assert!(held.push(sge(4096, 2), &octets[8..10]));
        assert!(!held.push(sge(0, 4), b"else"));
        held.keep(&mut buffer, 12);
        buffer.room(100)[..4].copy_from_slice(b"rest");
        assert!(held.push(sge(4, 4), buffer.came(4)));
        held.keep(&mut buffer, 4);
        let disk = Region::allocate(4096).unwrap();
        let mut into = DmaBuf::new(&disk, 0, 0, 8);
        assert!(!held.copy(&buffer, mr.addr, 9, &mut into));
        assert!(held.copy(&buffer, mr.addr, 8, &mut into));
        assert_eq!(into.bytes(), b"1234rest");
        assert!(!held.copy(&buffer, mr.addr, 8, &mut into), "it was taken");
        held.settle(&mut buffer, &memory);
        let mut landed = [0; 2];
        receives.read(4096, &mut landed);
        assert_eq!(&landed, b"56");
        assert!(!held.copy(&buffer, mr.addr + 4096, 2, &mut into));
    }
}
