//! InfiniBand connection management: the MADs on QP 1 that make, refuse and end a connection.
//!
//! Read first: [`CmMessage`], then [`Req`] and [`Rep`]. A message is 256 octets: the MAD header
//! (24) and a body (232). The octets are the value, with a reader and a writer per field, so bits
//! that this crate does not name survive. All integers big endian, except in the NVMe private data.
//! Source: IBTA 1.4, "Management datagram format" and chapter "Communication management".

mod mad;
mod message;
mod native_offer;
mod private;
mod reason;
mod rep;
mod req;
mod short;
mod sidr;

pub use mad::{Attribute, MadHeader};
pub use message::{CmBody, CmError, CmMessage, MAD_LEN};
pub use native_offer::NativeOffer;
pub use private::{
    IpHeader, NvmeRejStatus, NvmeRejectPrivate, NvmeReplyPrivate, NvmeRequestPrivate,
};
pub use reason::RejReason;
pub use rep::Rep;
pub use req::{PathMtu, Req, ServiceId, TransportType};
pub use short::{Drep, Dreq, Mra, Rej, Rtu};
pub use sidr::{SidrRep, SidrReq};

/// Octets of a message body.
const BODY_LEN: usize = 232;
