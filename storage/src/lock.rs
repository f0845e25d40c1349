//! Range locks: overlapping users of logical blocks wait in arrival order.
//!
//! Blocks map to the slots of a fixed table (block number modulo its size), so that a lock of a
//! range is a walk over neighbouring 16-bit counters: no search, no allocation, whatever the
//! depth. Tried on paper against an interval tree (about ten dependent loads at depth 1,024) and
//! hashed lists of exact ranges (one node per range and stripe). The price: two ranges a multiple
//! of the table apart conflict falsely, which makes one wait and nothing else.

use crate::BlockRange;
use std::collections::VecDeque;

/// How a range is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// With other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// Slot value while one holder has it alone; below it, the number of readers.
const ALONE: u16 = u16::MAX;

/// Circular run of slots.
#[derive(Clone, Copy)]
struct Span {
    first: u32,
    count: u32,
}

struct Waiter {
    span: Span,
    mode: Mode,
    id: u32,
}

/// The locks of one disk.
///
/// **Architecture invariant:** waiting never overtakes: a range that conflicts with one that
/// already waits, waits behind it. So nobody starves, and since a waiter waits only for those
/// that came earlier, no cycle can form.
pub(crate) struct Locks {
    slots: Box<[u16]>,
    waiters: VecDeque<Waiter>,
    granted: VecDeque<u32>,
    waited_count: u64,
}

impl Locks {
    /// Locks for a disk of `block_count` blocks with up to `depth` waiters. The table has 64 slots
    /// per request of that depth (at most 2 MiB), so that false conflicts stay rare.
    pub(crate) fn new(block_count: u64, depth: usize) -> Locks {
        let wanted = depth.saturating_mul(64).clamp(64, 1 << 20).next_power_of_two();
        let blocks = usize::try_from(block_count).unwrap_or(usize::MAX).clamp(1, 1 << 30);
        let slot_count = wanted.min(blocks.next_power_of_two());
        Locks {
            slots: vec![0; slot_count].into_boxed_slice(),
            waiters: VecDeque::with_capacity(depth),
            granted: VecDeque::with_capacity(depth),
            waited_count: 0,
        }
    }

    /// Locks `range` now, or says no: then the caller may [`Locks::wait`].
    #[inline]
    pub(crate) fn try_lock(&mut self, range: BlockRange, mode: Mode) -> bool {
        let span = self.span(range);
        let all = self.waiters.len();
        !self.is_behind(span, mode, all) && self.take(span, mode)
    }

    /// Queues `id` for `range`; [`Locks::next_granted`] names it once it holds the lock.
    pub(crate) fn wait(&mut self, range: BlockRange, mode: Mode, id: u32) {
        let span = self.span(range);
        self.waited_count += 1;
        self.waiters.push_back(Waiter { span, mode, id });
    }

    /// Ends a hold. Panics if `range` is not held that way (a caller bug).
    #[inline]
    pub(crate) fn unlock(&mut self, range: BlockRange, mode: Mode) {
        let span = self.span(range);
        if span.count == 1 {
            give_back(&mut self.slots[span.first as usize], mode);
        } else {
            for run in self.runs(span) {
                self.slots[run].iter_mut().for_each(|slot| give_back(slot, mode));
            }
        }
        if !self.waiters.is_empty() {
            self.promote(span);
        }
    }

    /// How a range that is held is held: its first slot tells, since nobody shares with a writer.
    #[inline]
    pub(crate) fn mode_of(&self, range: BlockRange) -> Mode {
        let first = self.span(range).first as usize;
        if self.slots[first] == ALONE { Mode::Exclusive } else { Mode::Shared }
    }

    /// The next waiter that now holds its lock, in the order of grants.
    #[inline]
    pub(crate) fn next_granted(&mut self) -> Option<u32> {
        self.granted.pop_front()
    }

    /// Requests that wait now.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Requests that had to wait since the start.
    pub(crate) fn waited_count(&self) -> u64 {
        self.waited_count
    }

