//! Features and the values of those that are more than a number.
//!
//! Source: NVMe Base 2.0, "Feature specific information".

use super::ZeroBased;
use crate::octets::{Bits, Le64, U8, layout};

/// Feature identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeatureId(pub u8);

impl FeatureId {
    /// Arbitration.
    pub const ARBITRATION: Self = Self(0x01);
    /// Power management.
    pub const POWER_MANAGEMENT: Self = Self(0x02);
    /// LBA range type.
    pub const LBA_RANGE_TYPE: Self = Self(0x03);
    /// Temperature threshold.
    pub const TEMPERATURE_THRESHOLD: Self = Self(0x04);
    /// Error recovery.
    pub const ERROR_RECOVERY: Self = Self(0x05);
    /// Volatile write cache.
    pub const VOLATILE_WRITE_CACHE: Self = Self(0x06);
    /// Number of queues: see [`QueueCount`].
    pub const NUMBER_OF_QUEUES: Self = Self(0x07);
    /// Interrupt coalescing.
    pub const INTERRUPT_COALESCING: Self = Self(0x08);
    /// Interrupt vector configuration.
    pub const INTERRUPT_VECTOR: Self = Self(0x09);
    /// Write atomicity normal.
    pub const WRITE_ATOMICITY: Self = Self(0x0a);
    /// Asynchronous event configuration: which events are wanted.
    pub const ASYNC_EVENT: Self = Self(0x0b);
    /// Timestamp: see [`Timestamp`].
    pub const TIMESTAMP: Self = Self(0x0e);
    /// Keep alive timer, in milliseconds.
    pub const KEEP_ALIVE: Self = Self(0x0f);
    /// Host behavior support.
    pub const HOST_BEHAVIOR: Self = Self(0x16);
    /// I/O command set profile.
    pub const COMMAND_SET_PROFILE: Self = Self(0x19);
    /// Host identifier.
    pub const HOST_ID: Self = Self(0x81);
    /// Reservation notification mask.
    pub const RESERVATION_MASK: Self = Self(0x82);
    /// Reservation persistence.
    pub const RESERVATION_PERSISTENCE: Self = Self(0x83);
    /// Namespace write protection.
    pub const WRITE_PROTECT: Self = Self(0x84);
}

/// Value of [`FeatureId::NUMBER_OF_QUEUES`]: asked for in dword 11, granted in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCount {
    /// I/O submission queues.
    pub submission: ZeroBased<u16>,
    /// I/O completion queues.
    pub completion: ZeroBased<u16>,
}

impl QueueCount {
    /// Reads dword 11, or the result.
    #[must_use]
    pub const fn from_dword(dword: u32) -> Self {
        let [a, b, c, d] = dword.to_le_bytes();
        Self {
            submission: ZeroBased::<u16>::from_raw(u16::from_le_bytes([a, b])),
            completion: ZeroBased::<u16>::from_raw(u16::from_le_bytes([c, d])),
        }
    }

    /// The dword.
    #[must_use]
    pub const fn dword(self) -> u32 {
        let [a, b] = self.submission.raw().to_le_bytes();
        let [c, d] = self.completion.raw().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

layout! {
    /// Value of [`FeatureId::TIMESTAMP`].
    #[derive(Copy)]
    Timestamp[8] {
        /// Milliseconds since 1970, 48 bits.
        unix_ms set_unix_ms: u64 as Bits<Le64, 0, 48>, 0;
        /// It may have stopped for a time.
        synch set_synch: bool as Bits<U8, 0, 1>, 6;
        /// 0 = started at reset, 1 = set by Set Features.
        origin set_origin: u8 as Bits<U8, 1, 3>, 6;
    }
}
