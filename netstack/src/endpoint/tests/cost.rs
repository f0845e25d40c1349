//! What an endpoint costs per packet, without link and placement. Ignored: a measurement.
//! `cargo test --release -p flexblk-netstack endpoint::tests::cost -- --ignored --nocapture`

use super::super::{CrcPolicy, EndpointConfig, Mode};
use super::world::{Host, PORT, World, addr, config};
use crate::Place;
use crate::link::TxBatch;
use memory::Span;
use verbs::{QpNum, SendOp};

struct Nowhere;

impl Place for Nowhere {
    fn place(&mut self, _span: Span<'_>, _payload: &[u8]) {}
}

/// CPU time of this thread, in nanoseconds.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Hands one side's packets to the other; returns packets.
fn hand_over(world: &mut World, from: usize, batch: &mut TxBatch, buffer: &mut [u8]) -> u64 {
    let mut packets = 0;
    loop {
        let source = world.hosts[from].addr;
        world.hosts[from].endpoint.poll_transmit(world.now, &mut Nowhere, batch);
        if batch.packets().is_empty() {
            return packets;
        }
        for transmit in batch.packets() {
            let header = transmit.header.as_slice();
            buffer[..header.len()].copy_from_slice(header);
            let octets = &buffer[..transmit.wire_len()];
            let endpoint = &mut world.hosts[from ^ 1].endpoint;
            endpoint.handle_packet(world.now, source, 0, octets, &mut Nowhere);
        }
        packets += batch.packets().len() as u64;
        batch.clear();
    }
}

/// 4-KiB writes at depth 16 on each of `count` connections.
fn measure(mode: Mode, count: usize) {
    let mut world = World::new(90);
    let config = |seed| EndpointConfig {
        max_qps: 2048,
        max_pending: 2048,
        native_crc: CrcPolicy::Never,
        ..config(seed, mode)
    };
    world.hosts.push(Host::new(addr(1, 50_000), config(1)));
    world.hosts.push(Host::new(addr(2, 4791), config(2)));
    world.hosts[1].endpoint.listen(PORT);
    world.tracing = false;
    let qps: Vec<QpNum> = (0..count).map(|_| world.connect().0).collect();
    world.settle();
    let remote = world.hosts[1].remote(0);
    let (mut batch, mut buffer) = (TxBatch::new(64), vec![0; 8192]);
    let (mut packets, mut done, mut wcs) = (0, 0, Vec::new());
    let rounds = 200_000 / (16 * count);
    let start = cpu_nanos();
    for _ in 0..rounds {
        for &qp in &qps {
            for id in 0..16 {
                world.hosts[0].post(qp, id, SendOp::RdmaWrite(remote), 0, 4096);
            }
        }
        // A delayed acknowledgement ends each round.
        for _ in 0..4 {
            packets += hand_over(&mut world, 0, &mut batch, &mut buffer);
            packets += hand_over(&mut world, 1, &mut batch, &mut buffer);
            world.now += std::time::Duration::from_millis(1);
            for host in &mut world.hosts {
                host.endpoint.handle_timeout(world.now, &mut Nowhere);
            }
        }
        world.hosts[0].endpoint.poll_wc(&mut wcs);
        done += wcs.len();
        wcs.clear();
    }
    let nanos = cpu_nanos() - start;
    assert_eq!(done, rounds * count * 16);
    println!(
        "{mode:?}, {count} connections: {} ns per 4-KiB write, both sides; {} ns per packet",
        nanos / done as u64,
        nanos / packets,
    );
}

#[test]
#[ignore = "a measurement"]
fn cost_of_endpoints() {
    for mode in [Mode::Native, Mode::Roce] {
        for count in [1, 100, 1000] {
            measure(mode, count);
        }
    }
}
