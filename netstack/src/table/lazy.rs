//! Timers that are moved at almost every packet and seldom fire: what a slot wants is a note, and
//! the heap hears of it only when it must.
//!
//! A wish that goes away or moves later changes nothing but the note. A new one waits in a short
//! list until the earliest in that list is due: a delayed acknowledgement that leaves with an
//! answer meanwhile was never in the heap, and its queue pair is not disturbed.

use super::Timers;
use std::time::Instant;

/// One timer per slot of a table.
#[derive(Debug)]
pub(crate) struct LazyTimers {
    /// At most one entry per slot, no later than what the slot wants, unless the slot is young.
    heap: Timers,
    slots: Vec<Slot>,
    /// Slots whose wishes the heap does not know.
    young: Vec<u32>,
    /// No young slot wanted anything earlier.
    young_next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    wanted: Option<Instant>,
    /// What the heap has for it.
    known: Option<Instant>,
    is_young: bool,
}

impl LazyTimers {
    /// For slots 0 to `slots` - 1.
    pub(crate) fn new(slots: usize) -> LazyTimers {
        LazyTimers {
            heap: Timers::new(slots),
            slots: vec![Slot::default(); slots],
            young: Vec::with_capacity(slots),
            young_next: None,
        }
    }

    /// No timer fires before that. None may fire then.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.heap.next(), self.young_next].into_iter().flatten().min()
    }

    /// A slot's timer is `at` from now on.
    #[inline]
    pub(crate) fn set(&mut self, index: u32, at: Option<Instant>) {
        let slot = &mut self.slots[index as usize];
        slot.wanted = at;
        let Some(at) = at.filter(|&at| slot.known.is_none_or(|known| at < known)) else { return };
        if !std::mem::replace(&mut slot.is_young, true) {
            self.young.push(index);
        }
        self.young_next = Some(self.young_next.map_or(at, |next| next.min(at)));
    }

    /// A slot whose timer is due; it is taken away. Those before it come first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        if self.young_next.is_some_and(|next| next <= now) {
            self.grow_up();
        }
        while let Some(index) = self.heap.pop_due(now) {
            let slot = &mut self.slots[index as usize];
            slot.known = slot.wanted.filter(|&at| at > now);
            if slot.known.is_some() {
                self.heap.set(index, slot.known);
            } else if slot.wanted.take().is_some() {
                return Some(index);
            }
        }
        None
    }

    fn grow_up(&mut self) {
        self.young_next = None;
        for index in self.young.drain(..) {
            let slot = &mut self.slots[index as usize];
            slot.is_young = false;
            if let Some(at) = slot.wanted
                && slot.known.is_none_or(|known| at < known)
            {
                slot.known = Some(at);
                self.heap.at_latest(index, slot.known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Random;
    use super::*;
    use std::time::Duration;

    /// Against a plain map: whatever is set and set again, each wish fires once when it is due, in
    /// order within a call's time, and `next` is never later than the first.
    #[test]
    fn agrees_with_a_plain_map() {
        let mut now = Instant::now();
        let mut random = Random::new(7);
        let mut timers = LazyTimers::new(50);
        let mut map = std::collections::BTreeMap::new();
        for _ in 0..50_000 {
            let slot = random.next_u32() % 50;
            match random.next_u32() % 8 {
                0 => {
                    timers.set(slot, None);
                    map.remove(&slot);
                }
                1 => {
                    now += Duration::from_nanos(random.next_u64() % 50_000);
                    while let Some(slot) = timers.pop_due(now) {
                        assert!(map.remove(&slot).expect("it was wanted") <= now);
                    }
                    assert!(map.values().all(|&at| at > now), "all that is due has fired");
                    assert!(timers.next().is_none_or(|next| next > now), "a caller makes progress");
                }
                _ => {
                    let at = now + Duration::from_nanos(random.next_u64() % 1_000_000);
                    timers.set(slot, Some(at));
                    map.insert(slot, at);
                }
            }
            let first = map.values().min();
            assert!(first.is_none_or(|&at| timers.next().is_some_and(|next| next <= at)));
        }
    }

    /// Goal: nothing is left when nothing is wanted and the time of old wishes has passed.
    #[test]
    fn forgotten_wishes_leave_nothing() {
        let now = Instant::now();
        let mut timers = LazyTimers::new(2);
        timers.set(0, Some(now));
        timers.set(1, Some(now));
        timers.set(0, None);
        assert_eq!(timers.pop_due(now), Some(1));
        assert_eq!((timers.pop_due(now), timers.next()), (None, None));
    }
}
