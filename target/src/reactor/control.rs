//! Commands that a controller executes: data from the host first, data to the host afterwards.

use super::Reactor;
use super::authentication::is_authentication;
use super::namespaces::names_namespace_feature;
use crate::controller::{World, host_data_bytes};
use crate::fault::Fault;
use crate::io::{self, DataPointer, Direction, Io};
use crate::queue::{Answer, Buffer, ControlBuffer, Stage};
use memory::{Access, Region};
use netstack::fabric::Fabric;
use std::time::Instant;
use wire::nvme::{AbortCmd, AdminOpcode, FabricsType, QueueId, Sqe, Status};

/// How to go on with a command that was just accepted.
enum Start {
    /// Everything is here.
    Execute,
    /// Its data is in the capsule.
    InCapsule { offset: u32, bytes: u32 },
    /// Its data is in the host's memory.
    Fetch(DataPointer),
}

impl<F: Fabric> Reactor<F> {
    /// An admin or Fabrics command, or any command on a queue without Connect.
    pub(super) fn start_control(
        &mut self,
        now: Instant,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        capsule_bytes: u32,
    ) {
        let queue = &mut self.queues[index];
        queue.command(slot).io = Io::default();
        let connected = queue.attachment.is_some();
        match check_start(sqe, connected, capsule_bytes) {
            Ok(Start::Execute) => self.execute_control(now, index, slot, sqe, &[]),
            Ok(Start::InCapsule { offset, bytes }) => {
                let recv = queue.command(slot).capsule.expect("capsule at hand");
                self.fabric.settle_landed();
                let data = queue.memory.capsule_data(recv, offset as usize, bytes as usize);
                self.execute_control(now, index, slot, sqe, data.bytes());
            }
            Ok(Start::Fetch(data)) => self.fetch_control(index, slot, sqe, data),
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }

    /// RDMA READ of a command's data into memory of its own.
    pub(super) fn fetch_control(&mut self, index: u32, slot: u16, sqe: &Sqe, data: DataPointer) {
        match self.control_buffer(data.bytes()) {
            Ok(buffer) => {
                let queue = &mut self.queues[index];
                queue.spend_capsule(slot, &mut self.actions);
                let command = queue.command(slot);
                command.sqe = Some(*sqe);
                command.io.data = data;
                let local = buffer.sge();
                queue.fetch(slot, Buffer::Control(buffer), local, &mut self.actions);
            }
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }
    /// Errors: no memory, or no room to register it. Our fault, and worth a retry.
    fn control_buffer(&mut self, len: u32) -> Result<ControlBuffer, Fault> {
        let lacking = Fault::plain(Status::INTERNAL_ERROR);
        let region = Region::allocate(len as usize).map_err(|_| lacking)?;
        let mr = self.fabric.register(&region, Access::LOCAL_WRITE).map_err(|_| lacking)?;
        Ok(ControlBuffer { region, mr, len })
    }

    /// Executes a command whose data, if it has any, is here.
    pub(super) fn execute_control(
        &mut self,
        now: Instant,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        data: &[u8],
    ) {
        self.counters.admin_commands += 1;
        let Some(at) = self.queues[index].attachment else {
            let allowed = self.check_host(data);
            let connected = allowed.and_then(|()| self.connect(now, index, sqe, data));
            self.note_connected(index);
            return self.answer(index, slot, sqe, connected);
        };
        if sqe.admin_opcode() == Some(AdminOpcode::AsyncEventRequest) {
            return self.keep_event_request(index, slot, sqe, at.controller);
        }
        if sqe.fabrics_type() == Some(FabricsType::Disconnect) {
            let outcome = self.disconnect_queue(index, slot);
            return self.answer(index, slot, sqe, outcome);
        }
        if is_authentication(sqe) {
            return self.authenticate(now, index, slot, sqe, data);
        }
        if names_io_command(sqe) {
            let outcome = self.abort_io(at, sqe);
            return self.answer(index, slot, sqe, outcome);
        }
        if names_namespace_feature(sqe) {
            if let Some(outcome) = self.set_namespace_feature(index, slot, at, sqe) {
                self.answer(index, slot, sqe, outcome);
            }
            return;
        }
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        let listed = self.listed_controllers(at, sqe);
        let world = World {
            subsystem: &self.subsystems[at.subsystem],
            subsystems: &self.subsystems,
            ports: &self.ports,
            channels: &self.channels,
            disks: &self.disks,
            directory: &self.directory,
            max_transfer_bytes: self.max_transfer_bytes(at.subsystem),
            // The I/O queues' are of the same fabric.
            in_capsule_bytes: self.queues[index].memory.capsule_data_bytes(),
            keyed_sgls: self.fabric.keyed_sgls(self.queues[index].qp),
            controllers: &listed,
        };
        let controller = &mut self.controllers[at.controller];
        let outcome = controller.execute(now, sqe, data, &world, &mut reply);
        let deadline = controller.deadline();
        self.note_deadline(deadline);
        match outcome {
            Ok(result) if !reply.is_empty() => self.send_reply(index, slot, sqe, result, &reply),
            outcome => self.answer(index, slot, sqe, outcome),
        }
        self.reply = reply;
        self.deliver_events();
    }

    pub(super) fn answer(&mut self, index: u32, slot: u16, sqe: &Sqe, outcome: Result<u64, Fault>) {
        let queue = &mut self.queues[index];
        let invalidate = queue.command(slot).io.data.invalidate();
        match outcome {
            Ok(result) => {
                let answer = Answer { fault: None, result, invalidate };
                queue.complete(slot, answer, None, &mut self.actions);
            }
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }
    /// Data of an admin command to the host, which described exactly as much memory.
    pub(super) fn send_reply(
        &mut self,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        result: u64,
        reply: &[u8],
    ) {
        let len = u32::try_from(reply.len()).unwrap_or(u32::MAX);
        let data = match io::map(&sqe.sgl(), Direction::ToHost, 0) {
            Ok(data) if data.bytes() == len => data,
            Ok(_) => return self.fail(index, slot, sqe, Fault::data_length()),
            Err(fault) => return self.fail(index, slot, sqe, fault),
        };
        let DataPointer::Keyed { remote, .. } = data else {
            return self.fail(index, slot, sqe, Fault::data_length());
        };
        match self.control_buffer(len) {
            Ok(buffer) => {
                buffer.region.write(0, reply);
                let answer = Answer { fault: None, result, invalidate: data.invalidate() };
                let queue = &mut self.queues[index];
                queue.complete_with_data(slot, answer, buffer, remote, &mut self.actions);
            }
            Err(fault) => self.fail(index, slot, sqe, fault),
        }
    }

    fn keep_event_request(&mut self, index: u32, slot: u16, sqe: &Sqe, controller: u32) {
        let ready = self.controllers[controller].check_ready();
        let queue = &mut self.queues[index];
        if queue.qid != 0 {
            return self.fail(index, slot, sqe, Fault::invalid_opcode());
        }
        if let Err(fault) = ready {
            return self.fail(index, slot, sqe, fault);
        }
        queue.spend_capsule(slot, &mut self.actions);
        let command = queue.command(slot);
        let Some(request) = command.inflight.take() else { return };
        command.stage = Stage::Event;
        if let Err(request) = self.controllers[controller].handle_event_request(request) {
            let command = queue.command(slot);
            command.stage = Stage::Accepted;
            command.inflight = Some(request);
            let limit = Fault::at(Status::AER_LIMIT, crate::fault::field::NONE);
            return self.fail(index, slot, sqe, limit);
        }
        self.deliver_events();
    }
    /// Answers the event requests that controllers are done with.
    pub(super) fn deliver_events(&mut self) {
        for (_, controller) in self.controllers.iter_mut() {
            let Some(index) = controller.admin_queue() else { continue };
            while let Some(completion) = controller.poll_completion() {
                let queue = &mut self.queues[index];
                let slot = completion.request.slot();
                queue.command(slot).inflight = Some(completion.request);
                let fault =
                    (completion.status != Status::SUCCESS).then(|| Fault::plain(completion.status));
                let result = u64::from(completion.result);
                let answer = Answer { fault, result, invalidate: None };
                queue.complete(slot, answer, None, &mut self.actions);
            }
        }
    }
    /// Disconnect: the response is the last thing that the queue sends.
    fn disconnect_queue(&mut self, index: u32, slot: u16) -> Result<u64, Fault> {
        let queue = &mut self.queues[index];
        if queue.qid == 0 {
            return Err(Fault::at(Status::INVALID_QUEUE_TYPE, crate::fault::field::NONE));
        }
        queue.close_after(slot);
        Ok(0)
    }
}

/// An Abort of a command of an I/O queue.
fn names_io_command(sqe: &Sqe) -> bool {
    sqe.admin_opcode() == Some(AdminOpcode::Abort) && AbortCmd::decode(sqe).queue != QueueId::ADMIN
}

/// Before Connect nothing but Connect is served, afterwards everything but.
fn check_start(sqe: &Sqe, connected: bool, capsule_bytes: u32) -> Result<Start, Fault> {
    io::check_flags(sqe)?;
    let is_fabrics = sqe.admin_opcode() == Some(AdminOpcode::Fabrics);
    let is_connect = sqe.fabrics_type() == Some(FabricsType::Connect);
    if is_connect == connected {
        return Err(if is_fabrics {
            crate::controller::unknown_type()
        } else {
            Fault::invalid_opcode()
        });
    }
    let wanted = host_data_bytes(sqe);
    if wanted == 0 {
        return Ok(Start::Execute);
    }
    let data = io::map(&sqe.sgl(), Direction::FromHost, capsule_bytes)?;
    if data.bytes() != wanted {
        return Err(Fault::data_length());
    }
    Ok(match data {
        DataPointer::None => Start::Execute,
        DataPointer::Capsule { offset, bytes } => Start::InCapsule { offset, bytes },
        DataPointer::Keyed { .. } => Start::Fetch(data),
    })
}
