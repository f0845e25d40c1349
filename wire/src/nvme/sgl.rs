//! SGL descriptors: where a command's data is. 16 octets; the last says which kind.
//!
//! ```text
//! data block      address 8                | length 4           | 0 0 0   | type 0, subtype 0
//! in capsule      offset  8                | length 4           | 0 0 0   | type 0, subtype 1
//! keyed           address 8                | length 3 | key 4             | type 4, subtype 0 or f
//! transport       0 8                      | length 4           | 0 0 0   | type 5, subtype a
//! ```
//! Source: NVMe Base 2.0, "Scatter gather list"; RDMA Transport 1.0 for the keyed subtypes.

use crate::octets::{Bits, Le24, Le32, Le64, U8, get, set};

/// One SGL descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sgl {
    /// Memory of the host, by address.
    DataBlock {
        /// Address.
        addr: u64,
        /// Octets.
        len: u32,
    },
    /// Data in the capsule, behind the command.
    InCapsule {
        /// From the end of the command.
        offset: u64,
        /// Octets.
        len: u32,
    },
    /// Remote memory, by address and key (RDMA).
    Keyed {
        /// Remote virtual address.
        addr: u64,
        /// Octets, 24 bits.
        len: u32,
        /// Remote key.
        key: u32,
        /// The controller is to invalidate the key with its response.
        invalidate: bool,
    },
    /// The transport moves the data (TCP).
    Transport {
        /// Octets.
        len: u32,
    },
    /// Anything else, as it came: answer "SGL descriptor type invalid".
    Other([u8; 16]),
}

const TYPE: usize = 15;
const DATA_BLOCK: u8 = 0x00;
const IN_CAPSULE: u8 = 0x01;
const KEYED: u8 = 0x40;
const KEYED_INVALIDATE: u8 = 0x4f;
const TRANSPORT: u8 = 0x5a;

impl Sgl {
    /// Size on the wire.
    pub const LEN: usize = 16;

    /// No data.
    pub const EMPTY: Self = Self::DataBlock { addr: 0, len: 0 };

    /// Reads a descriptor. Reserved octets are ignored: Linux's host leaves octets of an earlier
    /// command's key there when it describes data in the capsule. (The entry itself keeps them.)
    #[inline]
    #[must_use]
    pub fn decode(octets: &[u8; Self::LEN]) -> Self {
        let word = get::<Le64, _>(octets, 0);
        let len = get::<Le32, _>(octets, 8);
        match octets[TYPE] {
            DATA_BLOCK => Self::DataBlock { addr: word, len },
            IN_CAPSULE => Self::InCapsule { offset: word, len },
            kind @ (KEYED | KEYED_INVALIDATE) => Self::Keyed {
                addr: word,
                len: get::<Le24, _>(octets, 8),
                key: get::<Le32, _>(octets, 11),
                invalidate: kind == KEYED_INVALIDATE,
            },
            TRANSPORT => Self::Transport { len },
            _ => Self::Other(*octets),
        }
    }

    /// The octets. Panics when the length of a keyed descriptor exceeds 24 bits.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        match *self {
            Self::DataBlock { addr, len } => {
                set::<Le64, _>(&mut octets, 0, addr);
                set::<Le32, _>(&mut octets, 8, len);
                octets[TYPE] = DATA_BLOCK;
            }
            Self::InCapsule { offset, len } => {
                set::<Le64, _>(&mut octets, 0, offset);
                set::<Le32, _>(&mut octets, 8, len);
                octets[TYPE] = IN_CAPSULE;
            }
            Self::Keyed { addr, len, key, invalidate } => {
                assert!(len <= 0x00ff_ffff, "a keyed descriptor has a 24-bit length");
                set::<Le64, _>(&mut octets, 0, addr);
                set::<Le24, _>(&mut octets, 8, len);
                set::<Le32, _>(&mut octets, 11, key);
                octets[TYPE] = if invalidate { KEYED_INVALIDATE } else { KEYED };
            }
            Self::Transport { len } => {
                set::<Le32, _>(&mut octets, 8, len);
                octets[TYPE] = TRANSPORT;
            }
            Self::Other(raw) => octets = raw,
        }
        octets
    }

    /// Octets described; 0 for [`Self::Other`].
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length field, not a container")]
    pub const fn len(&self) -> u32 {
        match *self {
            Self::DataBlock { len, .. }
            | Self::InCapsule { len, .. }
            | Self::Keyed { len, .. }
            | Self::Transport { len } => len,
            Self::Other(_) => 0,
        }
    }

    /// The type nibble of a descriptor, to tell an unknown type from an unknown subtype.
    #[must_use]
    pub fn type_code(octets: &[u8; Self::LEN]) -> u8 {
        get::<Bits<U8, 4, 4>, _>(octets, TYPE)
    }
}
