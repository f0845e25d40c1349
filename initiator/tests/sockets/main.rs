//! A host and a target in threads of one process, over real sockets at loopback addresses that are each
//! test's own.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping, helpers included")]

mod multipath;
mod nvme_tcp;
mod secure_channel;
mod shared_blocks;
mod target_thread;
