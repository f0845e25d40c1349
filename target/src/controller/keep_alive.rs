//! Keep Alive: a controller whose host says nothing for too long is torn down.
//!
//! Source: NVMe Base 2.0, "Keep Alive" (traffic-based: every command counts).

use std::time::{Duration, Instant};

/// The timer of one controller.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    timeout: Option<Duration>,
    last_heard: Instant,
}

impl KeepAlive {
    /// A timer of `kato_ms` milliseconds from `now`; 0 means none.
    pub(crate) fn new(now: Instant, kato_ms: u32) -> KeepAlive {
        KeepAlive { timeout: duration(kato_ms), last_heard: now }
    }
    /// A command arrived.
    pub(crate) fn handle_traffic(&mut self, now: Instant) {
        self.last_heard = now;
    }
    /// Set Features: a new timeout, from now on.
    pub(crate) fn set(&mut self, now: Instant, kato_ms: u32) {
        *self = KeepAlive::new(now, kato_ms);
    }
    /// The timeout in milliseconds, 0 for none.
    pub(crate) fn timeout_ms(&self) -> u32 {
        let millis = self.timeout.map_or(0, |timeout| timeout.as_millis());
        u32::try_from(millis).unwrap_or(u32::MAX)
    }
    /// When the host is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.last_heard.checked_add(self.timeout?)
    }
    /// The host is to be given up.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

fn duration(kato_ms: u32) -> Option<Duration> {
    (kato_ms > 0).then(|| Duration::from_millis(u64::from(kato_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: traffic moves the deadline, silence reaches it, zero disables it.
    #[test]
    fn only_silence_expires() {
        let start = crate::test_clock();
        let mut timer = KeepAlive::new(start, 5_000);
        let later = start + Duration::from_secs(4);
        timer.handle_traffic(later);
        assert!(!timer.is_expired(start + Duration::from_secs(6)));
        assert!(timer.is_expired(later + Duration::from_secs(5)));
        timer.set(later, 0);
        assert_eq!(timer.deadline(), None);
    }
}
