//! What an endpoint tells about connections.

use crate::fabric::DisconnectReason;
use std::net::SocketAddr;
use verbs::QpNum;

/// What happened to a connection; the same as [`crate::fabric::FabricEvent`]'s, by queue pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnEvent {
    /// A peer wants to connect: `accept` or `reject` it. Receives may be posted before that.
    ConnectRequest {
        /// The queue pair to be.
        qp: QpNum,
        /// Peer.
        from: SocketAddr,
        /// Port that it asked for.
        port: u16,
        /// Consumer private data (may be longer than was sent, zero-padded).
        private: Vec<u8>,
        /// READs that the peer lets this side have outstanding.
        read_depth: u8,
    },
    /// Connected: sends leave from here on.
    Established {
        /// Queue pair.
        qp: QpNum,
        /// Consumer private data of the reply; empty for the side that accepted.
        private: Vec<u8>,
        /// READs that this side may have outstanding.
        read_depth: u8,
        /// In native mode.
        is_native: bool,
    },
    /// The peer refused. The queue pair is gone.
    Rejected {
        /// Queue pair.
        qp: QpNum,
        /// CM reason.
        reason: u16,
        /// Consumer private data of the rejection.
        private: Vec<u8>,
    },
    /// The connection is over. All completions of the queue pair were polled before this, and it
    /// is gone with it.
    Disconnected {
        /// Queue pair.
        qp: QpNum,
        /// Why.
        reason: DisconnectReason,
    },
}
