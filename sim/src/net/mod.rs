//! The network between hosts and target: latency, jitter, bandwidth, and everything that goes wrong.
//!
//! One medium for all: a packet sent at any port arrives at the port whose address it names.

mod crc;
mod link;

pub(crate) use link::SimLink;

use crate::random::Random;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The network as its links share it.
pub(crate) type SharedNet = Rc<RefCell<Net>>;

/// What the network does to packets. Rates are in packets of a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Faults {
    /// Never arrives.
    pub drop_ppm: u32,
    /// A burst of losses begins.
    pub burst_ppm: u32,
    /// Packets lost in a burst at most.
    pub burst_max: u64,
    /// Arrives twice.
    pub duplicate_ppm: u32,
    /// Arrives up to `late` later, and others overtake it.
    pub reorder_ppm: u32,
    /// An octet is changed. Without a CRC that could tell, the packet is lost.
    pub corrupt_ppm: u32,
    /// Is marked "congestion experienced".
    pub mark_ppm: u32,
    /// Up to this much later, each packet.
    pub jitter: Duration,
    /// Up to this much later, when reordered or doubled.
    pub late: Duration,
}

/// What was done to packets so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Injected {
    /// Packets sent.
    pub sent: u64,
    /// Lost: one by one, in bursts, at a cut, for want of a CRC, at a full queue.
    pub dropped: u64,
    /// Doubled.
    pub duplicated: u64,
    /// Late.
    pub reordered: u64,
    /// Changed, and delivered.
    pub corrupted: u64,
    /// Changed, and seen by the link's check of the invariant CRC.
    pub caught: u64,
}

impl Injected {
    /// Nothing at all happened to any packet.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        Injected { sent: 0, ..*self } == Injected::default()
    }
}

/// How fast the network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Speed {
    /// Each packet takes this long.
    pub latency: Duration,
    /// A port sends this many octets per microsecond.
    pub bytes_per_us: u64,
    /// Packets on their way to one port; more are lost.
    pub queue_max: usize,
}

/// The medium.
pub(crate) struct Net {
    base: Instant,
    now: Instant,
    random: Random,
    speed: Speed,
    faults: Faults,
    ports: Vec<Port>,
    injected: Injected,
    slowest: Duration,
    burst_left: u64,
    sequence: u64,
    is_verbose: bool,
}

struct Port {
    addr: SocketAddr,
    /// On their way to this port, the first to arrive on top.
    inbox: BinaryHeap<Reverse<Packet>>,
    /// What it sends now leaves after this.
    free_at: Instant,
    /// Nothing comes or goes until this.
    cut_until: Instant,
}

/// A packet on its way, ordered by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Instant,
    sequence: u64,
    octets: Vec<u8>,
    from: SocketAddr,
    ecn: u8,
    /// The IP identification that the sender's ICRC covers.
    ip_id: u16,
    is_changed: bool,
    has_icrc: bool,
    sent: Instant,
}

/// A packet as its sender handed it over.
struct Outgoing {
    to: SocketAddr,
    octets: Vec<u8>,
    ip_id: u16,
    has_icrc: bool,
    has_crc: bool,
}

