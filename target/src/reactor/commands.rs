//! Capsules and outcomes, to the queue that they are for.

use super::Reactor;
use super::authentication::is_authentication;
use crate::controller::FailedCommand;
use crate::fault::{Fault, field};
use crate::io::{self, DataPointer, Io, IoKind, Limits};
use crate::queue::{
    Answer, DiskDone, FetchDone, Pending, QueueState, SQE_BYTES, WorkKind, parse_tag, parse_token,
};
use netstack::fabric::{Fabric, QpHandle};
use std::time::Instant;
use storage::Done;
use verbs::WcStatus;
use wire::nvme::{IoOpcode, Sqe, Status};

impl<F: Fabric> Reactor<F> {
    /// A capsule landed.
    pub(super) fn handle_receive(&mut self, now: Instant, qp: QpHandle, token: u64, len: u32) {
        let Some(&index) = self.by_qp.get(&qp) else { return };
        let (_, recv) = parse_token(token);
        if self.queues[index].state != QueueState::Open {
            return;
        }
        self.counters.capsules += 1;
        if (len as usize) < SQE_BYTES {
            self.counters.bad_capsules += 1;
            self.queues[index].close(&mut self.actions);
            return;
        }
        self.accept_capsule(now, index, recv, len);
    }

    fn accept_capsule(&mut self, now: Instant, index: u32, recv: u16, len: u32) {
        let queue = &mut self.queues[index];
        let sqe = Sqe::from_octets(queue.memory.command(recv));
        let Some(slot) = queue.handle_capsule(recv, len, sqe.cid().0) else { return };
        let capsule_bytes = (len - 64).min(queue.memory.capsule_data_bytes());
        let at = queue.attachment;
        let qid = queue.qid;
        if queue.fused != Pending::None && sqe.fuse() != 2 {
            self.drop_fused(index);
        }
        if let Some(at) = at {
            self.controllers[at.controller].handle_traffic(now);
        }
        if self.queues[index].is_locked && !is_authentication(&sqe) {
            let locked = Fault::at(Status::AUTHENTICATION_REQUIRED, field::NONE);
            return self.fail(index, slot, &sqe, locked);
        }
        match at {
            Some(at) if qid != 0 && sqe.io_opcode() != Some(IoOpcode::Fabrics) => {
                let limits = Limits {
                    max_transfer_bytes: self.max_transfer_bytes(at.subsystem),
                    capsule_bytes,
                    write_cache: self.controllers[at.controller].write_cache(),
                };
                let controller = &self.controllers[at.controller];
                let subsystem = &self.subsystems[at.subsystem];
                let ready = controller.check_ready();
                let io = ready.and_then(|()| io::plan(&sqe, subsystem, controller.gates(), limits));
                if sqe.fuse() != 0 {
                    return self.accept_fused(index, slot, &sqe, io);
                }
                match io {
                    Ok(io) => self.start_io(index, slot, &sqe, io),
                    Err(fault) => self.fail(index, slot, &sqe, fault),
                }
            }
            Some(_) | None => self.start_control(now, index, slot, &sqe, capsule_bytes),
        }
    }

    /// Most octets of one command of a subsystem (MDTS).
    pub(super) fn max_transfer_bytes(&self, subsystem: usize) -> u32 {
        self.subsystems[subsystem].max_transfer_bytes(self.config.max_transfer_bytes)
    }

