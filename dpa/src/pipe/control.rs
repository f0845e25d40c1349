//! The side channel: what does not fit a descriptor (private data, regions) or wants an answer.
//!
//! Every call is announced by a control descriptor in the ring, so it keeps its place among the
//! work around it, and one bell wakes the NIC for both.

use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{ConnectParams, FabricLimits, QpHandle};
use std::net::SocketAddr;

/// Calls that may wait.
pub(super) const CALLS_MAX: usize = 64;
/// Events with private data that may wait (more stay at the NIC).
pub(super) const NOTES_MAX: usize = 256;

/// From host to NIC.
pub(super) enum Call {
    Register(Region, Access),
    Deregister(Mr),
    Listen(u16),
    Connect(SocketAddr, ConnectParams),
    Accept(QpHandle, ConnectParams),
    Reject(QpHandle, Vec<u8>),
    Disconnect(QpHandle),
    Counters,
    Stop,
}

/// Answers to `Register`, `Connect`, `Counters`; `Ready` comes first, once.
pub(super) enum Reply {
    Ready(FabricLimits),
    Registered(Result<Mr, RegistryFull>),
    Connecting(QpHandle),
    Counters(Vec<(&'static str, u64)>),
}
