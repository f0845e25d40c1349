//! A constant window: for links that do not congest (one host, a rack of one's own).

use super::{AckSample, CongestionControl, Loss};
use std::time::Instant;

/// As many octets in flight as told, at once.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    window_bytes: u64,
}

impl Fixed {
    /// At most `window_bytes` of payload in flight.
    #[must_use]
    pub fn new(window_bytes: u64) -> Fixed {
        Fixed { window_bytes }
    }
}

impl Default for Fixed {
    /// 1 MiB: several times the product of rate and delay of a 40 Gb/s link with 50 µs.
    fn default() -> Fixed {
        Fixed::new(1 << 20)
    }
}

impl CongestionControl for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
    fn on_send(&mut self, _now: Instant, _bytes: u64) {}
    fn on_ack(&mut self, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {}
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        self.window_bytes
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        now
    }
}
