//! The retransmission timer. Source: IBTA 1.4, "Transport timer": 4.096 µs × 2^timeout, 0 is off.
//!
//! Unlike rxe, the timer starts again on progress (no spurious expiry during long messages), and
//! backs off exponentially: a congested or paused peer is not hammered at a constant rate.

use std::time::{Duration, Instant};

/// Silence lasts at most 2^4 base times before it counts as a loss.
const BACKOFF_MAX: u32 = 4;

/// All retries are used up: the peer is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Exhausted;

/// Deadline for the peer's next sign of life, and the retries that are left.
#[derive(Debug)]
pub(super) struct RetransmitTimer {
    base: Option<Duration>,
    deadline: Option<Instant>,
    backoff: u32,
    retries: u8,
    retries_left: u8,
}

impl RetransmitTimer {
    /// `timeout` is a code of 5 bits; `retries` 0 to 7.
    pub(super) fn new(timeout: u8, retries: u8) -> RetransmitTimer {
        let base = Duration::from_nanos(4096 << (timeout & 0x1f));
        RetransmitTimer {
            base: (timeout & 0x1f != 0).then_some(base),
            deadline: None,
            backoff: 0,
            retries,
            retries_left: retries,
        }
    }
    /// Something is unacknowledged: runs, unless it runs already.
    pub(super) fn arm(&mut self, now: Instant) {
        if self.deadline.is_none() {
            self.deadline = self.base.map(|base| now + base * (1 << self.backoff));
        }
    }
    /// Nothing is unacknowledged.
    pub(super) fn stop(&mut self) {
        self.deadline = None;
    }
    /// The peer acknowledged something new: all retries are there again. The timer is stopped;
    /// the caller arms it if more is unacknowledged.
    pub(super) fn on_progress(&mut self) {
        self.deadline = None;
        self.backoff = 0;
        self.retries_left = self.retries;
    }
    /// Uses up one retry, for whatever reason. The timer is stopped: sending again arms it.
    pub(super) fn on_retry(&mut self) -> Result<(), Exhausted> {
        self.deadline = None;
        self.retries_left = self.retries_left.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }
    /// The deadline has passed: the next wait is twice as long.
    pub(super) fn on_expiry(&mut self) {
        self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
    }
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    pub(super) fn expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the base time is the standard's, doubles at each expiry up to 16-fold, and retries
    /// are used up exactly.
    #[test]
    fn backs_off_and_gives_up() {
        let start = Instant::now();
        let mut timer = RetransmitTimer::new(2, 6);
        let mut waits = Vec::new();
        loop {
            timer.arm(start);
            waits.push((timer.deadline().unwrap() - start).as_nanos() / 4096);
            timer.on_expiry();
            if timer.on_retry().is_err() {
                break;
            }
        }
        assert_eq!(waits, [4, 8, 16, 32, 64, 64, 64]);
        timer.on_progress();
        timer.arm(start);
        assert_eq!(timer.deadline().unwrap() - start, Duration::from_nanos(4 * 4096));
    }

    /// Goal: timeout code 0 never fires.
    #[test]
    fn zero_is_off() {
        let mut timer = RetransmitTimer::new(0, 1);
        timer.arm(Instant::now());
        assert_eq!(timer.deadline(), None);
    }
}
