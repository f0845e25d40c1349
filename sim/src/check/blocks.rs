//! Every logical block is a linearizable register.
//!
//! Method: Gibbons and Korach, "Testing shared memories" (1997). Each write has a value of its own.
//! A value's *zone* reaches from `first`, the first end of an operation that shows it (its write or
//! a read), to `last`, the last beginning of one. The history of a register with unique values can
//! be put in an order if and only if no two zones conflict: `a.first < b.last && b.first < a.last`.
//!
//! What NVMe over Fabrics adds: a write whose connection broke is sent again and may happen more
//! than once until it is acknowledged (`repeats`: reads before that prove nothing about its end); a
//! write that failed may or may not have happened (it counts once it was seen); zeroes are written
//! by many commands (a read of zeroes is checked against all of them); a disk with a volatile cache
//! may lose, in a crash, what was not flushed.

use super::Violation;
use crate::pattern::Value;

/// Moments: numbers that grow with every beginning and end of a command.
type Moment = u64;
/// Not yet.
const NEVER: Moment = u64::MAX;

/// How a write ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Acknowledged: it happened before this.
    Done,
    /// Failed: it happened before this, or never will.
    Failed,
}

/// One write of one block.
#[derive(Clone, Copy, Debug)]
struct Write {
    value: Value,
    start: Moment,
    end: Moment,
    /// It may not have happened at all.
    is_doubtful: bool,
    /// It may have happened more than once before `end`.
    repeats: bool,
    /// It was durable from here on.
    durable: Moment,
    first_read_end: Moment,
    last_read_start: Option<Moment>,
}

impl Write {
    fn new(value: Value, start: Moment) -> Write {
        Write {
            value,
            start,
            end: NEVER,
            is_doubtful: false,
            repeats: false,
            durable: NEVER,
            first_read_end: NEVER,
            last_read_start: None,
        }
    }
    fn first(&self) -> Moment {
        if self.repeats { self.end } else { self.end.min(self.first_read_end) }
    }
    fn last(&self) -> Moment {
        self.last_read_start.map_or(self.start, |read| read.max(self.start))
    }
    /// Known to have happened.
    fn is_certain(&self) -> bool {
        self.last_read_start.is_some() || !self.is_doubtful && self.end != NEVER
    }
    fn conflicts(&self, other: &Write) -> bool {
        self.first() < other.last() && other.first() < self.last()
    }
}

/// All blocks of a namespace.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: Vec<Vec<Write>>,
    now: Moment,
    /// Reads that began before this saw blocks that a crash has since changed.
    crashed: Moment,
}

