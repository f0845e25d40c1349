//! CM messages from peers. Nothing in them is trusted; duplicates are answered as the first was.

use super::connection::Terms;
use super::messages::{self, IP_HEADER_LEN, Names, Refused};
use super::peer::{Marker, answer_to, consumer_part};
use super::{Act, Cm, Connection, Event, Late, Notice, PeerKey, Side, State};
use crate::endpoint::code_duration;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use verbs::QpNum;
use wire::cm::{
    CmBody, CmMessage, Dreq, IpHeader, PathMtu, Rej, RejReason, Rep, Req, TransportType,
};

/// Most that an MRA may make this side wait.
const MRA_MAX: Duration = Duration::from_secs(60);

/// Most that a REQ may make this side wait for an acknowledgement: 4.096 µs × 2^20.
const ACK_TIMEOUT_MAX: u8 = 20;

/// Why a REQ is refused at once, with additional reject information.
struct Refusal(RejReason, Option<u8>);

impl Cm {
    /// A MAD for QP 1 arrived.
    pub(crate) fn handle_mad(&mut self, now: Instant, from: SocketAddr, mad: &[u8]) {
        self.counters.received += 1;
        let Ok(message) = CmMessage::decode(mad) else {
            self.counters.malformed += 1;
            return;
        };
        let transaction = message.header.transaction_id();
        match &message.body {
            CmBody::Req(req) => self.on_req(now, from, transaction, req),
            CmBody::Rep(rep) => self.on_rep(now, from, transaction, rep),
            CmBody::Rtu(m) => {
                self.on_event(now, from, m.remote_comm_id(), m.local_comm_id(), Event::Rtu);
            }
            CmBody::Drep(m) => {
                self.on_event(now, from, m.remote_comm_id(), m.local_comm_id(), Event::Drep);
            }
            CmBody::Mra(m) => {
                let id = m.remote_comm_id();
                if self.on_event(now, from, id, m.local_comm_id(), Event::Mra) == Act::Extend {
                    self.extend(now, id, m.service_timeout());
                }
            }
            CmBody::Rej(rej) => self.on_rej(now, from, rej),
            CmBody::Dreq(dreq) => self.on_dreq(now, from, transaction, dreq),
            CmBody::SidrReq(_) | CmBody::SidrRep(_) => self.counters.unsupported += 1,
        }
    }

    /// A connection by this side's id, if the message is from its peer.
    fn find(&mut self, from: SocketAddr, id: u32, remote_id: u32) -> Option<&mut Connection> {
        let known = self
            .connections
            .get_mut(id)
            .filter(|c| c.peer.ip() == from.ip() && (c.remote_id == remote_id || c.remote_id == 0));
        self.counters.unknown_id += u64::from(known.is_none());
        known
    }

    fn on_event(
        &mut self,
        now: Instant,
        from: SocketAddr,
        id: u32,
        remote_id: u32,
        event: Event,
    ) -> Act {
        match self.find(from, id, remote_id) {
            Some(_) => self.advance(now, id, event),
            None => Act::Ignore,
        }
    }

    fn extend(&mut self, now: Instant, id: u32, service_timeout: u8) {
        let longer = code_duration(service_timeout).min(MRA_MAX) + self.interval();
        self.timers.set(self.connections.index(id), Some(now + longer));
    }

    fn on_req(&mut self, now: Instant, from: SocketAddr, transaction: u64, req: &Req) {
        let marker = Marker::find(&req.private_data());
        let key = (answer_to(from, marker.is_some()), req.local_comm_id());
        if let Some(&id) = self.by_peer.get(&key) {
            self.counters.duplicates += 1;
            self.advance(now, id, Event::Req);
            return;
        }
        if let Some(late) = self.time_wait.find(now, key).cloned() {
            self.counters.late += 1;
            match late {
                Late::Refusal(rej) => self.post(key.0, *rej),
                Late::Stale => {
                    let stale = Refusal(RejReason::STALE_CONNECTION, None);
                    self.refuse_req(key, transaction, marker, &stale);
                }
            }
            return;
        }
        let opened = self
            .check(req)
            .and_then(|port| self.open(now, key, transaction, req, marker).map(|id| (port, id)));
        match opened {
            Ok((port, id)) => self.ask(id, port, req),
            Err(refusal) => self.refuse_req(key, transaction, marker, &refusal),
        }
    }

