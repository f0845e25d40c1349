//! NVMe in-band authentication: DH-HMAC-CHAP, both sides; and keys for TLS ([`TlsKey`]).
//!
//! Read first: [`Secret`] (what an administrator hands out), then [`ControllerSide`] and [`HostSide`]
//! (pure machines of one conversation: octets, time and randomness in, octets out), [`Job`] (the
//! expensive part, which a machine asks its owner to have computed) and [`Helper`] (who computes it).
//!
//! **Architecture invariants:** a peer can make us refuse, never panic; secrets and what is derived
//! from them are wiped when dropped, compared in constant time and shown by no `Debug`; a machine
//! computes no power itself.
//!
//! Source: NVMe Base 2.1, "NVMe In-band Authentication", "DH-HMAC-CHAP Protocol"; what the text
//! leaves open is as Linux 6.12 does it.
#![forbid(unsafe_code)]

mod choice;
mod controller;
mod digest;
mod group;
mod helper;
mod host;
mod job;
mod key_text;
mod response;
mod secret;
mod tls;

pub use choice::Credentials;
pub use controller::{ControllerSide, Received, Sent};
pub use helper::{Helper, InlineHelper, SystemHelper, system_random};
pub use host::{HostAuthError, HostKeys, HostSide, Step};
pub use job::{Agreement, Exponent, Job, Outcome};
pub use response::Names;
pub use secret::{Secret, SecretError};
pub use tls::{TlsKey, TlsKeyError, TlsPsk, is_generated, tls_parties};
pub use wire::fabrics::auth::{DhGroup, FailureReason, HashId};

/// Fills octets with unpredictable ones.
pub type Random<'r> = &'r mut dyn FnMut(&mut [u8]);

/// A number that is not 0: 0 as a sequence number has a meaning.
fn sequence_number(random: Random<'_>) -> u32 {
    let mut octets = [0; 4];
    random(&mut octets);
    u32::from_le_bytes(octets).max(1)
}

#[cfg(test)]
mod tests;
