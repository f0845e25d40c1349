//! A world of two machines: what every transport's tests run in.
//!
//! Two queue pairs, their memory and receives, a wire with seeded or scripted faults, and virtual
//! time. [`World::drive`] runs until nothing is left to happen. A run is a function of its seed.

use super::{Counters, Cx, Machine, QpConfig};
use crate::Place;
use crate::cc::{AckSample, CongestionControl, Loss};
use crate::link::{Trailer, Transmit, TxBatch};
use memory::{Access, Mr, Region, Registry, Sge, Span};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::{
    QpAttr, QpCaps, QpNum, ReceiveQueue, RecvWr, Remote, SendOp, SendWr, SgeList, Wc, WcStatus,
    WrFlags,
};

/// What the world needs of a transport beyond [`Machine`].
pub(crate) trait Transport: Machine + Sized {
    /// A connected machine.
    fn make(config: QpConfig) -> Self;
    /// Hands a datagram's octets (header, payload, pad; no trailer) to the machine. Octets that
    /// are no packet of this transport are dropped, as an endpoint would.
    fn receive(&mut self, cx: &mut Cx<'_>, octets: &[u8]);
}

/// The wire's behaviour, in probabilities of 1/1,000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// One way.
    pub(crate) latency: Duration,
    /// Never arrives, or arrives with a wrong ICRC.
    pub(crate) loss_permille: u64,
    /// Arrives twice, the second time up to `late_max` later.
    pub(crate) duplicate_permille: u64,
    /// Arrives up to `late_max` late.
    pub(crate) reorder_permille: u64,
    /// See above.
    pub(crate) late_max: Duration,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            latency: Duration::from_micros(10),
            loss_permille: 0,
            duplicate_permille: 0,
            reorder_permille: 0,
            late_max: Duration::from_micros(50),
        }
    }
}

/// What happens to one packet, as a script decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code, reason = "a vocabulary; each transport's tests use a part")]
pub(crate) enum Fate {
    Deliver,
    Drop,
    Duplicate,
    Delay(Duration),
}

/// One packet that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When.
    pub(crate) at: Instant,
    /// Side that sent it: 0 or 1.
    pub(crate) from: usize,
    /// Header, payload, pad.
    pub(crate) octets: Vec<u8>,
}

/// A script: called for each packet in order, after it was added to the trace.
pub(crate) type Script = Box<dyn FnMut(&Sent) -> Fate>;

/// What a test may choose about a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) mtu: u32,
    /// First PSN of side 0, and of side 1.
    pub(crate) psn: [u32; 2],
    pub(crate) max_rd_atomic: u8,
    pub(crate) timeout: u8,
    pub(crate) retry_cnt: u8,
    pub(crate) rnr_retry: u8,
    pub(crate) caps: QpCaps,
    pub(crate) trailer: Trailer,
    /// Congestion window, in octets.
    pub(crate) window_bytes: u64,
    /// Octets of each side's region.
    pub(crate) region_bytes: usize,
    pub(crate) faults: Faults,
    pub(crate) seed: u64,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            mtu: 1024,
            psn: [100, 5000],
            max_rd_atomic: 4,
            timeout: 8,
            retry_cnt: 6,
            rnr_retry: 6,
            caps: QpCaps::default(),
            trailer: Trailer::Icrc,
            window_bytes: 1 << 20,
            region_bytes: 1 << 20,
            faults: Faults::default(),
            seed: 1,
        }
    }
}

/// A congestion window that never moves.
#[derive(Debug)]
pub(crate) struct ConstantWindow(pub(crate) u64);

impl CongestionControl for ConstantWindow {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn on_send(&mut self, _now: Instant, _bytes: u64) {}
    fn on_ack(&mut self, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _loss: Loss) {}
    fn on_cnp(&mut self, _now: Instant) {}
    fn window_bytes(&self) -> u64 {
        self.0
    }
    fn release_at(&self, now: Instant, _bytes: u64) -> Instant {
        now
    }
}

/// Copies, and counts what it copied.
#[derive(Debug, Default)]
pub(crate) struct CopyPlace {
    pub(crate) octets: u64,
}

impl Place for CopyPlace {
    fn place(&mut self, span: Span<'_>, payload: &[u8]) {
        assert_eq!(span.len(), payload.len(), "the span is exactly where the payload belongs");
        span.write(payload);
        self.octets += payload.len() as u64;
    }
}

/// One end of the connection.
pub(crate) struct Side<M> {
    pub(crate) machine: M,
    pub(crate) memory: Registry,
    pub(crate) region: Region,
    /// All of `region`, with every right.
    pub(crate) mr: Mr,
    pub(crate) receives: ReceiveQueue,
    /// Completions, oldest first; tests take them.
    pub(crate) wcs: Vec<Wc>,
    pub(crate) counters: Counters,
    pub(crate) place: CopyPlace,
}

