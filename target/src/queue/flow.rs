//! Data movement of I/O commands: blocks to the host, host data to blocks.
//!
//! FlexiNS part: header-only TX. NVMe Read data leaves from the disk's own buffer, which is held
//! until the host acknowledged the response; NVMe Write data lands in a buffer that the disk
//! granted, in-capsule data from where it arrived.

use super::command::disk_sge;
use super::{
    Answer, Buffer, ControlBuffer, Inflight, Queue, QueueState, Stage, WorkKind, disk_tag, release,
    token,
};
use crate::action::{Action, Actions, InCapsule};
use crate::disk::DiskInfo;
use crate::fault::{Fault, of_disk};
use crate::io::{DataPointer, Io, IoKind};
use memory::DmaBuf;
use netstack::fabric::{Gather, Work, WorkOp};
use storage::{DiskStatus, Done, Op, Purpose, Request};

/// What became of an I/O command when its disk answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DiskDone {
    /// It goes on.
    Continues,
    /// It is answered, or abandoned.
    Finished {
        /// What it was.
        io: Io,
        /// Command identifier.
        cid: u16,
        /// Outcome at the disk.
        status: DiskStatus,
    },
}

impl Queue {
    /// Starts a checked command. `disk` is the one that it names.
    pub(crate) fn start_io(&mut self, slot: u16, io: Io, disk: &DiskInfo, out: &mut Actions) {
        self.command(slot).io = io;
        let in_capsule = matches!(io.data, DataPointer::Capsule { .. });
        if !in_capsule {
            self.spend_capsule(slot, out);
        }
        let op = match io.kind {
            IoKind::Nothing | IoKind::Deallocate { .. } => {
                return self.next_range(slot, out);
            }
            IoKind::Read => Op::Read(io.range),
            IoKind::Write if in_capsule => Op::Prepare(io.range, Purpose::Write),
            IoKind::Write => Op::Prepare(io.range, disk.fetch_purpose(self.lands_whole_packets)),
            IoKind::Compare => Op::Prepare(io.range, Purpose::Compare),
            IoKind::Flush => Op::Flush,
            IoKind::WriteZeroes { deallocate } => {
                Op::WriteZeroes { range: io.range, deallocate, durability: io.durability }
            }
            IoKind::Verify => Op::Verify(io.range),
            IoKind::Reserve(_)
            | IoKind::Report
            | IoKind::Copy { .. }
            | IoKind::FusedCompare
            | IoKind::FusedWrite => unreachable!("{:?} starts elsewhere", io.kind),
        };
        let prepares = matches!(op, Op::Prepare(..));
        self.submit(slot, op, None, out);
        if prepares {
            self.command(slot).stage = Stage::Preparing;
        }
    }

    pub(super) fn submit(&mut self, slot: u16, op: Op, buffer: Option<DmaBuf>, out: &mut Actions) {
        let tag = disk_tag(self.index, slot);
        let command = self.command(slot);
        command.stage = Stage::AtDisk;
        let disk = command.io.disk;
        out.push_back(Action::Submit { disk, request: Request { tag, op, buffer } });
    }
    /// Dataset Management: one range at a time, so that a command never needs two tags.
    fn next_range(&mut self, slot: u16, out: &mut Actions) {
        match self.command(slot).ranges.pop() {
            Some(range) => self.submit(slot, Op::Deallocate(range), None, out),
            None => self.finish(slot, None, None, out),
        }
    }

    /// A disk answered for `slot`.
    pub(crate) fn handle_disk_done(
        &mut self,
        slot: u16,
        done: Done,
        disk: &DiskInfo,
        out: &mut Actions,
    ) -> DiskDone {
        let command = self.command(slot);
        let (io, cid) = (command.io, command.inflight.as_ref().map_or(0, Inflight::cid));
        let status = done.status;
        let finished = DiskDone::Finished { io, cid, status };
        let was_preparing = matches!(command.stage, Stage::Preparing);
        let is_ended = command.is_preempted && was_preparing;
        if self.state != QueueState::Open || is_ended || io.kind.has_steps() {
            return self.handle_other_done(slot, done, was_preparing, finished, out);
        }
        match (io.kind, of_disk(status), done.buffer) {
            (_, Some(fault), buffer) => {
                self.finish(slot, Some(fault), buffer, out);
                finished
            }
            (IoKind::Read, None, Some(buffer)) => {
                self.send_blocks(slot, buffer, disk, out);
                finished
            }
            (IoKind::Write | IoKind::Compare, None, Some(buffer)) if was_preparing => {
                self.take_host_data(slot, buffer, disk, out);
                DiskDone::Continues
            }
            (IoKind::Deallocate { .. }, None, None) if !self.command(slot).ranges.is_empty() => {
                self.next_range(slot, out);
                DiskDone::Continues
            }
            (_, None, buffer) => {
                self.finish(slot, None, buffer, out);
                finished
            }
        }
    }

