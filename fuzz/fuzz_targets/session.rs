//! Fuzz target: a whole session of NVMe/TCP, both sides. See `netstack/src/nvme_tcp/tests/session.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| netstack::nvme_tcp::session(octets));
