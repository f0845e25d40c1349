//! MADs on their way out: queued by value, sent from a small registered ring.

use crate::link::{Trailer, Transmit, TxBatch};
use memory::{Access, Mr, Region, Registry, Sge};
use std::collections::VecDeque;
use std::net::SocketAddr;
use verbs::SgeList;
use wire::cm::MAD_LEN;
use wire::roce::{Deth, Header, Opcode, Psn, QKey, QpNum};

/// Slots of the ring. A slot is written again after so many MADs, and no more than half of them
/// leave in one batch: a link has sent a batch before it is given the one after the next.
const SLOTS: usize = 256;
const PER_BATCH: usize = SLOTS / 2;

/// Octets of zeros at the ring's end: the reserved part of a congestion notification packet.
const ZEROS: u32 = 16;

/// Queue and ring.
#[derive(Debug)]
pub(crate) struct Mads {
    region: Region,
    mr: Mr,
    next_slot: usize,
    psn: Psn,
    queue: VecDeque<(SocketAddr, [u8; MAD_LEN])>,
    capacity: usize,
}

impl Mads {
    /// At most `capacity` MADs wait. Registers the ring.
    ///
    /// Panics when there is no memory or no registration left: an endpoint is made once.
    pub(crate) fn new(memory: &mut Registry, capacity: usize) -> Mads {
        let bytes = SLOTS * MAD_LEN + ZEROS as usize;
        let region = Region::allocate(bytes).expect("memory for the MAD ring");
        let mr = memory.register(&region, Access::LOCAL_READ).expect("the first registration");
        let queue = VecDeque::with_capacity(capacity.min(64));
        Mads { region, mr, next_slot: 0, psn: Psn::ZERO, queue, capacity }
    }

    /// Queues one. False when the queue is full: it is lost, as a packet would be.
    pub(crate) fn push(&mut self, to: SocketAddr, mad: [u8; MAD_LEN]) -> bool {
        let fits = self.queue.len() < self.capacity;
        if fits {
            self.queue.push_back((to, mad));
        }
        fits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Moves MADs into `out` while there is room.
    pub(crate) fn poll_transmit(&mut self, out: &mut TxBatch) {
        for _ in 0..PER_BATCH.min(out.room()) {
            let Some((to, mad)) = self.queue.pop_front() else { return };
            let offset = self.next_slot * MAD_LEN;
            self.next_slot = (self.next_slot + 1) % SLOTS;
            self.region.write(offset, &mad);
            let mut header = Header::new(Opcode::UdSendOnly, QpNum::GSI, self.psn);
            let (qkey, source_qp) = (QKey::GSI, QpNum::GSI);
            header.ext.deth = Some(Deth { qkey, reserved: 0, source_qp });
            self.psn = self.psn.next();
            let length = u32::try_from(MAD_LEN).expect("256");
            let payload = SgeList::from_slice(&[self.sge(offset, length)]);
            let header = header.emit(MAD_LEN);
            out.push(Transmit { to, header, payload, pad: 0, trailer: Trailer::Icrc });
        }
    }

    /// Sixteen zero octets.
    pub(crate) fn zeros(&self) -> Sge {
        self.sge(SLOTS * MAD_LEN, ZEROS)
    }

    fn sge(&self, offset: usize, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset as u64, length, lkey: self.mr.lkey }
    }
}
