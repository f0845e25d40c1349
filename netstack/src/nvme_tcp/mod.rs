//! NVMe/TCP behind [`crate::fabric::Fabric`]: what controllers and hosts know as RDMA, said in PDUs.
//!
//! Read first: [`wire::nvme_tcp`] (PDUs), then `machine` (a connection without its socket, pure), then
//! `connection` (the socket) and `fabric` (all of them, in one thread).
//!
//! What is translated, so that neither controller nor host core knows which fabric it has:
//!
//! | `Fabric` | at the controller | at the host |
//! |---|---|---|
//! | Connect request | the Connect command, whose queue and sizes become NVMe/RDMA's private data | `Established` has none |
//! | Send | CapsuleResp, or the success flag of the data before it | CapsuleCmd: a keyed descriptor becomes a transport one, and its memory is kept by command |
//! | `RdmaWrite` | C2HData; the key of a command's descriptor is its identifier | |
//! | `RdmaRead` | R2T; H2CData lands where it belongs | |
//! | Recv | CapsuleCmd, with a keyed descriptor | CapsuleResp, or made up from the success flag |
//!
//! Differences to RC, which no user here depends on: a READ does not hold up what is posted after it;
//! work is done when the kernel has taken its octets (memory may be used again), not when the peer has
//! them. What arrives with a wrong data digest ends the connection, and is sent again on the next one.
//!
//! TLS is a layer between socket and machine (`tls`, `secure`) of the connections that have it; the
//! others do not notice.
//!
//! Costs: all PDUs of a turn leave in one `sendmsg` per connection, gathered from where they lie. What
//! arrives is read in large pieces into a buffer that stays in the cache, and copied once; long data is
//! received where it belongs.
//!
//! Source: NVMe TCP Transport Specification 1.0.

mod beside;
mod config;
mod connection;
mod fabric;
mod framer;
mod hash;
mod held;
mod machine;
mod outbox;
mod place;
mod secure;
mod tls;
mod turn;

#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(not(test), allow(dead_code, reason = "a fuzz target uses a part"))]
mod tests;

#[cfg(feature = "fuzz")]
pub use {tests::session, tls::first_message};

pub use beside::Beside;
pub use config::TcpConfig;
pub use fabric::TcpFabric;

use crate::fabric::FabricEvent;
use held::Held;
use memory::Registry;
use tls::{Keys, TlsFault};
use verbs::WcStatus;
use wire::nvme_tcp::{PduFault, TermReq};

/// What all connections of a fabric use.
struct Shared {
    memory: Registry,
    /// In the receive buffer.
    held: Held,
    /// Not yet taken by `poll`.
    events: Vec<FabricEvent>,
    counts: Counts,
    keys: Keys,
    config: TcpConfig,
}

#[derive(Default)]
struct Counts {
    tx_syscalls: u64,
    rx_syscalls: u64,
    rx_empty_syscalls: u64,
    tx_bytes: u64,
    rx_bytes: u64,
    tx_pdus: u64,
    rx_pdus: u64,
    /// Copied from the receive buffer; received where it belongs.
    placed_bytes: u64,
    direct_bytes: u64,
    /// TLS: handshakes that were done, connections that ended because it was not spoken or was broken,
    /// those of them that spoke none though it is demanded; octets copied because of it.
    tls_handshakes: u64,
    tls_failures: u64,
    tls_refused_plain: u64,
    tls_copied_bytes: u64,
    /// Connections that a fault of the peer, or the peer's word of ours, ended.
    faults: u64,
    /// Connections whose peers did not finish a PDU in time.
    overdue: u64,
    /// Placed by this poll: others may not see it yet.
    unsettled: bool,
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// The peer closed it, or is gone.
    Gone,
    /// No answer, as the kernel or a deadline says.
    Timeout,
    /// Nobody listens there.
    NoListener,
    /// The peer began something, and does not finish it.
    Overdue,
    /// The peer broke the protocol.
    Fault(PduFault),
    /// The peer says that we did.
    Told(TermReq),
    /// Data came with a wrong digest.
    Digest,
    /// TLS is not spoken, or no longer.
    Insecure(TlsFault),
    /// Our own consumer's memory does not hold what it said.
    Broken(WcStatus),
}
