//! Namespace backends and the layers around them.
//!
//! Read first: [`Backend`]. Implementations: [`Null`], [`Memory`]; layers, each a backend around
//! a backend.

mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod in_place;
mod lock;
mod memory;
mod null;
mod random;
mod slab;
mod staging;

pub use backend::{
    Backend, BlockRange, DiskStatus, Done, Durability, Full, Geometry, Op, Purpose, Request, Tag,
};
pub use memory::Memory;
pub use null::Null;
