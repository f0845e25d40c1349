//! What the connection manager is made with, and what it counts.

use crate::endpoint::Timers;
use std::net::SocketAddr;
use wire::cm::PathMtu;

/// See [`crate::endpoint::EndpointConfig`], from which this is derived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CmConfig {
    pub(crate) local: SocketAddr,
    pub(crate) path_mtu: PathMtu,
    /// The same of native packets, which have more beside.
    pub(crate) native_mtu: PathMtu,
    pub(crate) native: bool,
    pub(crate) native_crc: bool,
    pub(crate) timers: Timers,
    pub(crate) connections_max: u32,
    pub(crate) pending_max: u32,
}

/// What happened in connection management. Names in reports are the fields' own, prefixed "cm.".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CmCounters {
    pub received: u64,
    pub sent: u64,
    pub retransmitted: u64,
    pub timeouts: u64,
    pub malformed: u64,
    pub unsupported: u64,
    pub duplicates: u64,
    /// REQs of connections that were closed.
    pub late: u64,
    /// Connections whose peer used their queue pair for another one.
    pub superseded: u64,
    /// REQs refused without asking the application.
    pub refused: u64,
    /// Messages for no connection of this side.
    pub unknown_id: u64,
    /// MADs not sent because too many waited.
    pub dropped_full: u64,
}

impl CmCounters {
    pub(crate) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("cm.received", self.received);
        report("cm.sent", self.sent);
        report("cm.retransmitted", self.retransmitted);
        report("cm.timeouts", self.timeouts);
        report("cm.malformed", self.malformed);
        report("cm.unsupported", self.unsupported);
        report("cm.duplicates", self.duplicates);
        report("cm.late", self.late);
        report("cm.superseded", self.superseded);
        report("cm.refused", self.refused);
        report("cm.unknown_id", self.unknown_id);
        report("cm.dropped_full", self.dropped_full);
    }
}
