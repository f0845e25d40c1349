//! A world of two machines: what every transport's tests run in.
//!
//! Two queue pairs, their memory and receives, a wire with seeded or scripted faults, and virtual
//! time. [`World::drive`] runs until nothing is left to happen. A run is a function of its seed.

mod random;
mod setup;
mod side;

pub(crate) use random::Random;
pub(crate) use setup::{Fate, Faults, Script, Sent, Setup, address, config, qpn};
pub(crate) use side::Side;

use super::{Cx, Machine, QpConfig};
use crate::link::{Transmit, TxBatch};
use memory::{Access, Registry};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What the world needs of a transport beyond [`Machine`].
pub(crate) trait Transport: Machine + Sized {
    /// A connected machine.
    fn make(config: QpConfig) -> Self;
    /// Hands a datagram's octets (header, payload, pad; no trailer) to the machine. Octets that
    /// are no packet of this transport are dropped, as an endpoint would.
    fn receive(&mut self, cx: &mut Cx<'_>, octets: &[u8]);
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
