//! When to look at the link again: a look that finds nothing costs a system call.

use std::time::{Duration, Instant};

/// Between looks while a burst is late, at least; at most a quarter of the usual wait.
const GAP: Duration = Duration::from_micros(4);
/// After the first look that found nothing, at least.
const FIRST_GAP_MIN: Duration = Duration::from_micros(1);
/// No arrival waits longer than this for a look.
const GAP_MAX: Duration = Duration::from_micros(32);

/// A link that was empty for longer is watched without gaps: about when its owner would sleep, which
/// a gap must not keep it from.
const PATIENCE: Duration = Duration::from_micros(48);

/// Spaces looks at an empty link by how long the last waits were. A deep queue arrives in bursts:
/// after a look that found nothing, the next comes when the usual wait has passed, then at short
/// intervals. At depth 1 the bursts are single packets, and looks follow each other at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Packets expected at the next look, times 4.
    expected: u32,
    /// How long the link was empty before something came, on average.
    wait: Duration,
    /// First of the looks that found nothing, since one that found something.
    empty_since: Option<Instant>,
    /// When something last came by a way that is looked at without gaps.
    elsewhere: Option<Instant>,
    next: Option<Instant>,
}

impl Pace {
    /// Whether it is time to look.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }
    /// When it is time, if it is not now.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
    /// A look found `packets`.
    pub(crate) fn looked(&mut self, now: Instant, packets: usize) {
        if packets > 0 {
            self.found(now, u32::try_from(packets).unwrap_or(u32::MAX).min(1024));
            return;
        }
        let first = self.empty_since.is_none();
        let since = *self.empty_since.get_or_insert(now);
        let gap = if first { self.wait.max(FIRST_GAP_MIN) } else { (self.wait / 4).max(GAP) };
        // One packet expected is no burst to wait for.
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < PATIENCE;
        let gap = match (is_fresh(since), self.expected / 4 > 1) {
            (true, true) => Some(gap),
            (true, false) => None,
            // Work comes another way: it is not kept waiting for looks at one that is idle.
            (false, _) => self.elsewhere.is_some_and(is_fresh).then_some(GAP_MAX),
        };
        self.next = gap.map(|gap| now + gap);
    }
    /// Something came by a way that is looked at without gaps.
    pub(crate) fn came_elsewhere(&mut self, now: Instant) {
        self.elsewhere = Some(now);
    }

    fn found(&mut self, now: Instant, packets: u32) {
        self.expected = self.expected - self.expected / 4 + packets;
        let since = self.empty_since.take();
        let wait = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.wait = self.wait * 3 / 4 + wait.min(GAP_MAX) / 4;
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        Instant::now()
    }

    /// Goal: single packets (depth 1) never make the next one wait.
    #[test]
    fn single_packets_are_awaited_without_gaps() {
        let (mut pace, now) = (Pace::default(), start());
        for _ in 0..100 {
            pace.looked(now, 1);
            pace.looked(now, 0);
            assert!(pace.is_due(now));
        }
    }

    /// Goal: after bursts an empty look is followed by a gap, bounded, and a link that stays empty
    /// costs a dozen looks until its owner may sleep.
    #[test]
    fn bursts_leave_gaps_that_end() {
        let (mut pace, mut now) = (Pace::default(), start());
        for _ in 0..20 {
            pace.looked(now, 32);
        }
        pace.looked(now, 0);
        assert!(!pace.is_due(now) && pace.is_due(now + GAP_MAX));
        let mut empty = 0;
        while let Some(next) = pace.next() {
            now = next;
            pace.looked(now, 0);
            empty += 1;
        }
        assert!(empty <= 13, "{empty} empty looks before watching without gaps");
    }

    /// Goal: a link that is idle beside a busy one is looked at every 32 us, one that carries single
    /// packets in every turn, and when both are idle there is no gap to sleep through.
    #[test]
    fn an_idle_link_does_not_hold_up_a_busy_one() {
        let (mut pace, start) = (Pace::default(), start());
        let mut looks = 0;
        for micros in 0..1000 {
            let now = start + Duration::from_micros(micros);
            pace.came_elsewhere(now);
            if pace.is_due(now) {
                looks += 1;
                pace.looked(now, 0);
            }
        }
        assert!((75..85).contains(&looks), "{looks} looks in a millisecond");
        let mut now = start + Duration::from_millis(1);
        for _ in 0..100 {
            now += Duration::from_micros(10);
            pace.came_elsewhere(now);
            pace.looked(now, 1);
            pace.looked(now, 0);
            assert!(pace.is_due(now), "single packets are awaited");
        }
        now += PATIENCE * 2;
        pace.looked(now, 0);
        assert_eq!(pace.next(), None);
    }

    /// Goal: bursts at a steady distance cost two or three looks each, and are found when they come.
    #[test]
    fn looks_follow_the_rhythm_of_bursts() {
        const ROUNDS: u32 = 200;
        for wait in [3, 9, 25].map(Duration::from_micros) {
            let (mut pace, mut now) = (Pace::default(), start());
            let (mut looks, mut late) = (0, Duration::ZERO);
            for _ in 0..ROUNDS {
                let comes = now + wait;
                loop {
                    now = pace.next().map_or(now + Duration::from_nanos(300), |next| next.max(now));
                    looks += 1;
                    if now >= comes {
                        break pace.looked(now, 16);
                    }
                    pace.looked(now, 0);
                }
                late += now - comes;
            }
            assert!(looks <= 4 * ROUNDS, "{looks} looks for {ROUNDS} bursts {wait:?} apart");
            assert!(late <= GAP * 2 * ROUNDS, "{late:?} late in {ROUNDS} bursts {wait:?} apart");
        }
    }
}
