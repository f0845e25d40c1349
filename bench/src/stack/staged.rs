//! What header-only TX does without: payload copied into packet buffers, then sent from there.

use memory::{Access, Region, Registry, Sge};
use netstack::link::{Link, LinkCaps, Looks, RxRing, Transmit, TxBatch};
use std::io;
use std::os::fd::BorrowedFd;

/// A packet's payload at most.
const PACKET_BYTES: usize = 4096 + 64;

/// A link whose packets are copied into buffers of its own on their way out.
pub struct StagedLink<L> {
    link: L,
    buffers: Region,
    memory: Registry,
    buffer: Sge,
    /// Next buffer: they are used in turn, as a ring of packet buffers is.
    next: usize,
    count: usize,
    batch: TxBatch,
    copied_bytes: u64,
}

impl<L: Link> StagedLink<L> {
    /// Errors: what `mmap` says.
    pub fn new(link: L) -> io::Result<StagedLink<L>> {
        let count = link.caps().burst_max;
        let buffers = Region::allocate(count * PACKET_BYTES)?;
        let mut memory = Registry::new(1, 1);
        let mr = memory.register(&buffers, Access::LOCAL_READ).map_err(io::Error::other)?;
        let buffer = Sge { addr: mr.addr, length: 0, lkey: mr.lkey };
        let batch = TxBatch::new(count);
        Ok(StagedLink { link, buffers, memory, buffer, next: 0, count, batch, copied_bytes: 0 })
    }

    /// A packet like this one, whose payload lies in a buffer. `None`: a key does not cover it.
    fn stage(&mut self, packet: &Transmit, memory: &Registry) -> Option<Transmit> {
        let mut staged = packet.clone();
        if packet.payload.is_empty() {
            return Some(staged);
        }
        let start = self.next * PACKET_BYTES;
        self.next = (self.next + 1) % self.count;
        let mut length = 0;
        for sge in &packet.payload {
            let span = memory.local(*sge, Access::LOCAL_READ).ok()?;
            if length + span.len() > PACKET_BYTES {
                return None;
            }
            span.copy_to(&self.buffers, start + length);
            length += span.len();
        }
        self.copied_bytes += length as u64;
        let (addr, length) = (self.buffer.addr + start as u64, u32::try_from(length).ok()?);
        staged.payload.clear();
        staged.payload.push(Sge { addr, length, ..self.buffer });
        Some(staged)
    }
}

impl<L: Link> Link for StagedLink<L> {
    fn caps(&self) -> &LinkCaps {
        self.link.caps()
    }
    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        self.link.rx_burst(ring)
    }
    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        for packet in batch.packets() {
            // What a key does not cover is not sent, as by the link itself.
            if let Some(staged) = self.stage(packet, memory) {
                self.batch.push(staged);
            }
        }
        batch.clear();
        self.link.tx_burst(&mut self.batch, &self.memory)
    }
    fn looks(&self) -> Looks {
        // `rx_burst` looks at both parts.
        if self.link.looks() == Looks::Cheap { Looks::Cheap } else { Looks::Dear }
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.fd()
    }
    fn set_ecn_capable(&mut self, capable: bool) {
        self.link.set_ecn_capable(capable);
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.link.counters(report);
        report("link.tx_staged_bytes", self.copied_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netstack::link::LoopbackLink;
    use wire::roce::HeaderBuf;

    /// Goal: what arrives is what was sent, from two elements; a key that does not cover its element
    /// sends nothing.
    #[test]
    fn payload_survives_the_copy() {
        let (near, mut far) = {
            let (a, b) = ("10.0.0.1:4791".parse().unwrap(), "10.0.0.2:4791".parse().unwrap());
            LoopbackLink::pair(a, b, 4096, 64)
        };
        let mut link = StagedLink::new(near).unwrap();
        let region = Region::allocate(8192).unwrap();
        region.write(0, b"first half, second half");
        let mut memory = Registry::new(4, 9);
        let mr = memory.register(&region, Access::LOCAL_READ).unwrap();
        let sge = |offset: u64, length| Sge { addr: mr.addr + offset, length, lkey: mr.lkey };
        let packet = |payload: &[Sge]| Transmit {
            to: far.caps().local,
            header: HeaderBuf::empty(),
            payload: payload.iter().copied().collect(),
            pad: 0,
            trailer: Default::default(),
        };
        let mut batch = TxBatch::new(8);
        batch.push(packet(&[sge(0, 12), sge(12, 11)]));
        batch.push(packet(&[sge(8000, 4096)]));
        link.tx_burst(&mut batch, &memory).unwrap();
        let mut ring = RxRing::new(4, 8192);
        far.rx_burst(&mut ring).unwrap();
        let [packet] = ring.packets() else { panic!("{:?}", ring.packets()) };
        assert_eq!(ring.octets(packet), b"first half, second half");
        assert_eq!(link.copied_bytes, 23);
    }
}
