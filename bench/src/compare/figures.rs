//! From what the processes counted to the figures of a sample.

use super::child::ChildReport;
use super::meter::{self, Counts, float};
use super::record::{Figures, Sample};
use crate::stack::Kind;

/// Merges what server and client found out. `io_bytes`: octets of one I/O.
#[must_use]
pub(super) fn sample(
    round: u32,
    kind: Kind,
    io_bytes: u32,
    server: &ChildReport,
    client: &ChildReport,
) -> Sample {
    let mut counters = server.counters.clone();
    meter::add(&mut counters, &client.counters);
    let ios = float(client.ios.max(1));
    let octets = ios * f64::from(io_bytes);
    let percentile = |at: usize| client.latency_percentiles.get(at).copied().unwrap_or(0.0);
    let iops = ios / client.seconds.max(1e-9);
    let get = |name: &str| counters.get(name).copied().unwrap_or(0.0);
    let engine_busy_us = get("pipe.nic_busy_ns") / 1e3 / ios;
    let app_busy_us = get("app.busy_us") / ios;
    // An engine is host software; a NIC behind the pipe is what a SmartNIC would run.
    let engine_is_host = kind == Kind::Microkernel;
    let host_busy_us = app_busy_us + if engine_is_host { engine_busy_us } else { 0.0 };
    let yields = yields(kind, &counters);
    let empty = get("link.rx_empty_syscalls") + yields;
    let figures = Figures {
        iops,
        gb_per_s: iops * f64::from(io_bytes) / 1e9,
        p50_us: percentile(50),
        p99_us: percentile(99),
        p999_us: percentile(101),
        app_user_us: get("app.user_us") / ios,
        engine_user_us: (get("engine.user_us") + get("nic.user_us")) / ios,
        kernel_us: (get("app.system_us") + get("engine.system_us") + get("nic.system_us")) / ios,
        softirq_us: get("kernel.softirq_us") / ios,
        app_busy_us,
        engine_busy_us,
        host_busy_us,
        tx_copies: (get("link.tx_copied_bytes") + get("link.tx_staged_bytes")) / octets,
        rx_copies: (get("dpa.placed_bytes") + get("target.incapsule_copied_bytes")) / octets,
        syscalls: (syscalls(&counters) + yields) / ios,
        empty_polls: empty / ios,
        context_switches: (get("app.switches") + get("engine.switches") + get("nic.switches"))
            / ios,
        wire_bytes: get("link.tx_bytes") / ios,
        memory_bytes: get("app.resident_bytes") + get("engine.resident_bytes"),
    };
    let latency_percentiles = client.latency_percentiles.clone();
    Sample { round, figures, latency_percentiles, counters }
}

/// Turns that found nothing end with a system call where two share a processor.
fn yields(kind: Kind, counters: &Counts) -> f64 {
    if !kind.shares_processors() {
        return 0.0;
    }
    ["app.idle_turns", "pipe.nic_idle_turns"].iter().filter_map(|name| counters.get(*name)).sum()
}

fn syscalls(counters: &Counts) -> f64 {
    let names = [
        "link.tx_syscalls",
        "link.rx_syscalls",
        "host.sleeps",
        "target.sleeps",
        "pipe.nic_sleeps",
        "pipe.nic_wakes",
        "pipe.host_wakes",
    ];
    names.iter().filter_map(|name| counters.get(*name)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(counters: &[(&str, f64)]) -> ChildReport {
        let counters = counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        ChildReport { ios: 1000, seconds: 0.5, counters, ..ChildReport::default() }
    }

    /// Goal: both sides' costs are summed and divided by the client's I/Os, and engines count as host
    /// software where they are.
    #[test]
    fn costs_are_shared_out() {
        let server = report(&[("app.busy_us", 300.0), ("pipe.nic_busy_ns", 900_000.0)]);
        let client = report(&[("app.busy_us", 200.0), ("link.tx_bytes", 5_000_000.0)]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        let figures = sample(0, Kind::Microkernel, 4096, &server, &client).figures;
        near(figures.iops, 2000.0);
        near(figures.app_busy_us, 0.5);
        near(figures.engine_busy_us, 0.9);
        near(figures.host_busy_us, 1.4);
        near(figures.wire_bytes, 5000.0);
        let figures = sample(0, Kind::Piped, 4096, &server, &client).figures;
        near(figures.host_busy_us, 0.5);
    }
}
