//! When going back again is worth it: at most once per round trip.
//!
//! After going back, packets of what was given up are still under way. When a late packet lets
//! the oldest unacknowledged PSN move on, each of them looks like a new gap; if each made the
//! requester go back, every pass would start several others, and a path that reorders all the time
//! would be filled by its own retransmissions. News of what was sent again cannot come before a
//! round trip has passed, so until then a gap is only noted. It counts when it is still there
//! afterwards: a responder says it once and then is silent.

use super::sequence::Seq;
use std::time::{Duration, Instant};

/// What to do about a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Send again from the oldest unacknowledged PSN.
    GoBack,
    /// That was done for this gap, or may be done later.
    Wait,
}

/// The last time that the requester went back, and the gap that waits for its round trip.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    rtt: Rtt,
    /// Went back to this PSN because of a gap: more of the same news changes nothing.
    went_to: Option<Seq>,
    /// Gaps seen before this are of what was given up. Set when the first packet leaves again.
    until: Option<Instant>,
    is_resuming: bool,
    /// A gap at this PSN was noted and not acted on.
    noted: Option<Seq>,
}

/// Smoothed round trip and its variation, as RFC 6298 computes them.
#[derive(Clone, Copy, Debug, Default)]
struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl Rtt {
    fn sample(&mut self, rtt: Duration) {
        let Some(smoothed) = self.smoothed else {
            (self.smoothed, self.variation) = (Some(rtt), rtt / 2);
            return;
        };
        self.variation = (3 * self.variation + smoothed.abs_diff(rtt)) / 4;
        self.smoothed = Some((7 * smoothed + rtt) / 8);
    }
    /// Nearly no round trip is longer. Zero before the first sample.
    fn most(&self) -> Duration {
        self.smoothed.unwrap_or_default() + 4 * self.variation
    }
}

impl Recovery {
    /// There is a gap at `una`, the oldest unacknowledged PSN.
    pub(super) fn on_gap(&mut self, now: Instant, una: Seq) -> Verdict {
        if self.went_to == Some(una) {
            return Verdict::Wait;
        }
        if self.until.is_some_and(|until| now < until) {
            self.noted = Some(una);
            return Verdict::Wait;
        }
        self.went_to = Some(una);
        Verdict::GoBack
    }
    /// The oldest unacknowledged PSN moved on. `rtt`: a round trip that is certain.
    pub(super) fn on_progress(&mut self, rtt: Option<Duration>) {
        self.went_to = None;
        self.noted = None;
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt);
        }
    }
    /// The cursor went back, for whatever reason.
    pub(super) fn on_go_back(&mut self) {
        self.noted = None;
        self.is_resuming = true;
    }
    /// A packet left.
    pub(super) fn on_send(&mut self, now: Instant) {
        if self.is_resuming {
            self.is_resuming = false;
            self.until = Some(now + self.rtt.most());
        }
    }
    /// Timeout: whatever was known about gaps is old.
    pub(super) fn on_timeout(&mut self) {
        self.went_to = None;
    }
    /// There may be a gap at `una`: it counts if it is still there after a round trip.
    pub(super) fn suspect(&mut self, now: Instant, una: Seq) {
        self.noted = Some(una);
        self.until = Some(now + self.rtt.most());
    }
    /// A noted gap is still there and its time has come: it is one now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|at| at <= now);
        if is_due {
            self.noted = None;
        }
        is_due
    }
    /// When a noted gap counts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.noted.and(self.until)
    }
    /// Nothing is awaited any more.
    pub(super) fn stop(&mut self) {
        self.noted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{GoBack, Wait};

    /// Goal: the first gap counts at once; one in the round trip after going back is noted, and
    /// counts when that is over, unless it closed.
    #[test]
    fn once_per_round_trip() {
        let (start, psn) = (Instant::now(), Seq::start(7));
        let at = |us| start + Duration::from_micros(us);
        let mut recovery = Recovery::default();
        for _ in 0..100 {
            recovery.on_progress(Some(Duration::from_micros(20)));
        }
        assert_eq!(recovery.on_gap(at(0), psn), GoBack);
        recovery.on_go_back();
        recovery.on_send(at(5));
        recovery.on_send(at(9)); // the round trip is that of the first packet
        assert_eq!([at(6), at(1000)].map(|now| recovery.on_gap(now, psn)), [Wait; 2], "the same");
        recovery.on_progress(None);
        assert_eq!(recovery.on_gap(at(24), psn + 1), Wait);
        assert_eq!(recovery.deadline(), Some(at(25)));
        assert!(!recovery.take_due(at(24)) && recovery.take_due(at(25)));
        assert_eq!(recovery.on_gap(at(25), psn + 1), GoBack);
        recovery.on_go_back();
        recovery.on_send(at(25));
        recovery.on_progress(None);
        assert_eq!(recovery.on_gap(at(26), psn + 2), Wait);
        recovery.on_progress(None);
        assert_eq!(recovery.deadline(), None, "it closed");
    }
}