impl Net {
    /// A network without ports and faults.
    #[must_use]
    pub(crate) fn new(base: Instant, speed: Speed, random: Random, is_verbose: bool) -> Net {
        Net {
            base,
            now: base,
            random,
            speed,
            faults: Faults::default(),
            ports: Vec::new(),
            injected: Injected::default(),
            slowest: Duration::ZERO,
            burst_left: 0,
            sequence: 0,
            is_verbose,
        }
    }
    /// A port with an address of its own.
    pub(crate) fn add_port(&mut self, addr: SocketAddr) -> usize {
        let inbox = BinaryHeap::new();
        self.ports.push(Port { addr, inbox, free_at: self.base, cut_until: self.base });
        self.ports.len() - 1
    }
    /// Time goes on.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = now;
    }
    /// Other faults from here on.
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }
    /// Nothing comes or goes at a port until then.
    pub(crate) fn cut(&mut self, port: usize, until: Instant) {
        self.ports[port].cut_until = until;
    }
    /// No port is cut any more.
    pub(crate) fn heal(&mut self) {
        let base = self.base;
        self.ports.iter_mut().for_each(|port| port.cut_until = base);
    }
    /// What was done so far.
    #[must_use]
    pub(crate) fn injected(&self) -> Injected {
        self.injected
    }
    /// Longest time from a packet's sending to its receiver's look at it so far.
    #[must_use]
    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }
    /// When the next packet arrives at a port.
    #[must_use]
    pub(crate) fn next_due(&self, port: usize) -> Option<Instant> {
        self.ports[port].inbox.peek().map(|Reverse(packet)| packet.due)
    }
    fn send(&mut self, from: usize, packet: Outgoing) {
        self.injected.sent += 1;
        let serial_ns = packet.octets.len() as u64 * 1000 / self.speed.bytes_per_us.max(1);
        let port = &mut self.ports[from];
        port.free_at = port.free_at.max(self.now) + Duration::from_nanos(serial_ns);
        let leaves = port.free_at;
        let Some(to) = self.ports.iter().position(|port| port.addr == packet.to) else {
            self.injected.dropped += 1;
            return;
        };
        self.tell(from, to, &packet);
        let is_cut = [from, to].iter().any(|port| self.ports[*port].cut_until > self.now);
        if is_cut || self.is_lost() || self.ports[to].inbox.len() >= self.speed.queue_max {
            self.injected.dropped += 1;
            return;
        }
        if self.random.happens(self.faults.duplicate_ppm) {
            self.injected.duplicated += 1;
            let copy = Outgoing { octets: packet.octets.clone(), ..packet };
            let late = self.up_to(self.faults.late);
            self.deliver(from, to, leaves + late, copy);
        }
        let mut leaves = leaves;
        if self.random.happens(self.faults.reorder_ppm) {
            self.injected.reordered += 1;
            leaves += self.up_to(self.faults.late);
        }
        self.deliver(from, to, leaves, packet);
    }

    /// One line for a packet: when, between whom, opcode, queue pair, PSN, octets.
    fn tell(&self, from: usize, to: usize, packet: &Outgoing) {
        if self.is_verbose {
            let at = self.now.saturating_duration_since(self.base).as_nanos();
            let (len, head) = (packet.octets.len(), &packet.octets[..12.min(packet.octets.len())]);
            println!(
                "{:>7}.{:06} ms    packet {from} > {to} {head:02x?} {len}",
                at / 1_000_000,
                at % 1_000_000
            );
        }
    }

    fn deliver(&mut self, from: usize, to: usize, leaves: Instant, packet: Outgoing) {
        let Outgoing { mut octets, ip_id, has_icrc, has_crc, .. } = packet;
        let is_changed = self.random.happens(self.faults.corrupt_ppm);
        if is_changed && !has_crc {
            self.injected.dropped += 1;
            return;
        }
        if is_changed && !octets.is_empty() {
            self.injected.corrupted += 1;
            let at = self.random.index(octets.len());
            octets[at] ^= 1 << self.random.below(8);
        }
        let ecn = if self.random.happens(self.faults.mark_ppm) { 3 } else { 2 };
        let due = leaves + self.speed.latency + self.up_to(self.faults.jitter);
        self.sequence += 1;
        let (sequence, from, sent) = (self.sequence, self.ports[from].addr, self.now);
        let packet = Packet { due, sequence, octets, from, ecn, ip_id, is_changed, has_icrc, sent };
        self.ports[to].inbox.push(Reverse(packet));
    }

    fn is_lost(&mut self) -> bool {
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return true;
        }
        if self.random.happens(self.faults.burst_ppm) {
            self.burst_left = self.random.below(self.faults.burst_max.max(1));
            return true;
        }
        self.random.happens(self.faults.drop_ppm)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.below(most.saturating_add(1)))
    }

    /// The next packet that arrived at a port. What its link can tell to be damaged is dropped.
    fn receive(&mut self, at: usize) -> Option<Packet> {
        loop {
            let port = &mut self.ports[at];
            if port.inbox.peek().is_none_or(|Reverse(packet)| packet.due > self.now) {
                return None;
            }
            let Reverse(packet) = port.inbox.pop()?;
            let (addr, from) = (port.addr, packet.from);
            self.slowest = self.slowest.max(self.now.saturating_duration_since(packet.sent));
            let path = crc::Path { from, to: addr, ip_id: packet.ip_id };
            if packet.is_changed && packet.has_icrc && !crc::is_intact(path, &packet.octets) {
                self.injected.caught += 1;
                continue;
            }
            return Some(packet);
        }
    }
    /// Arrived, waiting to be received.
    fn has_arrived(&self, at: usize) -> bool {
        self.next_due(at).is_some_and(|due| due <= self.now)
    }
}
