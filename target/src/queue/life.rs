//! How far a connection has come, and its end.

use super::{Pending, Queue, Stage, slots_of};
use crate::action::{Action, Actions};
use std::time::Instant;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum QueueState {
    /// Capsules are served.
    Open,
    /// We asked for its end: what is outstanding comes back, nothing new starts.
    Closing,
    /// The fabric has forgotten it; disks may still be busy.
    Dead,
}

impl Queue {
    /// The connection ends once the response of `slot` is acknowledged.
    pub(crate) fn close_after(&mut self, slot: u16) {
        self.last_slot = Some(slot);
    }
    /// When an open connection ends that has no controller, or whose host has not proved itself.
    pub(crate) fn unused_until(&self) -> Option<Instant> {
        let until = match (self.attachment, &self.proof) {
            (None, _) => self.connect_by,
            (Some(_), Some(proof)) => proof.side.deadline(),
            (Some(_), None) => None,
        };
        until.filter(|_| self.state == QueueState::Open)
    }
    /// We end the connection (once).
    pub(crate) fn close(&mut self, out: &mut Actions) {
        if self.state == QueueState::Open {
            self.state = QueueState::Closing;
            out.push_back(Action::Disconnect { queue: self.index });
        }
    }
    /// The fabric forgot the connection; it has reported all its work. What disks hold comes back
    /// later, through [`Self::handle_disk_done`].
    pub(crate) fn handle_disconnected(&mut self, out: &mut Actions) {
        self.state = QueueState::Dead;
        self.blocked.clear();
        self.waiting.clear();
        self.read_queue.clear();
        self.fused = Pending::None;
        self.copying = None;
        self.copies_waiting.clear();
        self.proof = None;
        for slot in 0..slots_of(&self.commands) {
            match self.command(slot).stage {
                Stage::Free | Stage::Preparing | Stage::AtDisk => {}
                Stage::Accepted
                | Stage::ReadQueued(_)
                | Stage::Fetching(_)
                | Stage::Event
                | Stage::Responding(_) => self.abandon(slot, out),
            }
        }
    }
    /// Nothing is left of it anywhere.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == QueueState::Dead && self.in_flight() == 0
    }
}
