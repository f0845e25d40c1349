//! Hosts, the wire between them, and virtual time. A run is a function of its seed.

mod host;

pub(super) use host::{Host, Told};

use super::super::{CcKind, ConnEvent, EndpointConfig, Mode};
use super::pipe::Pipes;
use crate::Place;
use crate::fabric::ConnectParams;
use crate::link::{Trailer, Transmit, TxBatch};
use crate::qp::testing::gather;
use crate::table::Random;
use memory::{Registry, Span};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use verbs::QpNum;
use wire::roce::Icrc;

/// Octets of a host's region.
pub(super) const REGION: usize = 1 << 20;
/// From one host to the other.
pub(super) const LATENCY: Duration = Duration::from_micros(10);
/// Nobody's CRC.
const WRONG_ICRC: [u8; 4] = *b"oops";
/// The service in all tests.
pub(super) const PORT: u16 = 4420;

/// What happens to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Deliver,
    Drop,
    /// Arrives a second time, so much later.
    Duplicate(Duration),
    /// Arrives so much later.
    Delay(Duration),
    /// Arrives behind the next packet of its sender.
    Behind,
    /// Arrives with a wrong CRC.
    Corrupt,
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) octets: Vec<u8>,
}

impl Datagram {
    pub(super) fn is_native(&self) -> bool {
        self.octets.first().is_some_and(|opcode| *opcode >= 0xc0)
    }
    /// CM attribute id, if it is one of its messages.
    pub(super) fn attribute(&self) -> Option<u16> {
        let is_cm = self.octets.first() == Some(&0x64);
        is_cm.then(|| u16::from_be_bytes([self.octets[36], self.octets[37]]))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    order: u64,
    ecn: u8,
    datagram: Datagram,
}

struct CopyPlace;

impl Place for CopyPlace {
    fn place(&mut self, span: Span<'_>, payload: &[u8]) {
        assert_eq!(span.len(), payload.len());
        span.write(payload);
    }
}

pub(super) type Script = Box<dyn FnMut(&mut Datagram) -> Fate>;

/// All hosts.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hosts: Vec<Host>,
    pub(super) loss_permille: u32,
    pub(super) reorder_permille: u32,
    pub(super) script: Option<Script>,
    /// ECN bits of every packet, unless `pipes` marks it.
    pub(super) ecn: u8,
    /// Rate and queues of the network. `None`: 10 µs, however much there is.
    pub(super) pipes: Option<Pipes>,
    /// Every packet that was sent, if `tracing`.
    pub(super) trace: Vec<Datagram>,
    pub(super) tracing: bool,
    pub(super) random: Random,
    flights: BinaryHeap<Reverse<Flight>>,
    /// Packets that wait for the next one of their sender.
    overtaken: Vec<Datagram>,
    order: u64,
}

pub(super) fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

pub(super) fn config(seed: u64, mode: Mode) -> EndpointConfig {
    let cc = CcKind::Fixed { window_bytes: 256 << 10 };
    EndpointConfig { seed, mode, max_qps: 64, cc, ..EndpointConfig::default() }
}

pub(super) fn params(private: &[u8]) -> ConnectParams {
    ConnectParams { private: private.to_vec(), send_depth: 32, recv_depth: 32, read_depth: 16 }
}

impl World {
    /// A client (host 0) and a server (host 1) that listens.
    pub(super) fn pair(client: Mode, server: Mode, seed: u64) -> World {
        let mut world = World::new(seed);
        world.hosts.push(Host::new(addr(1, 50_000), config(seed * 2 + 1, client)));
        world.hosts.push(Host::new(addr(2, 4791), config(seed * 2 + 2, server)));
        world.hosts[1].endpoint.listen(PORT);
        world
    }
    pub(super) fn new(seed: u64) -> World {
        World {
            now: Instant::now(),
            hosts: Vec::new(),
            loss_permille: 0,
            reorder_permille: 0,
            script: None,
            ecn: 0,
            pipes: None,
            trace: Vec::new(),
            tracing: true,
            random: Random::new(seed),
            flights: BinaryHeap::new(),
            overtaken: Vec::new(),
            order: 0,
        }
    }

    /// Runs until nothing is left to happen, or `limit` has passed.
    pub(super) fn drive(&mut self, limit: Duration) {
        self.drive_until(limit, |_| false);
    }
    /// The same, or until something is so. Time stops there.
    pub(super) fn drive_until(&mut self, limit: Duration, is_so: impl Fn(&World) -> bool) {
        let end = self.now + limit;
        loop {
            self.turn();
            if is_so(self) {
                return;
            }
            let arrival = self.flights.peek().map(|Reverse(flight)| flight.at);
            let alive = self.hosts.iter().filter(|host| !host.is_dead);
            let timers = alive.filter_map(|host| host.endpoint.poll_timeout());
            let Some(next) = timers.chain(arrival).min().filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.deliver();
        }
    }
    /// A tenth of a second, in which everything settles that no timer has to save.
    pub(super) fn settle(&mut self) {
        self.drive(Duration::from_millis(100));
    }
    /// A minute, in which everything settles.
    pub(super) fn outlast(&mut self) {
        self.drive(Duration::from_secs(60));
    }