impl<M: Transport> Side<M> {
    fn new(index: usize, setup: &Setup) -> Side<M> {
        let mut memory = Registry::new(64, setup.seed + index as u64);
        let region = Region::allocate(setup.region_bytes).unwrap();
        let access = Access::LOCAL_WRITE
            | Access::REMOTE_WRITE
            | Access::REMOTE_READ
            | Access::REMOTE_ATOMIC;
        let mr = memory.register(&region, access).unwrap();
        Side {
            machine: M::make(config(index, setup)),
            memory,
            region,
            mr,
            receives: ReceiveQueue::new(setup.caps.max_recv_wr as usize),
            wcs: Vec::new(),
            counters: Counters::default(),
            place: CopyPlace::default(),
        }
    }
    /// Calls `f` with the machine and its surroundings.
    pub(crate) fn with<R>(&mut self, now: Instant, f: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx {
            now,
            memory: &mut self.memory,
            place: &mut self.place,
            receives: &mut self.receives,
            wcs: &mut self.wcs,
            counters: &mut self.counters,
        };
        f(&mut self.machine, &mut cx)
    }
    /// An element of this side's region.
    pub(crate) fn sge(&self, offset: u32, length: u32) -> Sge {
        Sge { addr: self.mr.addr + u64::from(offset), length, lkey: self.mr.lkey }
    }
    /// This side's region, as its peer names it.
    pub(crate) fn remote(&self, offset: u32) -> Remote {
        Remote { addr: self.mr.addr + u64::from(offset), rkey: self.mr.rkey }
    }
    /// Posts a receive of one element.
    pub(crate) fn post_recv(&mut self, wr_id: u64, offset: u32, length: u32) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        self.receives.post(RecvWr { wr_id, sges }).unwrap();
    }
    /// Posts a signalled send of one element.
    pub(crate) fn post(&mut self, wr_id: u64, op: SendOp, offset: u32, length: u32) {
        let sges = SgeList::from_slice(&[self.sge(offset, length)]);
        let flags = WrFlags { signaled: true, ..WrFlags::default() };
        self.machine.post_send(SendWr { wr_id, op, sges, flags }).unwrap();
    }
    /// Octets of the region.
    pub(crate) fn octets(&self, offset: u32, length: u32) -> Vec<u8> {
        let mut octets = vec![0; length as usize];
        self.region.read(offset as usize, &mut octets);
        octets
    }
    /// Fills a part of the region with octets that depend on `seed` and position.
    pub(crate) fn paint(&self, offset: u32, length: u32, seed: u64) {
        let mut random = Random(seed);
        let octets: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[3]).collect();
        self.region.write(offset as usize, &octets);
    }
    /// Completions since the last call, as (wr_id, status).
    pub(crate) fn take_wcs(&mut self) -> Vec<(u64, WcStatus)> {
        self.wcs.drain(..).map(|wc| (wc.wr_id, wc.status)).collect()
    }
}

/// The address of a side.
pub(crate) fn address(index: usize) -> SocketAddr {
    let host = if index == 0 { 1 } else { 2 };
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), crate::link::ROCE_PORT))
}

/// The queue pair number of a side.
pub(crate) fn qpn(index: usize) -> QpNum {
    QpNum::new(if index == 0 { 0x11 } else { 0x12 })
}

/// A side's configuration.
pub(crate) fn config(index: usize, setup: &Setup) -> QpConfig {
    let attr = QpAttr {
        dest_qp: qpn(index ^ 1),
        dest: address(index ^ 1),
        path_mtu_bytes: setup.mtu,
        sq_psn: setup.psn[index],
        rq_psn: setup.psn[index ^ 1],
        max_rd_atomic: setup.max_rd_atomic,
        max_dest_rd_atomic: setup.max_rd_atomic,
        timeout: setup.timeout,
        retry_cnt: setup.retry_cnt,
        rnr_retry: setup.rnr_retry,
        min_rnr_timer: 1,
    };
    let cc = Box::new(ConstantWindow(setup.window_bytes));
    QpConfig { qpn: qpn(index), attr, caps: setup.caps, trailer: setup.trailer, cc }
}

/// SplitMix64: seeded and good enough for faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        permille > 0 && self.below(1000) < permille
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    order: u64,
    to: usize,
    octets: Vec<u8>,
}

/// Two sides and the wire between them.
pub(crate) struct World<M> {
    pub(crate) now: Instant,
    pub(crate) sides: [Side<M>; 2],
    pub(crate) faults: Faults,
    pub(crate) script: Option<Script>,
    /// Every packet that was sent, if `tracing`.
    pub(crate) trace: Vec<Sent>,
    pub(crate) tracing: bool,
    random: Random,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    batch: TxBatch,
}

