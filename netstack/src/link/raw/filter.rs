//! Which frames the kernel hands over: UDP to this side's address and port, as a classic BPF program.
//!
//! Source: Linux "Socket Filtering" (`Documentation/networking/filter.rst`). Offsets are from the
//! Ethernet header on.

use socket2::SockFilter;
use std::net::{IpAddr, SocketAddr};

const LOAD_OCTET: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Where a frame came from: 0 is "to this host". Source: `SKF_AD_OFF + SKF_AD_PKTTYPE`.
const PACKET_TYPE: u32 = 0xffff_f000 + 4;
/// More than any frame.
const WHOLE: u32 = 0x0004_0000;

/// A program that passes nothing.
pub(crate) fn nothing() -> [SockFilter; 1] {
    [SockFilter::new(RETURN, 0, 0, 0)]
}

/// One condition: what is loaded equals (or, for `JUMP_SET`, has no bit of) a value.
type Check = (u16, u32, u16, u32);

/// Passes whole datagrams to `local` without IP options and extension headers.
pub(super) fn datagrams_to(local: SocketAddr) -> Vec<SockFilter> {
    let equal = |load, at, value| (load, at, JUMP_EQUAL, value);
    let mut checks: Vec<Check> = vec![equal(LOAD_WORD, PACKET_TYPE, 0)];
    let port = u32::from(local.port());
    match local.ip() {
        IpAddr::V4(ip) => checks.extend([
            equal(LOAD_HALF, 12, 0x0800),
            equal(LOAD_OCTET, 14, 0x45),
            equal(LOAD_OCTET, 23, 17),
            (LOAD_HALF, 20, JUMP_SET, 0x3fff),
            equal(LOAD_WORD, 30, ip.to_bits()),
            equal(LOAD_HALF, 36, port),
        ]),
        IpAddr::V6(ip) => {
            checks.extend([equal(LOAD_HALF, 12, 0x86dd), equal(LOAD_OCTET, 20, 17)]);
            let words = ip.octets();
            let words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
            checks
                .extend((38..).step_by(4).zip(words).map(|(at, word)| equal(LOAD_WORD, at, word)));
            checks.push(equal(LOAD_HALF, 56, port));
        }
    }
    assemble(&checks)
}

/// Two instructions for each check; the last two return.
fn assemble(checks: &[Check]) -> Vec<SockFilter> {
    let mut program = Vec::with_capacity(2 * checks.len() + 2);
    for (at, &(load, offset, jump, value)) in checks.iter().enumerate() {
        // Over the other checks and the return of what passes them.
        let refuse = u8::try_from(2 * (checks.len() - 1 - at) + 1).expect("a short program");
        let (if_true, if_false) = if jump == JUMP_SET { (refuse, 0) } else { (0, refuse) };
        program.push(SockFilter::new(load, 0, 0, offset));
        program.push(SockFilter::new(jump, if_true, if_false, value));
    }
    program.push(SockFilter::new(RETURN, 0, 0, WHOLE));
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program
}
