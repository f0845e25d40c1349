//! One connection, as CM sees it.

use super::State;
use std::net::SocketAddr;
use std::time::Duration;
use verbs::QpNum;
use wire::cm::MAD_LEN;

/// What this side brings into a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Side {
    /// Queue pair.
    pub(crate) qpn: QpNum,
    /// First PSN that this side expects. (And therefore what it writes into its REQ or REP.)
    pub(crate) rq_psn: u32,
    /// READs and atomics of the peer that this side holds.
    pub(crate) responder_resources: u8,
    /// READs and atomics that this side has outstanding.
    pub(crate) initiator_depth: u8,
}

/// What the peer brings, and what was agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// The peer's queue pair.
    pub(crate) dest_qp: QpNum,
    /// First PSN that the peer expects.
    pub(crate) sq_psn: u32,
    /// READs and atomics that the peer holds for this side.
    pub(crate) responder_resources: u8,
    /// READs and atomics that the peer has outstanding.
    pub(crate) initiator_depth: u8,
    /// Payload octets per packet.
    pub(crate) path_mtu_bytes: u32,
    /// Local ACK timeout code.
    pub(crate) ack_timeout: u8,
    /// Transport retries.
    pub(crate) retry_count: u8,
    /// RNR retries.
    pub(crate) rnr_retry: u8,
    /// Native mode; the value says whether packets end in a CRC. `None`: RoCEv2.
    pub(crate) native_crc: Option<bool>,
    /// The peer is a FlexBlk endpoint.
    pub(crate) is_flexblk: bool,
}

/// One connection. Its key in the table is this side's communication id.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Where.
    pub(crate) state: State,
    /// Where messages go, and where packets come from.
    pub(crate) peer: SocketAddr,
    /// This side began it.
    pub(crate) is_active: bool,
    /// The peer's communication id; 0 until its REP (active side).
    pub(crate) remote_id: u32,
    /// Transaction of the handshake.
    pub(crate) transaction: u64,
    /// This side. The passive side's queue pair is known once the endpoint made one.
    pub(crate) side: Side,
    /// The peer's side; the active side's copy is complete after the REP.
    pub(crate) terms: Terms,
    /// The last message of this side, to be sent again.
    pub(crate) last: Box<[u8; MAD_LEN]>,
    /// Times that `last` may still be sent again.
    pub(crate) retries_left: u8,
    /// Pause between them.
    pub(crate) interval: Duration,
}

impl Connection {
    /// Counts against the limit of unfinished handshakes.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Requested | State::RepSent)
    }
}

/// What CM tells the endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// A peer wants to connect to a port. To be answered by `adopt` or `refuse` at once.
    Request {
        /// Connection.
        id: u32,
        /// Who.
        from: SocketAddr,
        /// What port.
        port: u16,
        /// Consumer private data.
        private: Vec<u8>,
        /// The peer's side.
        terms: Terms,
    },
    /// The peer accepted (active side).
    Connected {
        /// Queue pair.
        qpn: QpNum,
        /// Where packets go.
        peer: SocketAddr,
        /// Consumer private data.
        private: Vec<u8>,
        /// What was agreed on.
        terms: Terms,
    },
    /// The peer has seen the acceptance (passive side).
    Ready {
        /// Queue pair.
        qpn: QpNum,
    },
    /// The peer refused (active side).
    Rejected {
        /// Queue pair.
        qpn: QpNum,
        /// Reason code.
        reason: u16,
        /// Consumer private data.
        private: Vec<u8>,
    },
    /// The peer hung up, or does not answer.
    Closed {
        /// Queue pair.
        qpn: QpNum,
        /// It did not answer.
        timed_out: bool,
    },
}
