//! Congestion control, chosen per connection. FlexiNS part: "software transport programmability".

mod base;
pub mod dcqcn;
mod fixed;
pub mod swift;

pub use dcqcn::Dcqcn;
pub use fixed::Fixed;
pub use swift::Swift;

use std::time::{Duration, Instant};

/// What an acknowledgement tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Payload octets that it newly acknowledges.
    pub acked_bytes: u64,
    /// Payload octets still unacknowledged after it.
    pub in_flight_bytes: u64,
    /// Round trip of the newest packet that it acknowledges, if it was sent once.
    pub rtt: Option<Duration>,
    /// The peer saw congestion marks on the acknowledged packets.
    pub ecn: bool,
}

/// How a loss was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// By a NAK or a gap in selective acknowledgements.
    Gap {
        /// Packets found to be lost, at least 1: a NAK tells of one, whatever is missing after it.
        packets: u32,
    },
    /// By silence.
    Timeout,
}

/// How much may be in flight, and how fast. Pure: time is an argument.
pub trait CongestionControl: Send {
    /// Name, as on the command line: "fixed", "swift", "dcqcn".
    fn name(&self) -> &'static str;
    /// Payload octets left this side at `now`.
    fn on_send(&mut self, now: Instant, bytes: u64);
    /// An acknowledgement arrived.
    fn on_ack(&mut self, sample: &AckSample);
    /// Losses were noticed. A window of data may tell of them several times.
    fn on_loss(&mut self, now: Instant, loss: Loss);
    /// A congestion notification packet arrived (RoCEv2 CNP).
    fn on_cnp(&mut self, now: Instant);
    /// Payload octets that may be in flight. At least one packet always may.
    fn window_bytes(&self) -> u64;
    /// Earliest time at which the next `bytes` may leave (pacing). `now` or before: at once.
    fn release_at(&self, now: Instant, bytes: u64) -> Instant;
}

/// Octet counts and microseconds as floating point: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "windows and rates are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "tests: small numbers and readable ratios"
)]
#[path = "cc_tests.rs"]
mod tests;