    /// What the standard lets this side refuse without asking. Returns the port.
    fn check(&self, req: &Req) -> Result<u16, Refusal> {
        let port = req.service_id().port().filter(|port| self.listeners.contains(port));
        let port = port.ok_or(Refusal(RejReason::INVALID_SERVICE_ID, None))?;
        if req.transport() != TransportType::Rc {
            return Err(Refusal(RejReason::INVALID_TRANSPORT, None));
        }
        let header = IpHeader::decode(&req.private_data());
        let is_known = header.is_some_and(|h| h.version() == 0 && h.source().is_some());
        if !is_known || req.local_qpn() <= QpNum::GSI.get() {
            return Err(Refusal(RejReason::UNSUPPORTED, None));
        }
        if self.pending >= self.config.pending_max {
            return Err(Refusal(RejReason::NO_RESOURCES, None));
        }
        Ok(port)
    }

    /// Makes a connection for a REQ.
    fn open(
        &mut self,
        now: Instant,
        key: PeerKey,
        transaction: u64,
        req: &Req,
        marker: Option<Marker>,
    ) -> Result<u32, Refusal> {
        let terms = self.terms_of(req, marker)?;
        let (peer, remote_id) = key;
        let interval = self.interval();
        let side =
            Side { qpn: QpNum::default(), rq_psn: 0, responder_resources: 0, initiator_depth: 0 };
        let id = self.connections.insert(|_| Connection {
            state: State::Requested,
            peer,
            is_active: false,
            remote_id,
            transaction,
            side,
            terms,
            last: Box::new([0; wire::cm::MAD_LEN]),
            retries_left: 0,
            interval,
        });
        let id = id.ok_or(Refusal(RejReason::NO_QP, None))?;
        self.by_peer.insert(key, id);
        self.claim_peer_qp(now, id);
        self.pending += 1;
        let index = self.connections.index(id);
        self.timers.set(index, Some(now + self.config.timers.accept));
        Ok(id)
    }

    /// What the REQ's sender brings. Errors: a path MTU that is none, or that this side's link
    /// cannot carry (only the requester may choose a RoCEv2 path's MTU).
    fn terms_of(&self, req: &Req, marker: Option<Marker>) -> Result<Terms, Refusal> {
        let own = self.config.path_mtu;
        let refusal = Refusal(RejReason::INVALID_PATH_MTU, Some(own.code()));
        let asked = req.path_mtu().ok_or(refusal)?;
        let native_mtu = marker.filter(|_| self.config.native).and_then(native_mtu);
        let path_mtu = native_mtu.map_or(asked.min(own), |mtu| mtu.min(self.config.native_mtu));
        if native_mtu.is_none() && asked > own {
            return Err(Refusal(RejReason::INVALID_PATH_MTU, Some(own.code())));
        }
        let wants_crc = marker.is_some_and(|marker| marker.wants_crc) || self.config.native_crc;
        Ok(Terms {
            dest_qp: QpNum::new(req.local_qpn()),
            sq_psn: req.starting_psn(),
            responder_resources: req.responder_resources(),
            initiator_depth: req.initiator_depth(),
            path_mtu_bytes: path_mtu.bytes(),
            ack_timeout: match (marker, req.primary_ack_timeout()) {
                (Some(_), _) | (None, 0) => self.config.timers.ack_timeout,
                (None, asked) => asked.min(ACK_TIMEOUT_MAX),
            },
            retry_count: req.retry_count(),
            rnr_retry: req.rnr_retry_count(),
            native_crc: native_mtu.map(|_| wants_crc),
            is_flexblk: marker.is_some(),
        })
    }

    fn ask(&mut self, id: u32, port: u16, req: &Req) {
        let Some(c) = self.connections.get(id) else { return };
        let private = req.private_data();
        let private = consumer_part(private.get(IP_HEADER_LEN..).unwrap_or_default());
        let (from, terms) = (c.peer, c.terms);
        self.notices.push_back(Notice::Request { id, from, port, private, terms });
    }

    fn refuse_req(
        &mut self,
        key: PeerKey,
        transaction: u64,
        marker: Option<Marker>,
        refusal: &Refusal,
    ) {
        self.counters.refused += 1;
        let is_flexblk = marker.is_some();
        let names = Names { transaction, local_id: 0, remote_id: key.1, is_flexblk };
        let info = refusal.1.map(|octet| [octet]);
        let info = info.as_ref().map_or(&[][..], |info| &info[..]);
        let rej = messages::rej(names, Refused::Req, refusal.0, info, &[]);
        self.post(key.0, *rej);
    }

