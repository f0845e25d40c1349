//! Two sides against each other, and against nonsense.
#![allow(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "numbers that are small because a test chose them, events that a test does not look at"
)]

mod hostile;
mod sockets;
mod tls;
mod traffic;
mod world;