impl<M: Transport> World<M> {
    pub(crate) fn new(setup: &Setup) -> World<M> {
        World {
            now: Instant::now(),
            sides: [Side::new(0, setup), Side::new(1, setup)],
            faults: setup.faults,
            script: None,
            trace: Vec::new(),
            tracing: true,
            random: Random(setup.seed),
            flights: BinaryHeap::new(),
            order: 0,
            batch: TxBatch::new(32),
        }
    }

    /// Runs until nothing is left to happen (true), or `limit` has passed (false).
    pub(crate) fn drive(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        loop {
            self.transmit_all();
            let Some(next) = self.next_event() else { return true };
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            self.deliver_due();
            self.run_timers();
        }
    }

    /// `drive` for a second, which must suffice.
    pub(crate) fn settle(&mut self) {
        assert!(self.drive(Duration::from_secs(1)), "the world did not come to rest");
    }

    /// Lets octets arrive at `to` now, as if its peer had sent them.
    #[allow(dead_code, reason = "for hostile-peer tests")]
    pub(crate) fn inject(&mut self, to: usize, octets: &[u8]) {
        self.sides[to].with(self.now, |machine, cx| machine.receive(cx, octets));
    }

    /// When something happens next: an arrival or a timer.
    fn next_event(&self) -> Option<Instant> {
        let arrival = self.flights.peek().map(|Reverse(flight)| flight.at);
        let timers = self.sides.iter().filter_map(|side| side.machine.poll_timeout());
        timers.chain(arrival).min()
    }

    /// Both sides send all they may, in an order that the seed chooses.
    pub(crate) fn transmit_all(&mut self) {
        for round in 0.. {
            assert!(round < 100_000, "a machine never stops sending");
            let first = usize::from(self.random.chance(500));
            if self.transmit(first) + self.transmit(first ^ 1) == 0 {
                return;
            }
        }
    }

    /// One `poll_transmit`; returns packets sent.
    fn transmit(&mut self, from: usize) -> usize {
        let (now, mut batch) = (self.now, std::mem::replace(&mut self.batch, TxBatch::new(0)));
        let side = &mut self.sides[from];
        let wanted = side.machine.wants_transmit(now);
        side.with(now, |machine, cx| machine.poll_transmit(cx, &mut batch));
        assert!(wanted || batch.packets().is_empty(), "sent without having wanted to");
        let sent = batch.packets().len();
        for packet in batch.packets() {
            if let Some(octets) = gather(packet, &self.sides[from].memory) {
                self.put_on_wire(from, octets);
            }
        }
        batch.clear();
        self.batch = batch;
        sent
    }

    fn put_on_wire(&mut self, from: usize, octets: Vec<u8>) {
        let sent = Sent { at: self.now, from, octets };
        let fate = match &mut self.script {
            Some(script) => script(&sent),
            None => Fate::Deliver,
        };
        if self.tracing {
            self.trace.push(sent.clone());
        }
        let faults = self.faults;
        if fate == Fate::Drop || self.random.chance(faults.loss_permille) {
            return;
        }
        let mut delay = faults.latency;
        if let Fate::Delay(more) = fate {
            delay += more;
        }
        if fate == Fate::Duplicate || self.random.chance(faults.duplicate_permille) {
            let late = self.late();
            self.fly(delay + late, from ^ 1, sent.octets.clone());
        }
        if self.random.chance(faults.reorder_permille) {
            delay += self.late();
        }
        self.fly(delay, from ^ 1, sent.octets);
    }

    fn late(&mut self) -> Duration {
        let nanos = u64::try_from(self.faults.late_max.as_nanos()).unwrap();
        Duration::from_nanos(self.random.below(nanos + 1))
    }

    fn fly(&mut self, delay: Duration, to: usize, octets: Vec<u8>) {
        self.order += 1;
        self.flights.push(Reverse(Flight { at: self.now + delay, order: self.order, to, octets }));
    }

    fn deliver_due(&mut self) {
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.at <= self.now) {
            let Some(Reverse(flight)) = self.flights.pop() else { return };
            self.inject(flight.to, &flight.octets);
        }
    }

    fn run_timers(&mut self) {
        for side in &mut self.sides {
            if side.machine.poll_timeout().is_some_and(|at| at <= self.now) {
                side.with(self.now, |machine, cx| machine.handle_timeout(cx));
                let next = side.machine.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a timer that fires for ever");
            }
        }
    }
}

/// What a link does: header, payload from memory, pad. `None`: a key no longer covers its element.
pub(crate) fn gather(packet: &Transmit, memory: &Registry) -> Option<Vec<u8>> {
    let mut octets = packet.header.as_slice().to_vec();
    for &sge in &packet.payload {
        let span = memory.local(sge, Access::LOCAL_READ).ok()?;
        let at = octets.len();
        octets.resize(at + span.len(), 0);
        span.read(&mut octets[at..]);
    }
    octets.resize(octets.len() + usize::from(packet.pad), 0);
    Some(octets)
}
