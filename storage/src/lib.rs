//! Namespace backends and the layers around them.
//!
//! Read first: [`Backend`]. Implementations: [`Null`], [`Memory`], [`FileDisk`], [`Mmap`]; layers in
//! [`layer`], each a backend around a backend. [`open`] makes any of them from a [`BackendSpec`],
//! which is parsed from a URI.

mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod errno;
mod file;
mod in_place;
pub mod layer;
mod lock;
mod medium;
mod memory;
mod mmap;
mod null;
mod open;
mod random;
mod slab;
mod spec;
mod staging;
#[cfg(test)]
mod test_path;
mod uring;

pub use backend::{
    Backend, BlockRange, DiskStatus, Done, Durability, Full, Geometry, Op, Purpose, Request, Tag,
};
pub use file::FileDisk;
pub use medium::{Direct, FileOptions};
pub use memory::Memory;
pub use mmap::Mmap;
pub use null::Null;
pub use open::{BoxedBackend, open};
pub use spec::{BackendSpec, DiskSpec, LayerSpec, SpecError, parse_size};
