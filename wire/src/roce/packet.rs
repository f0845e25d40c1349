//! One RoCEv2 packet as a borrowed view, and why octets may not be one.

use super::header_set::HeaderSet;
use super::{Aeth, AtomicEth, Bth, Deth, ExtHeaders, Feth, ICRC_LEN, Ieth, ImmDt, Reth};

/// A packet: its headers as values, its payload where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Base header.
    pub bth: Bth,
    /// Exactly the headers that the opcode calls for.
    pub ext: ExtHeaders,
    /// Without the padding.
    pub payload: &'a [u8],
    /// Octets of padding, 0 to 3, as the BTH says.
    pub pad_count: u8,
    /// The ICRC as it came, when the caller said that there is one. Not checked here: see
    /// [`super::Icrc`].
    pub icrc: Option<[u8; 4]>,
}

/// The datagram is not a packet of ours; the peer's fault, dropped and counted by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than its headers and trailer.
    #[error("truncated")]
    Truncated,
    /// An opcode that this stack does not speak.
    #[error("unknown_opcode")]
    UnknownOpcode,
    /// The transport version is not 0.
    #[error("bad_version")]
    BadVersion,
    /// More padding than octets, or padding where there is no payload.
    #[error("bad_padding")]
    BadPadding,
    /// Payload after a header that has none.
    #[error("unexpected_payload")]
    UnexpectedPayload,
    /// A packet of the other wire mode.
    #[error("wrong_mode")]
    WrongMode,
    /// A field of the native header outside its range.
    #[error("bad_native_header")]
    BadNativeHeader,
}

impl ParseError {
    /// Every reason, for a table of counters.
    pub const ALL: &[Self] = &[
        Self::Truncated,
        Self::UnknownOpcode,
        Self::BadVersion,
        Self::BadPadding,
        Self::UnexpectedPayload,
        Self::WrongMode,
        Self::BadNativeHeader,
    ];

    /// A stable word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::UnknownOpcode => "unknown_opcode",
            Self::BadVersion => "bad_version",
            Self::BadPadding => "bad_padding",
            Self::UnexpectedPayload => "unexpected_payload",
            Self::WrongMode => "wrong_mode",
            Self::BadNativeHeader => "bad_native_header",
        }
    }
}

/// Takes headers off the front of a packet.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], ParseError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(ParseError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }
}

/// The BTH of a packet, checked for what both wire modes share.
#[inline]
pub(super) fn decode_bth(cursor: &mut Cursor<'_>) -> Result<Bth, ParseError> {
    let bth = Bth::decode(cursor.take()?).ok_or(ParseError::UnknownOpcode)?;
    if bth.version != 0 {
        return Err(ParseError::BadVersion);
    }
    Ok(bth)
}

/// Splits the four octets of the trailing CRC off, when there is one.
#[inline]
pub(super) fn split_crc(
    octets: &[u8],
    present: bool,
) -> Result<(&[u8], Option<[u8; 4]>), ParseError> {
    if !present {
        return Ok((octets, None));
    }
    let (body, crc) = octets.split_last_chunk::<ICRC_LEN>().ok_or(ParseError::Truncated)?;
    Ok((body, Some(*crc)))
}

impl<'a> Packet<'a> {
    /// Reads the octets of one UDP datagram. `icrc_present`: the last four are the ICRC.
    ///
    /// Errors: the peer's fault, all of them; a native packet is [`ParseError::WrongMode`].
    #[inline]
    pub fn parse(udp_payload: &'a [u8], icrc_present: bool) -> Result<Self, ParseError> {
        let (body, icrc) = split_crc(udp_payload, icrc_present)?;
        let mut cursor = Cursor(body);
        let bth = decode_bth(&mut cursor)?;
        if bth.opcode.is_native() {
            return Err(ParseError::WrongMode);
        }
        let ext = ExtHeaders::decode(&bth, &mut cursor)?;
        let rest = cursor.0;
        if !rest.is_empty() && !bth.opcode.has_payload() {
            return Err(ParseError::UnexpectedPayload);
        }
        let payload_len = rest.len().checked_sub(usize::from(bth.pad_count));
        let payload = payload_len.and_then(|len| rest.get(..len)).ok_or(ParseError::BadPadding)?;
        Ok(Self { bth, ext, payload, pad_count: bth.pad_count, icrc })
    }
}

impl ExtHeaders {
    /// The headers that the opcode calls for, in wire order.
    #[inline]
    fn decode(bth: &Bth, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let headers = bth.opcode.header_set();
        let mut ext = Self::default();
        if headers.has(HeaderSet::DETH) {
            ext.deth = Some(Deth::decode(cursor.take()?));
        }
        if headers.has(HeaderSet::FETH) {
            ext.feth = Some(Feth(u32::from_be_bytes(*cursor.take()?)));
        }
        if headers.has(HeaderSet::RETH) {
            ext.reth = Some(Reth::decode(cursor.take()?));
        }
        if headers.has(HeaderSet::ATOMIC) {
            ext.atomic = Some(AtomicEth::decode(cursor.take()?));
        }
        if headers.has(HeaderSet::AETH) {
            ext.aeth = Some(Aeth::decode(cursor.take()?));
        }
        if headers.has(HeaderSet::ATOMIC_ACK) {
            ext.atomic_ack = Some(u64::from_be_bytes(*cursor.take()?));
        }
        if headers.has(HeaderSet::IMM) {
            ext.imm = Some(ImmDt(*cursor.take()?));
        }
        if headers.has(HeaderSet::IETH) {
            ext.ieth = Some(Ieth(u32::from_be_bytes(*cursor.take()?)));
        }
        Ok(ext)
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
