//! The in-cache receive ring. FlexiNS part: "unlimited-working-set in-cache RX".

use super::sys::Shared;
use std::net::SocketAddr;
use std::sync::Arc;
use wire::roce::HeaderBuf;

/// Marks a slot number that names memory lent by a link.
const LENT: u32 = 1 << 31;

/// One packet in the ring: the UDP payload, BTH first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Slot that holds it.
    pub slot: u32,
    /// First octet in the slot.
    pub offset: u32,
    /// Octets.
    pub len: u32,
    /// Who sent it.
    pub from: SocketAddr,
    /// ECN bits of the IP header (0 to 3); 3 is "congestion experienced".
    pub ecn: u8,
    /// Where a copy of its header is, if the link lent the packet where it lies
    /// ([`RxRing::parts`]).
    pub head: Option<u32>,
}

/// A private copy of a header.
#[derive(Clone, Copy)]
struct Head {
    octets: [u8; HeaderBuf::CAPACITY],
    len: usize,
}

/// A small ring of packet buffers that stays in the second-level cache: it does not grow with
/// connections or posted buffers, since every packet is placed at once and its slot used again.
///
/// Shape: `slots` buffers of `slot_bytes`. A link fills slots (one datagram, or one GRO run of
/// equal datagrams, each) and describes every packet; the NIC handles them in order, then
/// [`RxRing::recycle`]s all. A link in shared memory lends packets where they lie instead of
/// copying them in; their octets count as if they lay in a slot, so a burst stays as small.
pub struct RxRing {
    memory: Box<[u8]>,
    slot_bytes: usize,
    slots: u32,
    /// Slots of one burst at most.
    burst: u32,
    /// First slot of this burst.
    first: u32,
    /// Slots used, counted from slot 0.
    used: u32,
    /// Octets taken of the last used slot, by packets added one by one. A closed slot is full.
    open: usize,
    packets: Vec<Received>,
    lenders: Vec<Arc<Shared>>,
    heads: Vec<Head>,
}

