//! The round trip of an empty path, as far as it was seen: the least of recent samples.

use std::time::{Duration, Instant};

/// Least sample of the last one to two windows. Before the first: zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct BaseRtt {
    window: Duration,
    /// When the current window began, and the least sample in it.
    current: Option<(Instant, Duration)>,
    /// The least sample of the window before.
    previous: Option<Duration>,
}

impl BaseRtt {
    /// Forgets what is older than twice `window`: paths change.
    pub(super) fn new(window: Duration) -> BaseRtt {
        BaseRtt { window, current: None, previous: None }
    }
    pub(super) fn sample(&mut self, now: Instant, rtt: Duration) {
        self.current = match self.current {
            Some((since, least)) if now.saturating_duration_since(since) < self.window => {
                Some((since, least.min(rtt)))
            }
            ended => {
                self.previous = ended.map(|(_, least)| least);
                Some((now, rtt))
            }
        };
    }
    pub(super) fn least(&self) -> Duration {
        let current = self.current.map(|(_, least)| least);
        current.into_iter().chain(self.previous).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the least sample counts, and for two windows at most.
    #[test]
    fn the_least_of_two_windows() {
        let start = Instant::now();
        let us = Duration::from_micros;
        let mut base = BaseRtt::new(us(100));
        assert_eq!(base.least(), Duration::ZERO);
        for (at, rtt, least) in
            [(0, 20, 20), (50, 30, 20), (100, 30, 20), (199, 25, 20), (200, 40, 25), (300, 40, 40)]
        {
            base.sample(start + us(at), us(rtt));
            assert_eq!(base.least(), us(least), "at {at} µs");
        }
    }
}
