//! NVMe over TCP: what lies between two octets of the stream.
//!
//! Read first: [`CommonHeader`] (every PDU begins with it), then [`Shape`] (how long its parts are, and
//! all that can be wrong with them), then [`Pdu`] (what a whole header says).
//!
//! ```text
//! | header: HLEN octets       | HDGST  | pad     | data            | DDGST  |
//! | type flags HLEN PDO PLEN… | 0 or 4 | to xPDA | from octet PDO  | 0 or 4 |   PLEN octets in all
//! ```
//! All numbers are little-endian. A fault of the peer is a [`PduFault`]: the status and the field that
//! a termination request tells it.
//!
//! Source: NVMe TCP Transport Specification 1.0, "PDU Definitions", "Error Handling Model".

mod digest;
mod fault;
mod handshake;
mod pdu;
mod shape;
mod transfer;

#[cfg(test)]
mod tests;

pub use digest::{DIGEST_LEN, Digest, digest};
pub use fault::{FatalStatus, PduFault, TermReq};
pub use handshake::{IcReq, IcResp};
pub use pdu::{Pdu, PduKind};
pub use shape::{CommonHeader, Framing, Receiver, Shape, field, flag};
pub use transfer::{Data, R2t};

/// Longest header of any PDU, without its digest (ICReq, ICResp).
pub const HEADER_MAX: usize = 128;
/// Octets of the faulty PDU's header that a termination request repeats at most.
pub const TERM_DATA_MAX: usize = 128;
/// PDU format version 1.0.
pub const PFV: u16 = 0;
/// Least that a controller may announce as its largest H2CData.
pub const MAX_H2C_DATA_MIN: u32 = 4096;
