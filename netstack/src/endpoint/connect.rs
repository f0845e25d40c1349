//! Connections: calls from above to CM, CM's notices to queue pairs and events.

use super::context::{QpContext, QpInit, Source};
use super::{ConnEvent, DEFAULT_CQ, Endpoint, Nowhere};
use crate::cm::{Notice, Side, Terms};
use crate::fabric::{ConnectParams, DisconnectReason};
use crate::link::{ROCE_PORT, Trailer};
use crate::qp::{QpConfig, QpMachine};
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{QpAttr, QpCaps, QpNum, QpState, Wc, WcOpcode, WcStatus};
use wire::cm::RejReason;

/// Receives that may be posted between a connect request and its acceptance.
const EARLY_RECEIVES: u32 = 1024;
/// Elements per work request of connections.
const SGES: u32 = 4;

impl Endpoint {
    /// Lets peers connect to a port (the service's, not UDP's).
    pub fn listen(&mut self, port: u16) {
        self.cm.listen(port);
    }
    /// Lets no more peers connect to it. Connections that were made stay.
    pub fn unlisten(&mut self, port: u16) {
        self.cm.unlisten(port);
    }

    /// Starts connecting to a service. Receives may be posted at once. The outcome is
    /// `Established`, `Rejected` or `Disconnected`; also when this endpoint is full: then
    /// `Rejected` with reason 1.
    ///
    /// Private data beyond 32 octets leaves no room for the marker of a FlexBlk endpoint: then the
    /// peer answers at UDP port 4791, where this side's link must be. Beyond 56 octets it is cut.
    pub fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpNum {
        let init = init(caps(params.send_depth, params.recv_depth));
        let Some(key) = self.insert_qp(&init) else { return self.refuse_connect() };
        let read_depth = params.read_depth.min(self.config.read_depth_max);
        let side = self.side(key, read_depth, read_depth);
        match self.cm.connect(now, to, side, &params.private) {
            Some(id) => self.bind(key, id, side.rq_psn),
            None => {
                self.remove_qp(key);
                return self.refuse_connect();
            }
        }
        QpNum::new(key)
    }

    /// Accepts a `ConnectRequest`. The outcome is `Established`, once the peer is ready, or
    /// `Disconnected`. Nothing happens when `qp` is not one that waits for this.
    ///
    /// Private data beyond 172 octets leaves no room for the answer to an offer of native mode,
    /// and the peer falls back to RoCEv2; so does this side.
    pub fn accept(&mut self, now: Instant, qp: QpNum, params: ConnectParams) {
        let key = qp.get();
        let Some(id) = self.requested(key) else { return };
        let Some((peer, mut terms)) = self.cm.terms(id) else { return };
        self.resize(key, caps(params.send_depth, params.recv_depth));
        let outstanding = params.read_depth.min(terms.responder_resources);
        let held = self.config.read_depth_max.min(terms.initiator_depth);
        let side = self.side(key, outstanding, held);
        if params.private.len() > crate::cm::REP_PRIVATE_WITH_ANSWER {
            self.cm.forgo_native(id);
            terms.native_crc = None;
        }
        if self.cm.accept(now, id, side, &params.private) {
            self.start(key, peer, &terms, outstanding, held);
        }
    }

    /// Refuses a `ConnectRequest`; the queue pair is gone. At most 148 octets of private data.
    pub fn reject(&mut self, now: Instant, qp: QpNum, private: &[u8]) {
        let key = qp.get();
        if let Some(id) = self.requested(key) {
            self.cm.reject(now, id, private);
            self.remove_qp(key);
        }
    }

    /// Ends a connection, in whatever state. What is outstanding is flushed, then `Disconnected`
    /// follows.
    pub fn disconnect(&mut self, now: Instant, qp: QpNum) {
        self.end(now, qp.get(), DisconnectReason::Local);
    }