    #[inline]
    fn start_io(&mut self, index: u32, slot: u16, sqe: &Sqe, io: Io) {
        if !io.kind.is_plain() {
            return self.start_other(index, slot, sqe, io);
        }
        let disk = &self.disks[io.disk.0 as usize];
        self.queues[index].start_io(slot, io, disk, &mut self.actions);
    }
    #[cold]
    fn start_other(&mut self, index: u32, slot: u16, sqe: &Sqe, io: Io) {
        if io.kind == IoKind::Report {
            self.report_reservations(index, slot, sqe, io);
        } else {
            self.start_with_list(index, slot, sqe, io);
        }
    }
    /// A command whose data is for the target itself: out of the capsule, or over the network.
    pub(super) fn start_with_list(&mut self, index: u32, slot: u16, sqe: &Sqe, io: Io) {
        let queue = &mut self.queues[index];
        queue.command(slot).io = io;
        match io.data {
            DataPointer::Capsule { offset, bytes } => {
                let recv = queue.command(slot).capsule.expect("capsule at hand");
                self.fabric.settle_landed();
                let data = queue.memory.capsule_data(recv, offset as usize, bytes as usize);
                self.handle_list(index, slot, sqe, data.bytes());
            }
            DataPointer::Keyed { .. } => self.fetch_control(index, slot, sqe, io.data),
            DataPointer::None => self.fail(index, slot, sqe, Fault::data_length()),
        }
    }
    /// That data is here.
    fn handle_list(&mut self, index: u32, slot: u16, sqe: &Sqe, octets: &[u8]) {
        match self.queues[index].command(slot).io.kind {
            IoKind::Reserve(change) => self.start_reservation(index, slot, sqe, change, octets),
            IoKind::Deallocate { .. } => self.start_ranges(index, slot, sqe, octets),
            IoKind::Copy { .. } => self.start_copy(index, slot, sqe, octets),
            IoKind::FusedCompare | IoKind::FusedWrite => {
                self.queues[index].handle_half(slot, octets, &mut self.actions);
            }
            kind @ (IoKind::Nothing
            | IoKind::Read
            | IoKind::Write
            | IoKind::Compare
            | IoKind::Flush
            | IoKind::WriteZeroes { .. }
            | IoKind::Verify
            | IoKind::Report) => unreachable!("{kind:?} brings no list"),
        }
    }
    /// Copy whose source ranges are at hand.
    fn start_copy(&mut self, index: u32, slot: u16, sqe: &Sqe, octets: &[u8]) {
        let queue = &mut self.queues[index];
        let Some(at) = queue.attachment else { return };
        let io = queue.command(slot).io;
        let namespace = self.namespace_of(at, &io);
        let plan =
            namespace.and_then(|namespace| io::parse_copy(octets, io.range.start, namespace));
        match plan {
            Ok(plan) => self.queues[index].start_copy(slot, plan, &mut self.actions),
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }
    /// Dataset Management whose range descriptors are at hand.
    fn start_ranges(&mut self, index: u32, slot: u16, sqe: &Sqe, octets: &[u8]) {
        let queue = &mut self.queues[index];
        let Some(at) = queue.attachment else { return };
        let io = queue.command(slot).io;
        let disk = &self.disks[io.disk.0 as usize];
        // It may have gone while the descriptors were on their way.
        let namespace = self.subsystems[at.subsystem].namespace(io.nsid);
        let Some(namespace) = namespace.filter(|namespace| namespace.disk == io.disk) else {
            let gone = Fault::at(Status::INVALID_NAMESPACE, field::NSID);
            return self.fail(index, slot, sqe, gone);
        };
        let mut ranges = std::mem::take(&mut queue.command(slot).ranges);
        let parsed = io::parse_ranges(octets, namespace, &mut ranges);
        // Deallocate is a hint: a disk that cannot free space has nothing to do.
        if parsed.is_err() || !disk.geometry.deallocate {
            ranges.clear();
        }
        queue.command(slot).ranges = ranges;
        match parsed {
            Ok(()) => {
                if queue.command(slot).ranges.is_empty() {
                    self.counters.io_commands += 1;
                }
                queue.start_io(slot, io, disk, &mut self.actions);
            }
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }

    /// Answers a command that is not executed.
    pub(super) fn fail(&mut self, index: u32, slot: u16, sqe: &Sqe, fault: Fault) {
        let queue = &mut self.queues[index];
        let is_io = queue.qid != 0;
        self.counters.failed_commands += 1;
        let logged = if queue.attachment.is_some() { fault.logged() } else { fault };
        let answer = Answer { fault: Some(logged), ..Answer::default() };
        queue.complete(slot, answer, None, &mut self.actions);
        if let Some(at) = queue.attachment {
            let failed = FailedCommand::of(sqe, is_io);
            self.controllers[at.controller].log_error(queue.qid, &failed, &fault);
        }
    }

    /// A disk answered.
    pub(super) fn handle_disk_done(&mut self, now: Instant, done: Done) {
        let (index, slot) = parse_tag(done.tag);
        let queue = &mut self.queues[index];
        let disk = queue.command(slot).io.disk;
        let disk = &mut self.disks[disk.0 as usize];
        let outcome = queue.handle_disk_done(slot, done, disk, &mut self.actions);
        if let DiskDone::Finished { io, cid, status } = outcome {
            self.counters.io_commands += 1;
            disk.count(io.kind, io.bytes, status);
            if let (Some(fault), Some(at)) = (crate::fault::of_disk(status), queue.attachment) {
                self.counters.failed_commands += 1;
                let failed = FailedCommand { cid, nsid: io.nsid, lba: io.range.start };
                self.controllers[at.controller].log_error(queue.qid, &failed, &fault);
            }
        }
        self.after_release(now, index);
    }

    /// Work on a connection was acknowledged, landed, or failed.
    pub(super) fn handle_work_done(
        &mut self,
        now: Instant,
        qp: QpHandle,
        token: u64,
        status: WcStatus,
    ) {
        let Some(&index) = self.by_qp.get(&qp) else { return };
        let queue = &mut self.queues[index];
        let (kind, slot) = parse_token(token);
        match kind {
            // A flushed receive, or data whose failure the response's flush follows.
            WorkKind::Recv | WorkKind::Write => return,
            WorkKind::Send => queue.handle_send_done(slot, &mut self.actions),
            WorkKind::Read => {
                let fetched = queue.handle_fetch_done(slot, status, &mut self.actions);
                if fetched == FetchDone::ForController {
                    let octets = queue.take_fetched(slot, &mut self.actions);
                    self.handle_fetched(now, index, slot, &octets);
                }
            }
        }
        self.after_release(now, index);
    }
    fn handle_fetched(&mut self, now: Instant, index: u32, slot: u16, octets: &[u8]) {
        let queue = &mut self.queues[index];
        let sqe =
            queue.command(slot).sqe.take().expect("a fetch for the controller kept its command");
        let command = queue.command(slot);
        if command.io.kind == IoKind::Nothing {
            self.execute_control(now, index, slot, &sqe, octets);
        } else if command.is_preempted {
            queue.end_preempted(slot, None, &mut self.actions);
        } else {
            self.handle_list(index, slot, &sqe, octets);
        }
    }

    /// A command slot may have become free: for a capsule that waits, or for good.
    pub(super) fn after_release(&mut self, now: Instant, index: u32) {
        while let Some((recv, len)) = self.queues.get_mut(index).and_then(|q| q.poll_waiting()) {
            self.accept_capsule(now, index, recv, len);
        }
        self.forget_if_gone(index);
    }
}
