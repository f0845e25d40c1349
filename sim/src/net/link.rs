//! One port of the network as a link.

use super::{Outgoing, SharedNet, crc};
use memory::{Access, Registry};
use netstack::link::{Flows, Link, LinkCaps, RxRing, Trailer, Transmit, TxBatch};
use std::io;
use std::rc::Rc;

/// Packets that one `tx_burst` takes.
const BURST_MAX: usize = 128;

/// A NIC's way into the network. What was on its way to an earlier NIC of the same port arrives
/// here too.
pub(crate) struct SimLink {
    net: SharedNet,
    port: usize,
    caps: LinkCaps,
    bad_key: u64,
}

impl SimLink {
    /// At `port`, for a path MTU of `path_mtu_bytes`. `same_host`: native packets carry no CRC.
    #[must_use]
    pub(crate) fn new(
        net: &SharedNet,
        port: usize,
        path_mtu_bytes: u32,
        same_host: bool,
    ) -> SimLink {
        let local = net.borrow().ports[port].addr;
        let caps = LinkCaps {
            local,
            path_mtu_bytes,
            native_mtu_bytes: path_mtu_bytes,
            burst_max: BURST_MAX,
            same_host,
            verifies_icrc: true,
            flows: Flows::NONE,
        };
        SimLink { net: Rc::clone(net), port, caps, bad_key: 0 }
    }

    /// Header and payload; `None` when a key does not cover an element.
    fn gather(packet: &Transmit, memory: &Registry) -> Option<Vec<u8>> {
        let mut octets = Vec::with_capacity(packet.wire_len());
        octets.extend_from_slice(packet.header.as_slice());
        for sge in &packet.payload {
            let span = memory.local(*sge, Access::LOCAL_READ).ok()?;
            let start = octets.len();
            octets.resize(start + span.len(), 0);
            span.read(&mut octets[start..]);
        }
        Some(octets)
    }
}

impl Link for SimLink {
    fn caps(&self) -> &LinkCaps {
        &self.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        let mut net = self.net.borrow_mut();
        let mut added = 0;
        while ring.free_slots() > 0 {
            let Some(packet) = net.receive(self.port) else { break };
            let len = packet.octets.len().min(ring.slot_bytes());
            if let Some(slot) = ring.free_slots_mut().next() {
                slot[..len].copy_from_slice(&packet.octets[..len]);
            }
            added += ring.fill(len, len, packet.from, packet.ecn);
        }
        Ok(added)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let mut net = self.net.borrow_mut();
        let mut sent = 0;
        for packet in batch.packets() {
            let Some(mut octets) = SimLink::gather(packet, memory) else {
                self.bad_key += 1;
                continue;
            };
            let path = crc::Path { from: self.caps.local, to: packet.to, ip_id: 0 };
            crc::seal(packet, path, &mut octets);
            net.send(
                self.port,
                Outgoing {
                    to: packet.to,
                    octets,
                    ip_id: 0,
                    has_icrc: packet.trailer == Trailer::Icrc,
                    has_crc: packet.trailer != Trailer::None,
                },
            );
            sent += 1;
        }
        batch.clear();
        Ok(sent)
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("link.tx_bad_key_packets", self.bad_key);
        report("link.waiting", u64::from(self.net.borrow().has_arrived(self.port)));
    }
}
