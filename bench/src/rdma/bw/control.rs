//! The connection on which the sides agree: short messages, one each way at a time.

use super::exchange::{self, CACHE_LINE_BYTES, Dest, Kind, PAGE_BYTES, Values};
use crate::rdma::{Fault, Memory, list, one, succeeded};
use memory::Access;
use netstack::endpoint::Endpoint;
use netstack::fabric::ConnectParams;
use std::net::IpAddr;
use verbs::{QpNum, RecvWr, SendOp, Wc};

/// A message and more, so that one that is too long is told from a good one.
const SLOT: usize = 128;
const SLOT_BYTES: u32 = 128;
const RECEIVES: usize = 4;
const SENDS: usize = 16;
/// Twice that: completions that wait take places, too.
const SEND_DEPTH: u32 = 32;
/// In the ids of SENDs.
const SENT: u64 = 1 << 32;

/// What this side says when it is asked.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Own {
    pub(super) path_mtu_bytes: u32,
    pub(super) dest: Dest,
    pub(super) values: Values,
}

impl Own {
    /// Its queue pair and memory are told when they are there.
    pub(super) fn new(path_mtu_bytes: u32, address: IpAddr, outs: u8) -> Own {
        let gid = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let dest = Dest { out_reads: outs.into(), gid, ..Dest::default() };
        Own { path_mtu_bytes, dest, ..Own::default() }
    }
}

/// The first connection of a test.
pub(super) struct Control {
    memory: Memory,
    pub(super) qp: QpNum,
    next: usize,
    /// SENDs whose acknowledgement is due.
    unacknowledged: usize,
}

impl Control {
    /// What `connect` and `accept` ask for.
    pub(super) fn params() -> ConnectParams {
        ConnectParams { private: vec![], send_depth: SEND_DEPTH, recv_depth: 8, read_depth: 1 }
    }

    /// On a connection to be: receives are posted.
    ///
    /// Errors: memory.
    pub(super) fn new(verbs: &mut Endpoint, qp: QpNum) -> Result<Control, Fault> {
        let memory = Memory::new(verbs, (RECEIVES + SENDS) * SLOT, Access::LOCAL_READ)?;
        let control = Control { memory, qp, next: 0, unacknowledged: 0 };
        control.receive_all(verbs);
        Ok(control)
    }

    /// Another try to connect: another queue pair.
    pub(super) fn renew(&mut self, verbs: &mut Endpoint, qp: QpNum) {
        self.qp = qp;
        self.receive_all(verbs);
    }

    fn receive_all(&self, verbs: &mut Endpoint) {
        (0..RECEIVES as u64).for_each(|which| self.receive(verbs, which));
    }

    fn receive(&self, verbs: &mut Endpoint, which: u64) {
        let offset = usize::try_from(which).unwrap_or(0) * SLOT;
        let sges = list(self.memory.sge(offset, SLOT_BYTES));
        // One for each that was taken: there is room, unless the connection is gone, which is told.
        let _ = verbs.post_recv(self.qp, RecvWr { wr_id: which, sges });
    }

    /// Everything said was heard.
    pub(super) fn is_settled(&self) -> bool {
        self.unacknowledged == 0
    }

    /// Says what belongs to `kind`.
    ///
    /// Errors: the peer's, it asks on without hearing the answers.
    pub(super) fn say(&mut self, verbs: &mut Endpoint, kind: Kind, own: &Own) -> Result<(), Fault> {
        match kind {
            Kind::Version => self.send(verbs, &exchange::version()),
            Kind::PageBytes => self.send(verbs, &PAGE_BYTES.to_be_bytes()),
            Kind::CacheLineBytes => self.send(verbs, &CACHE_LINE_BYTES.to_be_bytes()),
            Kind::Mtu => self.send(verbs, &exchange::mtu(own.path_mtu_bytes)),
            Kind::Dest => self.send(verbs, &own.dest.to_octets()),
            Kind::Report(number) => self.send(verbs, &own.values.octets(number)),
        }
    }

    fn send(&mut self, verbs: &mut Endpoint, octets: &[u8]) -> Result<(), Fault> {
        let busy = || Fault::Peer("does not take its answers".into());
        if self.unacknowledged == SENDS {
            return Err(busy());
        }
        let offset = (RECEIVES + self.next) * SLOT;
        self.memory.write(offset, octets);
        let length = u32::try_from(octets.len()).unwrap_or(SLOT_BYTES);
        let wr = one(SENT, SendOp::Send, self.memory.sge(offset, length));
        verbs.post_send(self.qp, wr).map_err(|_| busy())?;
        self.next = (self.next + 1) % SENDS;
        self.unacknowledged += 1;
        Ok(())
    }

    /// A completion of this connection; a message of the peer, if it is one.
    ///
    /// Errors: work that failed.
    pub(super) fn completed(
        &mut self,
        verbs: &mut Endpoint,
        wc: &Wc,
    ) -> Result<Option<Vec<u8>>, Fault> {
        succeeded(wc, "a message between the sides")?;
        if wc.wr_id == SENT {
            self.unacknowledged -= 1;
            return Ok(None);
        }
        let offset = usize::try_from(wc.wr_id).unwrap_or(0) * SLOT;
        let octets = self.memory.read(offset, (wc.byte_len as usize).min(SLOT));
        self.receive(verbs, wc.wr_id);
        Ok(Some(octets))
    }
}
