//! In-band authentication: the two commands that carry it, and DH-HMAC-CHAP's messages.
//!
//! Read first: [`AuthMessage`]. What the messages mean is the business of the crate `auth`; here
//! they are octets and values. Source: NVMe Base 2.1, "NVMe In-band Authentication",
//! "DH-HMAC-CHAP Protocol"; the order of a conversation is
//!
//! ```text
//! host                                   controller
//!   Authentication Send     Negotiate  ->
//!   Authentication Receive             <-  Challenge
//!   Authentication Send     Reply      ->
//!   Authentication Receive             <-  Success1
//!   Authentication Send     Success2   ->              (when the controller had to prove itself)
//! ```
//!
//! with Failure1 in place of anything that the controller sends, Failure2 of the host.

mod command;
mod encode;
mod message;
mod offer;

pub use command::{AuthCmd, SECURITY_PROTOCOL, SECURITY_SPECIFIC};
pub use message::{AuthMessage, Challenge, Failure, Negotiate, Reply, Success1};
pub use offer::{IdList, Offer};

use crate::nvme::opcode::codes;

codes! {
    /// Hash functions, by their identifiers. Words are those of the hash, as keys and
    /// configurations spell them.
    HashId {
        Sha256 = 1 "sha256",
        Sha384 = 2 "sha384",
        Sha512 = 3 "sha512",
    }
}

impl HashId {
    /// Octets of a digest.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

codes! {
    /// Diffie-Hellman groups, by their identifiers. Source: RFC 7919.
    DhGroup {
        Null = 0 "null",
        Ffdhe2048 = 1 "ffdhe2048",
        Ffdhe3072 = 2 "ffdhe3072",
        Ffdhe4096 = 3 "ffdhe4096",
        Ffdhe6144 = 4 "ffdhe6144",
        Ffdhe8192 = 5 "ffdhe8192",
    }
}

impl DhGroup {
    /// Octets of an element; 0 for [`Self::Null`], with which nothing is agreed on.
    #[must_use]
    pub const fn value_bytes(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Ffdhe2048 => 256,
            Self::Ffdhe3072 => 384,
            Self::Ffdhe4096 => 512,
            Self::Ffdhe6144 => 768,
            Self::Ffdhe8192 => 1024,
        }
    }
}

codes! {
    /// Why authentication failed ("reason code explanation"; the reason code itself has one value).
    FailureReason {
        Failed = 1 "authentication failed",
        ProtocolNotUsable = 2 "authentication protocol not usable",
        ConcatenationMismatch = 3 "secure channel concatenation mismatch",
        HashNotUsable = 4 "hash function not usable",
        GroupNotUsable = 5 "DH group not usable",
        IncorrectPayload = 6 "incorrect payload",
        IncorrectMessage = 7 "incorrect protocol message",
    }
}

/// Octets of the longest digest.
pub const DIGEST_BYTES_MAX: usize = 64;
/// Octets of the largest group's elements.
pub const DH_VALUE_BYTES_MAX: usize = 1024;
/// Octets of the longest message: a Reply in the largest group, or a Negotiate of 16 protocols.
pub const MESSAGE_BYTES_MAX: usize = 16 + 2 * DIGEST_BYTES_MAX + DH_VALUE_BYTES_MAX;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
