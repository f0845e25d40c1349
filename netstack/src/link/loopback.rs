//! A wire inside the process: two ends, a bounded queue each way, one copy at the "wire".
//!
//! Not a mock: like a device it gathers from registered memory, computes CRCs, hands runs of equal
//! packets over as one slot, and drops when its queue is full. Deterministic: no clock, no kernel.

use super::run::Runs;
use super::sys;
use super::trailer::{Path, trailer};
use super::{Flows, Link, LinkCaps, RxRing, Transmit, TxBatch};
use memory::{Access, Registry};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// Packets that one `tx_burst` takes.
const BURST_MAX: usize = 256;

/// One end of an in-process wire.
pub struct LoopbackLink {
    caps: LinkCaps,
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
    totals: Totals,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    tx_packets: u64,
    tx_bytes: u64,
    dropped: u64,
    bad_key: u64,
    rx_packets: u64,
}

/// Headers and trailers of the longest packet, and more.
const HEADERS_MAX: usize = 256;

/// One direction. `spare` keeps buffers of delivered packets for the next ones.
struct Queue {
    packets: VecDeque<Datagram>,
    spare: Vec<Vec<u8>>,
    capacity: usize,
}

struct Datagram {
    octets: Vec<u8>,
    from: SocketAddr,
    /// Continues the run of the packet before it.
    continues: bool,
}

impl LoopbackLink {
    /// Both ends of a wire that holds `capacity` packets each way, for a path MTU of
    /// `path_mtu_bytes` (256 to 4,096).
    #[must_use]
    pub fn pair(
        a: SocketAddr,
        b: SocketAddr,
        capacity: usize,
        path_mtu_bytes: u32,
    ) -> (LoopbackLink, LoopbackLink) {
        let (to_a, to_b) = (Queue::new(capacity), Queue::new(capacity));
        let end =
            |local, incoming: &Arc<Mutex<Queue>>, outgoing: &Arc<Mutex<Queue>>| LoopbackLink {
                caps: LinkCaps {
                    local,
                    path_mtu_bytes,
                    native_mtu_bytes: path_mtu_bytes,
                    burst_max: BURST_MAX,
                    same_host: true,
                    verifies_icrc: false,
                    flows: Flows::NONE,
                },
                incoming: Arc::clone(incoming),
                outgoing: Arc::clone(outgoing),
                totals: Totals::default(),
            };
        (end(a, &to_a, &to_b), end(b, &to_b, &to_a))
    }
}

impl Link for LoopbackLink {
    fn caps(&self) -> &LinkCaps {
        &self.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        let mut queue = lock(&self.incoming);
        let mut added = 0;
        while ring.free_slots() > 0 && !queue.packets.is_empty() {
            added += queue.fill_slot(ring);
        }
        self.totals.rx_packets += added as u64;
        Ok(added)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let mut queue = lock(&self.outgoing);
        let mut runs = Runs::new(super::run::SEGMENTS_MAX);
        let mut sent = 0;
        for packet in batch.packets() {
            if queue.packets.len() >= queue.capacity {
                self.totals.dropped += 1;
                continue;
            }
            let mut octets = queue.take_spare(self.caps.path_mtu_bytes);
            if !gather(packet, memory, &mut octets) {
                self.totals.bad_key += 1;
                queue.spare.push(octets);
                continue;
            }
            let from = self.caps.source(packet);
            let place = runs.place((from, packet.to), packet.wire_len());
            let path = Path { from, to: packet.to, ip_id: place.index };
            let payload = &octets[packet.header.as_slice().len()..];
            let tail = trailer(packet, path, std::iter::once(payload));
            octets.extend_from_slice(tail.as_slice());
            self.totals.tx_bytes += octets.len() as u64;
            queue.packets.push_back(Datagram { octets, from, continues: !place.begins });
            sent += 1;
        }
        batch.clear();
        self.totals.tx_packets += sent as u64;
        Ok(sent)
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("link.tx_packets", self.totals.tx_packets);
        report("link.tx_bytes", self.totals.tx_bytes);
        report("link.tx_dropped_packets", self.totals.dropped);
        report("link.tx_bad_key_packets", self.totals.bad_key);
        report("link.rx_packets", self.totals.rx_packets);
    }
}

impl Queue {
    fn new(capacity: usize) -> Arc<Mutex<Queue>> {
        Arc::new(Mutex::new(Queue {
            packets: VecDeque::with_capacity(capacity),
            spare: Vec::with_capacity(capacity),
            capacity,
        }))
    }

    /// An empty buffer that holds any packet, so that one that carried little never has to grow.
    fn take_spare(&mut self, path_mtu_bytes: u32) -> Vec<u8> {
        let new = || Vec::with_capacity(path_mtu_bytes as usize + HEADERS_MAX);
        let mut octets = self.spare.pop().unwrap_or_else(new);
        octets.clear();
        octets
    }

    /// Moves the oldest packet, and what continues its run as far as it fits, to one slot.
    fn fill_slot(&mut self, ring: &mut RxRing) -> usize {
        let Some(first) = self.packets.front() else { return 0 };
        let (from, segment_bytes) = (first.from, first.octets.len());
        let slot_bytes = ring.slot_bytes();
        let mut filled = 0;
        let Some(slot) = ring.free_slots_mut().next() else { return 0 };
        while let Some(next) = self.packets.front() {
            let end = filled + next.octets.len();
            if filled > 0 && (!next.continues || end > slot_bytes) {
                break;
            }
            let Some(packet) = self.packets.pop_front() else { break };
            // A packet longer than a slot is cut, as a datagram socket would.
            let len = packet.octets.len().min(slot_bytes - filled);
            slot[filled..filled + len].copy_from_slice(&packet.octets[..len]);
            filled += len;
            self.spare.push(packet.octets);
        }
        ring.fill(filled, segment_bytes, from, 0)
    }
}

/// Header and payload of `packet`; false when a key does not cover an element.
pub(super) fn gather(packet: &Transmit, memory: &Registry, octets: &mut Vec<u8>) -> bool {
    octets.extend_from_slice(packet.header.as_slice());
    for sge in &packet.payload {
        let Ok(span) = memory.local(*sge, Access::LOCAL_READ) else { return false };
        octets.extend_from_slice(sys::octets(&span));
    }
    true
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Trailer;
    use super::super::conformance::{Host, conforms, packet, receive};
    use super::*;

    /// Goal: the suite, over the in-process wire.
    #[test]
    fn loopback_conforms() {
        let addr = |text: &str| text.parse().unwrap();
        let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 64, 1024);
        conforms(a, b);
    }

    /// Goal: a full wire drops what does not fit, keeps the order, counts, and works again after.
    #[test]
    fn a_full_wire_drops() {
        let addr = |text: &str| text.parse().unwrap();
        let (mut a, mut b) = LoopbackLink::pair(addr("10.0.0.1:1"), addr("10.0.0.2:1"), 3, 1024);
        let host = Host::new();
        for _ in 0..2 {
            let mut batch = TxBatch::new(5);
            for tag in 0..5 {
                batch.push(packet(b.caps().local, tag, &[host.sge(0, 8)], Trailer::None));
            }
            assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 3);
            assert_eq!(receive(&mut b, &mut RxRing::new(4, 4096), 3).len(), 3);
        }
        let mut dropped = 0;
        a.counters(&mut |name, value| {
            if name == "link.tx_dropped_packets" {
                dropped = value;
            }
        });
        assert_eq!(dropped, 4);
    }
}
