//! What this machine can move at all: the ceiling that a run is compared with.
//!
//! Everything runs over the same UDP link as the product (127.0.0.2 to 127.0.0.1, two threads that
//! spin), without any protocol on top, and is bounded in time. `udp`: streams and ping-pong;
//! `copy`: memory.

mod copy;
mod udp;

use serde::Serialize;
use std::io;
use std::time::Duration;

/// Shortest time that one measurement gets.
const SHARE_MIN: Duration = Duration::from_millis(50);
/// Measurements that share the time.
const SHARES: u32 = 7;

/// What was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Limits {
    /// 56-KiB bursts of 4-KiB packets, gathered from random places of a region of 256 MiB.
    pub udp_burst: Stream,
    /// The same, gathered from 56 KiB that stay in the cache.
    pub udp_burst_hot: Stream,
    /// Packets of 64 octets of payload, 64 in a GSO message.
    pub udp_small: Stream,
    /// Packets of 64 octets of payload, each a message of its own.
    pub udp_small_single: Stream,
    /// One packet of 64 octets there and one back, both sides spinning.
    pub udp_ping_pong: PingPong,
    /// Copying 64 KiB that stay in the cache.
    pub memcpy_hot_gb_per_s: f64,
    /// Copying 64-KiB blocks between random places of 256 MiB.
    pub memcpy_cold_gb_per_s: f64,
}

/// A stream one way, as the receiver saw it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Stream {
    /// UDP payload received, in 10^6 octets per second.
    pub mb_per_s: f64,
    /// Packets received per second.
    pub packets_per_s: f64,
    /// Packets that were sent and did not arrive.
    pub lost: u64,
}

/// Round-trip times in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct PingPong {
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Round trips measured.
    pub count: u64,
}

/// Measures everything in about `time` (at least 0.35 seconds).
///
/// Errors: what binding sockets on the loopback device or mapping memory says.
pub fn measure(time: Duration) -> io::Result<Limits> {
    let share = (time / SHARES).max(SHARE_MIN);
    let (memcpy_hot_gb_per_s, memcpy_cold_gb_per_s) = (copy::hot(share), copy::cold(share));
    Ok(Limits {
        udp_burst: udp::stream(&udp::COLD_BURSTS, share)?,
        udp_burst_hot: udp::stream(&udp::HOT_BURSTS, share)?,
        udp_small: udp::stream(&udp::SMALL, share)?,
        udp_small_single: udp::stream(&udp::SMALL_SINGLE, share)?,
        udp_ping_pong: udp::ping_pong(share)?,
        memcpy_hot_gb_per_s,
        memcpy_cold_gb_per_s,
    })
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, stream) in [
            ("UDP, 56-KiB bursts from 256 MiB", self.udp_burst),
            ("UDP, 56-KiB bursts from the cache", self.udp_burst_hot),
            ("UDP, 64-octet packets in runs", self.udp_small),
            ("UDP, 64-octet packets one by one", self.udp_small_single),
        ] {
            let kilo = stream.packets_per_s / 1e3;
            writeln!(f, "{name:36} {:>9.0} MB/s {kilo:>9.0} k packets/s", stream.mb_per_s)?;
        }
        let PingPong { p50_us, p99_us, .. } = self.udp_ping_pong;
        writeln!(f, "{:36} {p50_us:>9.1} us p50 {p99_us:>9.1} us p99", "UDP, there and back")?;
        writeln!(f, "{:36} {:>9.1} GB/s", "copy, in the cache", self.memcpy_hot_gb_per_s)?;
        write!(f, "{:36} {:>9.1} GB/s", "copy, 256 MiB", self.memcpy_cold_gb_per_s)
    }
}

/// Decimal octets or events a second, for reports.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a short run measures everything, loses nothing where credits bound it, and ends in
    /// time.
    #[test]
    fn measures_in_bounded_time() {
        let started = std::time::Instant::now();
        let limits = measure(Duration::from_millis(350)).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
        for stream in
            [limits.udp_burst, limits.udp_burst_hot, limits.udp_small, limits.udp_small_single]
        {
            assert!(stream.mb_per_s > 1.0 && stream.packets_per_s > 1000.0, "{stream:?}");
            assert_eq!(stream.lost, 0);
        }
        assert!(limits.udp_ping_pong.count > 0 && limits.udp_ping_pong.p50_us > 0.5);
        assert!(limits.memcpy_hot_gb_per_s > 0.1 && limits.memcpy_cold_gb_per_s > 0.1);
        assert_eq!(limits.to_string().lines().count(), 7);
    }
}
