//! One command of a workload: what it does, to which blocks, and how its end may look.

use crate::check::{Blocks, Outcome, Slot, Violation};
use crate::pattern::Value;
use crate::plan::{Mix, Plan};
use crate::random::Random;
use initiator::IoOp;
use wire::nvme::Status;

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Nvm(IoOp),
    Deallocate,
}

/// An outstanding command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io {
    pub(crate) what: What,
    pub(crate) lba: u64,
    pub(crate) count: u32,
    pub(crate) slot: Slot,
    pub(crate) value: Value,
    pub(crate) start: u64,
}

impl Io {
    pub(crate) fn changes(&self) -> bool {
        matches!(
            self.what,
            What::Nvm(IoOp::Write | IoOp::WriteDurable | IoOp::WriteZeroes) | What::Deallocate
        )
    }
    pub(crate) fn lbas(&self) -> std::ops::Range<u64> {
        self.lba..self.lba + u64::from(self.count)
    }
    pub(crate) fn end(
        &self,
        blocks: &mut Blocks,
        end: u64,
        outcome: Outcome,
    ) -> Result<(), Violation> {
        if !self.changes() {
            return Ok(());
        }
        let is_durable = self.what == What::Nvm(IoOp::WriteDurable);
        self.lbas().try_for_each(|lba| blocks.end(lba, self.start, end, outcome, is_durable))
    }
    pub(crate) fn repeats(&self, blocks: &mut Blocks) {
        if self.changes() {
            self.lbas().for_each(|lba| blocks.repeats(lba, self.start));
        }
    }
}

/// A status that the planned faults explain.
pub(crate) fn is_expected(plan: &Plan, io: &Io, status: Status) -> bool {
    if status.is(Status::COMPARE_FAILURE) {
        return io.what == What::Nvm(IoOp::Compare);
    }
    let medium = [Status::WRITE_FAULT, Status::UNRECOVERED_READ, Status::INTERNAL_ERROR];
    let path = [Status::ABORT_REQUESTED, Status::DATA_TRANSFER_ERROR];
    !plan.disk.faults.is_empty() && medium.iter().any(|known| status.is(*known))
        || !plan.is_clean() && path.iter().any(|known| status.is(*known))
}

pub(crate) fn draw_what(r: &mut Random, mix: &Mix) -> What {
    let weighted = [
        (mix.read, What::Nvm(IoOp::Read)),
        (mix.write, What::Nvm(IoOp::Write)),
        (mix.durable, What::Nvm(IoOp::WriteDurable)),
        (mix.flush, What::Nvm(IoOp::Flush)),
        (mix.zeroes, What::Nvm(IoOp::WriteZeroes)),
        (mix.deallocate, What::Deallocate),
        (mix.compare, What::Nvm(IoOp::Compare)),
        (mix.verify, What::Nvm(IoOp::Verify)),
    ];
    let mut left = r.below(weighted.iter().map(|(weight, _)| weight).sum());
    for (weight, what) in weighted {
        if left < weight {
            return what;
        }
        left -= weight;
    }
    What::Nvm(IoOp::Read)
}

pub(crate) fn name(what: What) -> &'static str {
    match what {
        What::Nvm(IoOp::Read) => "read",
        What::Nvm(IoOp::Write) => "write",
        What::Nvm(IoOp::WriteDurable) => "write durably",
        What::Nvm(IoOp::Flush) => "flush",
        What::Nvm(IoOp::WriteZeroes) => "write zeroes",
        What::Nvm(IoOp::Compare) => "compare",
        What::Nvm(IoOp::Verify) => "verify",
        What::Deallocate => "deallocate",
    }
}
