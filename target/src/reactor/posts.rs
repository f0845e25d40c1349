//! From actions to calls, and what happens when a queue of the fabric is full.

use super::Reactor;
use crate::action::{Action, Counted, InCapsule};
use crate::queue::QueueState;
use netstack::fabric::{Fabric, Full, Work};
use std::time::Instant;
use storage::Request;

impl<F: Fabric> Reactor<F> {
    /// Does what the machines asked for, in order: a queue's data goes before its response.
    pub(super) fn run_actions(&mut self, now: Instant) {
        let mut has_placed = false;
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Submit { disk, request } if self.host_limits.is_empty() => {
                    self.backends[disk.0 as usize].submit(request);
                }
                Action::Submit { disk, request } => self.submit_limited(disk, request),
                Action::SubmitLanded { disk, request, queue, landed } => {
                    let request = self.copy_landed(request, queue, landed);
                    has_placed = true;
                    self.backends[disk.0 as usize].submit(request);
                }
                Action::Release { disk, buffer } => self.backends[disk.0 as usize].release(buffer),
                Action::Post { queue, work } => self.post(queue, work),
                Action::Deregister(mr) => self.fabric.deregister(&mr),
                Action::Count(Counted::Failed) => self.counters.failed_commands += 1,
                Action::Count(Counted::Preempted) => self.counters.preempted_commands += 1,
                Action::Disconnect { queue } => {
                    if let Some(queue) = self.queues.get(queue) {
                        self.fabric.disconnect(now, queue.qp);
                    }
                }
            }
        }
        if has_placed {
            // Before a disk is asked what it did: it may tell a device, or another thread.
            memory::settle();
        }
    }

    fn copy_landed(&mut self, mut request: Request, queue: u32, landed: InCapsule) -> Request {
        let buffer = request.buffer.as_mut().expect("granted by the disk");
        let landed = self.queues[queue].memory.landed(landed);
        self.counters.incapsule_copied_bytes += self.fabric.copy_landed(&landed, buffer);
        request
    }

    fn post(&mut self, index: u32, work: Work) {
        let Some(queue) = self.queues.get_mut(index) else { return };
        // Once the fabric has forgotten a connection, so have we: its commands were abandoned.
        if queue.state == QueueState::Dead {
            return;
        }
        if !queue.blocked.is_empty() {
            queue.blocked.push_back(work);
        } else if let Err(Full(work)) = self.fabric.post(queue.qp, work) {
            self.counters.posts_blocked += 1;
            queue.blocked.push_back(work);
            self.blocked.push(index);
        }
    }

    /// Posts what found no room before. True if anything moved.
    pub(super) fn retry_blocked(&mut self) -> bool {
        let mut moved = false;
        let Reactor { blocked, queues, fabric, .. } = self;
        blocked.retain(|index| {
            let Some(queue) = queues.get_mut(*index) else { return false };
            while let Some(work) = queue.blocked.pop_front() {
                if let Err(Full(work)) = fabric.post(queue.qp, work) {
                    queue.blocked.push_front(work);
                    return true;
                }
                moved = true;
            }
            false
        });
        moved
    }
}
