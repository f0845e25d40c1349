//! The MAD header, 24 octets, and the attributes of the CM class.

use crate::octets::{Be16, Be32, Be64, U8, layout};

/// Where the attribute id lies in a MAD.
const ATTRIBUTE_ID: core::ops::Range<usize> = 16..18;

/// What a CM message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Attribute {
    /// Request for communication.
    Req = 0x10,
    /// Message receipt acknowledgement: "I am working on it".
    Mra = 0x11,
    /// Reject.
    Rej = 0x12,
    /// Reply.
    Rep = 0x13,
    /// Ready to use.
    Rtu = 0x14,
    /// Disconnect request.
    Dreq = 0x15,
    /// Disconnect reply.
    Drep = 0x16,
    /// Service id resolution request.
    SidrReq = 0x17,
    /// Service id resolution reply.
    SidrRep = 0x18,
}

impl Attribute {
    pub(super) const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x10 => Some(Self::Req),
            0x11 => Some(Self::Mra),
            0x12 => Some(Self::Rej),
            0x13 => Some(Self::Rep),
            0x14 => Some(Self::Rtu),
            0x15 => Some(Self::Dreq),
            0x16 => Some(Self::Drep),
            0x17 => Some(Self::SidrReq),
            0x18 => Some(Self::SidrRep),
            _ => None,
        }
    }

    /// That of the MAD which begins with these octets, if it is one of these.
    pub(crate) fn of_mad(octets: &[u8]) -> Option<Self> {
        let id = octets.get(ATTRIBUTE_ID)?;
        Self::from_id(u16::from_be_bytes(id.try_into().ok()?))
    }

    /// The word for logs and counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Req => "req",
            Self::Mra => "mra",
            Self::Rej => "rej",
            Self::Rep => "rep",
            Self::Rtu => "rtu",
            Self::Dreq => "dreq",
            Self::Drep => "drep",
            Self::SidrReq => "sidr_req",
            Self::SidrRep => "sidr_rep",
        }
    }
}

layout! {
    /// Common MAD header.
    MadHeader[24] {
        /// Base version: 1.
        base_version set_base_version: u8 as U8, 0;
        /// Management class: 7 = communication management.
        class set_class: u8 as U8, 1;
        /// Class version: 2.
        class_version set_class_version: u8 as U8, 2;
        /// Method: 3 = Send; the top bit is for responses, which the CM does not use.
        method set_method: u8 as U8, 3;
        /// Status: 0.
        status set_status: u16 as Be16, 4;
        /// Class specific: 0.
        class_specific set_class_specific: u16 as Be16, 6;
        /// Transaction id, the same in retries and in the answers of a handshake.
        transaction_id set_transaction_id: u64 as Be64, 8;
        /// See [`Attribute`].
        attribute_id set_attribute_id: u16 as Be16, 16;
        /// Attribute modifier: 0.
        modifier set_modifier: u32 as Be32, 20;
    }
}

impl MadHeader {
    pub(super) const BASE_VERSION: u8 = 1;
    pub(super) const CLASS_CM: u8 = 7;
    pub(super) const CLASS_VERSION: u8 = 2;
    pub(super) const METHOD_SEND: u8 = 3;

    /// The header of a CM message.
    #[must_use]
    pub fn new(transaction_id: u64, attribute: Attribute) -> Self {
        let mut header = Self::zeroed();
        header
            .set_base_version(Self::BASE_VERSION)
            .set_class(Self::CLASS_CM)
            .set_class_version(Self::CLASS_VERSION)
            .set_method(Self::METHOD_SEND)
            .set_transaction_id(transaction_id)
            .set_attribute_id(attribute as u16);
        header
    }
}
