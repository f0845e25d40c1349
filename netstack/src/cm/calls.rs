//! Calls from the endpoint: listen, connect, accept, reject, disconnect.

use super::messages::{self, Call, Refused};
use super::{Act, Cm, Connection, Event, Marker, Side, State, Terms};
use std::net::SocketAddr;
use std::time::Instant;
use verbs::QpNum;
use wire::cm::{MAD_LEN, RejReason};

impl Cm {
    pub(crate) fn listen(&mut self, port: u16) {
        self.listeners.insert(port);
    }
    pub(crate) fn unlisten(&mut self, port: u16) {
        self.listeners.remove(&port);
    }

    /// Sends a REQ. `to` is the address and the service's port; packets go to `peer`. `None` when
    /// there is no room for a connection.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        to: SocketAddr,
        side: Side,
        private: &[u8],
    ) -> Option<u32> {
        let transaction = self.random.next_u64();
        let peer = SocketAddr::new(to.ip(), crate::link::ROCE_PORT);
        let (identity, marker, interval) = (self.identity, self.marker(), self.interval());
        let id = self.connections.insert(|local_id| {
            let call = Call { local_id, transaction, side: &side, to, private, marker };
            Connection {
                state: State::ReqSent,
                peer,
                is_active: true,
                remote_id: 0,
                transaction,
                side,
                terms: Terms::unknown(&identity.timers, identity.path_mtu.bytes()),
                last: messages::req(&identity, &call),
                retries_left: identity.timers.cm_retries,
                interval,
            }
        })?;
        self.send_last(id);
        self.arm(now, id);
        Some(id)
    }

    /// Gives a requested connection its queue pair.
    pub(crate) fn adopt(&mut self, id: u32, qpn: QpNum) {
        if let Some(c) = self.connections.get_mut(id) {
            c.side.qpn = qpn;
        }
    }

    /// Sends REP. `side` is what this side grants. False when the peer is gone already.
    pub(crate) fn accept(&mut self, now: Instant, id: u32, side: Side, private: &[u8]) -> bool {
        if self.advance(now, id, Event::Accept) != Act::SendRep {
            return false;
        }
        let identity = self.identity;
        let Some(c) = self.connections.get_mut(id) else { return false };
        c.side = side;
        let marker = c.terms.is_flexblk.then_some(Marker {
            payload_bytes_max: match c.terms.native_crc {
                Some(_) => u16::try_from(c.terms.path_mtu_bytes).expect("at most 4,096"),
                None => 0,
            },
            wants_crc: c.terms.native_crc.unwrap_or(false),
        });
        c.last = messages::rep(&identity, id, c, private, marker);
        self.send_last(id);
        self.arm(now, id);
        true
    }

    /// Sends REJ with the application's private data.
    pub(crate) fn reject(&mut self, now: Instant, id: u32, private: &[u8]) {
        self.refuse(now, id, RejReason::CONSUMER, private);
    }

    /// Sends REJ for a reason.
    pub(crate) fn refuse(&mut self, now: Instant, id: u32, reason: RejReason, private: &[u8]) {
        let Some(c) = self.connections.get_mut(id).filter(|c| c.state == State::Requested) else {
            return;
        };
        c.last = messages::rej(c.names(id), Refused::Req, reason, &[], private);
        self.send_last(id);
        self.advance(now, id, Event::Reject);
    }

    /// Ends a connection in whatever state. Nothing more is told about it.
    pub(crate) fn disconnect(&mut self, now: Instant, id: u32) {
        self.advance(now, id, Event::Disconnect);
    }

    /// The peer's side of a connection.
    pub(crate) fn terms(&self, id: u32) -> Option<(SocketAddr, Terms)> {
        self.connections.get(id).map(|c| (c.peer, c.terms))
    }

    /// The application has not answered this connect request yet.
    pub(crate) fn is_requested(&self, id: u32) -> bool {
        self.connections.get(id).is_some_and(|c| c.state == State::Requested)
    }

    /// Accepts in RoCEv2 although the peer offered native mode.
    pub(crate) fn forgo_native(&mut self, id: u32) {
        if let Some(c) = self.connections.get_mut(id) {
            c.terms.native_crc = None;
        }
    }

    fn send_last(&mut self, id: u32) {
        if let Some(c) = self.connections.get(id) {
            let (to, mad): (_, [u8; MAD_LEN]) = (c.peer, *c.last);
            self.post(to, mad);
        }
    }
}

impl Terms {
    /// Before the peer has said anything. It is addressed as FlexBlk: a stock peer ignores the
    /// marker.
    fn unknown(timers: &crate::endpoint::Timers, path_mtu_bytes: u32) -> Terms {
        Terms {
            dest_qp: QpNum::default(),
            sq_psn: 0,
            responder_resources: 0,
            initiator_depth: 0,
            path_mtu_bytes,
            ack_timeout: timers.ack_timeout,
            retry_count: timers.retry_count,
            rnr_retry: timers.rnr_retry,
            native_crc: None,
            is_flexblk: true,
        }
    }
}
