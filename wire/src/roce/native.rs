//! The native mode's packets: one header of 80 octets on every packet, so that bursts are uniform
//! (one GSO call) and each packet says itself where its payload goes (placement out of order).
//!
//! Spoken only between two FlexBlk endpoints that agreed on it in the CM private data. Ours; IBTA
//! leaves opcodes `0xC0..=0xFF` to manufacturers. A packet is BTH, native header, payload without
//! padding (`pad_count` 0), and on links that want one the CRC of [`super::Icrc::native`]. Each
//! direction has its own PSN circle; every packet but [`Opcode::NativeAck`] and
//! [`Opcode::NativeProbe`] takes one PSN. Big endian; reserved = 0 on sending, ignored on receipt.
//!
//! ```text
//!      0               4               8               12
//!   0 | BTH                                           | flags T ecn A |   T = tail length 0..=16
//!  16 | ack PSN  (0 24)| timestamp µs  | echo µs       | MSN    (0 24) |
//!  32 | address                        | rkey          | message length|
//!  48 | invalidate rkey| immediate data| reserved                       |
//!  64 | tail: immediate message, or swap/add and compare of an atomic   |   A = which atomic
//!  80 | payload …
//! ```
//!
//! | opcode | address | rkey | message length | MSN | tail |
//! |---|---|---|---|---|---|
//! | SEND | offset in the message | 0 | of the message; 0 with a tail | receive that it consumes | with the flag: the whole message |
//! | WRITE | remote address of this packet's payload | yes | of the message | receive, when an immediate message is there | immediate message |
//! | READ request | remote address | yes | to read | request | - |
//! | READ response | offset in the message | 0 | of the message | request | - |
//! | ATOMIC request | remote address | yes | 8 | request | swap/add, compare |
//! | ATOMIC response | 0 | 0 | 8 | request | original value, 0 |
//! | PROBE | 0 | 0 | 0 | 0 | - |
//!
//! The immediate message is what makes a read one packet: the response capsule (16 octets) rides in
//! the header of the last data packet and is delivered as a message of its own, to the receive
//! `MSN`, after the payload of the whole WRITE.

mod ack;
mod flags;
mod tail;

pub use ack::{NativeAck, Sack};
pub use flags::NativeFlags;
pub use tail::Tail;

use super::packet::{Cursor, decode_bth, split_crc};
use super::{Bth, HeaderBuf, ICRC_LEN, Icrc, ImmDt, Msn, Opcode, ParseError, Psn, QpNum};
use crate::octets::{Be24, Be32, Be64, get, set};

/// Octets of BTH and native header together, the same for every native packet.
pub const NATIVE_HEADER_LEN: usize = 80;

/// Octets of the native header alone.
const EXT_LEN: usize = NATIVE_HEADER_LEN - Bth::LEN;

// Offsets in the native header, that is without the BTH. The first five are shared by data and ACK.
const FLAGS: usize = 0;
const TAIL_LEN: usize = 1;
const ECN_COUNT: usize = 2;
const ATOMIC: usize = 3;
const ACK_PSN: usize = 4;
const TIMESTAMP: usize = 8;
const ECHO: usize = 12;
const MSN: usize = 16;
const ADDR: usize = 20;
const RKEY: usize = 28;
const MESSAGE_LEN: usize = 32;
const INVALIDATE: usize = 36;
const IMMEDIATE: usize = 40;
const TAIL: usize = 52;

/// What a [`Opcode::NativeAtomicRequest`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomicOp {
    /// Stores `swap_add` when the target equals `compare`.
    CompareSwap = 1,
    /// Adds `swap_add`.
    FetchAdd = 2,
}

impl AtomicOp {
    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::CompareSwap),
            2 => Some(Self::FetchAdd),
            _ => None,
        }
    }
}

