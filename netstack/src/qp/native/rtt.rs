//! Round-trip estimate from echoed timestamps.
//!
//! Every transmission carries its own stamp, so a sample is never ambiguous between a packet and
//! its retransmission (Karn's problem). The peer adds the time for which it held a stamp to the
//! echo: delayed acknowledgement does not look like delay of the network.

/// Smoothed round trip and its variation, as RFC 6298 computes them. Microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    smoothed: u64,
    variation: u64,
    latest: u64,
    sampled: bool,
}

/// Samples beyond this are a peer's nonsense (or a suspended machine).
const SAMPLE_MAX_US: u64 = 10_000_000;
/// Assumed before the first sample: a rack's worth of it, and any path's for the price of a probe.
const INITIAL_US: u64 = 1_000;

impl Rtt {
    /// Takes an echoed stamp; returns the sample in microseconds if it is plausible.
    pub(super) fn sample(&mut self, stamp_now: u32, echo: u32) -> Option<u64> {
        let sample = u64::from(stamp_now.wrapping_sub(echo));
        if sample > SAMPLE_MAX_US {
            return None;
        }
        self.latest = sample;
        if self.sampled {
            let error = self.smoothed.abs_diff(sample);
            self.variation = (3 * self.variation + error) / 4;
            self.smoothed = (7 * self.smoothed + sample) / 8;
        } else {
            (self.smoothed, self.variation, self.sampled) = (sample, sample / 2, true);
        }
        Some(sample)
    }
    /// Smoothed round trip.
    pub(super) fn smoothed_us(&self) -> u64 {
        if self.sampled { self.smoothed } else { INITIAL_US }
    }
    /// Silence that means loss: RFC 6298's `SRTT + 4 RTTVAR`.
    pub(super) fn timeout_us(&self) -> u64 {
        self.smoothed_us() + 4 * if self.sampled { self.variation } else { INITIAL_US / 2 }
    }
    /// Age beyond which a packet is lost when a later one arrived: a quarter round trip of slack
    /// for reordering (RFC 8985).
    pub(super) fn reorder_us(&self) -> u64 {
        let rtt = self.smoothed_us().max(self.latest);
        rtt + rtt / 4 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate converges to a constant delay; nonsense and wrap-around do not disturb it.
    #[test]
    fn converges() {
        let mut rtt = Rtt::default();
        for i in 0..50u32 {
            let sent = (u32::MAX - 20).wrapping_add(i);
            assert_eq!(rtt.sample(sent.wrapping_add(80), sent), Some(80));
        }
        assert_eq!(rtt.smoothed_us(), 80);
        assert!(rtt.timeout_us() < 90);
        assert_eq!(rtt.sample(0, 5), None, "from the future");
        assert_eq!(rtt.smoothed_us(), 80);
    }
}
