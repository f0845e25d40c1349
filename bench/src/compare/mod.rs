//! `flexblk compare`: the same work over several stacks, in turn.

pub mod child;
mod client;
pub mod meter;
pub mod page;
pub mod record;
mod server;

pub use client::client;
pub use server::server;
