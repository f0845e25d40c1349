//! The ibverbs vocabulary as Rust values
