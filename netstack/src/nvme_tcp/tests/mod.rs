//! Two sides against each other, and against nonsense.
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers that are small because a test chose them"
)]

mod hostile;
mod sockets;
mod traffic;
mod world;
