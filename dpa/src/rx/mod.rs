//! Receiving within the cache. FlexiNS part: "unlimited-working-set in-cache RX".
//!
//! Packets land in a few slots that stay in the second-level cache; each is placed at once, by one
//! copy, and all slots are used again for the next burst. What is posted or connected does not
//! make the ring larger.

mod held;
mod pace;

pub(crate) use pace::Pace;

use crate::engine::{Grant, NoOffload, Offload, PACKET_STEPS, Piece, Window};
use held::Held;
use memory::{Access, DmaBuf, Registry, Span};
use netstack::Place;
use netstack::link::{Received, RxRing};
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
    /// The packet at hand, and the address of its first octet.
    packet: Option<(Received, usize)>,
    held: Held,
    counters: PlacerCounters,
}

impl<O: Offload> Placer<O> {
    /// A placer with a handler that may reach `windows`.
    #[must_use]
    pub fn new(offload: O, windows: Vec<Window>) -> Placer<O> {
        let (packet, held, counters) = (None, Held::default(), PlacerCounters::default());
        Placer { offload, windows, qp: QpNum::default(), packet, held, counters }
    }
    /// What follows is for this queue pair.
    #[inline]
    pub fn begin(&mut self, qp: QpNum) {
        self.qp = qp;
    }
    /// What follows comes from this packet of a ring that stays as it is until
    /// [`Placer::settle`]: its payload may wait there.
    #[inline]
    pub fn begin_packet(&mut self, packet: Received, octets: &[u8]) {
        self.packet = Some((packet, octets.as_ptr() as usize));
    }
    /// Places what waits where it was meant to land first: the ring can be used again.
    pub fn settle(&mut self, ring: &RxRing, memory: &Registry) {
        self.packet = None;
        while let Some(piece) = self.held.pop() {
            // A receive whose memory is gone meanwhile wants no octets any more.
            if let Ok(span) = memory.local(piece.to, Access::LOCAL_WRITE) {
                self.qp = piece.qp;
                self.place_now(span, ring.octets(&piece.octets));
            }
        }
    }
    /// Places what waits for `addr..addr + len` at the start of `into` instead. False: not all of
    /// it waits.
    pub fn place_held(&mut self, ring: &RxRing, addr: u64, len: u64, into: &mut DmaBuf) -> bool {
        if !self.held.covers(addr, len) {
            return false;
        }
        let mut left = len;
        while left > 0
            && let Some(piece) = self.held.take(addr, len)
        {
            left -= u64::from(piece.to.length);
            let payload = ring.octets(&piece.octets);
            self.qp = piece.qp;
            let at = usize::try_from(piece.to.addr - addr).unwrap_or(usize::MAX);
            into.place(at, payload);
            self.placed(into.addr() + at as u64, payload);
        }
        true
    }

    fn place_now(&mut self, span: Span<'_>, payload: &[u8]) {
        span.write(payload);
        self.placed(span.as_ptr() as u64, payload);
    }
    /// Notes that `payload` was copied to `at`, and shows it to the handler.
    fn placed(&mut self, at: u64, payload: &[u8]) {
        self.counters.placed_bytes += payload.len() as u64;
        self.counters.placed_pieces += 1;
        if !O::IDLE {
            let piece = Piece { qp: self.qp, at, payload };
            let mut grant = Grant::new(PACKET_STEPS, &self.windows);
            let outcome = self.offload.on_packet(&piece, &mut grant);
            self.counters.handler_faults += u64::from(outcome.is_err());
        }
    }
    /// Where `payload` lies in the ring.
    fn in_ring(&self, payload: &[u8]) -> Option<Received> {
        let (packet, start) = self.packet?;
        let skip = u32::try_from((payload.as_ptr() as usize).checked_sub(start)?).ok()?;
        let len = u32::try_from(payload.len()).ok()?;
        let is_inside = skip <= packet.len && len <= packet.len - skip;
        is_inside.then_some(Received { offset: packet.offset + skip, len, ..packet })
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
        if let Some(to) = span.held_back()
            && let Some(octets) = self.in_ring(payload)
        {
            return self.held.push(held::Piece { qp: self.qp, to, octets });
        }
        self.place_now(span, payload);
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