impl Blocks {
    /// Blocks of zeroes.
    #[must_use]
    pub(crate) fn new(count: usize) -> Blocks {
        let zero = Write { end: 0, durable: 0, ..Write::new(0, 0) };
        Blocks { blocks: vec![vec![zero]; count], now: 0, crashed: 0 }
    }
    /// The next moment.
    pub(crate) fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }
    /// A write of `value` begins at `start`.
    pub(crate) fn begin(&mut self, lba: u64, value: Value, start: Moment) {
        self.block(lba).push(Write::new(value, start));
    }
    /// The write that began at `start` may happen more than once until its end.
    pub(crate) fn repeats(&mut self, lba: u64, start: Moment) {
        if let Some(write) = self.write(lba, start) {
            write.repeats = true;
        }
    }
    /// The write that began at `start` ended. `is_durable`: forced to the medium.
    ///
    /// Errors: what was read of this block before fits no order.
    pub(crate) fn end(
        &mut self,
        lba: u64,
        start: Moment,
        end: Moment,
        outcome: Outcome,
        is_durable: bool,
    ) -> Result<(), Violation> {
        let Some(write) = self.write(lba, start) else { return Ok(()) };
        write.end = end;
        write.is_doubtful = outcome == Outcome::Failed;
        if is_durable && outcome == Outcome::Done {
            write.durable = end;
        }
        let write = *write;
        self.check(lba, &write)
    }
    /// A read that lasted from `start` to `end` returned `value`.
    ///
    /// Errors: no order of the writes explains it.
    pub(crate) fn read(
        &mut self,
        lba: u64,
        value: Value,
        start: Moment,
        end: Moment,
    ) -> Result<(), Violation> {
        if start < self.crashed {
            return Ok(());
        }
        if value == 0 {
            return self.read_zeroes(lba, start, end);
        }
        let Some(write) = self.block(lba).iter_mut().find(|write| write.value == value) else {
            return Err(stale(lba, value, "which was not written here, or is long gone"));
        };
        write.last_read_start = write.last_read_start.max(Some(start));
        write.first_read_end = write.first_read_end.min(end);
        let write = *write;
        self.check(lba, &write)
    }
    /// The newest value that is certain to have been there, for commands that compare.
    #[must_use]
    pub(crate) fn guess(&self, lba: u64) -> Value {
        let writes = self.blocks.get(index(lba)).into_iter().flatten();
        let ended = writes.filter(|write| write.is_certain());
        ended.max_by_key(|write| write.last()).map_or(0, |write| write.value)
    }
    /// A Flush that began at `start` was acknowledged at `end`: what was acknowledged before it
    /// began is durable.
    pub(crate) fn flushed(&mut self, start: Moment, end: Moment) {
        for write in self.blocks.iter_mut().flatten() {
            if write.end < start && !write.is_doubtful {
                write.durable = write.durable.min(end);
            }
        }
    }
    /// The target died. `content` is what the medium holds after that.
    ///
    /// Errors: durable data is missing.
    pub(crate) fn crash(&mut self, content: &[Value]) -> Result<(), Violation> {
        let now = self.tick();
        self.crashed = now;
        for (lba, (block, value)) in (0u64..).zip(self.blocks.iter_mut().zip(content)) {
            let found = block.iter().filter(|write| write.value == *value);
            let newest = found.max_by_key(|write| write.end).copied();
            let newest = newest.ok_or_else(|| stale(lba, *value, "after a crash"))?;
            let lost = block.iter().find(|w| w.durable != NEVER && w.start > newest.end);
            if let Some(lost) = lost {
                let detail = format!(
                    "block {lba} holds {value:#x} after a crash; {:#x} came later and was durable",
                    lost.value
                );
                return Err(Violation::new("durable data is kept", detail));
            }
            let kept = Write { end: now, durable: now, ..Write::new(*value, now) };
            block.retain(|write| write.end == NEVER);
            for write in block.iter_mut() {
                *write = Write { repeats: true, ..Write::new(write.value, write.start) };
            }
            if !block.iter().any(|write| write.value == *value && *value != 0) {
                block.push(kept);
            }
        }
        Ok(())
    }

    /// Zeroes have no writer's name: some write of zeroes must not have been overwritten.
    fn read_zeroes(&mut self, lba: u64, start: Moment, end: Moment) -> Result<(), Violation> {
        let block = self.block(lba);
        let possible =
            block.iter().filter(|zero| zero.value == 0 && zero.start < end).any(|zero| {
                let over = |write: &Write| {
                    write.is_certain()
                        && write.value != 0
                        && write.start > zero.end
                        && write.first() < start
                };
                !block.iter().any(over)
            });
        if possible { Ok(()) } else { Err(stale(lba, 0, "but a later write was acknowledged")) }
    }

    fn check(&self, lba: u64, changed: &Write) -> Result<(), Violation> {
        if !changed.is_certain() {
            return Ok(());
        }
        let others = self.blocks[index(lba)].iter().filter(|other| other.start != changed.start);
        for other in others.filter(|other| other.is_certain()) {
            if changed.conflicts(other) {
                let detail = format!("block {lba}: {changed:?} and {other:?}");
                return Err(Violation::new(
                    "reads return what some order of writes allows",
                    detail,
                ));
            }
        }
        Ok(())
    }

    fn block(&mut self, lba: u64) -> &mut Vec<Write> {
        &mut self.blocks[index(lba)]
    }
    fn write(&mut self, lba: u64, start: Moment) -> Option<&mut Write> {
        self.block(lba).iter_mut().find(|write| write.start == start)
    }
}

fn index(lba: u64) -> usize {
    usize::try_from(lba).unwrap_or(usize::MAX)
}

fn stale(lba: u64, value: Value, why: &str) -> Violation {
    Violation::new("reads return what was written", format!("block {lba} holds {value:#x}, {why}"))
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
