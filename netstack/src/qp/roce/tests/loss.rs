//! Every single packet, and every pair of packets, lost: everything completes once, in order.
//! The matrix is Lumina's (SIGCOMM'23): drop the n-th packet of each kind.

use super::*;
use crate::cc::{AckSample, CongestionControl, Loss};
use crate::qp::testing::{Fate, Setup, config};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COUNTER: u32 = LANDING + (100 << 10);

/// SEND, WRITE, READ, FETCH_ADD, READ, WRITE_IMM, SEND, of several packets each.
fn mixed(setup: &Setup) -> RoceWorld {
    let mut world = world(setup);
    for id in 0..3 {
        world.sides[1].post_recv(90 + id, LANDING + u32::try_from(id).unwrap() * 4096, 4096);
    }
    let remote = |offset| world.sides[1].remote(offset);
    let ops = [
        (SendOp::Send, 0, 1000),
        (SendOp::RdmaWrite(remote(LANDING + 20_000)), 1000, 800),
        (SendOp::RdmaRead(remote(500)), LANDING, 1200),
        (SendOp::FetchAdd { remote: remote(COUNTER), add: 3 }, LANDING + 30_000, 8),
        (SendOp::RdmaRead(remote(9_000)), LANDING + 2_000, 700),
        (SendOp::RdmaWriteWithImm(remote(LANDING + 30_000), 1), 5000, 600),
        (SendOp::Send, 7000, 300),
    ];
    for (id, (op, offset, len)) in (1..).zip(ops) {
        world.sides[0].post(id, op, offset, len);
    }
    world
}

fn check_mixed(world: &mut RoceWorld, what: &str) {
    let done: Vec<_> = (1..=7).map(|id| (id, OK)).collect();
    assert_eq!(world.sides[0].take_wcs(), done, "{what}");
    assert_eq!(world.sides[1].take_wcs(), [(90, OK), (91, OK), (92, OK)], "{what}");
    let [a, b] = &world.sides;
    let pairs = [
        (a.octets(0, 1000), b.octets(LANDING, 1000)),
        (a.octets(1000, 800), b.octets(LANDING + 20_000, 800)),
        (b.octets(500, 1200), a.octets(LANDING, 1200)),
        (b.octets(9_000, 700), a.octets(LANDING + 2_000, 700)),
        (a.octets(5000, 600), b.octets(LANDING + 30_000, 600)),
        (a.octets(7000, 300), b.octets(LANDING + 8192, 300)),
    ];
    assert!(pairs.iter().all(|(sent, landed)| sent == landed), "{what}");
    assert_eq!(b.octets(COUNTER, 8), 3u64.to_ne_bytes(), "{what}: an atomic is executed once");
}

fn run_with_drops(drops: [usize; 2]) -> usize {
    let setup = Setup { mtu: 256, psn: [0xff_fffa, 0xff_fff0], ..Setup::default() };
    let mut world = mixed(&setup);
    world.tracing = false;
    let sent = Rc::new(Cell::new(0));
    let count = Rc::clone(&sent);
    world.script = Some(Box::new(move |_| {
        let index = count.replace(count.get() + 1);
        if drops.contains(&index) { Fate::Drop } else { Fate::Deliver }
    }));
    assert!(world.drive(Duration::from_secs(1)), "drop {drops:?}: never rests");
    check_mixed(&mut world, &format!("drop {drops:?}"));
    sent.get()
}

/// Goal: whichever packet is lost (first, middle, last, request, response, acknowledgement), the
/// connection recovers; so it does when any second one is lost too (retransmissions and NAKs among
/// them).
#[test]
fn any_one_or_two_packets_lost() {
    let lossless = run_with_drops([usize::MAX; 2]);
    assert!(lossless > 20, "{lossless} packets are too few to test anything");
    for first in 0..lossless {
        let sent = run_with_drops([first, usize::MAX]);
        for second in first + 1..sent {
            run_with_drops([first, second]);
        }
    }
}

/// Goal: a lost middle packet costs one NAK and no timeout.
#[test]
fn a_gap_is_one_nak() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let mut world = world_with(&setup, |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING)), 2560);
    let mut count = 0;
    world.script = Some(Box::new(move |_| {
        count += 1;
        if count == 4 { Fate::Drop } else { Fate::Deliver }
    }));
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
    let (side, peer) = (&world.sides[0].counters, &world.sides[1].counters);
    assert_eq!((side.naks_in, side.timeouts, side.retransmitted_packets), (1, 0, 7));
    assert_eq!((peer.naks_out, peer.out_of_order_in), (1, 6));
}

