//! Queue pairs: states, capabilities, attributes.

use crate::QpNum;
use std::net::SocketAddr;

/// States of a queue pair, with `ibv_qp_state`'s numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum QpState {
    /// Made, not configured.
    #[default]
    Reset = 0,
    /// Receives may be posted.
    Init = 1,
    /// Ready to receive.
    Rtr = 2,
    /// Ready to send.
    Rts = 3,
    /// Send queue draining: what was posted finishes, nothing new starts.
    Sqd = 4,
    /// Send queue error (not used by RC).
    Sqe = 5,
    /// Error: everything posted is flushed.
    Err = 6,
}

impl QpState {
    /// IBTA 1.4, "Queue Pair States": whether `ibv_modify_qp` may go from `self` to `next`.
    #[must_use]
    pub fn may_become(self, next: QpState) -> bool {
        use QpState::{Err, Init, Reset, Rtr, Rts, Sqd};
        matches!(
            (self, next),
            (_, Reset | Err)
                | (Reset, Init)
                | (Init, Init | Rtr)
                | (Rtr, Rts)
                | (Rts | Sqd, Rts | Sqd)
        )
    }
}

/// What a queue pair can hold (`ibv_qp_cap`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QpCaps {
    /// Outstanding send work requests.
    pub max_send_wr: u32,
    /// Posted receives.
    pub max_recv_wr: u32,
    /// Elements per send.
    pub max_send_sge: u32,
    /// Elements per receive.
    pub max_recv_sge: u32,
}

impl Default for QpCaps {
    fn default() -> QpCaps {
        QpCaps { max_send_wr: 256, max_recv_wr: 256, max_send_sge: 4, max_recv_sge: 4 }
    }
}

/// The connection's parameters, from `ibv_modify_qp` or from CM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QpAttr {
    /// Peer's queue pair.
    pub dest_qp: QpNum,
    /// Where its packets go (address, and UDP port: 4791, or in native mode the peer's source port).
    pub dest: SocketAddr,
    /// Path MTU: 256, 512, 1,024, 2,048 or 4,096 octets of payload per packet.
    pub path_mtu_bytes: u32,
    /// First PSN that this side sends (24 bits).
    pub sq_psn: u32,
    /// First PSN that this side expects (24 bits).
    pub rq_psn: u32,
    /// READs and atomics that this side may have outstanding (initiator depth).
    pub max_rd_atomic: u8,
    /// READs and atomics of the peer that this side holds (responder resources).
    pub max_dest_rd_atomic: u8,
    /// Local ACK timeout code: 4.096 µs × 2^timeout; 0 means none. 5 bits.
    pub timeout: u8,
    /// Retransmissions before giving up, 0 to 7.
    pub retry_cnt: u8,
    /// RNR retransmissions, 0 to 6; 7 means without end.
    pub rnr_retry: u8,
    /// Timer code that this side asks for in RNR NAKs, 0 to 31.
    pub min_rnr_timer: u8,
}
