//! One CM message: header and body.

use super::{
    Attribute, BODY_LEN, Drep, Dreq, MadHeader, Mra, Rej, Rep, Req, Rtu, SidrRep, SidrReq,
};

/// Octets of every CM message.
pub const MAD_LEN: usize = 256;

/// One CM message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmMessage {
    /// Transaction and attribute.
    pub header: MadHeader,
    /// What it says.
    pub body: CmBody,
}

/// The octets are not a CM message of ours; the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CmError {
    /// Shorter than 256 octets.
    #[error("truncated")]
    Truncated,
    /// Another base version, class, class version or method.
    #[error("not_cm")]
    NotCm,
    /// LAP, APR, or nothing known.
    #[error("unknown_attribute")]
    UnknownAttribute,
}

impl CmError {
    /// A stable word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotCm => "not_cm",
            Self::UnknownAttribute => "unknown_attribute",
        }
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// The body of a CM message.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum CmBody { $($(#[$doc])* $name($name),)* }

        impl CmBody {
            fn decode(attribute: Attribute, octets: [u8; BODY_LEN]) -> Self {
                match attribute {
                    $(Attribute::$name => Self::$name($name::from_octets(octets)),)*
                }
            }

            /// The attribute that goes into the header.
            #[must_use]
            pub const fn attribute(&self) -> Attribute {
                match self { $(Self::$name(_) => Attribute::$name,)* }
            }

            const fn as_octets(&self) -> &[u8; BODY_LEN] {
                match self { $(Self::$name(body) => body.as_octets(),)* }
            }
        }

        $(
            impl From<$name> for CmBody {
                fn from(body: $name) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}

bodies! {
    /// Request for communication.
    Req;
    /// Message receipt acknowledgement.
    Mra;
    /// Reject.
    Rej;
    /// Reply.
    Rep;
    /// Ready to use.
    Rtu;
    /// Disconnect request.
    Dreq;
    /// Disconnect reply.
    Drep;
    /// Service id resolution request.
    SidrReq;
    /// Service id resolution reply.
    SidrRep;
}

impl CmMessage {
    /// A message of the given transaction.
    #[must_use]
    pub fn new(transaction_id: u64, body: impl Into<CmBody>) -> Self {
        let body = body.into();
        Self { header: MadHeader::new(transaction_id, body.attribute()), body }
    }

    /// Reads the first 256 octets; any that follow are ignored.
    ///
    /// Errors: the peer's fault, see [`CmError`].
    pub fn decode(octets: &[u8]) -> Result<Self, CmError> {
        let (head, rest) = octets.split_first_chunk().ok_or(CmError::Truncated)?;
        let header = MadHeader::from_octets(*head);
        let body: &[u8; BODY_LEN] = rest.first_chunk().ok_or(CmError::Truncated)?;
        if header.base_version() != MadHeader::BASE_VERSION
            || header.class() != MadHeader::CLASS_CM
            || header.class_version() != MadHeader::CLASS_VERSION
            || header.method() != MadHeader::METHOD_SEND
        {
            return Err(CmError::NotCm);
        }
        let attribute =
            Attribute::from_id(header.attribute_id()).ok_or(CmError::UnknownAttribute)?;
        Ok(Self { header, body: CmBody::decode(attribute, *body) })
    }

    /// The octets that [`Self::decode`] read, or that the setters made.
    #[must_use]
    pub fn encode(&self) -> [u8; MAD_LEN] {
        let mut octets = [0; MAD_LEN];
        octets[..MadHeader::LEN].copy_from_slice(self.header.as_octets());
        octets[MadHeader::LEN..].copy_from_slice(self.body.as_octets());
        octets
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
