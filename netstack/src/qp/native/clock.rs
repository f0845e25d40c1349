//! The machine's own clock: microseconds since it first saw the time.

use std::time::{Duration, Instant};

/// Time 0 is one second before the first `Instant` seen, so that differences never go below it.
const START_US: u64 = 1_000_000;

/// Microseconds from `Instant`s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    base: Option<Instant>,
    /// The latest reading: one input asks for it many times.
    latest: Option<(Instant, u64)>,
}

impl Clock {
    /// Notes the time of an input; the first sets the base.
    pub(super) fn start(&mut self, now: Instant) {
        self.base.get_or_insert(now);
        self.latest = Some((now, self.us(now)));
    }
    /// Microseconds at `now`; before [`Clock::start`] the start.
    pub(super) fn us(&self, now: Instant) -> u64 {
        if let Some((at, us)) = self.latest
            && at == now
        {
            return us;
        }
        let passed = self.base.map_or(Duration::ZERO, |base| now.saturating_duration_since(base));
        START_US + passed.as_secs() * 1_000_000 + u64::from(passed.subsec_micros())
    }
    /// The first `Instant` at which the clock reads `us`.
    ///
    /// Panics before [`Clock::start`]: no timer runs then.
    pub(super) fn at(&self, us: u64) -> Instant {
        let base = self.base.expect("a timer runs, so the clock was started");
        base + Duration::from_micros(us.saturating_sub(START_US))
    }
    /// What travels: the low 32 bits.
    pub(super) fn stamp(us: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a clock modulo 2^32")]
        let stamp = us as u32;
        stamp
    }
}
