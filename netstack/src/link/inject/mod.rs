//! A link that does chosen things to chosen packets: "the third READ response is lost". For tests,
//! after Lumina (SIGCOMM'23), in the simulator as on real sockets.
//!
//! Read first: [`rule`] (what may be asked for), [`injector`] (which packet is hit; pure). Here is
//! what happens to it. Nobody who does not wrap a link pays for any of this.

mod injector;
mod rule;

pub use injector::{Hits, Injector};
pub use rule::{Fault, Rule, RuleError, Way, Which};

use super::{Link, LinkCaps, RxRing, Trailer, Transmit, TxBatch};
use memory::{Access, Registry};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::roce::{Opcode, PacketKind};

/// A link around a link.
///
/// What arrives is copied once more. `Reorder` needs another packet behind which to come. On the
/// sending side nothing leaves of its own: what is held back leaves with the first burst after its
/// time. `Corrupt` gives a packet a CRC that is not its own; its payload stays what it is, so that
/// peers which cannot verify (RoCEv2 by a plain socket) take no harm. On the receiving side what
/// nobody verifies is dropped, as a NIC drops it.
pub struct InjectLink<L> {
    inner: L,
    injector: Injector,
    clock: fn() -> Instant,
    arriving: RxRing,
    /// Judged, and waiting for room in the ring.
    arrived: VecDeque<Arrival>,
    receive: Held<Arrival>,
    leaving: TxBatch,
    transmit: Held<Transmit>,
}

/// A packet that arrived.
#[derive(Clone)]
struct Arrival {
    octets: Vec<u8>,
    from: SocketAddr,
    ecn: u8,
}

/// What a direction holds back.
struct Held<P> {
    /// Until the next packet passed.
    overtaken: Vec<P>,
    /// Until its time, in order of being held back.
    late: Vec<(Instant, P)>,
}

impl<P> Held<P> {
    fn new() -> Held<P> {
        Held { overtaken: Vec::new(), late: Vec::new() }
    }
    fn is_empty(&self) -> bool {
        self.overtaken.is_empty() && self.late.is_empty()
    }
    /// Those whose time has come.
    fn due(&mut self, clock: fn() -> Instant) -> impl Iterator<Item = P> {
        let now = if self.late.is_empty() { None } else { Some(clock()) };
        let is_due = move |(due, _): &mut (Instant, P)| now.is_some_and(|now| *due <= now);
        self.late.extract_if(.., is_due).map(|(_, packet)| packet)
    }
}

