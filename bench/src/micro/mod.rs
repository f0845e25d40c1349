//! The microkernel baseline: a network stack in a process of its own, after Snap's structure.
//!
//! [`app`]: the application's end, a fabric like any other. [`engine`]: the process that runs the
//! transport. Between them: rings and memory that both map, set up over a socket ([`socket`],
//! [`words`]). What it shares with FlexiNS and where it differs from Snap: bench/README.md.

pub mod app;
pub mod engine;
mod socket;
mod words;
