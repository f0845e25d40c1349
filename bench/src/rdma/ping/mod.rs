//! rping's protocol: the client's data is read by the server and written back.
//!
//! ```text
//! client                                server
//!   SEND advert of the data         →
//!                                   ←   RDMA READ of it, then SEND "go ahead"
//!   SEND advert of the place        →
//!                                   ←   RDMA WRITE of the same octets, then SEND "go ahead"
//! ```
//!
//! No private data; one READ outstanding; a "go ahead" is an advert that nobody reads. Source:
//! librdmacm's rping, its description of the loop.

mod client;
mod server;

pub use client::{PingClient, PingParams, PingReport};
pub use server::{PingServer, PingServerParams};

use super::{Fault, Memory, list};
use netstack::fabric::ConnectParams;
use verbs::{RecvWr, Remote, Rkey};

/// rping's port.
pub const PORT: u16 = 7174;
/// Octets of data in one ping, least and most: rping's.
pub const SIZES: std::ops::RangeInclusive<u32> = 26..=65_535;

/// Octets of an advert: address (64 bits), key (32), length (32), big endian.
const ADVERT_LEN: usize = 16;
/// The same for work requests.
const ADVERT_BYTES: u32 = 16;

/// Memory of a connection on either side: receives, then the advert to be sent, then data.
const RECEIVE_STRIDE: usize = 64;
const RECEIVES: u64 = 2;
const ADVERT: usize = 128;
const DATA: usize = 256;

/// What is asked for of a connection.
fn params() -> ConnectParams {
    ConnectParams { private: vec![], send_depth: 8, recv_depth: 4, read_depth: 1 }
}

/// Where in a connection's memory the message of receive `which` is.
fn receive_at(which: u64) -> usize {
    usize::try_from(which).unwrap_or(0) * RECEIVE_STRIDE
}

/// Room for a message: longer than an advert, so that one that is too long is told from a good one.
fn receive(wr_id: u64, memory: &Memory, offset: usize) -> RecvWr {
    RecvWr { wr_id, sges: list(memory.sge(offset, ADVERT_BYTES * 2)) }
}

/// A piece of the client's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Advert {
    remote: Remote,
    bytes: u32,
}

impl Advert {
    fn to_octets(self) -> [u8; ADVERT_LEN] {
        let mut octets = [0; ADVERT_LEN];
        octets[..8].copy_from_slice(&self.remote.addr.to_be_bytes());
        octets[8..12].copy_from_slice(&self.remote.rkey.0.to_be_bytes());
        octets[12..].copy_from_slice(&self.bytes.to_be_bytes());
        octets
    }

    /// Errors: the peer's, another length than an advert's.
    fn parse(octets: &[u8]) -> Result<Advert, Fault> {
        let Ok(octets) = <[u8; ADVERT_LEN]>::try_from(octets) else {
            let sent = octets.len();
            let why = format!(
                "sent {sent} octets where rping sends {ADVERT_LEN}: is it rping, or flexblk rdma-ping?"
            );
            return Err(Fault::Peer(why));
        };
        let [addr, rest] = [&octets[..8], &octets[8..]];
        let word =
            |at: usize| u32::from_be_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        let mut high = [0; 8];
        high.copy_from_slice(addr);
        let remote = Remote { addr: u64::from_be_bytes(high), rkey: Rkey(word(0)) };
        Ok(Advert { remote, bytes: word(4) })
    }
}

/// Data of ping `number`: its number in words, then letters that begin at another one each time, and
/// a zero at the end (rping's server prints a C string, and writes back no more than that).
fn pattern(number: u64, bytes: u32) -> Vec<u8> {
    let letters = (b'A'..=b'z').cycle().skip(usize::try_from(number % 58).unwrap_or(0));
    let mut data = format!("rdma-ping-{number}: ").into_bytes();
    data.extend(letters.take(bytes as usize));
    data.truncate(bytes as usize);
    if let Some(last) = data.last_mut() {
        *last = 0;
    }
    data
}

/// Data of a peer as text that a terminal takes: its beginning, to the first zero.
fn shown(data: &[u8]) -> String {
    let text = data.split(|&octet| octet == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(120)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the octets that rping reads, whose fields are big endian in this order.
    #[test]
    fn an_advert_has_rpings_layout() {
        let remote = Remote { addr: 0x1122_3344_5566_7788, rkey: Rkey(0x99aa_bbcc) };
        let advert = Advert { remote, bytes: 64 };
        let octets =
            [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0, 0, 0, 64];
        assert_eq!(advert.to_octets(), octets);
        assert_eq!(Advert::parse(&octets), Ok(advert));
        for len in [0, 15] {
            assert!(matches!(Advert::parse(&octets[..len]), Err(Fault::Peer(_))));
        }
    }

    /// Goal: each ping's data differs from the one before, so that old data is not taken for new;
    /// one zero, at the end, however long the number is.
    #[test]
    fn data_is_a_c_string_and_new_each_time() {
        for (number, bytes) in [(0, 26), (1, 26), (57, 64), (58, 64), (u64::MAX, 26), (9, 65_535)] {
            let data = pattern(number, bytes);
            assert_eq!(data.len(), bytes as usize);
            assert_eq!(data.iter().position(|&octet| octet == 0), Some(data.len() - 1));
        }
        assert_ne!(pattern(0, 26), pattern(1, 26));
        assert_eq!(shown(b"a\x1b[2J\0b"), "a\\u{1b}[2J");
    }
}