    /// What happened to connections, oldest first. `Disconnected` is held until the completions of
    /// its queue pair were polled.
    pub fn poll_event(&mut self) -> Option<ConnEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let &qpn = self.ends.front()?;
        let ended = self.qps.get(qpn.get()).map(|qp| (qp.unpolled, qp.end));
        if ended.is_some_and(|(unpolled, _)| unpolled > 0) {
            return None;
        }
        self.ends.pop_front();
        let reason = ended.and_then(|(_, end)| end).unwrap_or(DisconnectReason::Local);
        self.remove_qp(qpn.get());
        Some(ConnEvent::Disconnected { qp: qpn, reason })
    }

    /// What CM found out, to queue pairs and events.
    pub(super) fn take_notices(&mut self, now: Instant) {
        while let Some(notice) = self.cm.poll_notice() {
            match notice {
                Notice::Request { id, from, port, private, terms } => {
                    self.on_request(now, id, from, port, private, terms.responder_resources);
                }
                Notice::Connected { qpn, peer, private, terms } => {
                    self.on_connected(now, qpn, peer, private, &terms);
                }
                Notice::Ready { qpn } => self.on_ready(qpn, Vec::new()),
                Notice::Rejected { qpn, reason, private } => {
                    self.remove_qp(qpn.get());
                    self.events.push_back(ConnEvent::Rejected { qp: qpn, reason, private });
                }
                Notice::Closed { qpn, timed_out } => {
                    if let Some(qp) = self.qps.get_mut(qpn.get()) {
                        qp.connection = None;
                    }
                    let reason = match timed_out {
                        true => DisconnectReason::Timeout,
                        false => DisconnectReason::Peer,
                    };
                    self.end(now, qpn.get(), reason);
                }
            }
        }
    }

    fn on_request(
        &mut self,
        now: Instant,
        id: u32,
        from: SocketAddr,
        port: u16,
        private: Vec<u8>,
        read_depth: u8,
    ) {
        let Some(key) = self.insert_qp(&init(caps(1, EARLY_RECEIVES))) else {
            return self.cm.refuse(now, id, RejReason::NO_QP, &[]);
        };
        let qp = QpNum::new(key);
        self.cm.adopt(id, qp);
        let psn = self.random.next_u32() & 0x00ff_ffff;
        self.bind(key, id, psn);
        self.events.push_back(ConnEvent::ConnectRequest { qp, from, port, private, read_depth });
    }

    fn on_connected(
        &mut self,
        now: Instant,
        qpn: QpNum,
        peer: SocketAddr,
        private: Vec<u8>,
        terms: &Terms,
    ) {
        let key = qpn.get();
        let Some(asked) = self.qps.get(key).map(|qp| qp.read_depth) else { return };
        let outstanding = asked.min(terms.responder_resources);
        self.start(key, peer, terms, outstanding, asked);
        self.on_ready(qpn, private);
        self.run(key, now, &mut Nowhere, |_, _| ());
    }

    /// Both sides are ready: sends may leave.
    fn on_ready(&mut self, qpn: QpNum, private: Vec<u8>) {
        let Some(qp) = self.qps.get_mut(qpn.get()) else { return };
        qp.may_transmit = true;
        let read_depth = qp.read_depth;
        let is_native = qp.machine.as_ref().is_some_and(QpMachine::is_native);
        self.enqueue(qpn.get());
        let qp = qpn;
        self.events.push_back(ConnEvent::Established { qp, private, read_depth, is_native });
    }

    /// Makes the transport of a connection.
    fn start(&mut self, key: u32, peer: SocketAddr, terms: &Terms, outstanding: u8, held: u8) {
        let timers = self.config.timers;
        let cc = self.config.cc.make(terms.path_mtu_bytes);
        let Some(qp) = self.qps.get_mut(key) else { return };
        let attr = QpAttr {
            dest_qp: terms.dest_qp,
            dest: peer,
            path_mtu_bytes: terms.path_mtu_bytes,
            sq_psn: terms.sq_psn,
            rq_psn: qp.rq_psn,
            max_rd_atomic: outstanding,
            max_dest_rd_atomic: held,
            timeout: terms.ack_timeout,
            retry_cnt: terms.retry_count,
            rnr_retry: terms.rnr_retry,
            min_rnr_timer: timers.min_rnr_timer,
        };
        let trailer = match terms.native_crc {
            None => Trailer::Icrc,
            Some(true) => Trailer::NativeCrc,
            Some(false) => Trailer::None,
        };
        let config = QpConfig { qpn: qp.qpn, attr, caps: qp.caps, trailer, cc };
        qp.machine = Some(match terms.native_crc {
            Some(_) => QpMachine::native(config, qp.srq.is_none()),
            None => QpMachine::roce(config, qp.srq.is_none(), terms.is_flexblk),
        });
        qp.has_native_crc = terms.native_crc == Some(true);
        // At RoCEv2's port a link chooses source ports as it likes; a FlexBlk endpoint at another port, and
        // the native mode anywhere, send from the one by which they are known.
        let has_own_port = terms.native_crc.is_some() || peer.port() != ROCE_PORT;
        qp.source = match terms.is_flexblk && has_own_port {
            true => Source::Socket(peer),
            false => Source::Host(peer.ip()),
        };
        (qp.attr, qp.state, qp.read_depth) = (Some(attr), QpState::Rts, outstanding);
    }

    /// Ends a connection for a reason, unless it ended before.
    pub(super) fn end(&mut self, now: Instant, key: u32, reason: DisconnectReason) {
        let Some(qp) = self.qps.get_mut(key).filter(|qp| qp.is_cm && !qp.is_over) else { return };
        qp.end.get_or_insert(reason);
        if qp.machine.is_some() {
            self.run(key, now, &mut Nowhere, |machine, cx| {
                machine.fail(cx, WcStatus::WrFlushErr);
            });
        } else {
            qp.state = QpState::Err;
            while let Some(receive) = qp.receives.take() {
                self.wcs.push(flushed(qp.qpn, receive.wr_id, WcOpcode::Recv));
            }
            self.route_completions(key);
        }
        // Whoever ended it does not wait for a last packet.
        self.finish(now, key);
    }

    fn refuse_connect(&mut self) -> QpNum {
        self.refused = self.refused.wrapping_add(1);
        let qp = QpNum::new(self.qps.nobody(self.refused));
        let reason = RejReason::NO_QP.0;
        self.events.push_back(ConnEvent::Rejected { qp, reason, private: Vec::new() });
        qp
    }

    /// This side of a connection, with a PSN that nobody guesses.
    fn side(&mut self, key: u32, initiator_depth: u8, responder_resources: u8) -> Side {
        let fresh = self.random.next_u32() & 0x00ff_ffff;
        let known = self.qps.get_mut(key);
        let rq_psn = known.map_or(fresh, |qp| {
            qp.read_depth = initiator_depth;
            if qp.connection.is_none() { fresh } else { qp.rq_psn }
        });
        Side { qpn: QpNum::new(key), rq_psn, responder_resources, initiator_depth }
    }

    fn bind(&mut self, key: u32, id: u32, rq_psn: u32) {
        let Some(qp) = self.qps.get_mut(key) else { return };
        (qp.is_cm, qp.connection, qp.rq_psn, qp.state) = (true, Some(id), rq_psn, QpState::Init);
    }

    /// CM's name of a connection that waits for `accept` or `reject`.
    fn requested(&self, key: u32) -> Option<u32> {
        let qp = self.qps.get(key).filter(|qp| qp.machine.is_none() && !qp.is_over)?;
        qp.connection.filter(|&id| self.cm.is_requested(id))
    }

    /// Changes what a queue pair can hold, before it has a machine.
    fn resize(&mut self, key: u32, caps: QpCaps) {
        self.unreserve(key);
        if let Some(qp) = self.qps.get_mut(key) {
            let posted = u32::try_from(qp.receives.len()).expect("at most EARLY_RECEIVES");
            qp.caps = QpCaps { max_recv_wr: caps.max_recv_wr.max(posted), ..caps };
            qp.receives.set_capacity(qp.caps.max_recv_wr as usize);
        }
        assert!(self.reserve(key), "the default completion queue holds all connections");
    }

    pub(super) fn insert_qp(&mut self, init: &QpInit) -> Option<u32> {
        let key = self.qps.insert(|key| QpContext::new(QpNum::new(key), init))?;
        if self.reserve(key) {
            return Some(key);
        }
        self.qps.remove(key);
        None
    }

    /// Takes a queue pair away, with its completions.
    pub(super) fn remove_qp(&mut self, key: u32) {
        if self.qps.get(key).is_some_and(|qp| qp.unpolled > 0) {
            self.purge(key);
        }
        if self.qps.get(key).is_some() {
            self.unreserve(key);
            self.timers.set(self.qps.index(key), None);
            self.qps.remove(key);
        }
    }
}

/// A completion for work that was never begun.
pub(super) fn flushed(qp: QpNum, wr_id: u64, opcode: WcOpcode) -> Wc {
    Wc { wr_id, status: WcStatus::WrFlushErr, opcode, qp, ..Wc::default() }
}

fn caps(send_depth: u32, recv_depth: u32) -> QpCaps {
    let (max_send_wr, max_recv_wr) = (send_depth.max(1), recv_depth.max(1));
    QpCaps { max_send_wr, max_recv_wr, max_send_sge: SGES, max_recv_sge: SGES }
}

fn init(caps: QpCaps) -> QpInit {
    QpInit { caps, send_cq: DEFAULT_CQ, recv_cq: DEFAULT_CQ, srq: None }
}