    fn turn(&mut self) {
        let mut batch = TxBatch::new(48);
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            if host.is_dead {
                continue;
            }
            host.endpoint.handle_timeout(self.now, &mut CopyPlace);
            for round in 0.. {
                assert!(round < 10_000, "an endpoint never stops sending");
                let host = &mut self.hosts[index];
                let more = host.endpoint.poll_transmit(self.now, &mut CopyPlace, &mut batch);
                let full = batch.room() == 0;
                self.send(index, &batch);
                batch.clear();
                if !(more && full) {
                    break;
                }
            }
            let host = &mut self.hosts[index];
            host.listen_to_endpoint();
            host.told_at.resize(host.told.len(), self.now);
        }
    }

    fn send(&mut self, index: usize, batch: &TxBatch) {
        for packet in batch.packets() {
            let host = &self.hosts[index];
            let octets = sealed(packet, host.endpoint.memory_ref());
            let from = host.addr;
            self.put_on_wire(Datagram { from, to: packet.to, octets });
        }
    }

    fn put_on_wire(&mut self, mut datagram: Datagram) {
        let fate = match &mut self.script {
            Some(script) => script(&mut datagram),
            None => Fate::Deliver,
        };
        if self.tracing {
            self.trace.push(datagram.clone());
        }
        if fate == Fate::Drop || self.chance(self.loss_permille) {
            return;
        }
        let (mut delay, mut ecn) = (LATENCY, self.ecn);
        if let Some(pipes) = &mut self.pipes {
            let Some(way) = pipes.carry(self.now, datagram.to, datagram.octets.len()) else {
                return;
            };
            delay = way.delay;
            ecn |= way.ecn;
        }
        if self.chance(self.reorder_permille) {
            delay += Duration::from_nanos(u64::from(self.random.next_u32() % 100_000));
        }
        match fate {
            Fate::Deliver | Fate::Drop => {}
            Fate::Duplicate(later) => self.launch(delay + later, ecn, datagram.clone()),
            Fate::Delay(later) => delay += later,
            Fate::Corrupt => {
                let body = datagram.octets.len() - WRONG_ICRC.len();
                datagram.octets[body..].copy_from_slice(&WRONG_ICRC);
            }
            Fate::Behind => return self.overtaken.push(datagram),
        }
        let from = datagram.from;
        self.launch(delay, ecn, datagram);
        let overtaken: Vec<_> = self.overtaken.extract_if(.., |it| it.from == from).collect();
        overtaken.into_iter().for_each(|datagram| self.launch(delay, ecn, datagram));
    }

    fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.random.next_u32() % 1000 < permille
    }

    pub(super) fn fly(&mut self, delay: Duration, datagram: Datagram) {
        self.launch(delay, self.ecn, datagram);
    }

    fn launch(&mut self, delay: Duration, ecn: u8, datagram: Datagram) {
        self.order += 1;
        let (at, order) = (self.now + delay, self.order);
        self.flights.push(Reverse(Flight { at, order, ecn, datagram }));
    }

    fn deliver(&mut self) {
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.at <= self.now) {
            let Some(Reverse(Flight { datagram, ecn, .. })) = self.flights.pop() else { return };
            let to = datagram.to;
            if !datagram.is_native() && datagram.octets.ends_with(&WRONG_ICRC) {
                continue; // by a link that verifies
            }
            let host = self.hosts.iter_mut().find(|host| host.addr == to && !host.is_dead);
            if let Some(host) = host {
                let now = self.now;
                let (from, octets) = (datagram.from, &datagram.octets);
                host.endpoint.handle_packet(now, from, ecn, octets, &mut CopyPlace);
            }
        }
    }

    /// Connects host 0 to host 1 and accepts. Returns both queue pairs.
    pub(super) fn connect(&mut self) -> (QpNum, QpNum) {
        let to = SocketAddr::new(self.hosts[1].addr.ip(), PORT);
        let client = self.hosts[0].endpoint.connect(self.now, to, params(b"client"));
        let server = self.await_request();
        self.hosts[1].endpoint.accept(self.now, server, params(b"server"));
        (client, server)
    }

    /// Runs until host 1 has a connect request that it has not seen.
    pub(super) fn await_request(&mut self) -> QpNum {
        let requests = |host: &Host| {
            let request = |event: ConnEvent| match event {
                ConnEvent::ConnectRequest { qp, .. } => Some(qp),
                ConnEvent::Established { .. }
                | ConnEvent::Rejected { .. }
                | ConnEvent::Disconnected { .. } => None,
            };
            host.events().into_iter().filter_map(request).collect::<Vec<_>>()
        };
        let before = requests(&self.hosts[1]).len();
        for _ in 0..10_000 {
            self.drive(Duration::from_millis(1));
            if let Some(&qp) = requests(&self.hosts[1]).get(before) {
                return qp;
            }
        }
        panic!("no connect request arrived");
    }
}

/// What a link does: header, payload from memory, pad, trailer.
fn sealed(packet: &Transmit, memory: &Registry) -> Vec<u8> {
    let mut octets = gather(packet, memory).unwrap();
    match packet.trailer {
        Trailer::None => {}
        Trailer::Icrc => octets.extend([0; 4]),
        Trailer::NativeCrc => {
            let (header, rest) = octets.split_at(packet.header.as_slice().len());
            let mut crc = Icrc::native(header);
            crc.update(rest);
            octets.extend(crc.finish());
        }
    }
    octets
}
