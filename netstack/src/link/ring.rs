//! The in-cache receive ring. FlexiNS part: "unlimited-working-set in-cache RX".

use std::net::SocketAddr;

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
}

/// A small ring of packet buffers that stays in the second-level cache: it does not grow with
/// connections or posted buffers, since every packet is placed at once and its slot used again.
///
/// Shape: `slots` buffers of `slot_bytes`. A link fills slots (one datagram, or one GRO run of
/// equal datagrams, each) and describes every packet; the NIC handles them in order, then
/// [`RxRing::recycle`]s all.
pub struct RxRing {
    memory: Box<[u8]>,
    slot_bytes: usize,
    slots: u32,
    used: u32,
    packets: Vec<Received>,
}

impl RxRing {
    /// `slots` buffers of `slot_bytes` (64 KiB for GRO).
    #[must_use]
    pub fn new(slots: u32, slot_bytes: usize) -> RxRing {
        let memory = vec![0; slots as usize * slot_bytes].into_boxed_slice();
        RxRing { memory, slot_bytes, slots, used: 0, packets: Vec::with_capacity(4096) }
    }
    /// Octets of one slot.
    #[must_use]
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }
    /// Free slots.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        self.slots - self.used
    }
    /// The free slots' memory, to be filled in order: one `fill` or `skip` follows for each used.
    pub fn free_slots_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let start = self.used as usize * self.slot_bytes;
        self.memory[start..].chunks_exact_mut(self.slot_bytes)
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
        assert!(slot < self.slots && packets_len <= self.slot_bytes, "ring overrun");
        self.used += 1;
        let segment = segment_bytes.max(1);
        let before = self.packets.len();
        let mut offset = 0;
        while offset < packets_len {
            let len = segment.min(packets_len - offset);
            #[expect(clippy::cast_possible_truncation, reason = "within a slot")]
            self.packets.push(Received { slot, offset: offset as u32, len: len as u32, from, ecn });
            offset += len;
        }
        self.packets.len() - before
    }
    /// Passes over the next free slot: what it holds is no packet.
    pub fn skip(&mut self) {
        assert!(self.used < self.slots, "ring overrun");
        self.used += 1;
    }
    /// The packets, oldest first.
    #[must_use]
    pub fn packets(&self) -> &[Received] {
        &self.packets
    }
    /// A packet's octets.
    #[must_use]
    pub fn octets(&self, packet: &Received) -> &[u8] {
        let start = packet.slot as usize * self.slot_bytes + packet.offset as usize;
        &self.memory[start..start + packet.len as usize]
    }
    /// All packets were handled: every slot is free again.
    pub fn recycle(&mut self) {
        self.packets.clear();
        self.used = 0;
    }
}