/// Goal: a READ whose response lost its middle is asked for again from there, not from its start.
#[test]
fn a_read_resumes_where_it_broke() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let mut world = world_with(&setup, |w| SendOp::RdmaRead(w.sides[1].remote(SOURCE)), 2560);
    let mut count = 0;
    world.script = Some(Box::new(move |sent| {
        count += usize::from(sent.from == 1);
        if sent.from == 1 && count == 4 { Fate::Drop } else { Fate::Deliver }
    }));
    world.settle();
    let requests: Vec<_> = world
        .trace
        .iter()
        .filter(|sent| sent.from == 0)
        .map(|sent| {
            let reth = packet(sent).ext.reth.unwrap();
            (packet(sent).bth.psn.get(), reth.addr - world.sides[1].mr.addr, reth.len)
        })
        .collect();
    assert_eq!(requests, [(100, 0, 2560), (103, 768, 1792)]);
    assert_eq!(world.sides[0].counters.timeouts, 0);
    assert_eq!(world.sides[0].octets(LANDING, 2560), world.sides[1].octets(SOURCE, 2560));
}

/// Goal: a duplicated atomic is executed once, and so is one whose result was lost.
#[test]
fn atomics_are_executed_once() {
    for fate in [Fate::Duplicate, Fate::Drop] {
        let mut world = world(&Setup::default());
        let remote = world.sides[1].remote(COUNTER);
        let mut budget = 3;
        world.script = Some(Box::new(move |sent| {
            let hit = sent.from == usize::from(fate == Fate::Drop) && budget > 0;
            budget -= i32::from(hit);
            if hit { fate } else { Fate::Deliver }
        }));
        for id in 0..3 {
            world.sides[0].post(id, SendOp::FetchAdd { remote, add: 1 }, LANDING, 8);
        }
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(0, OK), (1, OK), (2, OK)]);
        assert_eq!(world.sides[1].octets(COUNTER, 8), 3u64.to_ne_bytes(), "{fate:?}");
        assert!(world.sides[1].counters.duplicates_in > 0);
    }
}

/// Goal: PSNs wrap in the middle of messages without notice, in both directions.
#[test]
fn psn_wraps() {
    let setup = Setup { mtu: 256, psn: [0xff_fff0, 0xff_fff0], ..Setup::default() };
    let mut world = mixed(&setup);
    world.settle();
    check_mixed(&mut world, "wrap");
    let psns: Vec<u32> = world.trace.iter().map(|sent| packet(sent).bth.psn.get()).collect();
    assert!(psns.contains(&0xff_ffff) && psns.contains(&0));
}

/// Goal: the congestion window is kept, to the octet; a window smaller than a packet still lets
/// one through, and asks for its acknowledgement at once.
#[test]
fn the_window_is_kept() {
    for window_bytes in [1, 256, 1000, 5000] {
        let setup = Setup { mtu: 256, window_bytes, ..Setup::default() };
        let op: fn(&RoceWorld) -> SendOp = |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING));
        let mut world = world_with(&setup, op, 50_000);
        world.transmit_all();
        let in_flight = world.sides[0].counters.payload_bytes_out;
        assert!(in_flight <= window_bytes.max(256), "{in_flight} of {window_bytes}");
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
        assert_eq!(world.sides[0].counters.timeouts, 0, "window of {window_bytes}");
    }
}

/// Goal: no more than 128 PSNs are unacknowledged, as rxe expects.
#[test]
fn at_most_128_psns_are_out() {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let op: fn(&RoceWorld) -> SendOp = |w| SendOp::RdmaWrite(w.sides[1].remote(LANDING));
    let mut world = world_with(&setup, op, 400 * 256);
    world.transmit_all();
    assert_eq!(world.trace.len(), 128);
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
    assert_eq!(world.sides[0].counters.timeouts, 0);
}

