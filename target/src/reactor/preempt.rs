//! Abort, and preempt and abort: the commands of a host that lost its registration end before the Acquire that
//! took it is answered, so that nothing of that host reaches the blocks afterwards.
//!
//! What only waits, for its turn at a limit too, is ended at once with Command Aborted due to Preempt and Abort; what waits for a
//! buffer or for data from the host ends when that comes; what is at a disk finishes.
//! Source: NVMe Base 2.1, "Reservations" (preempting a reservation or registration).

use super::Reactor;
use crate::fault::Fault;
use crate::queue::{Attachment, Inflight, QueueState, Stage};
use crate::reservation::HostId;
use netstack::fabric::{Fabric, QpHandle};
use wire::nvme::{AbortCmd, Sqe};

/// Dword 0 of Abort, bit 0: the command runs on.
const NOT_ABORTED: u64 = 1;

/// An Acquire that waits for commands to end.
#[derive(Debug)]
pub(super) struct Preempt {
    request: Option<Inflight>,
    queue: u32,
    qp: QpHandle,
    sqe: Sqe,
    victims: Vec<Victim>,
}

/// A command that is waited for.
#[derive(Clone, Copy, Debug)]
struct Victim {
    queue: u32,
    /// Places of queues are used again: this tells whether it is still the same.
    qp: QpHandle,
    slot: u16,
}

impl Drop for Preempt {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            request.abandon();
        }
    }
}

impl<F: Fabric> Reactor<F> {
    /// Ends the commands of `hosts` on namespace `nsid`, then answers the Acquire in `slot`.
    pub(super) fn abort_commands(
        &mut self,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        at: Attachment,
        nsid: u32,
        hosts: &[HostId],
    ) {
        let mut victims = Vec::new();
        for (_, controller) in self.controllers.iter() {
            if controller.subsystem != at.subsystem || !hosts.contains(&controller.host_id()) {
                continue;
            }
            for place in controller.queues() {
                let Some(queue) = self.queues.get_mut(place) else { continue };
                let qp = queue.qp;
                let slots = queue.abort_namespace(nsid, &mut self.actions);
                victims.extend(slots.into_iter().map(|slot| Victim { queue: place, qp, slot }));
            }
        }
        victims.retain(|victim: &Victim| {
            let is_taken = self.take_waiting(victim.queue, victim.slot);
            if is_taken {
                let queue = &mut self.queues[victim.queue];
                queue.end_preempted(victim.slot, None, &mut self.actions);
            }
            !is_taken
        });
        if victims.is_empty() {
            return self.finish_reservation(index, slot, sqe);
        }
        let queue = &mut self.queues[index];
        queue.spend_capsule(slot, &mut self.actions);
        let command = queue.command(slot);
        command.stage = Stage::Event;
        let request = command.inflight.take();
        let qp = queue.qp;
        self.preempts.push(Preempt { request, queue: index, qp, sqe: *sqe, victims });
    }
    /// Abort of a command of an I/O queue. Returns dword 0: bit 0 says that it runs on.
    pub(super) fn abort_io(&mut self, at: Attachment, sqe: &Sqe) -> Result<u64, Fault> {
        let controller = &self.controllers[at.controller];
        controller.check_ready()?;
        if !controller.has_io_queues() {
            return Err(Fault::invalid_opcode());
        }
        let AbortCmd { queue, cid } = AbortCmd::decode(sqe);
        let Some(index) = controller.queue(queue.0) else { return Ok(NOT_ABORTED) };
        let Some(queue) = self.queues.get_mut(index) else { return Ok(NOT_ABORTED) };
        if queue.abort(cid.0, &mut self.actions) {
            return Ok(0);
        }
        let slot = queue.slot_of(cid.0).filter(|slot| self.take_waiting(index, *slot));
        let Some(slot) = slot else { return Ok(NOT_ABORTED) };
        self.queues[index].end_aborted(slot, &mut self.actions);
        Ok(0)
    }
    /// Acquires that wait.
    #[cfg(test)]
    pub(crate) fn preempts_waiting(&self) -> usize {
        self.preempts.len()
    }
    /// Answers those whose victims are gone. Called once a turn while there are any.
    pub(super) fn poll_preempts(&mut self) {
        let mut preempts = std::mem::take(&mut self.preempts);
        preempts.retain_mut(|preempt| {
            let queues = &mut self.queues;
            preempt.victims.retain(|victim| {
                let queue = queues.get_mut(victim.queue).filter(|queue| queue.qp == victim.qp);
                queue.is_some_and(|queue| queue.command(victim.slot).is_being_ended())
            });
            !preempt.victims.is_empty() || !self.answer_preempt(preempt)
        });
        self.preempts.append(&mut preempts);
    }
    /// True: it is over, answered or with nobody left to answer.
    fn answer_preempt(&mut self, preempt: &mut Preempt) -> bool {
        let Some(request) = preempt.request.take() else { return true };
        let queue = self.queues.get_mut(preempt.queue);
        let queue = queue.filter(|queue| queue.qp == preempt.qp);
        match queue.filter(|queue| queue.state == QueueState::Open) {
            Some(queue) => {
                let slot = request.slot();
                queue.command(slot).inflight = Some(request);
                self.finish_reservation(preempt.queue, slot, &preempt.sqe);
            }
            None => request.abandon(),
        }
        true
    }
}
