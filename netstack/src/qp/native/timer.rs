//! The one retransmission timer: a probe soon, then silence doubled until the peer is given up.
//!
//! Expiry never declares packets lost. It sends one or two of them again and lets the selective
//! acknowledgement tell what is missing: a thread that was not scheduled for milliseconds costs
//! a duplicate, not a window.

use super::rtt::Rtt;

/// Shortest wait for the first probe.
const PROBE_MIN_US: u64 = 500;
/// Of the wait for a probe so much may lie before the peer's latest progress.
const CREDIT_MAX_US: u64 = PROBE_MIN_US / 2;
/// Shortest retransmission timeout.
const TIMEOUT_MIN_US: u64 = 2_000;
/// Longest interval when the connection has no timeout of its own.
const INTERVAL_MAX_US: u64 = 1_000_000;

/// How long a silent peer is waited for. From `QpAttr::timeout` and `retry_cnt`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// One local ACK timeout, 4.096 µs × 2^code. `None`: wait for ever.
    pub(super) timeout_us: Option<u64>,
    /// Retransmissions before giving up.
    pub(super) retries: u32,
    /// Longest time for which the peer may hold an acknowledgement.
    pub(super) ack_delay_us: u64,
}

impl Patience {
    pub(super) fn new(timeout_code: u8, retry_cnt: u8, ack_delay_us: u64) -> Patience {
        let timeout_us =
            (timeout_code > 0).then(|| (4096u64 << u32::from(timeout_code.min(31))) / 1000);
        Patience { timeout_us, retries: u32::from(retry_cnt), ack_delay_us }
    }
}

/// What an expiry asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry {
    /// Send the newest unacknowledged packet again: a lost tail shows.
    Probe,
    /// Send the oldest and the newest again.
    Timeout,
    /// The retry limit is reached.
    GiveUp,
}

/// State of the timer. Times in microseconds of the machine's own clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    patience: Patience,
    /// Start of the current wait; `None` when nothing is awaited.
    since: Option<u64>,
    /// When the latest packet that needs an answer was sent.
    sent: u64,
    /// Last progress, or when waiting began.
    progress: u64,
    expiries: u32,
}

impl Timer {
    pub(super) fn new(patience: Patience) -> Timer {
        Timer { patience, since: None, sent: 0, progress: 0, expiries: 0 }
    }
    /// Something that needs an answer was sent. Restarts the wait unless an expiry is pending.
    pub(super) fn on_sent(&mut self, now: u64) {
        self.sent = now;
        if self.since.is_none() {
            (self.progress, self.expiries) = (now, 0);
        }
        if self.expiries == 0 || self.since.is_none() {
            self.since = Some(now);
        }
    }
    /// The peer made progress. `awaiting`: more answers are due. They are since the latest packet was
    /// sent: an acknowledgement that was delayed delays no probe.
    pub(super) fn on_progress(&mut self, now: u64, awaiting: bool) {
        (self.progress, self.expiries) = (now, 0);
        let since = self.sent.max(now.saturating_sub(CREDIT_MAX_US)).min(now);
        self.since = awaiting.then_some(since);
    }
    /// This side itself holds all that is to be sent until then: no answer is due before.
    pub(super) fn hold(&mut self, until: u64) {
        self.since = self.since.map(|since| since.max(until));
    }
    /// Nothing is awaited for now (done, or receiver not ready).
    pub(super) fn stop(&mut self) {
        self.since = None;
    }
    /// When it expires.
    pub(super) fn deadline(&self, rtt: &Rtt) -> Option<u64> {
        self.since.map(|since| since + self.interval(rtt))
    }
    /// Acts if the deadline has passed; the next wait starts now.
    pub(super) fn expire(&mut self, now: u64, rtt: &Rtt) -> Option<Expiry> {
        if self.deadline(rtt).is_none_or(|at| now < at) {
            return None;
        }
        self.since = Some(now);
        self.expiries += 1;
        if self.is_exhausted(now) {
            return Some(Expiry::GiveUp);
        }
        Some(if self.expiries == 1 { Expiry::Probe } else { Expiry::Timeout })
    }

    fn interval(&self, rtt: &Rtt) -> u64 {
        let delay = self.patience.ack_delay_us;
        if self.expiries == 0 {
            return (2 * rtt.smoothed_us() + delay).max(PROBE_MIN_US);
        }
        let timeout = (rtt.timeout_us() + delay).max(TIMEOUT_MIN_US);
        let most = self.patience.timeout_us.unwrap_or(INTERVAL_MAX_US).max(timeout);
        (timeout << (self.expiries - 1).min(20)).min(most)
    }

    /// Both the number of retransmissions and the time that they stand for are used up: the
    /// intervals start far below the local ACK timeout.
    fn is_exhausted(&self, now: u64) -> bool {
        let Some(timeout) = self.patience.timeout_us else { return false };
        let retries = self.patience.retries;
        self.expiries > retries + 1 && now - self.progress >= timeout * u64::from(retries + 1)
    }
}

#[cfg(test)]
#[path = "timer_tests.rs"]
mod tests;
