//! One end of the connection: its machine and what surrounds it.

use super::{Random, Setup, Transport, config};
use crate::Place;
use crate::qp::{Counters, Cx};
use memory::{Access, Mr, Region, Registry, Sge, Span};
use std::time::Instant;
use verbs::{ReceiveQueue, RecvWr, Remote, SendOp, SendWr, SgeList, Wc, WcStatus, WrFlags};

/// Copies, and counts what it copied.
#[derive(Debug, Default)]
pub(crate) struct CopyPlace {
    pub(crate) octets: u64,
}

impl Place for CopyPlace {
    fn place(&mut self, span: Span<'_>, payload: &[u8]) {
        assert_eq!(span.len(), payload.len(), "the span is exactly where the payload belongs");
        span.write(payload);
        self.octets += payload.len() as u64;
    }
}

/// One end of the connection.
pub(crate) struct Side<M> {
    pub(crate) machine: M,
    pub(crate) memory: Registry,
    pub(crate) region: Region,
    /// All of `region`, with every right.
    pub(crate) mr: Mr,
    pub(crate) receives: ReceiveQueue,
    /// Completions, oldest first; tests take them.
    pub(crate) wcs: Vec<Wc>,
    pub(crate) counters: Counters,
    pub(crate) place: CopyPlace,
}

impl<M: Transport> Side<M> {
    pub(super) fn new(index: usize, setup: &Setup) -> Side<M> {
        let mut memory = Registry::new(64, setup.seed + index as u64);
        let region = Region::allocate(setup.region_bytes).unwrap();
        let access = Access::LOCAL_WRITE
            | Access::REMOTE_WRITE
            | Access::REMOTE_READ
            | Access::REMOTE_ATOMIC;
        let mr = memory.register(&region, access).unwrap();
        Side {
            machine: M::make(config(index, setup)),
            memory,
            region,
            mr,
            receives: ReceiveQueue::new(setup.caps.max_recv_wr as usize),
            wcs: Vec::new(),
            counters: Counters::default(),
            place: CopyPlace::default(),
        }
    }
    /// Calls `f` with the machine and its surroundings.
    pub(crate) fn with<R>(&mut self, now: Instant, f: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now,
            memory: &mut self.memory,
            place: &mut self.place,
            receives: &mut self.receives,
            wcs: &mut self.wcs,
            counters: &mut self.counters,
        };
        f(&mut self.machine, &mut cx)
    }
    /// An element of this side's region.
    pub(crate) fn sge(&self, offset: u32, length: u32) -> Sge {
        Sge { addr: self.mr.addr + u64::from(offset), length, lkey: self.mr.lkey }
    }
    /// This side's region, as its peer names it.
    pub(crate) fn remote(&self, offset: u32) -> Remote {
        Remote { addr: self.mr.addr + u64::from(offset), rkey: self.mr.rkey }
    }
    /// Posts a receive of one element.
    pub(crate) fn post_recv(&mut self, wr_id: u64, offset: u32, length: u32) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        self.receives.post(RecvWr { wr_id, sges }).unwrap();
    }
    /// Posts a signalled send of one element.
    pub(crate) fn post(&mut self, wr_id: u64, op: SendOp, offset: u32, length: u32) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        let flags = WrFlags { signaled: true, ..WrFlags::default() };
        self.machine.post_send(SendWr { wr_id, op, sges, flags }).unwrap();
    }
    /// Octets of the region.
    pub(crate) fn octets(&self, offset: u32, length: u32) -> Vec<u8> {
        let mut octets = vec![0; length as usize];
        self.region.read(offset as usize, &mut octets);
        octets
    }
    /// Fills a part of the region with octets that depend on `seed` and position.
    pub(crate) fn paint(&self, offset: u32, length: u32, seed: u64) {
        let mut random = Random(seed);
        let octets: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[3]).collect();
        self.region.write(offset as usize, &octets);
    }
    /// Completions since the last call, as (wr_id, status).
    pub(crate) fn take_wcs(&mut self) -> Vec<(u64, WcStatus)> {
        self.wcs.drain(..).map(|wc| (wc.wr_id, wc.status)).collect()
    }
}
