//! One queue pair, as its endpoint knows it.

use crate::fabric::DisconnectReason;
use crate::qp::QpMachine;
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{CqId, QpAttr, QpCaps, QpNum, QpState, ReceiveQueue, SrqId};

/// A queue pair and what surrounds its transport.
pub(super) struct QpContext {
    pub(super) qpn: QpNum,
    pub(super) state: QpState,
    pub(super) caps: QpCaps,
    pub(super) send_cq: CqId,
    pub(super) recv_cq: CqId,
    /// Receives are taken from there, not from `receives`.
    pub(super) srq: Option<SrqId>,
    pub(super) receives: ReceiveQueue,
    /// From RTR on, for queue pairs that are not CM's.
    pub(super) attr: Option<QpAttr>,
    /// From RTS on; kept in the error state.
    pub(super) machine: Option<QpMachine>,
    /// Made by `connect` or a peer's request: it ends with an event.
    pub(super) is_cm: bool,
    /// CM's name for the connection; none once CM is done with it.
    pub(super) connection: Option<u32>,
    /// First PSN that this side expects; told to the peer by CM.
    pub(super) rq_psn: u32,
    /// Where its packets come from.
    pub(super) source: Source,
    /// Native packets end in a CRC.
    pub(super) has_native_crc: bool,
    /// The peer is ready to receive.
    pub(super) may_transmit: bool,
    /// In the ready list.
    pub(super) is_queued: bool,
    /// READs that this side may have outstanding.
    pub(super) read_depth: u8,
    /// Completions of sends that wait in the completion queue.
    pub(super) sends_unpolled: u32,
    /// Receives that were posted and whose completion was not polled yet.
    pub(super) receives_owed: u32,
    /// Completions that wait in a completion queue.
    pub(super) unpolled: u32,
    /// No congestion notification packet before.
    pub(super) next_cnp: Option<Instant>,
    /// Why it ended, once it did.
    pub(super) end: Option<DisconnectReason>,
    /// `Disconnected` is queued.
    pub(super) is_over: bool,
}

/// Who may send to a queue pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Nobody yet.
    Nobody,
    /// A host, from any port: RoCE hosts choose source ports as they like.
    Host(std::net::IpAddr),
    /// One socket: a FlexBlk endpoint in native mode or at a port of its own, of which there may be many
    /// on one host.
    Socket(SocketAddr),
}

impl Source {
    #[inline]
    pub(super) fn admits(self, from: SocketAddr) -> bool {
        match self {
            Source::Nobody => false,
            Source::Host(ip) => ip == from.ip(),
            Source::Socket(socket) => socket == from,
        }
    }
}

/// What a new queue pair is made with (`ibv_qp_init_attr`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QpInit {
    /// What it can hold.
    pub caps: QpCaps,
    /// Completions of sends.
    pub send_cq: CqId,
    /// Completions of receives.
    pub recv_cq: CqId,
    /// Shared receive queue to take from.
    pub srq: Option<SrqId>,
}

impl QpContext {
    pub(super) fn new(qpn: QpNum, init: &QpInit) -> QpContext {
        QpContext {
            qpn,
            state: QpState::Reset,
            caps: init.caps,
            send_cq: init.send_cq,
            recv_cq: init.recv_cq,
            srq: init.srq,
            receives: ReceiveQueue::new(init.caps.max_recv_wr as usize),
            attr: None,
            machine: None,
            is_cm: false,
            connection: None,
            rq_psn: 0,
            source: Source::Nobody,
            has_native_crc: false,
            may_transmit: false,
            is_queued: false,
            read_depth: 0,
            sends_unpolled: 0,
            receives_owed: 0,
            unpolled: 0,
            next_cnp: None,
            end: None,
            is_over: false,
        }
    }
}
