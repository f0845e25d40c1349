//! What a server of SEND sees of a test.

use super::exchange::Values;
use crate::rdma::float;
use std::time::{Duration, Instant};

/// Messages that arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrivals {
    count: u64,
    octets: u64,
    first_octets: u64,
    /// When the first and the last came.
    span: Option<(Instant, Instant)>,
}

impl Arrivals {
    /// One more, of `octets`.
    pub(super) fn add(&mut self, now: Instant, octets: u32) {
        if self.count == 0 {
            self.first_octets = u64::from(octets);
        }
        self.count += 1;
        self.octets += u64::from(octets);
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// From the first message to the last: that time brought all but the first. The client may send less
    /// than there is room for.
    pub(super) fn values(&self) -> Values {
        let time = self.span.map_or(Duration::ZERO, |(first, last)| last - first);
        let seconds = time.as_secs_f64().max(1e-9);
        let average = float(self.octets - self.first_octets) / seconds / float(1 << 20);
        let rate = float(self.count.saturating_sub(1)) / seconds / 1e6;
        let bytes = self.octets / self.count.max(1);
        Values { bytes, iterations: self.count, rates: [0.0, average, rate] }
    }
}
