//! Host data by RDMA READ: as many at a time as the host takes.

use super::{Buffer, Queue, QueueState, Stage, WorkKind, token};
use crate::action::{Action, Actions};
use crate::io::DataPointer;
use memory::Sge;
use netstack::fabric::{Gather, Work, WorkOp};
use verbs::WcStatus;

/// What became of a command when its RDMA READ finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FetchDone {
    /// It goes on, or is abandoned.
    Continues,
    /// Data for the controller to execute with: see [`Queue::command`].
    ForController,
}

impl Queue {
    /// Host data / RDMA READ into `local`, which lies in `buffer`: now, or when the host's limit on
    /// outstanding READs allows.
    pub(crate) fn fetch(&mut self, slot: u16, buffer: Buffer, local: Sge, out: &mut Actions) {
        self.command(slot).local = local;
        if self.reads_outstanding < self.reads_max {
            self.command(slot).stage = Stage::Fetching(buffer);
            self.post_fetch(slot, out);
        } else {
            self.command(slot).stage = Stage::ReadQueued(buffer);
            self.read_queue.push_back(slot);
        }
    }
    fn post_fetch(&mut self, slot: u16, out: &mut Actions) {
        let command = self.command(slot);
        let DataPointer::Keyed { remote, .. } = command.io.data else {
            unreachable!("only data in host memory is fetched")
        };
        let local = Gather::one(command.local);
        self.reads_outstanding += 1;
        let token = token(WorkKind::Read, slot);
        self.post(Work { token, op: WorkOp::RdmaRead(remote), local, signaled: true }, out);
    }
    /// An RDMA READ landed, or failed.
    pub(crate) fn handle_fetch_done(
        &mut self,
        slot: u16,
        status: WcStatus,
        out: &mut Actions,
    ) -> FetchDone {
        self.reads_outstanding = self.reads_outstanding.saturating_sub(1);
        self.post_queued_fetch(out);
        match std::mem::take(&mut self.command(slot).stage) {
            Stage::Fetching(buffer)
                if status != WcStatus::Success || self.state != QueueState::Open =>
            {
                self.command(slot).stage = Stage::Fetching(buffer);
                self.abandon(slot, out);
                FetchDone::Continues
            }
            Stage::Fetching(buffer @ Buffer::Disk(..)) if self.command(slot).is_preempted => {
                self.end_preempted(slot, Some(buffer), out);
                FetchDone::Continues
            }
            Stage::Fetching(Buffer::Disk(_, buffer)) => {
                self.store(slot, buffer, None, out);
                FetchDone::Continues
            }
            Stage::Fetching(buffer @ Buffer::Control(_)) => {
                self.command(slot).stage = Stage::Fetching(buffer);
                FetchDone::ForController
            }
            other @ (Stage::Free
            | Stage::Accepted
            | Stage::Preparing
            | Stage::AtDisk
            | Stage::ReadQueued(_)
            | Stage::Event
            | Stage::Responding(_)) => {
                unreachable!("RDMA READ reported for a command at {other:?}")
            }
        }
    }
    fn post_queued_fetch(&mut self, out: &mut Actions) {
        if self.state != QueueState::Open {
            return;
        }
        let Some(slot) = self.read_queue.pop_front() else { return };
        let command = self.command(slot);
        if let Stage::ReadQueued(buffer) = std::mem::take(&mut command.stage) {
            command.stage = Stage::Fetching(buffer);
            self.post_fetch(slot, out);
        }
    }
    /// What was fetched for the controller. The buffer goes back at once: it was copied out.
    pub(crate) fn take_fetched(&mut self, slot: u16, out: &mut Actions) -> Vec<u8> {
        let command = self.command(slot);
        match std::mem::replace(&mut command.stage, Stage::Accepted) {
            Stage::Fetching(Buffer::Control(buffer)) => {
                let octets = buffer.to_vec();
                out.push_back(Action::Deregister(buffer.mr));
                octets
            }
            other @ (Stage::Free
            | Stage::Accepted
            | Stage::Preparing
            | Stage::AtDisk
            | Stage::ReadQueued(_)
            | Stage::Event
            | Stage::Responding(_)
            | Stage::Fetching(Buffer::Disk(..))) => unreachable!("no control data at {other:?}"),
        }
    }
}
