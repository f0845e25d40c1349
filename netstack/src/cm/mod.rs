//! Connection management: REQ, REP, RTU and their like, over datagrams to queue pair 1.
//!
//! Read first: [`state`] (the table), then [`Cm`] (calls from above), `receive` (messages).
//! Source: IBTA 1.4, chapter "Communication management"; annex A11 "RDMA IP CM service".
//!
//! A pure machine like all others: MADs leave as headers and an [`memory::Sge`] of a small
//! registered ring. Bounded everywhere: connections, unfinished handshakes, MADs waiting, closed
//! connections remembered; a flood is refused in order, or dropped and counted.

mod calls;
mod config;
mod connection;
mod mads;
mod messages;
mod peer;
mod receive;
mod state;
mod time_wait;

pub(crate) use config::CmConfig;
pub use config::CmCounters;
pub(crate) use connection::{Connection, Notice, Side, Terms};
pub(crate) use state::State;

use crate::endpoint::code_duration;
use crate::link::TxBatch;
use crate::table::{Random, Table, Timers};
use mads::Mads;
use memory::{Registry, Sge};
use messages::{Identity, Names};
use peer::Marker;
use state::{Act, Event, step};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use time_wait::{Late, TimeWait};
use wire::cm::MAD_LEN;

/// A peer's number for something: address that answers go to, and a communication id or a queue
/// pair's number.
pub(crate) type PeerKey = (SocketAddr, u32);

/// Private data of a reply that leaves room for the answer to an offer of native mode.
pub(crate) const REP_PRIVATE_WITH_ANSWER: usize = 196 - peer::MARKER_LEN;

/// Messages are sent again no faster than this, whatever the configuration says.
const INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(1);

/// MADs that may wait to be sent.
const MADS_WAITING: usize = 4096;
/// Closed connections remembered.
const TIME_WAIT: usize = 4096;

/// The connection manager of one endpoint.
pub(crate) struct Cm {
    config: CmConfig,
    identity: Identity,
    random: Random,
    connections: Table<Connection>,
    timers: Timers,
    /// Connections that a peer began, by its name for them.
    by_peer: BTreeMap<PeerKey, u32>,
    /// Connections by the peer's queue pair: a host that restarted uses its numbers again.
    by_peer_qp: BTreeMap<PeerKey, u32>,
    listeners: BTreeSet<u16>,
    pending: u32,
    time_wait: TimeWait,
    mads: Mads,
    notices: VecDeque<Notice>,
    pub(crate) counters: CmCounters,
}

impl Cm {
    pub(crate) fn new(config: CmConfig, memory: &mut Registry, mut random: Random) -> Cm {
        let slots = config.connections_max;
        let identity = Identity {
            local: config.local,
            guid: random.next_u64() | 1,
            path_mtu: config.path_mtu,
            timers: config.timers,
        };
        Cm {
            identity,
            connections: Table::new(slots, 32, &mut random),
            timers: Timers::new(slots as usize),
            by_peer: BTreeMap::new(),
            by_peer_qp: BTreeMap::new(),
            listeners: BTreeSet::new(),
            pending: 0,
            time_wait: TimeWait::new(TIME_WAIT, config.timers.time_wait),
            mads: Mads::new(memory, MADS_WAITING),
            notices: VecDeque::new(),
            counters: CmCounters::default(),
            random,
            config,
        }
    }

