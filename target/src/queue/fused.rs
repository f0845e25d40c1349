//! Fused Compare and Write: two commands of the host, one step of the disk.
//!
//! The halves come one behind the other. Each brings its data into our memory, since the disk wants
//! both at once; they are few and small (locks of cluster file systems). Whichever half is ended,
//! the other one ends too.
//! Source: NVMe Base 2.1, "Fused Operations"; NVM Command Set 1.1, "Fused Operation" (Compare and
//! Write).

use super::{Answer, Buffer, DiskDone, Extra, Inflight, Queue, Stage};
use crate::action::{Action, Actions, Counted};
use crate::fault::{Fault, field, of_disk};
use storage::{DiskStatus, Done, Op, Purpose};
use wire::nvme::Status;

/// The first half fails and takes the second with it.
pub(crate) const PARTNER_FAILED: Fault =
    Fault { status: Status::ABORTED_FAILED_FUSED, location: field::FLAGS, result: 0 };
/// One half without the other.
pub(crate) const PARTNER_MISSING: Fault =
    Fault { status: Status::ABORTED_MISSING_FUSED, location: field::FLAGS, result: 0 };

/// What the next command of a queue may be half of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Pending {
    /// Nothing.
    #[default]
    None,
    /// A first half that was accepted.
    First(u16),
    /// A first half that failed.
    Failed,
}

/// Half of a pair.
#[derive(Debug, Default)]
pub(crate) struct FusedHalf {
    partner: Option<u16>,
    data: Option<Vec<u8>>,
    /// It ends with this as soon as its data is here.
    doom: Option<Fault>,
}

impl Queue {
    /// The command in `slot` is half of a pair, with `partner` if that is known.
    pub(crate) fn start_half(&mut self, slot: u16, partner: Option<u16>) {
        let half = FusedHalf { partner, ..FusedHalf::default() };
        self.command(slot).extra = Some(Box::new(Extra::Fused(half)));
        if let Some(other) = partner.and_then(|partner| self.half(partner)) {
            other.partner = Some(slot);
        }
    }
    fn half(&mut self, slot: u16) -> Option<&mut FusedHalf> {
        match self.command(slot).extra.as_deref_mut() {
            Some(Extra::Fused(half)) => Some(half),
            Some(Extra::Copy(_)) | None => None,
        }
    }
    /// The data of a half is here.
    pub(crate) fn handle_half(&mut self, slot: u16, octets: &[u8], out: &mut Actions) {
        self.spend_capsule(slot, out);
        let Some(half) = self.half(slot) else { return };
        half.data = Some(octets.to_vec());
        let (doom, partner) = (half.doom, half.partner);
        if let Some(fault) = doom {
            return self.end(slot, fault, out);
        }
        let Some(partner) = partner else { return };
        if self.half(partner).is_some_and(|other| other.data.is_some()) {
            let is_second = self.command(slot).io.kind == crate::io::IoKind::FusedWrite;
            let second = if is_second { slot } else { partner };
            let range = self.command(second).io.range;
            self.submit(second, Op::Prepare(range, Purpose::CompareAndWrite), None, out);
            self.command(second).stage = Stage::Preparing;
        }
    }
    /// Ends a half now, or as soon as the fabric lets go of its buffer.
    pub(crate) fn doom_half(&mut self, slot: u16, fault: Fault, out: &mut Actions) {
        if matches!(self.command(slot).stage, Stage::Accepted) {
            self.end(slot, fault, out);
        } else if let Some(half) = self.half(slot) {
            half.doom = Some(fault);
        }
    }
    /// The half in `slot` was ended with `fault`: so is its partner, which has not been answered yet.
    pub(super) fn end_partner(&mut self, slot: u16, fault: Fault, out: &mut Actions) {
        if self.fused == Pending::First(slot) {
            self.fused = Pending::Failed;
        }
        let Some(partner) = self.half(slot).and_then(|half| half.partner.take()) else { return };
        if let Some(other) = self.half(partner) {
            other.partner = None;
        }
        self.doom_half(partner, fault, out);
    }

    /// The disk answered for a pair, under the name of its second half.
    pub(super) fn handle_fused_done(
        &mut self,
        second: u16,
        done: Done,
        was_preparing: bool,
        out: &mut Actions,
    ) -> DiskDone {
        let half = self.half(second).expect("a half of a pair keeps its partner");
        let (first, new) = (half.partner.expect("both were here"), half.data.take());
        let io = self.command(second).io;
        let cid_of = |queue: &mut Queue, slot| {
            queue.command(slot).inflight.as_ref().map_or(0, Inflight::cid)
        };
        let status = done.status;
        match (done.buffer, was_preparing) {
            (Some(mut buffer), true) if status == DiskStatus::Good => {
                let expected = self.half(first).and_then(|half| half.data.take());
                let (expected, new) = (expected.unwrap_or_default(), new.unwrap_or_default());
                buffer.write(0, &expected);
                buffer.write(expected.len(), &new);
                let op = Op::CompareAndWrite(io.range, io.durability);
                self.submit(second, op, Some(buffer), out);
                return DiskDone::Continues;
            }
            (Some(buffer), _) => super::release(Buffer::Disk(io.disk, buffer), out),
            (None, _) => {}
        }
        let (first_fault, second_fault) = match status {
            DiskStatus::Good => (None, None),
            // The comparison was done, and is answered as such.
            DiskStatus::WriteError | DiskStatus::CapacityExceeded => (None, of_disk(status)),
            DiskStatus::ReadError
            | DiskStatus::CompareFailed
            | DiskStatus::Unsupported
            | DiskStatus::Internal => (of_disk(status), Some(PARTNER_FAILED)),
        };
        let blamed = if first_fault.is_some() { first } else { second };
        let cid = cid_of(self, blamed);
        self.finish(first, first_fault, None, out);
        self.finish(second, second_fault, None, out);
        DiskDone::Finished { io, cid, status }
    }
    /// Answers a command that is ended before it reached a disk.
    pub(super) fn end(&mut self, slot: u16, fault: Fault, out: &mut Actions) {
        let invalidate = self.command(slot).io.data.invalidate();
        let answer = Answer { fault: Some(fault), result: 0, invalidate };
        out.push_back(Action::Count(Counted::Failed));
        self.complete(slot, answer, None, out);
    }
}
