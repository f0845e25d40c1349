//! The other baseline: the same work over kernel TCP, as one would write it with sockets.
//!
//! Read first: [`frame`] (what is on the wire), then `connection` with its two halves, `sending` and
//! `receiving`; `fabric` puts them behind [`netstack::fabric::Fabric`]. One thread and no other
//! process; one TCP connection for each queue pair.
//!
//! What it costs: all frames of a turn leave in one `writev` per connection, gathered from registered
//! memory, so that the kernel's copy is the only one. What arrives is read in large pieces into one
//! buffer, which stays in the cache, and copied from there to its place. A descriptor that has nothing
//! costs no system call: beyond a few connections, epoll says which have.
//!
//! TCP does not tell the application what the peer acknowledged. A signaled SEND or WRITE is
//! therefore done when the kernel has taken its octets: its memory may be used again, but the peer
//! need not have them. A READ is done when its response landed.

mod connection;
mod fabric;
mod frame;
mod memory;
mod receiving;
mod sending;
mod turn;

pub use fabric::TcpFabric;

use self::memory::Table;
use ::memory::DmaBuf;
use netstack::fabric::FabricEvent;
use verbs::WcStatus;

/// What all connections of a fabric use.
struct Shared {
    memory: Table,
    /// Not yet taken by `poll`.
    events: Vec<FabricEvent>,
    counts: Counts,
    /// Payload of the frames of one `writev`; kept for its memory.
    pieces: Vec<DmaBuf>,
}

#[derive(Default)]
struct Counts {
    tx_syscalls: u64,
    rx_syscalls: u64,
    rx_empty_syscalls: u64,
    tx_bytes: u64,
    rx_bytes: u64,
    placed_bytes: u64,
    /// Ever placed by a poll whose stores others may not see yet.
    unsettled: bool,
}

/// Why a connection ends.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stop {
    /// The peer closed it, or is gone.
    Gone,
    /// No answer, as the kernel or a deadline says.
    Timeout,
    /// One of the sides broke the rules.
    Fault(Fault),
    /// The peer says that we did, or that it failed. `read`: by the oldest READ.
    Told { status: WcStatus, read: bool },
    /// The peer refuses.
    Rejected { reason: u16, private: Vec<u8> },
}

/// Something that this side found wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fault {
    /// What it is to this side.
    here: WcStatus,
    /// What the peer is told.
    there: WcStatus,
    /// By a READ of the peer.
    read: bool,
}

impl Fault {
    /// The peer did not keep to the protocol.
    const NONSENSE: Stop = Stop::Fault(Fault {
        here: WcStatus::BadRespErr,
        there: WcStatus::RemInvReqErr,
        read: false,
    });

    fn stop(here: WcStatus, there: WcStatus) -> Stop {
        Stop::Fault(Fault { here, there, read: false })
    }
}

#[cfg(test)]
mod tests;
