//! How long the two machines take per block, without a wire and without copies.

use super::*;
use crate::Place;
use crate::link::{Transmit, TxBatch};
use crate::qp::Counters;
use crate::qp::testing::{Setup, config};
use memory::{Access, Region, Registry, Span};
use std::time::Instant;
use verbs::{ReceiveQueue, RecvWr, Wc};

struct NoPlace;
impl Place for NoPlace {
    fn place(&mut self, span: Span<'_>, payload: &[u8]) {
        std::hint::black_box((span.as_ptr(), payload.len()));
    }
}

struct Bench {
    machine: NativeMachine,
    memory: Registry,
    mr: memory::Mr,
    _region: Region,
    receives: ReceiveQueue,
    wcs: Vec<Wc>,
    counters: Counters,
    out: TxBatch,
}

impl Bench {
    fn new(index: usize) -> Bench {
        let setup = Setup { mtu: 4096, timeout: 17, ..Setup::default() };
        let region = Region::allocate(1 << 20).unwrap();
        let mut memory = Registry::new(64, 1);
        let mr = memory
            .register(&region, Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ)
            .unwrap();
        Bench {
            machine: NativeMachine::new(config(index, &setup)),
            memory,
            mr,
            _region: region,
            receives: ReceiveQueue::new(512),
            wcs: Vec::with_capacity(1024),
            counters: Counters::default(),
            out: TxBatch::new(64),
        }
    }
    fn with<R>(
        &mut self,
        now: Instant,
        f: impl FnOnce(&mut NativeMachine, &mut Cx<'_>, &mut TxBatch) -> R,
    ) -> R {
        let mut cx = Cx {
            now,
            memory: &mut self.memory,
            place: &mut NoPlace,
            receives: &mut self.receives,
            wcs: &mut self.wcs,
            counters: &mut self.counters,
        };
        f(&mut self.machine, &mut cx, &mut self.out)
    }
}

/// The octets as the wire would carry them; payload octets are whatever is there.
fn flat<'a>(packet: &Transmit, buffer: &'a mut [u8]) -> &'a [u8] {
    let header = packet.header.as_slice();
    buffer[..header.len()].copy_from_slice(header);
    let len: usize = packet.payload.iter().map(|sge| sge.length as usize).sum();
    &buffer[..header.len() + len]
}

/// Prints nanoseconds per 4-KiB WRITE with its fused SEND: posting and sending, receiving
/// (parse included, placement not), and the acknowledgements, 32 at a
/// time. The best of many rounds: other programs share the processors.
#[test]
#[ignore = "a measurement: run with --release -- --ignored --nocapture"]
fn nanoseconds_per_block() {
    let (mut a, mut b) = (Bench::new(0), Bench::new(1));
    let mut buffer = vec![0; 8192];
    let sge = Sge { addr: a.mr.addr, length: 4096, lkey: a.mr.lkey };
    let capsule = Sge { length: 16, ..sge };
    let remote = verbs::Remote { addr: b.mr.addr, rkey: b.mr.rkey };
    let into = Sge { addr: b.mr.addr, length: 16, lkey: b.mr.lkey };
    let (mut tx, mut rx, mut ack) = (Duration::MAX, Duration::MAX, Duration::MAX);
    const ROUNDS: u32 = 20_000;
    const BATCH: u32 = 32;
    for round in 0..ROUNDS {
        for id in 0..u64::from(BATCH) {
            b.receives.post(RecvWr { wr_id: id, sges: SgeList::from_slice(&[into]) }).unwrap();
        }
        let start = Instant::now();
        for id in 0..u64::from(BATCH) {
            let mut write = wr(id, SendOp::RdmaWrite(remote), &[sge]);
            write.flags.signaled = false;
            a.machine.post_send(write).unwrap();
            a.machine.post_send(wr(id, SendOp::Send, &[capsule])).unwrap();
        }
        a.with(start, |machine, cx, out| machine.poll_transmit(cx, out));
        tx = tx.min(start.elapsed());
        assert_eq!(a.out.packets().len(), BATCH as usize, "round {round}");
        let start = Instant::now();
        for packet in a.out.packets() {
            let octets = flat(packet, &mut buffer);
            let packet = NativePacket::parse(octets, false).unwrap();
            b.with(start, |machine, cx, _| machine.handle_packet(cx, &packet));
        }
        rx = rx.min(start.elapsed());
        assert_eq!(b.wcs.len(), BATCH as usize);
        b.wcs.clear();
        a.out.clear();
        let start = Instant::now();
        b.with(start, |machine, cx, out| machine.poll_transmit(cx, out));
        for packet in b.out.packets() {
            let packet = NativePacket::parse(packet.header.as_slice(), false).unwrap();
            a.with(start, |machine, cx, _| machine.handle_packet(cx, &packet));
        }
        ack = ack.min(start.elapsed());
        b.out.clear();
        assert_eq!(a.wcs.len(), BATCH as usize);
        a.wcs.clear();
    }
    let per = |d: Duration| d.as_nanos() as f64 / f64::from(BATCH);
    println!(
        "per block: send {:.0} ns, receive {:.0} ns, acknowledge {:.0} ns",
        per(tx),
        per(rx),
        per(ack)
    );
}
