//! What this machine can move at all: the ceiling that a run is compared with.
//!
//! Everything but `tcp` runs over the same UDP link as the product (127.0.0.2 to 127.0.0.1, two threads
//! that spin), without any protocol on top, and is bounded in time. `udp`: streams and ping-pong;
//! `exchange`: requests answered with blocks; `tcp`: the same over TCP; `copy`: memory.

mod copy;
mod exchange;
mod tcp;
mod udp;

use serde::Serialize;
use std::io;
use std::time::Duration;

/// Shortest time that one measurement gets.
const SHARE_MIN: Duration = Duration::from_millis(50);
/// Measurements that share the time.
const SHARES: u32 = 12;

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
    /// The bare exchange: 4-KiB blocks, one at a time.
    pub exchange_4k_depth_1: Exchange,
    /// 4-KiB blocks, 32 at a time.
    pub exchange_4k_depth_32: Exchange,
    /// 128-KiB blocks in packets of 4 KiB, 8 at a time.
    pub exchange_128k_depth_8: Exchange,
    /// The bare exchange over TCP: 4-KiB blocks, one at a time.
    pub tcp_4k_depth_1: Exchange,
    /// 128-KiB blocks, 8 at a time.
    pub tcp_128k_depth_8: Exchange,
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

/// Requests of 128 octets, each answered with a block from a random place of 512 MiB.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Exchange {
    /// Exchanges per second.
    pub per_s: f64,
    /// Octets of blocks, in 10^9 per second.
    pub gb_per_s: f64,
    /// Median time from request to block, in microseconds.
    pub p50_us: f64,
    /// Its 99th percentile.
    pub p99_us: f64,
    /// Exchanges measured.
    pub count: u64,
    /// Blocks that did not come in time and were asked for anew.
    pub lost: u64,
}

/// Measures everything in about `time` (at least half a second).
///
/// Errors: what binding sockets on the loopback device or mapping memory says.
pub fn measure(time: Duration) -> io::Result<Limits> {
    let share = (time / SHARES).max(SHARE_MIN);
    let (memcpy_hot_gb_per_s, memcpy_cold_gb_per_s) = (copy::hot(share), copy::cold(share));
    // Before the region of the others is mapped: each has its own, of the same length.
    let [tcp_4k_depth_1, tcp_128k_depth_8] = tcp::run(share)?;
    let blocks = exchange::cold_region()?;
    Ok(Limits {
        udp_burst: udp::stream(&udp::COLD_BURSTS, share)?,
        udp_burst_hot: udp::stream(&udp::HOT_BURSTS, share)?,
        udp_small: udp::stream(&udp::SMALL, share)?,
        udp_small_single: udp::stream(&udp::SMALL_SINGLE, share)?,
        udp_ping_pong: udp::ping_pong(share)?,
        exchange_4k_depth_1: exchange::run(&blocks, 4 << 10, 1, share)?,
        exchange_4k_depth_32: exchange::run(&blocks, 4 << 10, 32, share)?,
        exchange_128k_depth_8: exchange::run(&blocks, 128 << 10, 8, share)?,
        tcp_4k_depth_1,
        tcp_128k_depth_8,
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
        for (name, exchange) in [
            ("bare exchange, 4 KiB, depth 1", self.exchange_4k_depth_1),
            ("bare exchange, 4 KiB, depth 32", self.exchange_4k_depth_32),
            ("bare exchange, 128 KiB, depth 8", self.exchange_128k_depth_8),
            ("bare exchange, TCP, 4 KiB, depth 1", self.tcp_4k_depth_1),
            ("bare exchange, TCP, 128 KiB, depth 8", self.tcp_128k_depth_8),
        ] {
            let Exchange { per_s, gb_per_s, p50_us, .. } = exchange;
            writeln!(f, "{name:36} {per_s:>9.0} /s {gb_per_s:>9.2} GB/s {p50_us:>9.1} us p50")?;
        }
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
        let limits = measure(Duration::from_millis(500)).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
        for stream in
            [limits.udp_burst, limits.udp_burst_hot, limits.udp_small, limits.udp_small_single]
        {
            assert!(stream.mb_per_s > 1.0 && stream.packets_per_s > 1000.0, "{stream:?}");
            assert_eq!(stream.lost, 0);
        }
        assert!(limits.udp_ping_pong.count > 0 && limits.udp_ping_pong.p50_us > 0.5);
        for exchange in [
            limits.exchange_4k_depth_1,
            limits.exchange_4k_depth_32,
            limits.exchange_128k_depth_8,
            limits.tcp_4k_depth_1,
            limits.tcp_128k_depth_8,
        ] {
            assert!(exchange.count > 0 && exchange.per_s > 10.0, "{exchange:?}");
            assert!(exchange.p99_us >= exchange.p50_us && exchange.p50_us > 0.5, "{exchange:?}");
        }
        assert!(limits.memcpy_hot_gb_per_s > 0.1 && limits.memcpy_cold_gb_per_s > 0.1);
        assert_eq!(limits.to_string().lines().count(), 12);
    }
}
