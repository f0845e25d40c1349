//! The block server of the paper's case study, over any fabric.
//!
//! A client sends blocks, each behind a header that names its key and carries its CRC-32C. The server
//! verifies the CRC, walks an index that is larger than the cache, stores the block and answers with
//! 8 octets. Storing is a swap: a block lands in a free place of the store, and the index entry moves
//! to it, so that a block that fails its CRC never replaces one. [`Work`] can leave parts of it out:
//! what is left is a sink for messages, for curves over connections and working sets.

mod client;
mod index;
mod server;
mod sums;

pub use client::{Client, Outcome, Pacing};
pub use index::{Index, NODE_BYTES};
pub use server::Server;
pub use sums::{SumBlocks, Sums};

use netstack::fabric::ConnectParams;
use serde::{Deserialize, Serialize};

/// Port that the server listens on.
pub const PORT: u16 = 4421;
/// Octets before the block: tag, key, CRC-32C, little-endian.
pub const HEADER_BYTES: u32 = 64;
/// Octets of an answer: tag, then 0 or what was wrong.
pub const ANSWER_BYTES: u32 = 8;
const HEADER_LEN: usize = HEADER_BYTES as usize;
const ANSWER_LEN: usize = ANSWER_BYTES as usize;
/// Nodes that one request walks over.
pub const HOPS: u32 = 8;

/// What server and client agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Octets of a block.
    pub block_bytes: u32,
    /// Connections.
    pub connections: u32,
    /// Blocks on their way or waiting for their answer, over all connections.
    pub depth: u32,
    /// Receives that the server has posted on each connection.
    pub recv_depth: u32,
    /// The server verifies the CRC and walks the index.
    pub serves: bool,
    /// Blocks that messages land in, in turn. What is posted may be more: then receives share them.
    pub landing_blocks: u32,
}

impl Work {
    fn connect_params(&self) -> ConnectParams {
        let depth = self.recv_depth;
        ConnectParams { private: Vec::new(), send_depth: depth, recv_depth: depth, read_depth: 1 }
    }
    fn message_bytes(&self) -> u32 {
        HEADER_BYTES + self.block_bytes
    }
    /// Octets that the server must be ready to take at once.
    #[must_use]
    pub fn working_set_bytes(&self) -> u64 {
        u64::from(self.connections) * u64::from(self.recv_depth) * u64::from(self.message_bytes())
    }
}

/// A request's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    tag: u32,
    key: u64,
    crc: u32,
}

impl Header {
    fn encode(self) -> [u8; 16] {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&self.tag.to_le_bytes());
        octets[4..12].copy_from_slice(&self.key.to_le_bytes());
        octets[12..].copy_from_slice(&self.crc.to_le_bytes());
        octets
    }
    fn decode(octets: &[u8; 16]) -> Header {
        let [a, b, c, d, key @ .., e, f, g, h] = *octets;
        let (tag, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        Header { tag, key: u64::from_le_bytes(key), crc }
    }
}

/// SplitMix64.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
