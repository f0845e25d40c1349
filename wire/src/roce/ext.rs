//! Extended transport headers other than the AETH. All big endian.
//!
//! Source: IBTA 1.4, "Extended transport headers"; FETH from annex A19.

use super::{Aeth, QKey, QpNum};
use crate::octets::{Be24, Be32, Be64, get, set};

/// RDMA: virtual address, key, and length of the whole message. 16 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reth {
    /// Remote virtual address.
    pub addr: u64,
    /// Remote key.
    pub rkey: u32,
    /// Octets of the whole message, at most 2^31.
    pub len: u32,
}

/// Atomic: address, key, operands. 28 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtomicEth {
    /// Remote virtual address, a multiple of 8.
    pub addr: u64,
    /// Remote key.
    pub rkey: u32,
    /// New value (compare and swap) or addend (fetch and add).
    pub swap_add: u64,
    /// Expected value; 0 for fetch and add.
    pub compare: u64,
}

/// Datagram: key and source. 8 octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deth {
    /// Must equal the receiver's.
    pub qkey: QKey,
    /// Reserved octet, kept.
    pub reserved: u8,
    /// Where to answer.
    pub source_qp: QpNum,
}

/// Immediate data, 4 octets, opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImmDt(pub [u8; 4]);

/// The remote key to invalidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ieth(pub u32);

/// FLUSH: placement type (bits 3-0) and selectivity (bits 5-4), as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feth(pub u32);

/// What follows the BTH. The opcode decides which are present; [`super::Packet::parse`] sets
/// exactly those, and [`super::Header::emit`] insists on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtHeaders {
    /// Datagrams.
    pub deth: Option<Deth>,
    /// FLUSH.
    pub feth: Option<Feth>,
    /// RDMA.
    pub reth: Option<Reth>,
    /// Atomic requests.
    pub atomic: Option<AtomicEth>,
    /// Responses and acknowledgements.
    pub aeth: Option<Aeth>,
    /// Original value of an atomic's target.
    pub atomic_ack: Option<u64>,
    /// Immediate data.
    pub imm: Option<ImmDt>,
    /// Key to invalidate.
    pub ieth: Option<Ieth>,
}

impl Reth {
    /// Size on the wire.
    pub const LEN: usize = 16;

    #[inline]
    pub(super) fn decode(octets: &[u8; Self::LEN]) -> Self {
        Self {
            addr: get::<Be64, _>(octets, 0),
            rkey: get::<Be32, _>(octets, 8),
            len: get::<Be32, _>(octets, 12),
        }
    }

    #[inline]
    pub(super) fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        set::<Be64, _>(&mut octets, 0, self.addr);
        set::<Be32, _>(&mut octets, 8, self.rkey);
        set::<Be32, _>(&mut octets, 12, self.len);
        octets
    }
}

impl AtomicEth {
    /// Size on the wire.
    pub const LEN: usize = 28;

    pub(super) fn decode(octets: &[u8; Self::LEN]) -> Self {
        Self {
            addr: get::<Be64, _>(octets, 0),
            rkey: get::<Be32, _>(octets, 8),
            swap_add: get::<Be64, _>(octets, 12),
            compare: get::<Be64, _>(octets, 20),
        }
    }

    pub(super) fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        set::<Be64, _>(&mut octets, 0, self.addr);
        set::<Be32, _>(&mut octets, 8, self.rkey);
        set::<Be64, _>(&mut octets, 12, self.swap_add);
        set::<Be64, _>(&mut octets, 20, self.compare);
        octets
    }
}

impl Deth {
    /// Size on the wire.
    pub const LEN: usize = 8;

    pub(super) fn decode(octets: &[u8; Self::LEN]) -> Self {
        Self {
            qkey: QKey(get::<Be32, _>(octets, 0)),
            reserved: octets[4],
            source_qp: QpNum::new(get::<Be24, _>(octets, 5)),
        }
    }

    pub(super) fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        set::<Be32, _>(&mut octets, 0, self.qkey.0);
        octets[4] = self.reserved;
        set::<Be24, _>(&mut octets, 5, self.source_qp.get());
        octets
    }
}
