//! Receiving within the cache. FlexiNS part: "unlimited-working-set in-cache RX".
//!
//! Packets land in a few slots that stay in the second-level cache; each is placed at once, by one
//! copy, and all slots are used again for the next burst. What is posted or connected does not
//! make the ring larger.

mod pace;

pub(crate) use pace::Pace;

use crate::engine::{Grant, NoOffload, Offload, PACKET_STEPS, Piece, Window};
use memory::Span;
use netstack::Place;
use netstack::link::RxRing;
use verbs::QpNum;

/// Octets of a slot: the longest GRO run, and three lines more so that the first lines of the slots
/// do not all fall into the same set of the cache.
pub const SLOT_BYTES: usize = (64 << 10) + 192;
/// Slots. 6 × 64 KiB stay in a 512-KiB second-level cache beside everything else.
pub const SLOTS: u32 = 6;

/// The ring that the NIC receives into.
#[must_use]
pub fn in_cache_ring() -> RxRing {
    RxRing::new(SLOTS, SLOT_BYTES)
}

/// What was placed so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlacerCounters {
    /// Octets copied to their final place, once each: the only copy of receive in user space.
    pub placed_bytes: u64,
    /// Pieces (one a packet, or one an element where a message spans several).
    pub placed_pieces: u64,
    /// Calls in which the handler was stopped.
    pub handler_faults: u64,
}

/// Copies payload to its final place, once, and lets a handler see it while it is hot.
#[derive(Debug, Default)]
pub struct Placer<O = NoOffload> {
    offload: O,
    windows: Vec<Window>,
    qp: QpNum,
    counters: PlacerCounters,
}

impl<O: Offload> Placer<O> {
    /// A placer with a handler that may reach `windows`.
    #[must_use]
    pub fn new(offload: O, windows: Vec<Window>) -> Placer<O> {
        Placer { offload, windows, qp: QpNum::default(), counters: PlacerCounters::default() }
    }
    /// What follows is for this queue pair.
    #[inline]
    pub fn begin(&mut self, qp: QpNum) {
        self.qp = qp;
    }
    /// The handler, to ask for results.
    pub fn offload_mut(&mut self) -> &mut O {
        &mut self.offload
    }
    /// What was placed so far.
    #[must_use]
    pub fn counters(&self) -> PlacerCounters {
        self.counters
    }
    /// A message completed.
    #[inline]
    pub fn message(&mut self, message: &crate::engine::Message) {
        if !O::IDLE {
            let mut grant = Grant::new(crate::engine::MESSAGE_STEPS, &self.windows);
            let outcome = self.offload.on_message(message, &mut grant);
            self.counters.handler_faults += u64::from(outcome.is_err());
        }
    }
}

impl<O: Offload> Place for Placer<O> {
    fn place(&mut self, span: Span<'_>, payload: &[u8]) {
        span.write(payload);
        self.counters.placed_bytes += payload.len() as u64;
        self.counters.placed_pieces += 1;
        if !O::IDLE {
            let piece = Piece { qp: self.qp, at: span.as_ptr() as u64, payload };
            let mut grant = Grant::new(PACKET_STEPS, &self.windows);
            let outcome = self.offload.on_packet(&piece, &mut grant);
            self.counters.handler_faults += u64::from(outcome.is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Crc32c;
    use memory::{Access, Region, Registry, Sge};

    /// Goal: payload is copied once to where it belongs, counted, and its CRC is at hand.
    #[test]
    fn placing_counts_and_sums() {
        let region = Region::allocate(8192).unwrap();
        let mut registry = Registry::new(2, 1);
        let mr = registry.register(&region, Access::LOCAL_WRITE).unwrap();
        let mut placer = Placer::new(Crc32c::new(4), Vec::new());
        let watch = placer.offload_mut().watch(region.addr(), 6000).unwrap();
        let octets: Vec<u8> = (0..6000_u32).map(|i| (i * 3).to_le_bytes()[0]).collect();
        for (at, piece) in (0..).step_by(4096).zip(octets.chunks(4096)) {
            let length = u32::try_from(piece.len()).unwrap();
            let sge = Sge { addr: mr.addr + at, length, lkey: mr.lkey };
            placer.place(registry.local(sge, Access::LOCAL_WRITE).unwrap(), piece);
        }
        let mut placed = vec![0; 6000];
        region.read(0, &mut placed);
        assert_eq!(placed, octets);
        assert_eq!(placer.counters().placed_bytes, 6000);
        assert_eq!(placer.offload_mut().take(watch), Some(crc32c::crc32c(&octets)));
    }

    /// Goal: the ring fits the second-level cache of the machines that this runs on (512 KiB).
    #[test]
    fn the_ring_fits() {
        assert!(SLOTS as usize * SLOT_BYTES <= 400 << 10);
        assert_eq!(in_cache_ring().free_slots(), SLOTS);
    }
}