    fn on_rep(&mut self, now: Instant, from: SocketAddr, transaction: u64, rep: &Rep) {
        let (id, remote_id) = (rep.remote_comm_id(), rep.local_comm_id());
        let marker = Marker::find(&rep.private_data());
        let native = marker.filter(|_| self.config.native).and_then(native_mtu);
        let own = native.map_or(self.config.path_mtu, |mtu| mtu.min(self.config.native_mtu));
        let Some(c) = self.find(from, id, remote_id).filter(|c| c.is_active) else {
            // The other side need not wait for its timeouts.
            let (local_id, is_flexblk) = (0, marker.is_some());
            let names = Names { transaction, local_id, remote_id, is_flexblk };
            let reason = RejReason::INVALID_COMM_ID;
            let rej = messages::rej(names, Refused::Rep, reason, &[], &[]);
            return self.post(answer_to(from, is_flexblk), *rej);
        };
        if c.state == State::ReqSent {
            c.remote_id = remote_id;
            c.peer = answer_to(from, marker.is_some());
            c.terms = Terms {
                dest_qp: QpNum::new(rep.local_qpn()),
                sq_psn: rep.starting_psn(),
                responder_resources: rep.responder_resources(),
                initiator_depth: rep.initiator_depth(),
                path_mtu_bytes: own.bytes(),
                rnr_retry: rep.rnr_retry_count(),
                native_crc: native.map(|_| marker.is_some_and(|marker| marker.wants_crc)),
                is_flexblk: marker.is_some(),
                ..c.terms
            };
            c.last = messages::rtu(c.names(id));
        }
        if self.advance(now, id, Event::Rep) == Act::Establish {
            self.claim_peer_qp(now, id);
            self.established(id, &rep.private_data());
        }
    }

    /// The active side is connected: RTU, and the good news.
    fn established(&mut self, id: u32, private: &[u8]) {
        self.timers.remove(self.connections.index(id));
        let Some(c) = self.connections.get(id) else { return };
        let (qpn, peer, terms, rtu) = (c.side.qpn, c.peer, c.terms, *c.last);
        self.post(peer, rtu);
        let private = consumer_part(private);
        self.notices.push_back(Notice::Connected { qpn, peer, private, terms });
    }

    fn on_rej(&mut self, now: Instant, from: SocketAddr, rej: &Rej) {
        let remote_id = rej.local_comm_id();
        let mut id = rej.remote_comm_id();
        if id == 0 {
            // Whoever gives up before the REP does not know this side's id.
            let is_flexblk = Marker::find(&rej.private_data()).is_some();
            let key = (answer_to(from, is_flexblk), remote_id);
            id = self.by_peer.get(&key).copied().unwrap_or(0);
        }
        // A refusal at once comes without an id of the refuser.
        let Some(c) = self.connections.get(id).filter(|c| {
            c.peer.ip() == from.ip()
                && (remote_id == 0 || c.remote_id == 0 || c.remote_id == remote_id)
        }) else {
            self.counters.unknown_id += 1;
            return;
        };
        let (qpn, reason) = (c.side.qpn, rej.reason_code());
        if self.advance(now, id, Event::Rej) == Act::Refused {
            let private = consumer_part(&rej.private_data());
            self.notices.push_back(Notice::Rejected { qpn, reason, private });
        }
    }

    fn on_dreq(&mut self, now: Instant, from: SocketAddr, transaction: u64, dreq: &Dreq) {
        let (id, remote_id) = (dreq.remote_comm_id(), dreq.local_comm_id());
        if let Some(c) = self.find(from, id, remote_id) {
            (c.transaction, c.remote_id) = (transaction, remote_id);
            self.advance(now, id, Event::Dreq);
            return;
        }
        // Closed already: its DREP was lost. Answered from the message alone.
        let is_flexblk = Marker::find(&dreq.private_data()).is_some();
        let names = Names { transaction, local_id: id, remote_id, is_flexblk };
        self.post(answer_to(from, is_flexblk), *messages::drep(names));
    }
}

/// The largest path MTU that a native offer allows. `None`: it offers no native mode.
fn native_mtu(marker: Marker) -> Option<PathMtu> {
    let bytes = u32::from(marker.payload_bytes_max);
    (1..=5).rev().filter_map(PathMtu::from_code).find(|mtu| mtu.bytes() <= bytes)
}