    /// Grants what waited for `freed`, oldest first. Whoever waits behind a waiter overlaps it,
    /// so it is found here when that one unlocks in its turn.
    fn promote(&mut self, freed: Span) {
        let mut index = 0;
        while let Some(waiter) = self.waiters.get(index) {
            let (span, mode, id) = (waiter.span, waiter.mode, waiter.id);
            let free = self.overlap(span, freed)
                && !self.is_behind(span, mode, index)
                && self.take(span, mode);
            if free {
                self.waiters.remove(index);
                self.granted.push_back(id);
            } else {
                index += 1;
            }
            // Whoever comes after one that wants all of it alone is behind that one: without this
            // a block that 1,024 requests want costs each of them a walk over the others.
            if mode == Mode::Exclusive && self.covers(span, freed) {
                break;
            }
        }
    }

    /// One of the first `earlier` waiters conflicts with this.
    #[inline]
    fn is_behind(&self, span: Span, mode: Mode, earlier: usize) -> bool {
        self.waiters.iter().take(earlier).any(|waiter| {
            (mode == Mode::Exclusive || waiter.mode == Mode::Exclusive)
                && self.overlap(span, waiter.span)
        })
    }

    /// Takes all slots or none.
    #[inline]
    fn take(&mut self, span: Span, mode: Mode) -> bool {
        if span.count == 1 {
            // One block is what most requests want.
            let slot = &mut self.slots[span.first as usize];
            let busy = *slot >= if mode == Mode::Shared { ALONE - 1 } else { 1 };
            if !busy {
                *slot = if mode == Mode::Shared { *slot + 1 } else { ALONE };
            }
            return !busy;
        }
        self.take_runs(span, mode)
    }

    fn take_runs(&mut self, span: Span, mode: Mode) -> bool {
        let runs = self.runs(span);
        // `fold` without an early exit: the compiler makes vectors of it.
        let busy = runs.iter().any(|run| {
            let slots = &self.slots[run.clone()];
            match mode {
                Mode::Exclusive => slots.iter().fold(0, |all, slot| all | slot) != 0,
                Mode::Shared => slots.iter().fold(0, |max, slot| max.max(*slot)) >= ALONE - 1,
            }
        });
        if busy {
            return false;
        }
        for run in runs {
            for slot in &mut self.slots[run] {
                match mode {
                    Mode::Exclusive => *slot = ALONE,
                    Mode::Shared => *slot += 1,
                }
            }
        }
        true
    }

    #[inline]
    fn span(&self, range: BlockRange) -> Span {
        let mask = self.slots.len() as u64 - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the table has at most 2^20 slots")]
        let (first, size) = ((range.start & mask) as u32, self.slots.len() as u32);
        Span { first, count: range.count.min(size) }
    }

    /// The slots of a span as at most two runs of indices.
    #[inline]
    fn runs(&self, span: Span) -> [std::ops::Range<usize>; 2] {
        let (first, end) = (span.first as usize, span.first as usize + span.count as usize);
        let size = self.slots.len();
        [first..end.min(size), 0..end.saturating_sub(size)]
    }

    #[inline]
    fn overlap(&self, a: Span, b: Span) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the table has at most 2^20 slots")]
        let mask = self.slots.len() as u32 - 1;
        b.first.wrapping_sub(a.first) & mask < a.count
            || a.first.wrapping_sub(b.first) & mask < b.count
    }

    /// Every slot of `inner` is one of `outer`.
    fn covers(&self, outer: Span, inner: Span) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the table has at most 2^20 slots")]
        let mask = self.slots.len() as u32 - 1;
        (inner.first.wrapping_sub(outer.first) & mask) + inner.count <= outer.count
    }
}

/// Ends one hold of one slot.
#[inline]
fn give_back(slot: &mut u16, mode: Mode) {
    match mode {
        Mode::Exclusive => {
            assert!(*slot == ALONE, "unlock of a range that is not held alone");
            *slot = 0;
        }
        Mode::Shared => {
            assert!(*slot != 0 && *slot != ALONE, "unlock of a range nobody reads");
            *slot -= 1;
        }
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
