//! The host's side: commands go, data goes both ways, responses come.

use super::controller::queue_data;
use super::{Machine, NotPosted, Side};
use crate::fabric::{Work, WorkOp};
use crate::nvme_tcp::hash::NumberHash;
use crate::nvme_tcp::outbox::{Source, Then};
use crate::nvme_tcp::{Shared, Stop};
use memory::{Lkey, Sge};
use std::collections::HashMap;
use verbs::{Remote, Rkey, WcStatus};
use wire::nvme::{Cid, Cqe, QueueId, Sgl, Sqe, Status};
use wire::nvme_tcp::{Data, IcReq, Pdu, PduFault, R2t, Shape, field};

/// A command whose data the controller moves.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    memory: Remote,
    length: u32,
    to_host: bool,
    /// Octets that have come, or were asked for.
    moved: u32,
    /// R2Ts whose data was not handed over yet.
    r2ts: u32,
}

pub(super) struct Host {
    /// What the handshake asked for.
    pub(super) asked: IcReq,
    /// By command identifier.
    exchanges: HashMap<u16, Exchange, NumberHash>,
}

impl Host {
    pub(super) fn new(asked: IcReq) -> Host {
        Host { asked, exchanges: HashMap::default() }
    }

    /// A command leaves: as the controller is to see it.
    fn handle_command(&mut self, mut sqe: Sqe) -> Sqe {
        let cid = sqe.cid().0;
        if let Sgl::Keyed { addr, len, key, .. } = sqe.sgl() {
            sqe.set_sgl(Sgl::Transport { len });
            if len > 0 {
                let memory = Remote { addr, rkey: Rkey(key) };
                let to_host = is_to_host(&sqe);
                let exchange = Exchange { memory, length: len, to_host, moved: 0, r2ts: 0 };
                self.exchanges.insert(cid, exchange);
            }
        }
        sqe
    }
    /// Where data goes: the command's memory. Errors: the controller's fault.
    pub(super) fn check_data(&self, data: &Data, shape: Shape) -> Result<Remote, PduFault> {
        let exchange = self.exchanges.get(&data.cid).filter(|exchange| exchange.to_host);
        let exchange = exchange.ok_or(PduFault::field(field::CCCID))?;
        if data.length != shape.data_bytes {
            return Err(PduFault::field(field::LENGTH));
        }
        let missing = exchange.length - exchange.moved;
        if data.offset != exchange.moved || data.length > missing {
            return Err(PduFault::OUT_OF_RANGE);
        }
        // A success whose data is missing would pass off old octets for what was read.
        if data.success && (!data.last || data.length < missing) {
            return Err(PduFault::field(field::FLAGS));
        }
        Ok(exchange.memory)
    }
    /// Data landed.
    pub(super) fn handle_landed(&mut self, data: &Data) {
        if data.success {
            self.exchanges.remove(&data.cid);
        } else if let Some(exchange) = self.exchanges.get_mut(&data.cid) {
            exchange.moved += data.length;
        }
    }
    /// The controller takes data: where it is. Errors: the controller's fault.
    pub(super) fn check_r2t(&mut self, r2t: &R2t) -> Result<Remote, PduFault> {
        let exchange = self.exchanges.get_mut(&r2t.cid).filter(|exchange| !exchange.to_host);
        let exchange = exchange.ok_or(PduFault::field(field::CCCID))?;
        let end = r2t.offset.checked_add(r2t.length);
        let is_inside = end.is_some_and(|end| end <= exchange.length);
        // No octet is asked for twice, so that what is queued for a command is bounded by its length.
        if !is_inside || r2t.length == 0 || r2t.length > exchange.length - exchange.moved {
            return Err(PduFault::OUT_OF_RANGE);
        }
        if exchange.r2ts > self.asked.maxr2t {
            return Err(PduFault::LIMIT_EXCEEDED);
        }
        exchange.moved += r2t.length;
        exchange.r2ts += 1;
        Ok(exchange.memory)
    }
    /// An R2T's data was handed over.
    pub(super) fn handle_answered(&mut self, cid: u16) {
        if let Some(exchange) = self.exchanges.get_mut(&cid) {
            exchange.r2ts = exchange.r2ts.saturating_sub(1);
        }
    }
    /// A response came.
    pub(super) fn handle_response(&mut self, cid: u16) {
        self.exchanges.remove(&cid);
    }
    /// The response that the success flag stands for.
    pub(super) fn success(cid: u16) -> Cqe {
        Cqe::new(Cid(cid), QueueId(0), 0, Status::SUCCESS)
    }
}

/// Bit 1 of an opcode, or of a Fabrics command's type. Source: NVMe Base 2.0, "Opcode".
fn is_to_host(sqe: &Sqe) -> bool {
    let code = sqe.fabrics_type().map_or(sqe.opcode(), |fabrics| fabrics.octet());
    code & 2 != 0
}

impl Machine {
    /// A command capsule, with its data behind it if it has any there.
    pub(super) fn post_command(
        &mut self,
        work: &Work,
        shared: &mut Shared,
    ) -> Result<(), NotPosted> {
        let broken = NotPosted::Stop(Stop::Broken(WcStatus::LocProtErr));
        let mut elements = work.local.iter();
        let (WorkOp::Send { .. }, Some(capsule)) = (work.op, elements.next()) else {
            return Err(broken);
        };
        let data = elements.next();
        let memory = &shared.memory;
        let Ok(span) = Source::Local(capsule).span(memory) else { return Err(broken) };
        let mut octets = [0; Sqe::LEN];
        if span.len() != octets.len() {
            return Err(broken);
        }
        span.read(&mut octets);
        let Side::Host(host) = &mut self.side else { return Err(broken) };
        let sqe = host.handle_command(Sqe::from_octets(octets));
        let data_bytes = data.map_or(0, |data| data.length);
        self.outstanding += 1;
        shared.counts.tx_pdus += 1;
        self.outbox.header(&Pdu::CapsuleCmd(sqe), &self.framing, data_bytes);
        if let Some(data) = data {
            let pieces = std::iter::once(Source::Local(data));
            let queued = queue_data(&mut self.outbox, pieces, &self.framing, memory);
            queued.map_err(|_| broken)?;
        }
        self.outbox.mark(Then::Work { token: work.token, signaled: work.signaled });
        Ok(())
    }

    /// Data that the controller takes, from where it is.
    pub(super) fn answer_r2t(
        &mut self,
        r2t: &R2t,
        from: Remote,
        shared: &mut Shared,
    ) -> Result<(), Stop> {
        let R2t { cid, ttag, offset, length: total } = *r2t;
        let mut at = 0;
        while at < total {
            let length = self.framing.data_max.min(total - at);
            let last = at + length == total;
            let data = Data { cid, ttag, offset: offset + at, length, last, success: false };
            let addr = from.addr + u64::from(data.offset);
            let sge = Sge { addr, length, lkey: Lkey(from.rkey.0) };
            shared.counts.tx_pdus += 1;
            self.outbox.header(&Pdu::H2cData(data), &self.framing, length);
            let pieces = std::iter::once(Source::Lent(sge));
            queue_data(&mut self.outbox, pieces, &self.framing, &shared.memory)
                .map_err(|_| Stop::Broken(WcStatus::LocProtErr))?;
            at += length;
        }
        self.outbox.mark(Then::Answered { cid });
        Ok(())
    }
}
