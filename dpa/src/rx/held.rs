//! Octets that wait in the receive ring until it is known where they finally belong.
//!
//! In-capsule data lands in a receive that was posted before anybody knew of the command. Placed
//! there, it would have to be copied again to its blocks. In memory that its user declared for
//! this ([`memory::Registry::hold_back`]) only the place is noted; the copy is made once, to the
//! blocks, or to the receive when the ring is needed again.

use memory::Sge;
use netstack::link::Received;
use std::collections::VecDeque;
use verbs::QpNum;

/// A piece of a packet in the ring, and the receive's memory that it was for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) qp: QpNum,
    pub(crate) to: Sge,
    /// The piece alone: offset and length are its own.
    pub(crate) octets: Received,
}

/// Pieces, oldest first. At most one for each packet and element of a burst.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pieces: VecDeque<Piece>,
}

impl Held {
    /// A piece waits.
    pub(crate) fn push(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
    }
    /// The oldest.
    pub(crate) fn pop(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }
    /// Whether the pieces inside `addr..addr + len` are all of it. Mostly the oldest alone is: data
    /// is asked for in the order in which it came.
    pub(crate) fn covers(&self, addr: u64, len: u64) -> bool {
        let mut found = 0;
        for piece in self.pieces.iter().filter(|piece| piece.is_inside(addr, len)) {
            found += u64::from(piece.to.length);
            if found == len {
                return true;
            }
        }
        false
    }
    /// Takes one piece inside `addr..addr + len`.
    pub(crate) fn take(&mut self, addr: u64, len: u64) -> Option<Piece> {
        let at = self.pieces.iter().position(|piece| piece.is_inside(addr, len))?;
        self.pieces.remove(at)
    }
}

impl Piece {
    fn is_inside(&self, addr: u64, len: u64) -> bool {
        let skip = self.to.addr.wrapping_sub(addr);
        skip <= len && u64::from(self.to.length) <= len - skip
    }
}
