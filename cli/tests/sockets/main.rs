//! `flexblk serve` as a process, and peers that speak NVMe/TCP octet by octet: whole sessions, and
//! everything that no good host does. Only loopback addresses; every loop is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "tests: numbers that are small because a test chose them"
)]

mod bad_input;
mod limit;
mod peer;
mod server;
mod soak;