    /// What happened, oldest first.
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Sends again what was not answered, and gives up on what never was.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(slot) = self.timers.pop_due(now) {
            let Some(id) = self.connections.key_at(slot) else { continue };
            let Some(c) = self.connections.get_mut(id) else { continue };
            let is_over = c.state != State::Requested && c.retries_left == 0;
            c.retries_left = c.retries_left.saturating_sub(1);
            let event = if is_over { Event::Spent } else { Event::Timer };
            self.counters.timeouts += 1;
            self.advance(now, id, event);
        }
    }

    /// Moves MADs into `out`; true when some are left.
    pub(crate) fn poll_transmit(&mut self, out: &mut TxBatch) -> bool {
        self.mads.poll_transmit(out);
        self.wants_transmit()
    }

    pub(crate) fn wants_transmit(&self) -> bool {
        !self.mads.is_empty()
    }

    /// Sixteen registered zero octets.
    pub(crate) fn zeros(&self) -> Sge {
        self.mads.zeros()
    }

    /// The data packets of a passive connection prove that its peer is ready.
    pub(crate) fn handle_data(&mut self, now: Instant, id: u32) {
        self.advance(now, id, Event::Data);
    }

    /// One step of the table for a connection, with the acts that need nothing but the connection.
    /// The act is returned for those that need more.
    fn advance(&mut self, now: Instant, id: u32, event: Event) -> Act {
        let Some(c) = self.connections.get_mut(id) else { return Act::Ignore };
        let was_pending = c.is_pending();
        let (next, act) = step(c.state, event);
        if let Some(state) = next {
            c.state = state;
        }
        let is_pending = next.is_some() && c.is_pending();
        self.pending = self.pending + u32::from(is_pending) - u32::from(was_pending);
        self.act(now, id, act);
        if next.is_none() {
            self.close(now, id, act);
        }
        act
    }

    fn act(&mut self, now: Instant, id: u32, act: Act) {
        match act {
            Act::Again => self.send_again(now, id),
            Act::SendMra => self.send(id, messages::mra),
            Act::SendDreq => self.hang_up(now, id),
            Act::Cross => self.send(id, messages::drep),
            Act::Abandon => self.send_abandon(id),
            Act::HangUp => {
                self.send(id, messages::drep);
                self.tell(id, |qpn| Notice::Closed { qpn, timed_out: false });
            }
            Act::Gone => self.tell(id, |qpn| Notice::Closed { qpn, timed_out: false }),
            Act::GiveUp => {
                self.send_abandon(id);
                self.tell(id, |qpn| Notice::Closed { qpn, timed_out: true });
            }
            Act::Ready => {
                self.timers.remove(self.connections.index(id));
                self.tell(id, |qpn| Notice::Ready { qpn });
            }
            // These need the message or the application's words: see `receive` and `calls`.
            Act::Extend | Act::SendRep | Act::SendRej | Act::Establish | Act::Refused => {}
            Act::Ignore | Act::Forget => {}
        }
    }

    /// Takes a connection out; a peer's late REQ will find its trace.
    fn close(&mut self, now: Instant, id: u32, act: Act) {
        self.timers.remove(self.connections.index(id));
        let Some(c) = self.connections.remove(id) else { return };
        let qp = (c.peer, c.terms.dest_qp.get());
        if self.by_peer_qp.get(&qp) == Some(&id) {
            self.by_peer_qp.remove(&qp);
        }
        if c.is_active {
            return;
        }
        let key = (c.peer, c.remote_id);
        self.by_peer.remove(&key);
        let refused = matches!(act, Act::SendRej | Act::GiveUp | Act::Abandon);
        let late = if refused { Late::Refusal(c.last) } else { Late::Stale };
        self.time_wait.add(now, key, late);
    }

    /// Notes whose queue pair this connection's peer uses. A connection that used the same one is
    /// dead: its peer has forgotten it and begun again.
    ///
    /// Source: IBTA 1.4, "Stale connection". (Linux refuses the new one too; ending the old one is
    /// all that is needed, since nothing of this side will use it again.)
    fn claim_peer_qp(&mut self, now: Instant, id: u32) {
        let Some(c) = self.connections.get(id) else { return };
        let qp = (c.peer, c.terms.dest_qp.get());
        if let Some(old) = self.by_peer_qp.insert(qp, id).filter(|&old| old != id) {
            self.counters.superseded += 1;
            self.advance(now, old, Event::Rej);
        }
    }

    fn tell(&mut self, id: u32, notice: impl FnOnce(verbs::QpNum) -> Notice) {
        if let Some(c) = self.connections.get(id) {
            self.notices.push_back(notice(c.side.qpn));
        }
    }

    /// Starts waiting for an answer to the message that was just sent.
    fn arm(&mut self, now: Instant, id: u32) {
        let index = self.connections.index(id);
        let Some(c) = self.connections.get_mut(id) else { return };
        c.retries_left = self.config.timers.cm_retries;
        self.timers.set(index, Some(now + c.interval));
    }

    fn send_again(&mut self, now: Instant, id: u32) {
        let index = self.connections.index(id);
        let Some(c) = self.connections.get(id) else { return };
        let (to, mad) = (c.peer, *c.last);
        if c.state != State::Established {
            self.timers.set(index, Some(now + c.interval));
        }
        self.counters.retransmitted += 1;
        self.post(to, mad);
    }

    /// Sends a message made of nothing but the connection's names.
    fn send(&mut self, id: u32, make: impl FnOnce(Names) -> Box<[u8; MAD_LEN]>) {
        let Some(c) = self.connections.get(id) else { return };
        let (to, mad) = (c.peer, make(c.names(id)));
        self.post(to, *mad);
    }

    /// Sends DREQ, in a transaction of its own.
    fn hang_up(&mut self, now: Instant, id: u32) {
        let transaction = self.random.next_u64();
        let Some(c) = self.connections.get_mut(id) else { return };
        c.transaction = transaction;
        c.last = messages::dreq(c.names(id), c.terms.dest_qp.get());
        let (to, mad) = (c.peer, *c.last);
        self.post(to, mad);
        self.arm(now, id);
    }

    /// Tells the peer that this side does not wait any longer.
    fn send_abandon(&mut self, id: u32) {
        // A peer that does not know this side's id finds the connection by the adapter's.
        let guid = self.identity.guid.to_be_bytes();
        let Some(c) = self.connections.get_mut(id) else { return };
        let refused = match c.state {
            State::ReqSent | State::Established | State::DreqSent => messages::Refused::NoMessage,
            State::Requested => messages::Refused::Req,
            State::RepSent => messages::Refused::Rep,
        };
        let reason = wire::cm::RejReason::TIMEOUT;
        c.last = messages::rej(c.names(id), refused, reason, &guid, &[]);
        let (to, mad) = (c.peer, *c.last);
        self.post(to, mad);
    }

    fn post(&mut self, to: SocketAddr, mad: [u8; MAD_LEN]) {
        if self.mads.push(to, mad) {
            self.counters.sent += 1;
        } else {
            self.counters.dropped_full += 1;
        }
    }

    /// The interval at which messages are sent again.
    fn interval(&self) -> std::time::Duration {
        code_duration(self.config.timers.cm_timeout).max(INTERVAL_MIN)
    }

    /// What this side offers.
    fn marker(&self) -> Marker {
        Marker {
            payload_bytes_max: match self.config.native {
                true => u16::try_from(self.config.native_mtu.bytes()).expect("at most 4,096"),
                false => 0,
            },
            wants_crc: self.config.native_crc,
        }
    }
}

impl Connection {
    fn names(&self, id: u32) -> Names {
        Names {
            transaction: self.transaction,
            local_id: id,
            remote_id: self.remote_id,
            is_flexblk: self.terms.is_flexblk,
        }
    }
}
