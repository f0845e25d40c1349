//! perftest's bandwidth tests with `-R`: `ib_send_bw`, `ib_write_bw`, `ib_read_bw`, `ib_atomic_bw`.
//!
//! Two connections to one port. On the first the sides agree, message by message, each answered by
//! one of the same kind ([`exchange`]); the second carries the test. The client leads: a server has
//! to answer, and to know when the test is over. Read first: `exchange`, then `side`, `server`, `client`.
//!
//! What is spoken is perftest 4.5's (protocol version 6.06), which later versions speak with peers
//! that say this version. One queue pair, one size, one direction; no UD, XRC or events.

mod arrivals;
mod client;
mod control;
mod exchange;
mod load;
mod order;
mod server;
mod side;

pub use client::{BwClient, BwParams};
pub use server::{BwServer, BwServerParams};

use serde::Serialize;
use std::time::Duration;

/// perftest's port.
pub const PORT: u16 = 18_515;
/// Longest message, in octets.
pub const BYTES_MAX: u32 = 1 << 28;
/// Octets of an atomic.
pub const ATOMIC_BYTES: u32 = 8;

/// What is done to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// SEND.
    Send,
    /// RDMA WRITE.
    Write,
    /// RDMA READ.
    Read,
    /// Fetch-and-add of one.
    FetchAdd,
    /// Compare-and-swap of zero with one.
    CompareSwap,
}

impl Verb {
    /// As perftest's programs are named.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verb::Send => "send",
            Verb::Write => "write",
            Verb::Read => "read",
            Verb::FetchAdd | Verb::CompareSwap => "atomic",
        }
    }
    /// Eight octets at a time.
    #[must_use]
    pub fn is_atomic(self) -> bool {
        matches!(self, Verb::FetchAdd | Verb::CompareSwap)
    }
}

/// How long a test lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// So many messages, at least one.
    Iterations(u64),
    /// So long.
    Time(Duration),
}

/// What a test did, in perftest's units.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct BwReport {
    pub verb: &'static str,
    pub bytes: u64,
    pub iterations: u64,
    /// The best moment, if the side that measured told of one.
    pub bw_peak_mib_per_s: f64,
    pub bw_average_mib_per_s: f64,
    /// Millions of messages per second.
    pub msg_rate_mpps: f64,
    /// The wire mode: "native" or "RoCEv2".
    pub wire: &'static str,
    /// Who measured: "here" or "peer".
    pub measured: &'static str,
}
