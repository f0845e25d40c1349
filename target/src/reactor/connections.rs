//! Connections: accepting and refusing them, and what is left when they end.
//!
//! Source: NVMe over Fabrics, RDMA Transport, "Fabric Dependent Settings" (CM private data).

use super::Reactor;
use crate::controller::{ADMIN_ENTRIES_MAX, QUEUE_ENTRIES_MAX, QUEUES_MAX};
use crate::queue::{Queue, QueueMemory, slots_for};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, QpHandle};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::cm::{NvmeRejStatus, NvmeRejectPrivate, NvmeReplyPrivate, NvmeRequestPrivate};

/// A connection that no Connect made part of a controller ends after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection, for management.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionInfo {
    /// Host's address.
    pub from: SocketAddr,
    /// Queue identifier: 0 is the admin queue.
    pub qid: u16,
    /// Controller, once the host sent Connect.
    pub controller: Option<u16>,
    /// Host's NQN, likewise.
    pub host_nqn: Option<String>,
    /// Subsystem's NQN, likewise.
    pub subsystem_nqn: Option<String>,
    /// Commands that are being executed.
    pub in_flight: usize,
}

impl<F: Fabric> Reactor<F> {
    /// Every connection, by arrival.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let info = |queue: &Queue| {
            let attachment = queue.attachment;
            let controller = attachment.and_then(|at| self.controllers.get(at.controller));
            ConnectionInfo {
                from: queue.from,
                qid: queue.qid,
                controller: controller.map(|controller| controller.cntlid),
                host_nqn: controller.map(|controller| controller.host_nqn.clone()),
                subsystem_nqn: attachment
                    .and_then(|at| self.subsystems.get(at.subsystem))
                    .map(|subsystem| subsystem.nqn().to_owned()),
                in_flight: queue.in_flight(),
            }
        };
        self.queues.iter().map(|(_, queue)| info(queue)).collect()
    }

    /// Connections that hold memory: open ones, and ended ones to which a disk still owes an answer.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.queues.len()
    }
    /// Controllers that hosts have.
    #[must_use]
    pub fn controller_count(&self) -> usize {
        self.controllers.len()
    }

    pub(super) fn handle_connect_request(
        &mut self,
        now: Instant,
        qp: QpHandle,
        from: SocketAddr,
        private: &[u8],
        reads: u8,
    ) {
        let accepted = check_request(private).and_then(|(request, depth)| {
            self.accept(now, qp, from, &request, depth, reads)
                .map_err(|_| NvmeRejStatus::NO_RESOURCES)
        });
        if let Err(status) = accepted {
            self.counters.rejected_connections += 1;
            let mut private = NvmeRejectPrivate::zeroed();
            private.set_status_code(status.0);
            self.fabric.reject(now, qp, private.as_octets());
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        qp: QpHandle,
        from: SocketAddr,
        request: &NvmeRequestPrivate,
        depth: u16,
        reads: u8,
    ) -> io::Result<()> {
        if self.is_stopping || self.queues.len() >= self.config.connections_max as usize {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let slots = slots_for(depth);
        let in_capsule = self.fabric.in_capsule_bytes(qp);
        let memory = QueueMemory::new(depth, slots, in_capsule, &mut self.fabric)?;
        let index = self
            .queues
            .insert_with(|index| Queue::new(index, qp, request.queue_id(), from, depth, memory));
        self.by_qp.insert(qp, index);
        let reads = reads.min(self.fabric.limits().read_depth_max);
        let queue = &mut self.queues[index];
        queue.set_reads_max(reads);
        queue.lands_whole_packets = self.fabric.lands_whole_packets(qp);
        queue.connect_by = Some(now + CONNECT_TIMEOUT);
        // In place before the host can send its first capsule.
        (0..depth).for_each(|recv| queue.post_receive(recv, &mut self.actions));
        self.note_deadline(Some(now + CONNECT_TIMEOUT));
        self.run_actions(now);
        let mut private = NvmeReplyPrivate::zeroed();
        private.set_controller_receive_queue_size(depth);
        let private = private.as_octets().to_vec();
        // A command has two pieces of work at most, data and response.
        let send_depth = u32::from(slots) * 2;
        let recv_depth = u32::from(depth);
        let params = ConnectParams { private, send_depth, recv_depth, read_depth: reads.max(1) };
        self.fabric.accept(now, qp, params);
        self.counters.connections += 1;
        Ok(())
    }

    /// What a connection brought, or that it ended.
    pub(super) fn handle_event(&mut self, now: Instant, event: FabricEvent) {
        match event {
            FabricEvent::ConnectRequest { qp, from, port, private, read_depth } => {
                // It may get the place of one that just died: what that one still wanted to post
                // must not reach it.
                self.run_actions(now);
                self.handle_connect_request(now, qp, from, &private, read_depth);
                self.note_port(qp, port);
            }
            FabricEvent::Recv { qp, token, len, .. } => {
                self.handle_receive(now, qp, token, len);
            }
            FabricEvent::Done { qp, token, status } => {
                self.handle_work_done(now, qp, token, status)
            }
            FabricEvent::Disconnected { qp, .. } => self.handle_disconnected(now, qp),
            FabricEvent::Established { qp, read_depth, .. } => {
                let reads = read_depth.min(self.fabric.limits().read_depth_max);
                if let Some(queue) = self.by_qp.get(&qp).and_then(|at| self.queues.get_mut(*at)) {
                    queue.set_reads_max(reads);
                }
            }
            // This side connects to nobody.
            FabricEvent::Rejected { .. } => {}
        }
    }

    fn handle_disconnected(&mut self, now: Instant, qp: QpHandle) {
        let Some(index) = self.by_qp.remove(&qp) else { return };
        self.counters.disconnected += 1;
        let queue = &mut self.queues[index];
        queue.handle_disconnected(&mut self.actions);
        self.blocked.retain(|blocked| *blocked != index);
        let attachment = queue.attachment;
        self.cancel_waiting(index);
        self.forget_generated(now);
        if let Some(at) = attachment {
            let controller = &mut self.controllers[at.controller];
            if controller.admin_queue() == Some(index) {
                controller.handle_admin_gone();
                self.end_controller(at.controller);
            }
            self.controllers[at.controller].detach(index);
        }
        self.forget_if_gone(index);
    }

    /// Ends a controller: all its connections go, and it with the last of them.
    pub(super) fn end_controller(&mut self, index: u32) {
        let controller = &mut self.controllers[index];
        controller.is_dying = true;
        let queues: Vec<u32> = controller.queues().collect();
        for queue in queues {
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.close(&mut self.actions);
            }
        }
    }

    /// Frees a connection once no disk owes it anything, and its controller after the last one.
    pub(super) fn forget_if_gone(&mut self, index: u32) {
        if !self.queues.get(index).is_some_and(Queue::is_gone) {
            return;
        }
        let queue = self.queues.remove(index);
        queue.memory.deregister(&mut self.fabric);
        if let Some(at) = queue.attachment {
            self.forget_controller_if_gone(at.controller);
        }
    }
    fn forget_controller_if_gone(&mut self, index: u32) {
        let attached = |queue: &Queue| queue.attachment.is_some_and(|at| at.controller == index);
        if !self.queues.iter().any(|(_, queue)| attached(queue)) {
            self.controllers.remove(index);
        }
    }
}

/// Checks the private data of a connect request; returns it with the queue's depth.
fn check_request(private: &[u8]) -> Result<(NvmeRequestPrivate, u16), NvmeRejStatus> {
    let request = NvmeRequestPrivate::decode(private).ok_or(NvmeRejStatus::INVALID_LENGTH)?;
    if request.record_format() != 0 {
        return Err(NvmeRejStatus::INVALID_RECORD_FORMAT);
    }
    if request.queue_id() > QUEUES_MAX {
        return Err(NvmeRejStatus::INVALID_QUEUE_ID);
    }
    let depth_max = if request.queue_id() == 0 { ADMIN_ENTRIES_MAX } else { QUEUE_ENTRIES_MAX };
    let depth = request.host_send_queue_size().checked_add(1);
    let depth = depth.filter(|depth| (2..=depth_max).contains(depth));
    let depth = depth.ok_or(NvmeRejStatus::INVALID_SEND_QUEUE_SIZE)?;
    if request.host_receive_queue_size() == 0 {
        return Err(NvmeRejStatus::INVALID_RECEIVE_QUEUE_SIZE);
    }
    Ok((request, depth))
}
