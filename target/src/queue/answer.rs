//! The answer to a command, and what the command gives back when it is over.

use super::{Buffer, Queue, Stage, WorkKind, token};
use crate::action::{Action, Actions};
use crate::fault::Fault;
use netstack::fabric::{Work, WorkOp};
use verbs::Rkey;
use wire::nvme::{Cid, Cqe, QueueId, Status};

/// What the response to a command says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    /// `None`: success.
    pub(crate) fault: Option<Fault>,
    /// Dwords 0 and 1.
    pub(crate) result: u64,
    /// Key to invalidate at the host.
    pub(crate) invalidate: Option<Rkey>,
}

impl Queue {
    /// Answers the command in `slot`. `buffer` is kept until the answer is acknowledged.
    pub(crate) fn complete(
        &mut self,
        slot: u16,
        answer: Answer,
        buffer: Option<Buffer>,
        out: &mut Actions,
    ) {
        self.spend_capsule(slot, out);
        let inflight = self.command(slot).inflight.take().expect("one answer per command");
        let head = if self.head_disabled { 0xffff } else { self.head };
        let status = answer.fault.map_or(Status::SUCCESS, |fault| fault.status);
        let mut cqe = Cqe::new(Cid(inflight.complete()), QueueId(self.qid), head, status);
        cqe.set_result(answer.result | answer.fault.map_or(0, |fault| u64::from(fault.result)));
        let local = self.memory.write_response(slot, cqe.as_octets());
        self.command(slot).stage = Stage::Responding(buffer);
        let op = WorkOp::Send { invalidate: answer.invalidate };
        self.post(Work { token: token(WorkKind::Send, slot), op, local, signaled: true }, out);
    }
    /// Nobody is left to answer: gives back what the command holds. Not for commands at a disk.
    pub(crate) fn abandon(&mut self, slot: u16, out: &mut Actions) {
        let command = self.command(slot);
        if let Some(inflight) = command.inflight.take() {
            inflight.abandon();
        }
        command.capsule = None;
        if command.extra.is_some() {
            command.extra = None;
        }
        match std::mem::take(&mut command.stage) {
            Stage::ReadQueued(buffer)
            | Stage::Fetching(buffer)
            | Stage::Responding(Some(buffer)) => release(buffer, out),
            Stage::Free
            | Stage::Accepted
            | Stage::Preparing
            | Stage::AtDisk
            | Stage::Event
            | Stage::Responding(None) => {}
        }
        self.free.push(slot);
    }
    /// The response of `slot` was acknowledged, or flushed: the command is over.
    pub(crate) fn handle_send_done(&mut self, slot: u16, out: &mut Actions) {
        if matches!(self.command(slot).stage, Stage::Responding(_)) {
            self.abandon(slot, out);
        }
        if self.last_slot == Some(slot) {
            self.close(out);
        }
    }
}

/// Gives a buffer back to its owner.
pub(crate) fn release(buffer: Buffer, out: &mut Actions) {
    out.push_back(match buffer {
        Buffer::Disk(disk, buffer) => Action::Release { disk, buffer },
        Buffer::Control(buffer) => Action::Deregister(buffer.mr),
    });
}