impl<L: Link> InjectLink<L> {
    /// `inner` with `rules`; `seed` decides for those with a chance, `clock` when a delay is over.
    #[must_use]
    pub fn new(inner: L, rules: &[Rule], seed: u64, clock: fn() -> Instant) -> InjectLink<L> {
        let burst_max = inner.caps().burst_max;
        InjectLink {
            injector: Injector::new(rules, seed),
            clock,
            arriving: RxRing::new(4, 1 << 16),
            arrived: VecDeque::new(),
            receive: Held::new(),
            leaving: TxBatch::new(burst_max),
            transmit: Held::new(),
            inner,
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn injected(&self) -> Hits {
        self.injector.injected
    }

    /// One packet arrived.
    fn take_in(&mut self, mut packet: Arrival) {
        match self.injector.judge(Way::Receive, &packet.octets) {
            None => {}
            Some(Fault::Drop) => return,
            Some(Fault::Duplicate) => self.arrived.push_back(packet.clone()),
            Some(Fault::Reorder) => return self.receive.overtaken.push(packet),
            Some(Fault::Delay(time)) => {
                return self.receive.late.push(((self.clock)() + time, packet));
            }
            Some(Fault::Corrupt) => {
                let opcode = packet.octets.first().and_then(|octet| Opcode::from_octet(*octet));
                let is_verified = opcode.is_some_and(Opcode::is_native) && !self.caps().same_host;
                let Some(last) = packet.octets.last_mut().filter(|_| is_verified) else { return };
                *last ^= 1;
            }
        }
        self.arrived.push_back(packet);
        self.arrived.extend(self.receive.overtaken.drain(..));
    }

    /// One packet leaves. Returns packets handed to the device.
    fn send(&mut self, mut packet: Transmit, memory: &Registry) -> io::Result<usize> {
        let mut sent = 0;
        match self.injector.judge(Way::Transmit, &head_of(&packet, memory)) {
            None => {}
            Some(Fault::Drop) => return Ok(0),
            Some(Fault::Duplicate) => sent += self.push(packet.clone(), memory)?,
            Some(Fault::Reorder) => {
                self.transmit.overtaken.push(packet);
                return Ok(0);
            }
            Some(Fault::Delay(time)) => {
                self.transmit.late.push(((self.clock)() + time, packet));
                return Ok(0);
            }
            Some(Fault::Corrupt) => match packet.trailer {
                // The other mode's CRC: wrong, and of the right length.
                Trailer::Icrc => packet.trailer = Trailer::NativeCrc,
                Trailer::NativeCrc => packet.trailer = Trailer::Icrc,
                Trailer::None => return Ok(0),
            },
        }
        sent += self.push(packet, memory)?;
        while let Some(packet) = self.transmit.overtaken.pop() {
            sent += self.push(packet, memory)?;
        }
        Ok(sent)
    }

    fn push(&mut self, packet: Transmit, memory: &Registry) -> io::Result<usize> {
        let full = self.leaving.room() == 0;
        let sent = if full { self.inner.tx_burst(&mut self.leaving, memory)? } else { 0 };
        self.leaving.push(packet);
        Ok(sent)
    }
}

/// Packets sent by both, or the first error: one does not keep the next from leaving.
fn sum(before: io::Result<usize>, more: io::Result<usize>) -> io::Result<usize> {
    before.and_then(|before| more.map(|more| before + more))
}

/// The octets of a packet that tell its kind. A CM message's attribute lies in its payload.
fn head_of(packet: &Transmit, memory: &Registry) -> Vec<u8> {
    let mut head = packet.header.as_slice().to_vec();
    for sge in &packet.payload {
        let missing = PacketKind::HEAD_LEN.saturating_sub(head.len());
        let part = sge.slice(0, u32::try_from(missing).unwrap_or(0));
        let Ok(span) = memory.local(part, Access::LOCAL_READ) else { break };
        let at = head.len();
        head.resize(at + span.len(), 0);
        span.read(&mut head[at..]);
    }
    head
}

impl<L: Link> Link for InjectLink<L> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn caps(&self) -> &LinkCaps {
        self.inner.caps()
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if self.arrived.is_empty() {
            self.inner.rx_burst(&mut self.arriving)?;
        }
        for at in 0..self.arriving.packets().len() {
            let packet = self.arriving.packets()[at];
            let octets = self.arriving.octets(&packet).to_vec();
            self.take_in(Arrival { octets, from: packet.from, ecn: packet.ecn });
        }
        self.arriving.recycle();
        self.arrived.extend(self.receive.due(self.clock));
        let mut added = 0;
        while ring.free_slots() > 0
            && let Some(next) = self.arrived.pop_front()
        {
            let len = next.octets.len().min(ring.slot_bytes());
            if let Some(slot) = ring.free_slots_mut().next() {
                slot[..len].copy_from_slice(&next.octets[..len]);
            }
            added += ring.fill(len, len, next.from, next.ecn);
        }
        Ok(added)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let late: Vec<Transmit> = self.transmit.due(self.clock).collect();
        let mut sent = Ok(0);
        for packet in late {
            sent = sum(sent, self.push(packet, memory));
        }
        for packet in batch.packets() {
            sent = sum(sent, self.send(packet.clone(), memory));
        }
        batch.clear();
        sum(sent, self.inner.tx_burst(&mut self.leaving, memory))
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        // What is held back wakes nobody: whoever wants to sleep polls meanwhile.
        let is_idle =
            self.arrived.is_empty() && self.receive.is_empty() && self.transmit.is_empty();
        is_idle.then(|| self.inner.fd()).flatten()
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.inner.set_ecn_capable(capable);
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
        self.injector.injected.report(report);
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
