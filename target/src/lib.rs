//! NVMe over Fabrics target: controllers as pure machines, and the reactor that runs them.
//!
//! Read first: [`Subsystem`] (what is exported), [`Reactor`] (one polling thread), then `queue` (a
//! command from its capsule to the acknowledgement of its response), `io` (I/O commands) and
//! `controller` (everything else that a host may ask). A host's mistake is data, a `Fault` with
//! the status that Linux nvmet gives; it never panics.
#![forbid(unsafe_code)]

mod access;
mod action;
mod config;
mod controller;
mod directory;
mod disk;
mod fault;
mod identity;
mod io;
mod queue;
mod reactor;
mod reservation;
mod slab;
mod subsystem;

pub use access::{ANA_GROUPS_MAX, AnaGroups, HostList};
pub use auth::{Credentials, DhGroup, HashId, Secret, TlsKey};
pub use config::Config;
pub use controller::ControllerKind;
pub use directory::Referral;
pub use disk::DiskStats;
pub use identity::{ChosenIds, NamespaceIds};
pub use netstack::fabric::Security;
pub use reactor::{
    ConnectionInfo, Counters, NewNamespace, RateLimit, Reactor, SpinBudget, StagedDisk, Turn,
};
pub use reservation::{FileStore, NoStore, ReservationStore, SavedRegistrant, SavedReservations};
pub use subsystem::{
    DISCOVERY_NQN, DiskIndex, ExportError, Namespace, Port, Protection, Subsystem,
};
pub use wire::fabrics::TransportKind;
pub use wire::nvme::log::AnaState;

/// The one place where tests take the time from a clock: any start will do.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
fn test_clock() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    reason = "tables of cases, and numbers that are small because a test chose them"
)]
mod tests;
