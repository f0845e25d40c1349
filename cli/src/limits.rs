//! `flexblk limits`: what this machine moves without a protocol.

use crate::args::{Format, Limits};
use crate::failure::Failure;
use crate::output::print;

/// Measures and prints.
pub(crate) fn run(args: &Limits) -> Result<(), Failure> {
    let limits = ::bench::limits::measure(args.time)?;
    if args.output == Format::Json {
        return print(serde_json::to_string_pretty(&limits)?);
    }
    let stream = |name: &str, stream: &::bench::limits::Stream| {
        print(format_args!(
            "{name:44} {:>9.0} MB/s {:>10.0} packets/s  {} lost",
            stream.mb_per_s, stream.packets_per_s, stream.lost
        ))
    };
    stream("UDP loopback, GSO bursts, cold memory", &limits.udp_burst)?;
    stream("UDP loopback, GSO bursts, hot memory", &limits.udp_burst_hot)?;
    stream("UDP loopback, 64-octet packets in bursts", &limits.udp_small)?;
    stream("UDP loopback, 64-octet packets one by one", &limits.udp_small_single)?;
    let rtt = &limits.udp_ping_pong;
    print(format_args!(
        "{:44} {:>9.1} µs p50 {:>7.1} µs p99",
        "UDP loopback, round trip, spinning", rtt.p50_us, rtt.p99_us
    ))?;
    let exchange = |name: &str, exchange: &::bench::limits::Exchange| {
        print(format_args!(
            "{name:44} {:>9.0} /s {:>7.2} GB/s {:>7.1} µs p50  {} lost",
            exchange.per_s, exchange.gb_per_s, exchange.p50_us, exchange.lost
        ))
    };
    exchange("bare exchange over UDP, 4 KiB, depth 1", &limits.exchange_4k_depth_1)?;
    exchange("bare exchange over UDP, 4 KiB, depth 32", &limits.exchange_4k_depth_32)?;
    exchange("bare exchange over UDP, 128 KiB, depth 8", &limits.exchange_128k_depth_8)?;
    let memcpy = |name: &str, speed: f64| print(format_args!("{name:44} {speed:>9.1} GB/s"));
    memcpy("memcpy 4 KiB, in cache", limits.memcpy_hot_gb_per_s)?;
    memcpy("memcpy 4 KiB, from memory", limits.memcpy_cold_gb_per_s)
}
