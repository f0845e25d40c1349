//! Octets to values and back: RoCEv2 and the native mode, InfiniBand CM, NVMe, NVMe over Fabrics, NVMe/TCP.
//!
//! Read first: [`roce::Packet`] (one datagram), then [`roce::native`] (our own wire mode, drawn),
//! [`cm::CmMessage`] (connection set-up), [`nvme::Sqe`] and [`nvme::Cqe`], [`fabrics`],
//! [`nvme_tcp::CommonHeader`] (the second fabric).
//!
//! **Architecture invariants:** pure functions, no allocation in parse or emit; octets from outside
//! never panic (every reader checks the length once, at the border); a value that was decoded
//! encodes to the octets it came from.
#![forbid(unsafe_code)]

mod octets;

pub mod cm;
pub mod fabrics;
pub mod nvme;
pub mod nvme_tcp;
pub mod roce;

pub use octets::{bits, with_bits};
