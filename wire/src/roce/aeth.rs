//! ACK Extended Transport Header: syndrome and message sequence number.
//!
//! Source: IBTA 1.4, "ACK Extended Transport Header", "RNR NAK timer field".

use core::time::Duration;

use super::Msn;
use crate::octets::{Be24, bits, get, set};

/// AETH, 4 octets: syndrome 8, MSN 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aeth {
    /// Acknowledgement, or what is wrong.
    pub syndrome: Syndrome,
    /// Messages that the responder has completed.
    pub msn: Msn,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syndrome {
    /// Everything up to the packet's PSN has arrived.
    Ack {
        /// End-to-end credit code, 5 bits; 31 = unlimited, all that `rdma_rxe` sends.
        credits: u8,
    },
    /// No receive was posted: try again after this time.
    RnrNak(RnrTimer),
    /// The request at the packet's PSN failed.
    Nak(NakCode),
    /// A value of the reserved ranges (`0x40..=0x5f` and bit 7 set), kept as it came.
    Reserved(u8),
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NakCode {
    /// A packet is missing; the PSN is the one that was expected.
    PsnSequenceError,
    /// The request is malformed or not allowed here.
    InvalidRequest,
    /// Key, bounds or rights do not allow the access.
    RemoteAccess,
    /// The responder failed for its own reasons.
    RemoteOperational,
    /// Invalid RD request (not used by RC).
    InvalidRdRequest,
    /// Codes 5 to 31, kept as they came.
    Other(u8),
}

impl Syndrome {
    /// Acknowledged, with unlimited credits.
    pub const ACK: Self = Self::Ack { credits: 31 };

    /// Reads the octet; every value means something.
    #[inline]
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        let low = low5(octet);
        match bits(octet as u64, 5, 3) {
            0b000 => Self::Ack { credits: low },
            0b001 => Self::RnrNak(RnrTimer(low)),
            0b011 => Self::Nak(NakCode::from_code(low)),
            _ => Self::Reserved(octet),
        }
    }

    /// The octet on the wire.
    #[inline]
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Ack { credits } => low5(credits),
            Self::RnrNak(timer) => 0x20 | low5(timer.0),
            Self::Nak(code) => 0x60 | code.code(),
            Self::Reserved(octet) => octet,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "five bits fit an octet")]
const fn low5(octet: u8) -> u8 {
    bits(octet as u64, 0, 5) as u8
}

impl NakCode {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::PsnSequenceError,
            1 => Self::InvalidRequest,
            2 => Self::RemoteAccess,
            3 => Self::RemoteOperational,
            4 => Self::InvalidRdRequest,
            other => Self::Other(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::PsnSequenceError => 0,
            Self::InvalidRequest => 1,
            Self::RemoteAccess => 2,
            Self::RemoteOperational => 3,
            Self::InvalidRdRequest => 4,
            Self::Other(code) => low5(code),
        }
    }
}

/// RNR NAK timer, a 5-bit code for 10 µs to 655.36 ms. Code 0 is the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RnrTimer(u8);

/// Units of 10 µs by code.
const RNR_TIMER_10US: [u32; 32] = [
    65_536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024,
    1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 12_288, 16_384, 24_576, 32_768, 49_152,
];

impl RnrTimer {
    /// The low five bits of `code`.
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self(low5(code))
    }

    /// 0 to 31.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// How long the requester must wait.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(RNR_TIMER_10US[self.0 as usize] as u64 * 10)
    }

    /// The shortest timer that is not shorter than `wanted`; the longest there is when none is.
    #[must_use]
    pub fn at_least(wanted: Duration) -> Self {
        (1..32).map(Self).find(|timer| timer.duration() >= wanted).unwrap_or(Self(0))
    }
}

impl Aeth {
    /// Size on the wire.
    pub const LEN: usize = 4;

    /// Reads it.
    #[inline]
    #[must_use]
    pub fn decode(octets: &[u8; Self::LEN]) -> Self {
        Self { syndrome: Syndrome::from_octet(octets[0]), msn: Msn::new(get::<Be24, _>(octets, 1)) }
    }

    /// Writes it.
    #[inline]
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [self.syndrome.octet(), 0, 0, 0];
        set::<Be24, _>(&mut octets, 1, self.msn.get());
        octets
    }
}
