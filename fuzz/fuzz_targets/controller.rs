//! Fuzz target: see `controller`.
#![no_main]

extern crate flexblk_wire as wire;

#[path = "../src/controller/mod.rs"]
mod controller;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| controller::run(octets, std::time::Instant::now()));
