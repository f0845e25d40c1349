//! Datapath accelerator: in-cache receive, handler programs, the notification pipe, the NIC.
//!
//! Read first: [`nic`] (link, endpoint and placement as one thing to poll), then [`rx`] (why the
//! receive ring is small), [`engine`] (handlers that see payload while it is placed), and [`pipe`]
//! (the same NIC on a thread of its own).

pub mod engine;
pub mod nic;
pub mod pipe;
pub mod rx;
