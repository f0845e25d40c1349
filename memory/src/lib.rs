//! Registered memory: what a NIC may read and write on its own.
//!
//! Read first: [`Region`] (who owns the octets), then [`Registry`] (who may reach them, by key),
//! then [`DmaBuf`] and [`BufferPool`] (one owner for a piece of a region).
//! FlexiNS part: the host memory that the NIC CPU reaches through alias keys ("header-only TX",
//! section 1.3 of the paper). Source of the key rules: IBTA 1.4, "Memory Management".
//!
//! **Architecture invariant:** no octet outside a registered region is read or written, and none
//! through a key that was invalidated. This crate is the only one that turns a key into a pointer.

mod buffer;
mod cache;
mod key;
mod lender;
mod pool;
mod region;
mod registry;
mod shared;
mod unguessable;

pub use buffer::DmaBuf;
pub use cache::{Stage, prefetch_value, settle};
pub use key::{Access, Lkey, Rkey};
pub use lender::Lender;
pub use pool::BufferPool;
pub use region::Region;
pub use registry::{AccessError, Mr, Registry, RegistryFull, Sge, Span};
pub use shared::share_all;
pub use unguessable::Unguessable;
