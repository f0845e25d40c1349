//! CRC-32C computed while placing: the first handler.
//!
//! The caller watches a span before it lets data come (posts a READ, hands out a key), and asks for
//! the CRC when the data is complete. Packets may come in any order and twice: each leaves the CRC
//! of its piece, and the pieces' CRCs are combined in the end without touching the octets again.

use super::grant::lines;
use super::{Fault, Grant, Message, Offload, Piece};

/// Names a watched span until its CRC is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    index: u32,
    generation: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Extent {
    at: u64,
    len: u64,
    crc: u32,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    at: u64,
    len: u64,
    active: bool,
    extents: Vec<Extent>,
}

/// The handler: a bounded table of watched spans.
#[derive(Debug)]
pub struct Crc32c {
    slots: Vec<Slot>,
    newest: usize,
}

impl Crc32c {
    /// At most `watches` spans at once (a few hundred: they are searched one by one).
    #[must_use]
    pub fn new(watches: usize) -> Crc32c {
        Crc32c { slots: (0..watches.max(1)).map(|_| Slot::default()).collect(), newest: 0 }
    }

    /// Watches `len` octets from process address `at`. `None` when all watches are taken.
    pub fn watch(&mut self, at: u64, len: u64) -> Option<Watch> {
        let index = self.slots.iter().position(|slot| !slot.active)?;
        let slot = self.slots.get_mut(index)?;
        slot.generation = slot.generation.wrapping_add(1);
        (slot.at, slot.len, slot.active) = (at, len, true);
        slot.extents.clear();
        self.newest = index;
        Some(Watch { index: u32::try_from(index).ok()?, generation: slot.generation })
    }

    /// Ends a watch: the CRC-32C of the span, if the pieces that came cover it exactly. `None` when
    /// something is missing or overlaps (compute it over the memory then), or the watch is over.
    pub fn take(&mut self, watch: Watch) -> Option<u32> {
        let slot = self.slots.get_mut(watch.index as usize)?;
        if !slot.active || slot.generation != watch.generation {
            return None;
        }
        slot.active = false;
        slot.extents.sort_unstable_by_key(|extent| extent.at);
        let (mut crc, mut next) = (0, slot.at);
        for extent in &slot.extents {
            if extent.at != next {
                return None;
            }
            let len = usize::try_from(extent.len).ok()?;
            crc = if next == slot.at {
                extent.crc
            } else {
                crc32c::crc32c_combine(crc, extent.crc, len)
            };
            next += extent.len;
        }
        (next == slot.at + slot.len).then_some(crc)
    }
}

impl Slot {
    fn covers(&self, at: u64, len: u64) -> bool {
        self.active && at >= self.at && at - self.at + len <= self.len
    }
}

impl Offload for Crc32c {
    fn on_packet(&mut self, piece: &Piece<'_>, grant: &mut Grant<'_>) -> Result<(), Fault> {
        let len = piece.payload.len() as u64;
        let hint = self.newest;
        let found = match self.slots.get(hint) {
            Some(slot) if slot.covers(piece.at, len) => Some(hint),
            _ => self.slots.iter().position(|slot| slot.covers(piece.at, len)),
        };
        let Some(slot) = found.and_then(|index| self.slots.get_mut(index)) else { return Ok(()) };
        grant.spend(lines(piece.payload.len()))?;
        let extent = Extent { at: piece.at, len, crc: crc32c::crc32c(piece.payload) };
        match slot.extents.iter_mut().find(|known| known.at == extent.at) {
            Some(known) => *known = extent,
            None => slot.extents.push(extent),
        }
        Ok(())
    }

    fn on_message(&mut self, _message: &Message, _grant: &mut Grant<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verbs::QpNum;

    fn place(handler: &mut Crc32c, at: u64, payload: &[u8]) -> Result<(), Fault> {
        let piece = Piece { qp: QpNum::default(), at, payload };
        handler.on_packet(&piece, &mut Grant::new(super::super::PACKET_STEPS, &[]))
    }

    /// Goal: pieces out of order and doubled give the CRC of the whole; a gap gives none.
    #[test]
    fn pieces_in_any_order() {
        let octets: Vec<u8> = (0..10_000_u32).map(|i| (i * 7).to_le_bytes()[0]).collect();
        let mut handler = Crc32c::new(2);
        let watch = handler.watch(1000, 10_000).unwrap();
        for at in [8192_usize, 0, 4096, 0] {
            let piece = &octets[at..octets.len().min(at + 4096)];
            place(&mut handler, 1000 + at as u64, piece).unwrap();
        }
        place(&mut handler, 50_000, &octets[..100]).unwrap();
        assert_eq!(handler.take(watch), Some(crc32c::crc32c(&octets)));
        assert_eq!(handler.take(watch), None, "taken once");
        let watch = handler.watch(1000, 10_000).unwrap();
        place(&mut handler, 1000, &octets[..4096]).unwrap();
        place(&mut handler, 1000 + 8192, &octets[8192..]).unwrap();
        assert_eq!(handler.take(watch), None, "a piece is missing");
    }

    /// Goal: watches are bounded, and a span is free again once taken.
    #[test]
    fn watches_are_bounded() {
        let mut handler = Crc32c::new(1);
        let watch = handler.watch(0, 10).unwrap();
        assert_eq!(handler.watch(0, 10), None);
        assert_eq!(handler.take(watch), None);
        assert!(handler.watch(0, 10).is_some());
    }

    /// Goal: a piece beyond the budget is refused before any work is done on it.
    #[test]
    fn budget_is_honoured() {
        let mut handler = Crc32c::new(1);
        handler.watch(0, 1 << 20).unwrap();
        let long = vec![0; 64 * 300];
        assert_eq!(place(&mut handler, 0, &long), Err(Fault::OutOfSteps));
    }
}
