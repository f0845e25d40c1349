//! Two sides against each other, and against nonsense.
#![allow(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "numbers that are small because a test chose them, events that a test does not look at"
)]

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod overdue;
#[cfg(test)]
mod parting;
mod session;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traffic;
mod world;

#[cfg(feature = "fuzz")]
pub use session::run as session;
