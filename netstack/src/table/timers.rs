//! One timer per slot, in a heap that knows where each slot's entry is: exactly one entry per slot,
//! so it never grows beyond the table.

use std::time::Instant;

const ABSENT: u32 = u32::MAX;

/// Timers of the slots of a table.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Vec<(Instant, u32)>,
    /// Where a slot's entry is in `heap`.
    place: Vec<u32>,
}

impl Timers {
    /// For slots 0 to `slots` - 1.
    pub(crate) fn new(slots: usize) -> Timers {
        Timers { heap: Vec::with_capacity(slots), place: vec![ABSENT; slots] }
    }

    /// The earliest timer.
    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.0)
    }

    /// The slot whose timer is earliest, if it is due; its timer is taken away.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let &(at, slot) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(slot);
        Some(slot)
    }

    /// Sets a slot's timer to `at`, unless it fires before that anyway: an early call is harmless
    /// and moving a timer back at each packet is not free.
    #[inline]
    pub(crate) fn at_latest(&mut self, slot: u32, at: Option<Instant>) {
        let Some(at) = at else { return };
        match self.place[slot as usize] {
            ABSENT => self.insert(slot, at),
            place if at < self.heap[place as usize].0 => {
                self.heap[place as usize].0 = at;
                self.rise(place as usize);
            }
            _ => {}
        }
    }

    /// Sets a slot's timer to exactly `at`.
    pub(crate) fn set(&mut self, slot: u32, at: Option<Instant>) {
        self.remove(slot);
        if let Some(at) = at {
            self.insert(slot, at);
        }
    }

    /// Takes a slot's timer away.
    pub(crate) fn remove(&mut self, slot: u32) {
        let place = std::mem::replace(&mut self.place[slot as usize], ABSENT);
        if place == ABSENT {
            return;
        }
        let place = place as usize;
        self.heap.swap_remove(place);
        if let Some(&(_, moved)) = self.heap.get(place) {
            self.note(moved, place);
            self.rise(place);
            self.sink(place);
        }
    }

    fn insert(&mut self, slot: u32, at: Instant) {
        self.heap.push((at, slot));
        let place = self.heap.len() - 1;
        self.note(slot, place);
        self.rise(place);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].0 <= self.heap[place].0 {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let mut least = place;
            for child in [left, right] {
                if child < self.heap.len() && self.heap[child].0 < self.heap[least].0 {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(least, place);
            place = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(self.heap[a].1, a);
        self.note(self.heap[b].1, b);
    }

    fn note(&mut self, slot: u32, place: usize) {
        self.place[slot as usize] = u32::try_from(place).expect("fewer slots than 2^32");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Random;
    use super::*;
    use std::time::Duration;

    /// Against a plain map: after any operations, the earliest is the earliest, and each slot
    /// fires once, in order.
    #[test]
    fn agrees_with_a_plain_map() {
        let base = Instant::now();
        let mut random = Random::new(7);
        let mut timers = Timers::new(50);
        let mut map = std::collections::BTreeMap::new();
        for _ in 0..20_000 {
            let slot = random.next_u32() % 50;
            let at = base + Duration::from_nanos(random.next_u64() % 1_000_000);
            match random.next_u32() % 4 {
                0 => {
                    timers.remove(slot);
                    map.remove(&slot);
                }
                1 => {
                    timers.set(slot, Some(at));
                    map.insert(slot, at);
                }
                _ => {
                    timers.at_latest(slot, Some(at));
                    let entry = map.entry(slot).or_insert(at);
                    *entry = at.min(*entry);
                }
            }
            assert_eq!(timers.next(), map.values().min().copied());
        }
        let end = base + Duration::from_secs(1);
        let mut last = base;
        while let Some(slot) = timers.pop_due(end) {
            let at = map.remove(&slot).expect("fired twice");
            assert!(at >= last);
            last = at;
        }
        assert!(map.is_empty());
    }
}
