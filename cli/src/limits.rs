//! `flexblk limits`: what this machine moves without a protocol.

use crate::args::{Format, Limits};
use crate::failure::Failure;

/// Measures and prints.
pub(crate) fn run(args: &Limits) -> Result<(), Failure> {
    let limits = ::bench::limits::measure(args.time)?;
    if args.output == Format::Json {
        println!("{}", serde_json::to_string_pretty(&limits)?);
        return Ok(());
    }
    let stream = |name: &str, stream: &::bench::limits::Stream| {
        println!(
            "{name:44} {:>9.0} MB/s {:>10.0} packets/s  {} lost",
            stream.mb_per_s, stream.packets_per_s, stream.lost
        );
    };
    stream("UDP loopback, GSO bursts, cold memory", &limits.udp_burst);
    stream("UDP loopback, GSO bursts, hot memory", &limits.udp_burst_hot);
    stream("UDP loopback, 64-octet packets in bursts", &limits.udp_small);
    stream("UDP loopback, 64-octet packets one by one", &limits.udp_small_single);
    let rtt = &limits.udp_ping_pong;
    println!(
        "{:44} {:>9.1} µs p50 {:>7.1} µs p99",
        "UDP loopback, round trip, spinning", rtt.p50_us, rtt.p99_us
    );
    println!("{:44} {:>9.1} GB/s", "memcpy 4 KiB, in cache", limits.memcpy_hot_gb_per_s);
    println!("{:44} {:>9.1} GB/s", "memcpy 4 KiB, from memory", limits.memcpy_cold_gb_per_s);
    Ok(())
}
