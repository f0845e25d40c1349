//! Copy: every source block is read, then all of them are written, as if no range overlapped.
//!
//! One copy of a queue at a time, so that what a host can make us hold is bounded. A disk's buffer
//! is never kept while another is waited for: whoever holds a buffer or a lock of a disk needs
//! nothing else of it.
//! Source: NVM Command Set 1.1, "Copy command".

use super::{Buffer, DiskDone, Inflight, Queue, QueueState, Stage, release};
use crate::action::Actions;
use crate::fault::{Fault, of_disk};
use storage::{BlockRange, Done, Op, Purpose};

/// What a Copy asks for, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CopyPlan {
    /// Source ranges, in order.
    pub(crate) sources: Vec<BlockRange>,
    /// As many blocks as all of them.
    pub(crate) destination: BlockRange,
}

/// A Copy on its way.
#[derive(Debug)]
pub(crate) struct CopyJob {
    plan: CopyPlan,
    /// Sources that were read.
    read: usize,
    data: Vec<u8>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Read,
    Prepare,
    Write,
}

/// What a command keeps that takes several steps.
#[derive(Debug)]
pub(crate) enum Extra {
    /// A Copy.
    Copy(CopyJob),
    /// Half of a fused pair.
    Fused(super::FusedHalf),
}

impl Queue {
    /// Starts a checked Copy, or lets it wait for the one before.
    pub(crate) fn start_copy(&mut self, slot: u16, plan: CopyPlan, out: &mut Actions) {
        self.spend_capsule(slot, out);
        let job = CopyJob { plan, read: 0, data: Vec::new(), step: Step::Read };
        self.command(slot).extra = Some(Box::new(Extra::Copy(job)));
        if self.copying.is_some() {
            self.copies_waiting.push_back(slot);
        } else {
            self.copying = Some(slot);
            self.copy_step(slot, out);
        }
    }
    fn copy_job(&mut self, slot: u16) -> &mut CopyJob {
        match self.command(slot).extra.as_deref_mut() {
            Some(Extra::Copy(job)) => job,
            Some(Extra::Fused(_)) | None => unreachable!("a Copy keeps its job"),
        }
    }
    fn copy_step(&mut self, slot: u16, out: &mut Actions) {
        let job = self.copy_job(slot);
        let source = job.plan.sources.get(job.read).copied();
        match source {
            Some(source) => self.submit(slot, Op::Read(source), None, out),
            None => {
                job.step = Step::Prepare;
                let op = Op::Prepare(job.plan.destination, Purpose::StagedWrite);
                self.submit(slot, op, None, out);
                self.command(slot).stage = Stage::Preparing;
            }
        }
    }
    /// The disk answered for a Copy.
    pub(super) fn handle_copy_done(
        &mut self,
        slot: u16,
        done: Done,
        out: &mut Actions,
    ) -> DiskDone {
        let command = self.command(slot);
        let (io, is_preempted) = (command.io, command.is_preempted);
        let cid = command.inflight.as_ref().map_or(0, Inflight::cid);
        let finished = DiskDone::Finished { io, cid, status: done.status };
        let buffer = done.buffer.map(|buffer| Buffer::Disk(io.disk, buffer));
        let job = self.copy_job(slot);
        let fault = of_disk(done.status).map(|fault| job.blame(fault));
        match (job.step, buffer) {
            (_, buffer) if is_preempted && job.step != Step::Write => {
                self.end_preempted(slot, buffer, out);
            }
            (_, buffer) if fault.is_some() => {
                buffer.into_iter().for_each(|buffer| release(buffer, out));
                self.finish(slot, fault, None, out);
            }
            (Step::Read, Some(Buffer::Disk(disk, buffer))) => {
                job.data.extend_from_slice(buffer.bytes());
                job.read += 1;
                release(Buffer::Disk(disk, buffer), out);
                self.copy_step(slot, out);
                return DiskDone::Continues;
            }
            (Step::Prepare, Some(Buffer::Disk(_, mut buffer))) => {
                buffer.write(0, &std::mem::take(&mut job.data));
                job.step = Step::Write;
                let op = Op::Write(job.plan.destination, io.durability);
                self.submit(slot, op, Some(buffer), out);
                return DiskDone::Continues;
            }
            (Step::Write, None) => self.finish(slot, None, None, out),
            (step, buffer) => unreachable!("Copy at {step:?} with {buffer:?}"),
        }
        self.end_copy(slot, out);
        finished
    }
    /// The Copy in `slot` is over: the next one's turn.
    pub(super) fn end_copy(&mut self, slot: u16, out: &mut Actions) {
        self.copies_waiting.retain(|waiting| *waiting != slot);
        if self.copying != Some(slot) {
            return;
        }
        self.copying = None;
        if self.state == QueueState::Open
            && let Some(next) = self.copies_waiting.pop_front()
        {
            self.copying = Some(next);
            self.copy_step(next, out);
        }
    }
}

impl CopyJob {
    /// Dword 0 says which source range was not copied: the first, if none was written.
    fn blame(&self, fault: Fault) -> Fault {
        let number = if self.step == Step::Read { self.read } else { 0 };
        Fault { result: u32::try_from(number).unwrap_or(0), ..fault }
    }
}
