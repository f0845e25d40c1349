//! The FlexiNS network stack: the RC transport as a pure machine, with I/O at the edge.
//!
//! Read first: [`link`] (what a packet to send is), then `qp` (the two transports), then
//! `endpoint` (queue pairs by number, CM, timers), then [`fabric`] (what NVMe-oF asks of it);
//! [`nvme_tcp`] is the other fabric, over the kernel's TCP.
//!
//! **Architecture invariant:** payload octets never pass through this crate. It moves [`memory::Sge`]s;
//! links gather, and whoever implements [`Place`] (the DPA) scatters.

pub mod cc;
mod cm;
pub mod endpoint;
pub mod fabric;
pub mod link;
pub mod nvme_tcp;
mod place;
pub mod qp;
mod split_mix;
pub mod stream;
mod table;

pub use endpoint::Endpoint;
pub use place::Place;
