//! What the machines cost per packet, without link and placement. Ignored: a measurement.
//! `cargo test --release -p flexblk-netstack cost -- --ignored --nocapture`

use super::*;
use crate::Place;
use crate::link::TxBatch;
use crate::qp::testing::{Setup, Side};
use memory::Span;
use std::time::Instant;

struct Nowhere;

impl Place for Nowhere {
    fn place(&mut self, _span: Span<'_>, _payload: &[u8]) {}
}

/// `poll_transmit` of one side, each packet handled by the other; returns packets.
fn hand_over(
    now: Instant,
    from: &mut Side<RoceMachine>,
    to: &mut Side<RoceMachine>,
    batch: &mut TxBatch,
    buffer: &mut [u8],
) -> u64 {
    from.with(now, |machine, cx| machine.poll_transmit(cx, batch));
    for transmit in batch.packets() {
        let header = transmit.header.as_slice();
        let payload: u32 = transmit.payload.iter().map(|sge| sge.length).sum();
        buffer[..header.len()].copy_from_slice(header);
        let octets = &buffer[..header.len() + payload as usize + usize::from(transmit.pad)];
        let packet = Packet::parse(octets, false).unwrap();
        let mut cx = Cx {
            now,
            memory: &mut to.memory,
            place: &mut Nowhere,
            receives: &mut to.receives,
            wcs: &mut to.wcs,
            counters: &mut to.counters,
        };
        to.machine.handle_packet(&mut cx, &packet);
    }
    let packets = batch.packets().len() as u64;
    batch.clear();
    packets
}

/// CPU time of this thread, in nanoseconds: what other work on the machine does not change.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn measure(what: &str, op: fn(&RoceWorld) -> SendOp, len: u32) {
    let setup = Setup { mtu: 4096, max_rd_atomic: 64, ..Setup::default() };
    let mut world = world(&setup);
    let op = op(&world);
    let (mut batch, mut buffer) = (TxBatch::new(64), vec![0; 8192]);
    let (mut packets, mut done, now) = (0, 0, world.now);
    let start = cpu_nanos();
    let [a, b] = &mut world.sides;
    while done < 1_000_000 {
        for id in 0..32 {
            if matches!(op, SendOp::Send) {
                b.post_recv(id, LANDING, len);
            }
            a.post(id, op, 0, len);
        }
        while a.wcs.len() < 32 {
            packets += hand_over(now, a, b, &mut batch, &mut buffer);
            packets += hand_over(now, b, a, &mut batch, &mut buffer);
        }
        done += a.wcs.len();
        a.wcs.clear();
        b.wcs.clear();
    }
    let nanos = cpu_nanos() - start;
    let (per_op, per_packet) = (nanos / done as u64, nanos / packets);
    println!("{what} of {len}: {per_op} ns per request, {per_packet} ns per packet, both sides");
}

/// Goal: the cost per packet, to compare before and after a change.
#[test]
#[ignore = "a measurement"]
fn cost_of_machines() {
    measure("WRITE", |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING)), 4096);
    measure("WRITE", |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING)), 131_072);
    measure("SEND", |_| SendOp::Send, 64);
    measure("READ", |w| SendOp::RdmaRead(w.sides[1].remote(LANDING)), 4096);
    measure("READ", |w| SendOp::RdmaRead(w.sides[1].remote(LANDING)), 131_072);
}
