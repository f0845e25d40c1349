//! Ending commands before they are done: because a host asks for it, or because it was fenced off.
//!
//! What only waits ends at once; what a disk or the fabric works on does not.
//! Source: NVMe Base 2.1, "Abort command", "Reservations" (preempting a reservation or
//! registration).

use super::{Buffer, Command, Pending, Queue, Stage, release};
use crate::action::{Action, Actions, Counted};
use crate::fault::Fault;
use crate::io::IoKind;
use crate::subsystem::DiskIndex;
use wire::nvme::Status;

/// The answers to commands that are ended so.
const PREEMPTED: Fault = Fault::plain(Status::ABORTED_PREEMPT);
const ABORTED: Fault = Fault::plain(Status::ABORT_REQUESTED);

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
    /// Ends what reaches blocks of namespace `nsid`. Returns the slots of those that cannot be ended
    /// at once.
    pub(crate) fn abort_namespace(&mut self, nsid: u32, out: &mut Actions) -> Vec<u16> {
        let mut victims = Vec::new();
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
                    victims.push(slot);
                }
            }
        }
        victims
    }
    /// Answers a command that was told to end. Its buffer goes back at once: the host that it
    /// belongs to may be dead, and never acknowledge the answer.
    pub(crate) fn end_preempted(&mut self, slot: u16, buffer: Option<Buffer>, out: &mut Actions) {
        out.push_back(Action::Count(Counted::Preempted));
        self.end_waiting(slot, buffer, PREEMPTED, out);
    }
    fn end_waiting(&mut self, slot: u16, buffer: Option<Buffer>, fault: Fault, out: &mut Actions) {
        if let Some(buffer) = buffer {
            release(buffer, out);
        }
        self.end(slot, fault, out);
        self.end_partner(slot, fault, out);
        self.end_copy(slot, out);
    }
    /// Ends command `cid` as its host wishes, if it only waits: for its turn to fetch data, for a
    /// Copy before it, for its other half. True: it was ended.
    pub(crate) fn abort(&mut self, cid: u16, out: &mut Actions) -> bool {
        let Some(slot) = self.slot_of(cid) else { return false };
        match std::mem::take(&mut self.command(slot).stage) {
            Stage::ReadQueued(buffer) => {
                self.read_queue.retain(|queued| *queued != slot);
                self.end_waiting(slot, Some(buffer), ABORTED, out);
                true
            }
            stage @ (Stage::Free
            | Stage::Accepted
            | Stage::Preparing
            | Stage::AtDisk
            | Stage::Fetching(_)
            | Stage::Event
            | Stage::Responding(_)) => {
                let only_waits = matches!(stage, Stage::Accepted) && self.waits_alone(slot);
                self.command(slot).stage = stage;
                if only_waits {
                    self.end_waiting(slot, None, ABORTED, out);
                }
                only_waits
            }
        }
    }
    /// Where command `cid` is, until it is answered.
    pub(crate) fn slot_of(&self, cid: u16) -> Option<u16> {
        let has_cid = |command: &Command| {
            command.inflight.as_ref().is_some_and(|inflight| inflight.cid() == cid)
        };
        let at = self.commands.iter().position(has_cid)?;
        u16::try_from(at).ok()
    }
    /// The disk that the command in `slot` asked for its blocks or for a buffer, without giving it
    /// one. `None`: it did not, or takes several steps.
    pub(crate) fn waits_for_disk(&mut self, slot: u16) -> Option<DiskIndex> {
        let command = self.command(slot);
        let has_asked = match command.io.kind {
            IoKind::Read => matches!(command.stage, Stage::AtDisk),
            IoKind::Write | IoKind::Compare => matches!(command.stage, Stage::Preparing),
            IoKind::Nothing
            | IoKind::Flush
            | IoKind::Deallocate { .. }
            | IoKind::WriteZeroes { .. }
            | IoKind::Verify
            | IoKind::Reserve(_)
            | IoKind::Report
            | IoKind::Copy { .. }
            | IoKind::FusedCompare
            | IoKind::FusedWrite => false,
        };
        has_asked.then_some(command.io.disk)
    }
    /// Ends a command as its host wishes, that [`Self::waits_for_disk`] no more.
    pub(crate) fn end_aborted(&mut self, slot: u16, out: &mut Actions) {
        self.end_waiting(slot, None, ABORTED, out);
    }
    /// Nothing that was asked for will bring it on: the first half of a pair, or a Copy behind
    /// another.
    fn waits_alone(&mut self, slot: u16) -> bool {
        self.fused == Pending::First(slot) || self.copies_waiting.contains(&slot)
    }
}
