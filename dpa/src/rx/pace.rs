//! When to look at the link again: a look that finds nothing costs a system call.

use std::time::{Duration, Instant};

/// What a peer needs for one packet, about (measured over UDP loopback: 0.3 to 2 µs on a busy machine).
const PER_PACKET: Duration = Duration::from_nanos(1000);
/// No arrival waits longer than this for a look.
const GAP_MAX: Duration = Duration::from_micros(16);

/// Looks that may find nothing before less is expected.
const PATIENCE: u32 = 8;

/// Spaces looks at an empty link by what the last ones found. A deep queue arrives in bursts:
/// waiting for part of the next one saves system calls and makes bursts longer. At depth 1 the
/// bursts are single packets, and looks follow each other at once. Looks that find nothing lower
/// the expectation, so an idle link is soon watched without gaps, and sleep is not kept away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Packets expected at the next look, times 4.
    expected: u32,
    /// Looks since the last that found something.
    empty: u32,
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
            let found = u32::try_from(packets).unwrap_or(u32::MAX).min(1024);
            self.expected = self.expected - self.expected / 4 + found;
            self.next = None;
            self.empty = 0;
            return;
        }
        self.empty = self.empty.saturating_add(1);
        if self.empty > PATIENCE {
            self.expected /= 2;
        }
        // One packet expected is no burst to wait for.
        let burst = self.expected / 4;
        self.next = (burst > 1).then(|| now + (PER_PACKET * burst).min(GAP_MAX));
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

    /// Goal: after bursts an empty look is followed by a gap, bounded, that ends by itself.
    #[test]
    fn bursts_leave_gaps_that_fade() {
        let (mut pace, now) = (Pace::default(), start());
        for _ in 0..20 {
            pace.looked(now, 32);
        }
        pace.looked(now, 0);
        assert!(!pace.is_due(now) && pace.is_due(now + GAP_MAX));
        let mut empty = 0;
        while pace.next().is_some() {
            pace.looked(now, 0);
            empty += 1;
        }
        assert!(empty < 40, "{empty} empty looks before watching without gaps");
    }
}