impl RxRing {
    /// `slots` buffers of `slot_bytes` (64 KiB for GRO).
    #[must_use]
    pub fn new(slots: u32, slot_bytes: usize) -> RxRing {
        RxRing::pool(slots, slot_bytes, slots)
    }
    /// `slots` buffers that are used in turn, `burst` of them at most before they are recycled: for
    /// comparisons, what a receive pool does that must hold all that may arrive. It stays in no
    /// cache that is smaller. Panics when a burst is longer than the pool.
    #[must_use]
    pub fn pool(slots: u32, slot_bytes: usize, burst: u32) -> RxRing {
        assert!(burst <= slots, "bursts of {burst} in {slots} buffers");
        let memory = vec![0; slots as usize * slot_bytes].into_boxed_slice();
        RxRing {
            memory,
            slot_bytes,
            slots,
            burst,
            first: 0,
            used: 0,
            open: slot_bytes,
            packets: Vec::with_capacity(4096),
            lenders: Vec::new(),
            heads: Vec::new(),
        }
    }
    /// Octets of one slot.
    #[must_use]
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }
    /// Free slots.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        self.end() - self.used
    }
    /// Behind the last slot that this burst may use.
    fn end(&self) -> u32 {
        self.slots.min(self.first + self.burst)
    }
    /// The free slots' memory, to be filled in order: one `fill` or `skip` follows for each used.
    pub fn free_slots_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let start = self.used as usize * self.slot_bytes;
        let end = self.end() as usize * self.slot_bytes;
        self.memory[start..end].chunks_exact_mut(self.slot_bytes)
    }
    /// Marks the next free slot as holding `packets_len` octets of equal datagrams of
    /// `segment_bytes` each (the last may be shorter). Returns the packets added.
    pub fn fill(
        &mut self,
        packets_len: usize,
        segment_bytes: usize,
        from: SocketAddr,
        ecn: u8,
    ) -> usize {
        let slot = self.used;
        assert!(slot < self.end() && packets_len <= self.slot_bytes, "ring overrun");
        self.used += 1;
        self.open = self.slot_bytes;
        let segment = segment_bytes.max(1);
        let before = self.packets.len();
        let mut offset = 0;
        while offset < packets_len {
            let len = segment.min(packets_len - offset);
            #[expect(clippy::cast_possible_truncation, reason = "within a slot")]
            self.packets.push(Received {
                slot,
                offset: offset as u32,
                len: len as u32,
                from,
                ecn,
                head: None,
            });
            offset += len;
        }
        self.packets.len() - before
    }
    /// Drops packets from number `first` on that `is_wanted` does not want, in order; returns how
    /// many. Slots stay used.
    pub(crate) fn retain_from(
        &mut self,
        first: usize,
        mut is_wanted: impl FnMut(&[u8], &Received) -> bool,
    ) -> usize {
        let mut kept = first;
        for at in first..self.packets.len() {
            let packet = self.packets[at];
            if is_wanted(self.octets(&packet), &packet) {
                self.packets[kept] = packet;
                kept += 1;
            }
        }
        let dropped = self.packets.len() - kept;
        self.packets.truncate(kept);
        dropped
    }
    /// Passes over the next free slot: what it holds is no packet.
    pub fn skip(&mut self) {
        assert!(self.used < self.end(), "ring overrun");
        self.used += 1;
        self.open = self.slot_bytes;
    }
    /// Whether a packet in it is lent: its sender's memory is still in use.
    pub(crate) fn has_lent(&self) -> bool {
        !self.lenders.is_empty()
    }
    /// Whether one more packet of `len` octets can be added to what is there.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        len <= self.slot_bytes - self.open || len <= self.slot_bytes && self.used < self.end()
    }
    /// Takes room for a packet, behind the one before it if it fits there.
    fn take(&mut self, len: usize) -> usize {
        if len > self.slot_bytes - self.open {
            assert!(self.used < self.end() && len <= self.slot_bytes, "ring overrun");
            self.used += 1;
            self.open = 0;
        }
        let offset = self.open;
        self.open += len;
        offset
    }
    /// Copies a packet in. Panics when it has no room ([`RxRing::has_room`]).
    #[expect(clippy::cast_possible_truncation, reason = "within a slot")]
    pub(crate) fn append(&mut self, lender: &Shared, at: usize, len: usize, from: SocketAddr) {
        let offset = self.take(len);
        let start = (self.used as usize - 1) * self.slot_bytes + offset;
        lender.read(at, &mut self.memory[start..start + len]);
        let (slot, offset, len) = (self.used - 1, offset as u32, len as u32);
        self.packets.push(Received { slot, offset, len, from, ecn: 0, head: None });
    }
    /// Copies a packet of another ring in. Panics when it has no room ([`RxRing::has_room`]).
    #[expect(clippy::cast_possible_truncation, reason = "within a slot")]
    pub(crate) fn copy_in(&mut self, octets: &[u8], from: SocketAddr, ecn: u8) {
        let offset = self.take(octets.len());
        let start = (self.used as usize - 1) * self.slot_bytes + offset;
        self.memory[start..start + octets.len()].copy_from_slice(octets);
        let (slot, offset, len) = (self.used - 1, offset as u32, octets.len() as u32);
        self.packets.push(Received { slot, offset, len, from, ecn, head: None });
    }
    /// Notes a packet where it lies, after a copy of its first `head_len` octets (at most
    /// [`HeaderBuf::CAPACITY`]). It must stay there until the ring is recycled. Panics when it has no
    /// room or is not inside `lender`.
    #[expect(clippy::cast_possible_truncation, reason = "a mapping and its packets are small")]
    pub(crate) fn lend(
        &mut self,
        lender: &Arc<Shared>,
        at: usize,
        (head_len, len): (usize, usize),
        from: SocketAddr,
    ) {
        self.take(len);
        if !self.lenders.last().is_some_and(|last| Arc::ptr_eq(last, lender)) {
            self.lenders.push(Arc::clone(lender));
        }
        let mut head = Head { octets: [0; HeaderBuf::CAPACITY], len: head_len };
        lender.read(at, &mut head.octets[..head_len]);
        self.heads.push(head);
        let slot = LENT | (self.lenders.len() - 1) as u32;
        let head = Some((self.heads.len() - 1) as u32);
        self.packets.push(Received {
            slot,
            offset: at as u32,
            len: len as u32,
            from,
            ecn: 0,
            head,
        });
    }
    /// The packets, oldest first.
    #[must_use]
    pub fn packets(&self) -> &[Received] {
        &self.packets
    }
    /// A packet's octets. Those of a lent packet may change if its sender is hostile: for copying
    /// and sums only.
    #[must_use]
    pub fn octets(&self, packet: &Received) -> &[u8] {
        if packet.slot & LENT != 0 {
            let lender = &self.lenders[(packet.slot & !LENT) as usize];
            return lender.octets(packet.offset as usize, packet.len as usize);
        }
        let start = packet.slot as usize * self.slot_bytes + packet.offset as usize;
        &self.memory[start..start + packet.len as usize]
    }
    /// A packet's octets as they are to be parsed: all of them and nothing, or of a lent packet a
    /// header that stays as it is, and its payload (which [`RxRing::octets`] speaks of).
    #[must_use]
    pub fn parts(&self, packet: &Received) -> (&[u8], &[u8]) {
        let octets = self.octets(packet);
        let Some(head) = packet.head else { return (octets, &[]) };
        let head = &self.heads[head as usize];
        (&head.octets[..head.len], octets.get(head.len..).unwrap_or_default())
    }
    /// All packets were handled: every slot is free again.
    pub fn recycle(&mut self) {
        self.packets.clear();
        self.first =
            if self.used >= self.slots || self.burst == self.slots { 0 } else { self.used };
        self.used = self.first;
        self.open = self.slot_bytes;
        self.lenders.clear();
        self.heads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a pool's buffers are used in turn, burst by burst, and all of them; a small ring uses the
    /// same ones again.
    #[test]
    fn pools_use_their_buffers_in_turn() {
        let from = SocketAddr::from(([127, 0, 0, 1], 4791));
        let mut pool = RxRing::pool(5, 64, 2);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let room = pool.free_slots_mut().count();
            assert_eq!(pool.free_slots() as usize, room);
            for at in 0..room {
                let octet = u8::try_from(seen.len()).unwrap();
                pool.free_slots_mut().next().unwrap()[0] = octet;
                assert_eq!(pool.fill(1, 64, from, 0), 1);
                assert_eq!(pool.octets(&pool.packets()[at]), [octet]);
                seen.push(pool.packets()[at].slot);
            }
            pool.recycle();
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1]);
        let mut ring = RxRing::new(2, 64);
        ring.fill(1, 64, from, 0);
        ring.recycle();
        assert_eq!(ring.free_slots(), 2);
    }
}
