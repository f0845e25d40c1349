//! The NIC: link, endpoint, receive ring and placement as one thing to poll.
//!
//! The whole of FlexiNS' data path in one turn: `poll` takes packets from the link into the
//! in-cache ring, lets the endpoint handle each (payload is placed at once), and tells what
//! happened; `flush` lets the endpoint fill batches that the link gathers. It runs inline, polled by
//! the thread that uses it, or behind the pipe ([`crate::pipe`]), the same code either way.

mod fabric;

use crate::engine::{NoOffload, Offload};
use crate::rx::{Pace, Placer, in_cache_ring};
use netstack::endpoint::{Ahead, CcKind, Endpoint, EndpointConfig};
use netstack::fabric::FabricEvent;
use netstack::link::{Link, Looks, RxRing, TxBatch};
use std::time::Instant;
use verbs::QpNum;

/// Transmit calls in one flush at most.
const TX_CALLS_MAX: usize = 16;
/// Packets ahead, and what is asked for then.
const AHEAD: [(usize, Ahead); 3] = [(9, Ahead::Entry), (6, Ahead::Machine), (3, Ahead::Queues)];
/// Where the destination queue pair lies in a packet. Source: IBTA 1.4, "Base Transport Header".
const DEST_QP: std::ops::Range<usize> = 5..8;

/// A NIC on a link. `O` is the handler that sees payload while it is placed.
pub struct Nic<L, O = NoOffload> {
    link: L,
    endpoint: Endpoint,
    ring: RxRing,
    pace: Pace,
    placer: Placer<O>,
    batch: TxBatch,
    /// Told at the next poll: work that could not even be posted.
    events: Vec<FabricEvent>,
    read_depth_max: u8,
    /// Asked once, not at every look.
    looks: Looks,
    /// [`Looks::Both`]: which part has the ring first.
    cheap_first: bool,
    /// Packets that came or went.
    packets: u64,
    link_errors: u64,
    last_link_error: Option<std::io::Error>,
}

impl<L: Link> Nic<L> {
    /// A NIC without a handler. Panics when the configuration is out of its bounds.
    #[must_use]
    pub fn new(link: L, config: EndpointConfig) -> Nic<L> {
        Nic::with_placer(link, config, Placer::default())
    }
}

impl<L: Link, O: Offload> Nic<L, O> {
    /// A NIC whose placement runs a handler. Panics when the configuration is out of its bounds.
    #[must_use]
    pub fn with_placer(mut link: L, config: EndpointConfig, placer: Placer<O>) -> Nic<L, O> {
        link.set_ecn_capable(config.cc == CcKind::Dcqcn);
        let caps = *link.caps();
        Nic {
            endpoint: Endpoint::new(config, &caps),
            ring: in_cache_ring(),
            pace: Pace::default(),
            placer,
            batch: TxBatch::new(caps.burst_max),
            events: Vec::new(),
            read_depth_max: config.read_depth_max,
            looks: link.looks(),
            cheap_first: true,
            packets: 0,
            link_errors: 0,
            last_link_error: None,
            link,
        }
    }

    /// Another receive ring: for comparisons (a large one leaves the cache).
    #[must_use]
    pub fn with_ring(mut self, ring: RxRing) -> Nic<L, O> {
        self.ring = ring;
        self
    }

    /// The link.
    pub fn link(&self) -> &L {
        &self.link
    }
    /// The link.
    pub fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    /// The endpoint: queue pairs without CM, and their completion queues.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The placer, and with it the handler's results.
    pub fn placer_mut(&mut self) -> &mut Placer<O> {
        &mut self.placer
    }

    /// What the link last failed with (a packet longer than the path's MTU, say). The transport
    /// treats what was not sent as lost.
    pub fn take_link_error(&mut self) -> Option<std::io::Error> {
        self.last_link_error.take()
    }

