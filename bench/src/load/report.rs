//! What a load did, in numbers.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// One job's outcome.
pub struct JobReport {
    /// I/Os done in the measured time.
    pub ios: u64,
    /// I/Os done without error, ever.
    pub ios_ever: u64,
    /// Octets moved in it.
    pub bytes: u64,
    /// I/Os that failed, ever.
    pub errors: u64,
    /// Reads whose data was wrong, ever.
    pub mismatches: u64,
    /// Measured time.
    pub time: Duration,
    /// Nanoseconds from submit to completion.
    pub latency: Histogram<u64>,
    /// Counters' growth in the measured time.
    pub counters: BTreeMap<&'static str, u64>,
    /// First failure, in words.
    pub first_error: Option<String>,
}

/// Latency in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// All jobs together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// I/Os per second.
    pub iops: f64,
    /// Megabytes (10^6 octets) per second.
    pub mb_per_s: f64,
    /// Latency.
    pub lat_us: Latency,
    /// I/Os that failed, or whose data was wrong.
    pub errors: u64,
    /// Of them, reads whose data was wrong.
    pub mismatches: u64,
    /// I/Os measured.
    pub ios: u64,
    /// Seconds measured.
    pub seconds: f64,
    /// Counters of this side, summed over jobs.
    pub counters: BTreeMap<String, f64>,
}

impl Report {
    /// Sums jobs that ran side by side.
    #[must_use]
    pub fn of(jobs: &[JobReport]) -> Report {
        let mut latency = Histogram::<u64>::new(3).expect("three digits are valid");
        let mut counters = BTreeMap::new();
        let (mut ios, mut bytes, mut errors, mut rate, mut seconds) = (0, 0, 0, 0.0, 0.0f64);
        let (mut byte_rate, mut mismatches) = (0.0, 0);
        for job in jobs {
            // Histograms of the same precision grow to fit: this cannot fail.
            let _ = latency.add(&job.latency);
            ios += job.ios;
            bytes += job.bytes;
            mismatches += job.mismatches;
            errors += job.errors + job.mismatches;
            rate += float(job.ios) / job.time.as_secs_f64();
            byte_rate += float(job.bytes) / job.time.as_secs_f64();
            seconds = seconds.max(job.time.as_secs_f64());
            for (&name, &count) in &job.counters {
                *counters.entry(name.to_owned()).or_insert(0.0) += float(count);
            }
        }
        derive(&mut counters, ios, bytes);
        let us = |ns: u64| float(ns) / 1000.0;
        let lat_us = Latency {
            mean: latency.mean() / 1000.0,
            p50: us(latency.value_at_quantile(0.5)),
            p99: us(latency.value_at_quantile(0.99)),
            p999: us(latency.value_at_quantile(0.999)),
            max: us(latency.max()),
        };
        let mb_per_s = byte_rate / 1e6;
        Report { iops: rate, mb_per_s, lat_us, errors, mismatches, ios, seconds, counters }
    }
}

/// Ratios that the counters are for.
fn derive(counters: &mut BTreeMap<String, f64>, ios: u64, bytes: u64) {
    let get = |name: &str| counters.get(name).copied().unwrap_or(0.0);
    // All of them, also looks at a socket that found nothing, and sleeps.
    let empty = get("link.rx_empty_syscalls");
    let syscalls = get("link.tx_syscalls") + get("link.rx_syscalls") + get("host.sleeps");
    let tx_copied = get("link.tx_copied_bytes");
    let rx_copied = get("dpa.placed_bytes");
    if ios > 0 {
        counters.insert("syscalls_per_io".into(), syscalls / float(ios));
        counters.insert("empty_polls_per_io".into(), empty / float(ios));
        counters.insert("tx_copies_per_byte".into(), tx_copied / float(bytes.max(1)));
        counters.insert("rx_placed_per_byte".into(), rx_copied / float(bytes.max(1)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}
