//! Fuzz target: a host's first message of TLS. See `netstack/src/nvme_tcp/tls/hello.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| netstack::nvme_tcp::first_message(octets));