    /// Takes one burst that fits the ring and places it. One, even if more waits: what it asks for
    /// is answered first, so that the peer has work meanwhile.
    pub fn receive(&mut self, now: Instant) {
        let is_dear_due = self.looks != Looks::Cheap && self.pace.is_due(now);
        let is_cheap_due = match self.looks {
            Looks::Dear => false,
            Looks::Cheap => true,
            Looks::Both => self.link.is_cheap_due(),
        };
        if !is_dear_due && !is_cheap_due {
            return;
        }
        self.settle();
        self.look(now, is_dear_due, is_cheap_due);
        self.packets += self.ring.packets().len() as u64;
        let looks_ahead = self.endpoint.has_many();
        for (at, packet) in self.ring.packets().iter().enumerate() {
            if looks_ahead {
                self.look_ahead(at);
            }
            let octets = self.ring.octets(packet);
            self.placer.begin_packet(*packet, octets);
            let is_whole = packet.head.is_none();
            let parts = if is_whole { (octets, &[][..]) } else { self.ring.parts(packet) };
            if !O::IDLE {
                self.placer.begin(destination(parts.0));
            }
            self.endpoint.handle_parts(now, packet.from, packet.ecn, parts, &mut self.placer);
        }
        self.endpoint.end_burst(now);
        // What was placed past the cache is visible before anybody hears of it.
        memory::settle();
    }

    /// Takes packets into the ring. Its room goes to either part of the link first, in turns.
    fn look(&mut self, now: Instant, is_dear_due: bool, is_cheap_due: bool) {
        self.cheap_first = !self.cheap_first;
        if is_cheap_due && self.cheap_first {
            self.look_cheap(now);
        }
        if is_dear_due {
            let ring = &mut self.ring;
            let both = self.looks == Looks::Both;
            let found = if both { self.link.rx_dear(ring) } else { self.link.rx_burst(ring) };
            match found {
                Ok(packets) => self.pace.looked(now, packets),
                Err(error) => self.link_failed(error),
            }
        }
        if is_cheap_due && !self.cheap_first {
            self.look_cheap(now);
        }
    }

    fn look_cheap(&mut self, now: Instant) {
        let ring = &mut self.ring;
        let both = self.looks == Looks::Both;
        match if both { self.link.rx_cheap(ring) } else { self.link.rx_burst(ring) } {
            Ok(0) => {}
            Ok(_) => self.pace.came_elsewhere(now),
            Err(error) => self.link_failed(error),
        }
    }

    /// Asks for the queue pairs of packets that follow the one at `at`.
    #[inline]
    fn look_ahead(&self, at: usize) {
        let packets = self.ring.packets();
        for (distance, ahead) in AHEAD {
            let (first, end) = (if at == 0 { 1 } else { at + distance }, at + distance + 1);
            for pair in
                packets.get(first - 1..end.min(packets.len())).unwrap_or_default().windows(2)
            {
                let [before, qp] = [&pair[0], &pair[1]].map(|p| destination(self.ring.parts(p).0));
                // A run of packets of one queue pair needs no more than its first.
                if qp != before {
                    self.endpoint.expect(qp, ahead);
                }
            }
        }
    }

    /// Nothing waits in the ring any more, and it is free.
    fn settle(&mut self) {
        self.placer.settle(&self.ring, self.endpoint.memory_ref());
        self.ring.recycle();
    }

    /// Runs timers that are due.
    pub fn run_timers(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now, &mut self.placer);
        }
    }

    /// Sends what may leave now.
    pub fn transmit(&mut self, now: Instant) {
        for _ in 0..TX_CALLS_MAX {
            let more = self.endpoint.poll_transmit(now, &mut self.placer, &mut self.batch);
            if self.batch.packets().is_empty() {
                return;
            }
            self.packets += self.batch.packets().len() as u64;
            let outcome = self.link.tx_burst(&mut self.batch, self.endpoint.memory_ref());
            if let Err(error) = outcome {
                self.link_failed(error);
            }
            if !more {
                return;
            }
        }
    }

    fn link_failed(&mut self, error: std::io::Error) {
        self.link_errors += 1;
        if self.last_link_error.is_none() {
            tracing::warn!(%error, "the link failed; counted, and reported once");
        }
        self.last_link_error = Some(error);
    }
}

fn destination(octets: &[u8]) -> QpNum {
    match octets.get(DEST_QP) {
        Some(&[a, b, c]) => QpNum::new(u32::from_be_bytes([0, a, b, c])),
        _ => QpNum::default(),
    }
}

#[cfg(test)]
#[cfg(not(feature = "loom"))] // Under loom there is no pipe to run a NIC behind.
mod nic_tests;
