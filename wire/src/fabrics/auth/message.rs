//! The messages, read.
//!
//! Each begins with a type (0: common, 1: DH-HMAC-CHAP), an identifier, two reserved octets and the
//! transaction's identifier. Lengths inside a message are checked against bounds that hold for
//! every hash and group, and against the octets that came; octets behind a message are ignored, as
//! a host that asks for one does not know its length.

use super::offer::{OFFER_BYTES, Offer};
use super::{DH_VALUE_BYTES_MAX, FailureReason, HashId};
use crate::octets::{Le16, Le32, get};

pub(super) const COMMON: u8 = 0;
pub(super) const DH_HMAC_CHAP: u8 = 1;
pub(super) const NEGOTIATE: u8 = 0x00;
pub(super) const CHALLENGE: u8 = 0x01;
pub(super) const REPLY: u8 = 0x02;
pub(super) const SUCCESS1: u8 = 0x03;
pub(super) const SUCCESS2: u8 = 0x04;
pub(super) const FAILURE2: u8 = 0xf0;
pub(super) const FAILURE1: u8 = 0xf1;

/// Octets in front of what a message's lengths describe.
pub(super) const HEADER_BYTES: usize = 16;
/// Octets of a Negotiate in front of its descriptors, and of a failure.
pub(super) const COMMON_BYTES: usize = 8;
/// Protocols that a host may offer.
const PROTOCOLS_MAX: usize = 16;

/// Negotiate: what the host would speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// Transaction, chosen by the host.
    pub transaction: u16,
    /// Secure channel concatenation (SC_C): 0 = none; see [`Negotiate::NEW_TLS_PSK`].
    pub concatenation: u8,
    /// Its first offer of DH-HMAC-CHAP, if there is one.
    pub offer: Option<Offer>,
}

impl Negotiate {
    /// SC_C: of the conversation a key is made, with which TLS is spoken afterwards.
    pub const NEW_TLS_PSK: u8 = 2;
}

/// Challenge: the controller's choice, and what the host is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'m> {
    /// Transaction.
    pub transaction: u16,
    /// Hash function; see [`HashId`].
    pub hash: u8,
    /// Group; see [`super::DhGroup`].
    pub group: u8,
    /// S1.
    pub sequence: u32,
    /// C1: as long as a digest.
    pub challenge: &'m [u8],
    /// The controller's public value, big endian; empty for the null group.
    pub dh_value: &'m [u8],
}

/// Reply: the host's answer, and perhaps a challenge of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'m> {
    /// Transaction.
    pub transaction: u16,
    /// S2; 0: the controller need not prove itself.
    pub sequence: u32,
    /// R1: as long as a digest.
    pub response: &'m [u8],
    /// C2: as long as a digest.
    pub challenge: Option<&'m [u8]>,
    /// The host's public value, big endian; empty for the null group.
    pub dh_value: &'m [u8],
}

/// Success1: the controller believes the host, and answers its challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success1<'m> {
    /// Transaction.
    pub transaction: u16,
    /// Octets of a digest.
    pub digest_bytes: u8,
    /// R2.
    pub response: Option<&'m [u8]>,
}

/// Failure1 or Failure2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Transaction.
    pub transaction: u16,
    /// Why; see [`FailureReason`].
    pub reason: u8,
}

