//! Ending the commands of a host that was fenced off.
//!
//! Source: NVMe Base 2.1, "Reservations" (preempting a reservation or registration).

use super::{Buffer, Command, Pending, Queue, Stage, release};
use crate::action::{Action, Actions, Counted};
use crate::fault::Fault;
use crate::io::IoKind;
use wire::nvme::Status;

/// The answer to a command that is ended so.
pub(super) const PREEMPTED: Fault = Fault::plain(Status::ABORTED_PREEMPT);

impl Command {
    /// It was told to end, and has not ended yet.
    pub(crate) fn is_being_ended(&self) -> bool {
        self.is_preempted && !self.is_answered()
    }
    fn reaches(&self, nsid: u32) -> bool {
        let reaches_blocks =
            !matches!(self.io.kind, IoKind::Nothing | IoKind::Reserve(_) | IoKind::Report);
        reaches_blocks && self.io.nsid == nsid
    }
}

impl Queue {
    /// Ends what reaches blocks of namespace `nsid`. Those that cannot be ended at once are added to
    /// `victims`.
    pub(crate) fn abort_namespace(
        &mut self,
        nsid: u32,
        victims: &mut Vec<(u32, u16)>,
        out: &mut Actions,
    ) {
        for slot in 0..super::slots_of(&self.commands) {
            let command = self.command(slot);
            if !command.reaches(nsid) {
                continue;
            }
            match std::mem::take(&mut command.stage) {
                Stage::ReadQueued(buffer) => {
                    self.read_queue.retain(|queued| *queued != slot);
                    self.end_preempted(slot, Some(buffer), out);
                }
                stage @ (Stage::Free | Stage::Responding(_)) => self.command(slot).stage = stage,
                Stage::Accepted if self.waits_alone(slot) => {
                    self.command(slot).stage = Stage::Accepted;
                    self.end_preempted(slot, None, out);
                }
                stage @ (Stage::Accepted
                | Stage::Preparing
                | Stage::AtDisk
                | Stage::Fetching(_)
                | Stage::Event) => {
                    let command = self.command(slot);
                    command.stage = stage;
                    command.is_preempted = true;
                    victims.push((self.index, slot));
                }
            }
        }
    }
    /// Answers a command that was told to end. Its buffer goes back at once: the host that it
    /// belongs to may be dead, and never acknowledge the answer.
    pub(crate) fn end_preempted(&mut self, slot: u16, buffer: Option<Buffer>, out: &mut Actions) {
        if let Some(buffer) = buffer {
            release(buffer, out);
        }
        out.push_back(Action::Count(Counted::Preempted));
        self.end(slot, PREEMPTED, out);
        self.end_partner(slot, PREEMPTED, out);
        self.end_copy(slot, out);
    }
    /// Nothing that was asked for will bring it on: the first half of a pair, or a Copy behind
    /// another.
    fn waits_alone(&mut self, slot: u16) -> bool {
        self.fused == Pending::First(slot) || self.copies_waiting.contains(&slot)
    }
}
