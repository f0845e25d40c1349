//! The endpoint: queue pairs by number, connection management, timers, fairness. Pure.
//!
//! Read first: [`Endpoint`] (the calls), then `receive` (where a packet goes), `run` (what follows
//! from it), `transmit` (whose turn it is), `connect` (CM's notices to events), `verbs_face` (queue
//! pairs without CM).
//! FlexiNS part: the NIC CPU's transport, with all state that a packet needs in one table access.
//!
//! Order that a caller can rely on: of one connection, `Established` comes before its first
//! completion, and every completion before its `Disconnected`, if each turn takes all events, then
//! all completions, then all events again.

mod completions;
mod config;
mod connect;
mod context;
mod counters;
mod event;
mod expect;
mod receive;
mod run;
mod transmit;
mod verbs_face;

pub use config::{CcKind, CrcPolicy, EndpointConfig, Mode, Timers};
pub use context::QpInit;
pub use counters::{Drop, Drops};
pub use event::ConnEvent;
pub use expect::Ahead;
pub use verbs_face::{CreateError, ModifyError};

pub use crate::cm::CmCounters;
pub(crate) use config::code_duration;

use crate::Place;
use crate::cm::{Cm, CmConfig};
use crate::link::LinkCaps;
use crate::qp::{Counters, QpMachine};
use crate::table::{self, Random, Table};
use completions::{CqState, SrqState};
use context::QpContext;
use memory::{Registry, Span};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{CqId, QpNum, Wc};
use wire::cm::PathMtu;

/// All connections of one NIC.
///
/// Inputs never block and never call back; any interleaving of inputs and polls is legal.
pub struct Endpoint {
    config: EndpointConfig,
    memory: Registry,
    cm: Cm,
    qps: Table<QpContext>,
    /// Queue pairs that want to transmit, in turn. May name some that are gone.
    ready: VecDeque<u32>,
    /// Has handled packets of a burst; what follows from them is still to be seen to.
    unsettled: Option<u32>,
    timers: table::LazyTimers,
    cqs: Vec<Option<CqState>>,
    srqs: Vec<Option<SrqState>>,
    /// Completions of the machine that is running.
    wcs: Vec<Wc>,
    events: VecDeque<ConnEvent>,
    /// `Disconnected` events, each held until its queue pair's completions were polled.
    ends: VecDeque<QpNum>,
    /// Congestion notification packets to send.
    cnps: VecDeque<(SocketAddr, QpNum)>,
    random: Random,
    /// Connects that found no room.
    refused: u32,
    qp_counters: Counters,
    drops: Drops,
}

/// The completion queue of connections made by `connect` and `accept`.
const DEFAULT_CQ: CqId = CqId(0);

impl Endpoint {
    /// An endpoint for a link.
    ///
    /// Panics when the configuration is out of bounds (see its fields), or there is no memory for
    /// the tables.
    #[must_use]
    pub fn new(config: EndpointConfig, link: &LinkCaps) -> Endpoint {
        assert!((1..=32_768).contains(&config.max_qps), "max_qps {}", config.max_qps);
        let mut random = Random::new(config.seed);
        let registrations = config.max_registrations as usize + 1;
        let mut memory = Registry::new(registrations, random.next_u64());
        let path_mtu = path_mtu(config.path_mtu_bytes.min(link.path_mtu_bytes));
        let cm_config = CmConfig {
            local: link.local,
            path_mtu,
            native_mtu: self::path_mtu(config.path_mtu_bytes.min(link.native_mtu_bytes)),
            native: config.mode == Mode::Native,
            native_crc: match config.native_crc {
                CrcPolicy::Auto => !link.same_host,
                CrcPolicy::Always => true,
                CrcPolicy::Never => false,
            },
            timers: config.timers,
            connections_max: 2 * config.max_qps,
            pending_max: config.max_pending,
        };
        let cm = Cm::new(cm_config, &mut memory, Random::new(random.next_u64()));
        Endpoint {
            cm,
            memory,
            qps: Table::new(config.max_qps, 24, &mut random),
            ready: VecDeque::with_capacity(config.max_qps as usize),
            unsettled: None,
            timers: table::LazyTimers::new(config.max_qps as usize),
            cqs: vec![Some(CqState::new(config.cq_capacity))],
            srqs: Vec::new(),
            wcs: Vec::with_capacity(256),
            events: VecDeque::new(),
            ends: VecDeque::new(),
            cnps: VecDeque::new(),
            random,
            refused: 0,
            qp_counters: Counters::default(),
            drops: Drops::default(),
            config,
        }
    }

    /// Registrations, to change.
    pub fn memory(&mut self) -> &mut Registry {
        &mut self.memory
    }

    /// Registrations, to gather from.
    #[must_use]
    pub fn memory_ref(&self) -> &Registry {
        &self.memory
    }

    /// When `handle_timeout` wants to be called. `None`: no timer runs.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next(), self.cm.poll_timeout()].into_iter().flatten().min()
    }

    /// Runs what is due. Early and needless calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant, place: &mut dyn Place) {
        if self.cm.poll_timeout().is_some_and(|at| at <= now) {
            self.cm.handle_timeout(now);
            self.take_notices(now);
        }
        // At most once for each, so that a wrong timer cannot hold this call; and once when there is
        // none, for what the last ones left.
        for _ in 0..=self.qps.len() {
            let Some(index) = self.timers.pop_due(now) else { return };
            let Some(key) = self.qps.key_at(index) else { continue };
            self.run(key, now, place, |machine, cx| machine.handle_timeout(cx));
        }
    }

    /// Connections in all: queue pairs that exist.
    #[must_use]
    pub fn qp_count(&self) -> usize {
        self.qps.len()
    }

    /// Something waits that a sleep would delay: packets to send, events or completions to take.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        let cq = self.cqs.first().and_then(Option::as_ref);
        self.wants_transmit()
            || !self.events.is_empty()
            || !self.ends.is_empty()
            || cq.is_some_and(|cq| !cq.is_empty())
    }

    /// Packets dropped, by reason.
    #[must_use]
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What the transports counted.
    #[must_use]
    pub fn qp_counters(&self) -> &Counters {
        &self.qp_counters
    }

    /// What connection management counted.
    #[must_use]
    pub fn cm_counters(&self) -> &CmCounters {
        &self.cm.counters
    }

    /// Counters by name, for reports ("cm.sent", "drop.unknown_qp", "qp.packets_in", …).
    pub fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.qp_counters.report(report);
        self.cm.counters.report(report);
        self.drops.report(report);
    }
}

/// The largest path MTU of at most `bytes`. Panics below 256: no link has less.
fn path_mtu(bytes: u32) -> PathMtu {
    let codes = (1..=5).rev().filter_map(PathMtu::from_code);
    codes.into_iter().find(|mtu| mtu.bytes() <= bytes).expect("a path MTU of at least 256")
}

/// For calls that place nothing.
struct Nowhere;

impl Place for Nowhere {
    fn place(&mut self, _span: Span<'_>, _payload: &[u8]) {
        unreachable!("a flush places no payload");
    }
}

#[cfg(test)]
mod tests;