/// Goal: no more READs and atomics are out than the peer holds, and a fence waits for all of them.
#[test]
fn reads_are_bounded_and_fenced() {
    let setup = Setup { max_rd_atomic: 2, ..Setup::default() };
    let mut world = world(&setup);
    for id in 0..5 {
        world.sides[0].post(id, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 100);
    }
    let side = &mut world.sides[0];
    let sges = verbs::SgeList::from_slice(&[side.sge(0, 8)]);
    let flags = verbs::WrFlags { signaled: true, fence: true, solicited: false };
    let op = SendOp::RdmaWrite(world.sides[1].remote(LANDING));
    let fenced = verbs::SendWr { wr_id: 9, op, sges, flags };
    world.sides[0].machine.post_send(fenced).unwrap();
    world.transmit_all();
    assert_eq!(world.trace.len(), 2);
    world.settle();
    let order: Vec<_> = world.trace.iter().filter(|sent| sent.from == 0).map(opcode).collect();
    assert_eq!(order.last(), Some(&wire::roce::Opcode::WriteOnly));
    let write_at = world.trace.iter().position(|sent| opcode(sent) == Opcode::WriteOnly).unwrap();
    let responses = |sents: &[Sent]| sents.iter().filter(|sent| sent.from == 1).count();
    assert_eq!(responses(&world.trace[..write_at]), 5, "the fence waits for every response");
}

/// Goal: congestion control hears of every octet once, of round trips only where they are certain,
/// and of one loss per gap.
#[test]
fn congestion_control_is_told() {
    for lost in [None, Some(4)] {
        let setup = Setup { mtu: 256, ..Setup::default() };
        let heard = Arc::new(Mutex::new(Heard::default()));
        let mut world = world(&setup);
        let mut config = config(0, &setup);
        config.cc = Box::new(Recorder(Arc::clone(&heard)));
        world.sides[0].machine = RoceMachine::new(config);
        world.sides[0].post(1, SendOp::RdmaWrite(world.sides[1].remote(LANDING)), 0, 3000);
        world.sides[0].post(2, SendOp::RdmaRead(world.sides[1].remote(0)), LANDING, 700);
        let mut count = 0;
        world.script = Some(Box::new(move |_| {
            count += 1;
            if Some(count) == lost { Fate::Drop } else { Fate::Deliver }
        }));
        world.settle();
        let heard = heard.lock().unwrap();
        assert_eq!((heard.acked, heard.in_flight), (3700, 0), "{lost:?}");
        assert_eq!(heard.losses, usize::from(lost.is_some()));
        assert!(heard.rtts.iter().all(|rtt| *rtt == Duration::from_micros(20)));
        assert_eq!(heard.rtts.is_empty(), lost.is_some(), "{lost:?}: all after it was sent twice");
    }
}

#[derive(Default)]
struct Heard {
    acked: u64,
    in_flight: u64,
    losses: usize,
    rtts: Vec<Duration>,
}

struct Recorder(Arc<Mutex<Heard>>);

impl CongestionControl for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }
    fn on_send(&mut self, _now: Instant, _bytes: u64) {}
    fn on_ack(&mut self, sample: &AckSample) {
        let mut heard = self.0.lock().unwrap();
        heard.acked += sample.acked_bytes;
        heard.in_flight = sample.in_flight_bytes;
        heard.rtts.extend(sample.rtt);
    }
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {
        self.0.lock().unwrap().losses += 1;
    }
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        1 << 20
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        now
    }
}

/// One packet per microsecond, whatever its size.
pub(super) struct Paced(pub(super) Option<Instant>);

impl CongestionControl for Paced {
    fn name(&self) -> &'static str {
        "paced"
    }
    fn on_send(&mut self, now: Instant, _bytes: u64) {
        self.0 = Some(now);
    }
    fn on_ack(&mut self, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {}
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        1 << 20
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        self.0.map_or(now, |last| last + Duration::from_micros(1))
    }
}

/// Goal: pacing spaces requests and READ responses alike, with a timer and without spinning.
#[test]
fn pacing_is_obeyed_both_ways() {
    for is_read in [false, true] {
        let setup = Setup { mtu: 256, ..Setup::default() };
        let mut world = world(&setup);
        for side in 0..2 {
            let mut config = config(side, &setup);
            config.cc = Box::new(Paced(None));
            world.sides[side].machine = RoceMachine::new(config);
        }
        let remote = world.sides[1].remote(LANDING);
        let op = if is_read { SendOp::RdmaRead(remote) } else { SendOp::RdmaWrite(remote) };
        world.sides[0].post(1, op, 0, 2560);
        world.settle();
        assert_eq!(world.sides[0].take_wcs(), [(1, OK)]);
        let paced = world.trace.iter().filter(|sent| sent.from == usize::from(is_read));
        let times: Vec<_> = paced.map(|sent| sent.at).collect();
        assert_eq!(times.len(), 10);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(1)));
    }
}