/// Header of every native packet but the acknowledgement. The table above says what each field
/// means by opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeHeader {
    /// Base header; its opcode is native, not [`Opcode::NativeAck`].
    pub bth: Bth,
    /// See [`NativeFlags`].
    pub flags: NativeFlags,
    /// Packets with a congestion mark that the sender of this packet has received, modulo 256.
    pub ecn_count: u8,
    /// Which atomic: exactly in [`Opcode::NativeAtomicRequest`].
    pub atomic: Option<AtomicOp>,
    /// With [`NativeFlags::ACK_VALID`]: the sender has all before this PSN of the other direction.
    pub ack_psn: Psn,
    /// The sender's clock when it sent this, in µs, modulo 2^32.
    pub timestamp_us: u32,
    /// The latest `timestamp_us` that the sender has seen from the peer, plus the time for which it
    /// was held; 0: none since the last echo.
    pub echo_us: u32,
    /// Receive index or request number.
    pub msn: Msn,
    /// Remote virtual address, or offset in the message.
    pub addr: u64,
    /// Remote key.
    pub rkey: u32,
    /// Octets of payload of the whole message.
    pub message_len: u32,
    /// With [`NativeFlags::INVALIDATE`]: the key to invalidate before the receive completes.
    pub invalidate: u32,
    /// With [`NativeFlags::IMMEDIATE_DATA`]: immediate data.
    pub immediate: ImmDt,
    /// With [`NativeFlags::IMMEDIATE_MESSAGE`]: the message; in atomics the operands.
    pub tail: Tail,
}

impl NativeHeader {
    /// Everything off and zero.
    #[must_use]
    pub fn new(opcode: Opcode, dest_qp: QpNum, psn: Psn) -> Self {
        Self {
            bth: Bth::new(opcode, dest_qp, psn),
            flags: NativeFlags::NONE,
            ecn_count: 0,
            atomic: None,
            ack_psn: Psn::ZERO,
            timestamp_us: 0,
            echo_us: 0,
            msn: Msn::ZERO,
            addr: 0,
            rkey: 0,
            message_len: 0,
            invalidate: 0,
            immediate: ImmDt::default(),
            tail: Tail::default(),
        }
    }

    /// The 80 octets. Panics when the opcode is not native, is [`Opcode::NativeAck`], or does not
    /// agree with `atomic`.
    #[inline]
    #[must_use]
    pub fn emit(&self) -> HeaderBuf {
        let opcode = self.bth.opcode;
        assert!(opcode.is_native() && opcode != Opcode::NativeAck, "not a native data packet");
        let is_atomic = opcode == Opcode::NativeAtomicRequest;
        assert!(self.atomic.is_some() == is_atomic, "an atomic request says which");
        let mut buf = HeaderBuf::empty();
        buf.push(Bth { pad_count: 0, ..self.bth }.encode());
        let ext = buf.push_zeros::<EXT_LEN>();
        ext[FLAGS] = self.flags.octet();
        ext[TAIL_LEN] = self.tail.len_octet();
        ext[ECN_COUNT] = self.ecn_count;
        ext[ATOMIC] = self.atomic.map_or(0, |atomic| atomic as u8);
        set::<Be32, _>(ext, ACK_PSN, self.ack_psn.get());
        set::<Be32, _>(ext, TIMESTAMP, self.timestamp_us);
        set::<Be32, _>(ext, ECHO, self.echo_us);
        set::<Be32, _>(ext, MSN, self.msn.get());
        set::<Be64, _>(ext, ADDR, self.addr);
        set::<Be32, _>(ext, RKEY, self.rkey);
        set::<Be32, _>(ext, MESSAGE_LEN, self.message_len);
        set::<Be32, _>(ext, INVALIDATE, self.invalidate);
        ext[IMMEDIATE..IMMEDIATE + 4].copy_from_slice(&self.immediate.0);
        ext[TAIL..].copy_from_slice(self.tail.area());
        buf
    }