    /// What most answers are not: for a connection that ends, a command that is to end, or one of
    /// several steps.
    #[cold]
    fn handle_other_done(
        &mut self,
        slot: u16,
        done: Done,
        was_preparing: bool,
        finished: DiskDone,
        out: &mut Actions,
    ) -> DiskDone {
        let (disk, kind) = (self.command(slot).io.disk, self.command(slot).io.kind);
        if self.state != QueueState::Open {
            if let Some(buffer) = done.buffer {
                release(Buffer::Disk(disk, buffer), out);
            }
            self.abandon(slot, out);
            return finished;
        }
        let is_copy = matches!(kind, IoKind::Copy { .. });
        if self.command(slot).is_preempted && was_preparing && !is_copy {
            let buffer = done.buffer.map(|buffer| Buffer::Disk(disk, buffer));
            self.end_preempted(slot, buffer, out);
            finished
        } else if is_copy {
            self.handle_copy_done(slot, done, out)
        } else {
            self.handle_fused_done(slot, done, was_preparing, out)
        }
    }

    /// NVMe Read data / RDMA WRITE: from the disk's buffer, then the response right behind it, so
    /// that both can leave in one packet.
    fn send_blocks(&mut self, slot: u16, buffer: DmaBuf, disk: &DiskInfo, out: &mut Actions) {
        buffer.prefetch(memory::Stage::Answered);
        let io = self.command(slot).io;
        let local = Gather::one(disk_sge(&buffer, &disk.keys));
        if let DataPointer::Keyed { remote, .. } = io.data {
            let op = WorkOp::RdmaWrite(remote);
            let token = token(WorkKind::Write, slot);
            self.post(Work { token, op, local, signaled: false }, out);
        }
        self.finish(slot, None, Some(buffer), out);
    }
    /// NVMe Write data: out of the capsule, or over the network.
    fn take_host_data(&mut self, slot: u16, buffer: DmaBuf, disk: &DiskInfo, out: &mut Actions) {
        let io = self.command(slot).io;
        match io.data {
            DataPointer::Capsule { offset, bytes } => {
                let recv = self.command(slot).capsule.expect("in-capsule data holds its receive");
                let landed = InCapsule { recv, offset: offset as usize, len: bytes as usize };
                self.store(slot, buffer, Some(landed), out);
                self.spend_capsule(slot, out);
            }
            // Deliberately broken in that build: the data was not even asked for.
            DataPointer::Keyed { .. } if cfg!(feature = "sabotage-early-completion") => {
                self.finish(slot, None, Some(buffer), out);
            }
            DataPointer::Keyed { .. } => {
                let local = disk_sge(&buffer, &disk.keys);
                self.fetch(slot, Buffer::Disk(io.disk, buffer), local, out);
            }
            DataPointer::None => self.finish(slot, Some(Fault::data_length()), Some(buffer), out),
        }
    }
    /// The host's data, in `buffer` or still where it `landed`: to the blocks, or to be compared
    /// with them.
    pub(super) fn store(
        &mut self,
        slot: u16,
        buffer: DmaBuf,
        landed: Option<InCapsule>,
        out: &mut Actions,
    ) {
        let io = self.command(slot).io;
        let op = match io.kind {
            IoKind::Compare => Op::Compare(io.range),
            IoKind::Write
            | IoKind::Nothing
            | IoKind::Read
            | IoKind::Flush
            | IoKind::WriteZeroes { .. }
            | IoKind::Verify
            | IoKind::Reserve(_)
            | IoKind::Report
            | IoKind::Copy { .. }
            | IoKind::FusedCompare
            | IoKind::FusedWrite
            | IoKind::Deallocate { .. } => Op::Write(io.range, io.durability),
        };
        match landed {
            None => self.submit(slot, op, Some(buffer), out),
            Some(landed) => {
                let request = Request { tag: disk_tag(self.index, slot), op, buffer: Some(buffer) };
                let command = self.command(slot);
                command.stage = Stage::AtDisk;
                let (disk, queue) = (command.io.disk, self.index);
                out.push_back(Action::SubmitLanded { disk, request, queue, landed });
            }
        }
    }

    /// Sends `buffer` to the host's memory `to`, then the answer.
    pub(crate) fn complete_with_data(
        &mut self,
        slot: u16,
        answer: Answer,
        buffer: ControlBuffer,
        to: verbs::Remote,
        out: &mut Actions,
    ) {
        let local = Gather::one(buffer.sge());
        let token = token(WorkKind::Write, slot);
        self.post(Work { token, op: WorkOp::RdmaWrite(to), local, signaled: false }, out);
        self.complete(slot, answer, Some(Buffer::Control(buffer)), out);
    }

    /// Answers an I/O command.
    pub(super) fn finish(
        &mut self,
        slot: u16,
        fault: Option<Fault>,
        buffer: Option<DmaBuf>,
        out: &mut Actions,
    ) {
        let io = self.command(slot).io;
        let answer = Answer { fault, result: 0, invalidate: io.data.invalidate() };
        let buffer = buffer.map(|buffer| Buffer::Disk(io.disk, buffer));
        self.complete(slot, answer, buffer, out);
    }
}
