//! Namespace backends and the layers around them.
//!
//! Read first: [`Backend`]. Implementations: `null`, `memory`, `file`, `mmap`; layers, each a
//! backend around a backend: `delay`, `faulty`, `rate`, `stats`.

mod backend;

pub use backend::{
    Backend, BlockRange, DiskStatus, Done, Durability, Full, Geometry, Op, Purpose, Request, Tag,
};