    #[inline]
    fn decode(bth: Bth, ext: &[u8; EXT_LEN], tail: Tail, atomic: Option<AtomicOp>) -> Self {
        Self {
            bth,
            flags: NativeFlags::from_octet(ext[FLAGS]),
            ecn_count: ext[ECN_COUNT],
            atomic,
            ack_psn: Psn::new(get::<Be24, _>(ext, ACK_PSN + 1)),
            timestamp_us: get::<Be32, _>(ext, TIMESTAMP),
            echo_us: get::<Be32, _>(ext, ECHO),
            msn: Msn::new(get::<Be24, _>(ext, MSN + 1)),
            addr: get::<Be64, _>(ext, ADDR),
            rkey: get::<Be32, _>(ext, RKEY),
            message_len: get::<Be32, _>(ext, MESSAGE_LEN),
            invalidate: get::<Be32, _>(ext, INVALIDATE),
            immediate: ImmDt(crate::octets::take(ext, IMMEDIATE)),
            tail,
        }
    }
}

/// One native packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativePacket<'a> {
    /// Requests, responses and probes.
    Data {
        /// All of it.
        header: NativeHeader,
        /// Octets for `header.addr`; empty where the opcode has no payload.
        payload: &'a [u8],
    },
    /// A selective acknowledgement.
    Ack(NativeAck),
}

impl<'a> NativePacket<'a> {
    /// Reads the octets of one UDP datagram. `crc_present`: the last four are the CRC, which the
    /// caller has checked ([`crc_matches`]).
    ///
    /// Errors: the peer's fault; a RoCEv2 packet is [`ParseError::WrongMode`].
    #[inline]
    pub fn parse(udp_payload: &'a [u8], crc_present: bool) -> Result<Self, ParseError> {
        let (body, _crc) = split_crc(udp_payload, crc_present)?;
        let mut cursor = Cursor(body);
        let bth = decode_bth(&mut cursor)?;
        if !bth.opcode.is_native() {
            return Err(ParseError::WrongMode);
        }
        if bth.pad_count != 0 {
            return Err(ParseError::BadPadding);
        }
        let ext = cursor.take::<EXT_LEN>()?;
        if bth.opcode == Opcode::NativeAck {
            let ack = NativeAck::decode(bth, ext);
            return if cursor.0.is_empty() {
                Ok(Self::Ack(ack))
            } else {
                Err(ParseError::UnexpectedPayload)
            };
        }
        let tail = Tail::from_area(crate::octets::take(ext, TAIL), ext[TAIL_LEN]);
        let tail = tail.ok_or(ParseError::BadNativeHeader)?;
        let atomic = AtomicOp::from_octet(ext[ATOMIC]);
        if atomic.is_some() != (bth.opcode == Opcode::NativeAtomicRequest) {
            return Err(ParseError::BadNativeHeader);
        }
        let payload = cursor.0;
        if !payload.is_empty() && !bth.opcode.has_payload() {
            return Err(ParseError::UnexpectedPayload);
        }
        Ok(Self::Data { header: NativeHeader::decode(bth, ext, tail, atomic), payload })
    }

    /// The base header, whichever it is.
    #[must_use]
    pub const fn bth(&self) -> &Bth {
        match self {
            Self::Data { header, .. } => &header.bth,
            Self::Ack(ack) => &ack.bth,
        }
    }
}

/// Of the octets behind a BTH: the flags, and what is the syndrome if it is an acknowledgement.
pub(super) fn flags_and_syndrome(ext: &[u8]) -> Option<(NativeFlags, u8)> {
    Some((NativeFlags::from_octet(*ext.get(FLAGS)?), *ext.get(ack::SYNDROME)?))
}

/// The CRC that ends a native datagram is that of the octets before it. `false` also for octets
/// too short to hold a packet and its CRC.
#[must_use]
pub fn crc_matches(udp_payload: &[u8]) -> bool {
    match udp_payload.split_last_chunk::<ICRC_LEN>() {
        Some((body, crc)) if body.len() >= Bth::LEN => Icrc::native(body).finish() == *crc,
        _ => false,
    }
}