/// A message of DH-HMAC-CHAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMessage<'m> {
    /// Host to controller.
    Negotiate(Negotiate),
    /// Controller to host.
    Challenge(Challenge<'m>),
    /// Host to controller.
    Reply(Reply<'m>),
    /// Controller to host.
    Success1(Success1<'m>),
    /// Host to controller: it believes the controller.
    Success2 {
        /// Transaction.
        transaction: u16,
    },
    /// Controller to host.
    Failure1(Failure),
    /// Host to controller.
    Failure2(Failure),
}

type Parsed<T> = Result<T, FailureReason>;

impl<'m> AuthMessage<'m> {
    /// Reads a message from the start of `octets`.
    ///
    /// Errors: the peer's fault, as a failure message names it: incorrect message for a type or
    /// identifier that does not exist, incorrect payload for a length that cannot be.
    pub fn decode(octets: &'m [u8]) -> Parsed<Self> {
        let common = octets.first_chunk::<COMMON_BYTES>().ok_or(FailureReason::IncorrectPayload)?;
        let transaction = get::<Le16, _>(common, 4);
        let failure = Failure { transaction, reason: common[7] };
        match (common[0], common[1]) {
            (COMMON, NEGOTIATE) => Negotiate::decode(octets, transaction).map(Self::Negotiate),
            (COMMON, FAILURE1) => Ok(Self::Failure1(failure)),
            (COMMON, FAILURE2) => Ok(Self::Failure2(failure)),
            (DH_HMAC_CHAP, CHALLENGE) => {
                Challenge::decode(octets, transaction).map(Self::Challenge)
            }
            (DH_HMAC_CHAP, REPLY) => Reply::decode(octets, transaction).map(Self::Reply),
            (DH_HMAC_CHAP, SUCCESS1) => Success1::decode(octets, transaction).map(Self::Success1),
            (DH_HMAC_CHAP, SUCCESS2) => {
                header(octets)?;
                Ok(Self::Success2 { transaction })
            }
            _ => Err(FailureReason::IncorrectMessage),
        }
    }

    /// The transaction that it belongs to.
    #[must_use]
    pub const fn transaction(&self) -> u16 {
        match self {
            Self::Negotiate(message) => message.transaction,
            Self::Challenge(message) => message.transaction,
            Self::Reply(message) => message.transaction,
            Self::Success1(message) => message.transaction,
            Self::Success2 { transaction } => *transaction,
            Self::Failure1(message) | Self::Failure2(message) => message.transaction,
        }
    }
}

impl Negotiate {
    fn decode(octets: &[u8], transaction: u16) -> Parsed<Self> {
        let protocols = usize::from(octets[7]);
        let wanted = COMMON_BYTES + protocols * OFFER_BYTES;
        if !(1..=PROTOCOLS_MAX).contains(&protocols) || octets.len() < wanted {
            return Err(FailureReason::IncorrectPayload);
        }
        let (offers, _) = octets[COMMON_BYTES..wanted].as_chunks::<OFFER_BYTES>();
        let mut offer = None;
        for octets in offers {
            let read = Offer::decode(octets).map_err(|()| FailureReason::IncorrectPayload)?;
            offer = offer.or(read);
        }
        Ok(Self { transaction, concatenation: octets[6], offer })
    }
}

impl<'m> Challenge<'m> {
    fn decode(octets: &'m [u8], transaction: u16) -> Parsed<Self> {
        let header = header(octets)?;
        let mut rest = Rest(&octets[HEADER_BYTES..]);
        let challenge = rest.take(digest_bytes(header[6])?)?;
        let dh_value = rest.take(dh_bytes(header)?)?;
        let sequence = get::<Le32, _>(header, 12);
        Ok(Self { transaction, hash: header[8], group: header[9], sequence, challenge, dh_value })
    }
}

impl<'m> Reply<'m> {
    fn decode(octets: &'m [u8], transaction: u16) -> Parsed<Self> {
        let header = header(octets)?;
        let digest_bytes = digest_bytes(header[6])?;
        let mut rest = Rest(&octets[HEADER_BYTES..]);
        let response = rest.take(digest_bytes)?;
        let challenge = Some(rest.take(digest_bytes)?).filter(|_| header[8] & 1 != 0);
        let dh_value = rest.take(dh_bytes(header)?)?;
        let sequence = get::<Le32, _>(header, 12);
        Ok(Self { transaction, sequence, response, challenge, dh_value })
    }
}

impl<'m> Success1<'m> {
    fn decode(octets: &'m [u8], transaction: u16) -> Parsed<Self> {
        let header = header(octets)?;
        let bytes = digest_bytes(header[6])?;
        let mut rest = Rest(&octets[HEADER_BYTES..]);
        let response = if header[8] & 1 != 0 { Some(rest.take(bytes)?) } else { None };
        Ok(Self { transaction, digest_bytes: header[6], response })
    }
}

fn header(octets: &[u8]) -> Parsed<&[u8; HEADER_BYTES]> {
    octets.first_chunk().ok_or(FailureReason::IncorrectPayload)
}

/// HL, which must be that of a hash.
fn digest_bytes(octet: u8) -> Parsed<usize> {
    let known = HashId::ALL.iter().map(|hash| hash.digest_bytes());
    known
        .into_iter()
        .find(|bytes| *bytes == usize::from(octet))
        .ok_or(FailureReason::IncorrectPayload)
}

/// DHVLEN.
fn dh_bytes(header: &[u8; HEADER_BYTES]) -> Parsed<usize> {
    let bytes = usize::from(get::<Le16, _>(header, 10));
    if bytes <= DH_VALUE_BYTES_MAX { Ok(bytes) } else { Err(FailureReason::IncorrectPayload) }
}

/// What was not read yet.
struct Rest<'m>(&'m [u8]);

impl<'m> Rest<'m> {
    fn take(&mut self, bytes: usize) -> Parsed<&'m [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(bytes).ok_or(FailureReason::IncorrectPayload)?;
        self.0 = rest;
        Ok(taken)
    }
}
