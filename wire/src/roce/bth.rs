//! The Base Transport Header, 12 octets, first in every packet.
//!
//! ```text
//!  0        1        2        3
//! +--------+--------+--------+--------+
//! | opcode |S M P T | P_Key           |   S solicited, M MigReq, P pad count (2), T version (4)
//! +--------+--------+--------+--------+
//! |F B rsv6| destination QP           |   F FECN, B BECN
//! +--------+--------+--------+--------+
//! |A rsv7  | PSN                      |   A AckReq
//! +--------+--------+--------+--------+
//! ```
//! Source: IBTA 1.4, "Base Transport Header".

use super::{Opcode, Psn};
use crate::octets::{Be16, Be24, Bits, U8, get, set};

/// Queue pair number, 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QpNum(u32);

impl QpNum {
    /// The general services interface: connection management.
    pub const GSI: Self = Self(1);

    /// The low 24 bits of `value`.
    #[inline]
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value & 0x00ff_ffff)
    }

    /// 0 to 2^24 - 1.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Partition key; the default partition is `0xffff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PKey(pub u16);

impl PKey {
    /// Full member of the default partition, the only one that RoCE uses.
    pub const DEFAULT: Self = Self(0xffff);
}

impl Default for PKey {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Queue key of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QKey(pub u32);

impl QKey {
    /// The well-known key of QP 1.
    pub const GSI: Self = Self(0x8001_0000);
}

/// Base Transport Header as a value; reserved bits are kept so that it encodes to the same octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bth {
    /// What the packet is.
    pub opcode: Opcode,
    /// The responder should raise a solicited event.
    pub solicited: bool,
    /// Migration state; `rdma_rxe` leaves it 0.
    pub mig_req: bool,
    /// Octets of padding after the payload, 0 to 3. [`super::Header::emit`] computes it.
    pub pad_count: u8,
    /// Transport version, 4 bits, 0 in every packet of today.
    pub version: u8,
    /// Partition.
    pub pkey: PKey,
    /// Forward congestion notification.
    pub fecn: bool,
    /// Backward congestion notification.
    pub becn: bool,
    /// Six reserved bits beside FECN and BECN.
    pub reserved6: u8,
    /// Destination queue pair.
    pub dest_qp: QpNum,
    /// The requester asks for an acknowledgement.
    pub ack_req: bool,
    /// Seven reserved bits beside `ack_req`.
    pub reserved7: u8,
    /// Packet sequence number.
    pub psn: Psn,
}

impl Bth {
    /// Size on the wire.
    pub const LEN: usize = 12;

    /// A header with the default partition and every flag off.
    #[must_use]
    pub const fn new(opcode: Opcode, dest_qp: QpNum, psn: Psn) -> Self {
        Self {
            opcode,
            solicited: false,
            mig_req: false,
            pad_count: 0,
            version: 0,
            pkey: PKey::DEFAULT,
            fecn: false,
            becn: false,
            reserved6: 0,
            dest_qp,
            ack_req: false,
            reserved7: 0,
            psn,
        }
    }

    /// `None` when the opcode is not one of [`Opcode`].
    #[inline]
    #[must_use]
    pub fn decode(octets: &[u8; Self::LEN]) -> Option<Self> {
        Some(Self {
            opcode: Opcode::from_octet(octets[0])?,
            solicited: get::<Bits<U8, 7, 1>, _>(octets, 1),
            mig_req: get::<Bits<U8, 6, 1>, _>(octets, 1),
            pad_count: get::<Bits<U8, 4, 2>, _>(octets, 1),
            version: get::<Bits<U8, 0, 4>, _>(octets, 1),
            pkey: PKey(get::<Be16, _>(octets, 2)),
            fecn: get::<Bits<U8, 7, 1>, _>(octets, 4),
            becn: get::<Bits<U8, 6, 1>, _>(octets, 4),
            reserved6: get::<Bits<U8, 0, 6>, _>(octets, 4),
            dest_qp: QpNum::new(get::<Be24, _>(octets, 5)),
            ack_req: get::<Bits<U8, 7, 1>, _>(octets, 8),
            reserved7: get::<Bits<U8, 0, 7>, _>(octets, 8),
            psn: Psn::new(get::<Be24, _>(octets, 9)),
        })
    }

    /// Every field in its place; bits beyond a field's width are cut off.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        octets[0] = self.opcode.octet();
        set::<Bits<U8, 7, 1>, _>(&mut octets, 1, self.solicited);
        set::<Bits<U8, 6, 1>, _>(&mut octets, 1, self.mig_req);
        set::<Bits<U8, 4, 2>, _>(&mut octets, 1, self.pad_count);
        set::<Bits<U8, 0, 4>, _>(&mut octets, 1, self.version);
        set::<Be16, _>(&mut octets, 2, self.pkey.0);
        set::<Bits<U8, 7, 1>, _>(&mut octets, 4, self.fecn);
        set::<Bits<U8, 6, 1>, _>(&mut octets, 4, self.becn);
        set::<Bits<U8, 0, 6>, _>(&mut octets, 4, self.reserved6);
        set::<Be24, _>(&mut octets, 5, self.dest_qp.get());
        set::<Bits<U8, 7, 1>, _>(&mut octets, 8, self.ack_req);
        set::<Bits<U8, 0, 7>, _>(&mut octets, 8, self.reserved7);
        set::<Be24, _>(&mut octets, 9, self.psn.get());
        octets
    }
}
