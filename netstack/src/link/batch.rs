//! Packets to send.

use std::net::SocketAddr;
use verbs::SgeList;
use wire::roce::HeaderBuf;

/// What follows the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trailer {
    /// Nothing.
    #[default]
    None,
    /// RoCEv2 invariant CRC, over the IP and UDP headers too: the link computes it.
    Icrc,
    /// The native mode's CRC, from the BTH on.
    NativeCrc,
}

/// One packet to send. Header-only TX (FlexiNS) as a type: no field can carry payload octets.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// BTH and extended headers.
    pub header: HeaderBuf,
    /// Payload, gathered by the link from registered memory. Empty for control packets.
    pub payload: SgeList,
    /// Zero octets after the payload, 0 to 3 (the BTH's pad count).
    pub pad: u8,
    /// What follows.
    pub trailer: Trailer,
}

impl Transmit {
    /// Octets of the UDP payload.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        let payload: usize = self.payload.iter().map(|sge| sge.length as usize).sum();
        let trailer = if self.trailer == Trailer::None { 0 } else { 4 };
        self.header.as_slice().len() + payload + usize::from(self.pad) + trailer
    }
}

/// Packets to send in one go, in order. Capacity is fixed; storage is used again.
#[derive(Debug)]
pub struct TxBatch {
    packets: Vec<Transmit>,
    capacity: usize,
    /// Packets that may be in it before the turn ends; at most `capacity`.
    limit: usize,
}

impl TxBatch {
    /// Room for `capacity` packets.
    #[must_use]
    pub fn new(capacity: usize) -> TxBatch {
        TxBatch { packets: Vec::with_capacity(capacity), capacity, limit: capacity }
    }
    /// Packets that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limit - self.packets.len()
    }
    /// Leaves room for `packets` at most, until [`TxBatch::end_turn`].
    pub(crate) fn begin_turn(&mut self, packets: usize) {
        self.limit = self.capacity.min(self.packets.len() + packets);
    }
    /// All room again.
    pub(crate) fn end_turn(&mut self) {
        self.limit = self.capacity;
    }
    /// Adds one. Panics when there is no room (the caller asks `room` first).
    pub fn push(&mut self, packet: Transmit) {
        assert!(self.packets.len() < self.limit, "transmit batch overrun");
        self.packets.push(packet);
    }
    /// The packets, in order.
    #[must_use]
    pub fn packets(&self) -> &[Transmit] {
        &self.packets
    }
    /// Moves those that `is_wanted` names to `into`, in order.
    pub(crate) fn move_to(
        &mut self,
        into: &mut TxBatch,
        mut is_wanted: impl FnMut(&Transmit) -> bool,
    ) {
        self.packets.retain(|packet| {
            let moves = is_wanted(packet);
            if moves {
                into.packets.push(packet.clone());
            }
            !moves
        });
    }
    /// Forgets all packets, keeps the storage.
    pub fn clear(&mut self) {
        self.packets.clear();
    }
}
