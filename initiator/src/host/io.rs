//! Commands in, completions out.

use super::bringup::Phase;
use super::own::OWN_TAGS;
use super::{Completion, Full, Host};
use crate::queue::{Answer, Command};
use netstack::fabric::{Fabric, QpHandle};
use std::time::Instant;
use wire::nvme::Status;

impl<F: Fabric> Host<F> {
    /// Queues a command on I/O queue `queue` (0 is the first). Its tag comes back in a completion,
    /// exactly once, whatever happens.
    ///
    /// Errors: the command itself when the queue is full: `turn`, take completions, submit again.
    /// Panics if the tag's top bit is set or the queue was never asked for.
    pub fn submit(&mut self, now: Instant, queue: usize, command: Command) -> Result<(), Full> {
        assert!(queue + 1 < self.lanes.len(), "I/O queue {queue} of {}", self.lanes.len() - 1);
        self.enqueue_anywhere(now, queue + 1, command)
    }

    /// Queues an admin command.
    ///
    /// Errors: the command itself when the queue is full. Panics as `submit`.
    pub fn submit_admin(&mut self, now: Instant, command: Command) -> Result<(), Full> {
        self.enqueue_anywhere(now, 0, command)
    }

    #[inline]
    fn enqueue_anywhere(
        &mut self,
        now: Instant,
        lane: usize,
        command: Command,
    ) -> Result<(), Full> {
        let Some(mut paths) = self.paths.take() else { return self.enqueue(now, lane, command) };
        let outcome = paths.submit(self, now, lane, command);
        self.paths = Some(paths);
        outcome
    }

    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        lane: usize,
        command: Command,
    ) -> Result<(), Full> {
        assert!(command.tag & OWN_TAGS == 0, "tag {:#x} is the host's own", command.tag);
        match self.phase {
            Phase::Live if self.lanes[lane].ready => self.start(now, lane, command),
            Phase::Live | Phase::Dead | Phase::Closed => {
                self.complete(command, Status::HOST_PATHING, 0);
                Ok(())
            }
            Phase::Down | Phase::Closing | Phase::Bringup(_) => {
                let lane = &mut self.lanes[lane];
                if lane.waiting.len() >= usize::from(lane.queue.depth()) {
                    return Err(Full(command));
                }
                lane.waiting.push_back(command);
                Ok(())
            }
        }
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        lane: usize,
        command: Command,
    ) -> Result<(), Full> {
        let Some(work) = self.lanes[lane].queue.start(now, command) else {
            return Err(Full(command));
        };
        self.post(lane, work);
        Ok(())
    }

    /// Sends what waited for a connection, as far as slots go.
    pub(super) fn start_waiting(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            while let Some(command) = self.lanes[lane].waiting.pop_front() {
                if let Err(Full(command)) = self.start(now, lane, command) {
                    self.lanes[lane].waiting.push_front(command);
                    break;
                }
            }
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, qp: QpHandle, token: u64, len: u32) {
        let Some(lane) = self.lane_of(qp) else { return };
        match self.lanes[lane].queue.handle_response(token, len) {
            Ok((answer, receive)) => {
                self.post(lane, receive);
                self.handle_answer(now, answer);
                if !self.lanes[lane].waiting.is_empty() && self.phase == Phase::Live {
                    self.start_waiting(now);
                }
            }
            Err(fault) => self.on_fault(now, fault.to_string()),
        }
    }

    fn handle_answer(&mut self, now: Instant, answer: Answer) {
        let status = answer.cqe.status();
        if answer.tag & OWN_TAGS != 0 {
            self.handle_own(now, answer.tag & !OWN_TAGS, status, answer.cqe.result());
            return;
        }
        self.done.push(Completion { tag: answer.tag, status, result: answer.cqe.result() });
    }

    /// Ends a command that never reached the controller's answer.
    pub(super) fn complete(&mut self, command: Command, status: Status, result: u64) {
        if command.tag & OWN_TAGS == 0 {
            self.done.push(Completion { tag: command.tag, status, result });
        }
    }
}
