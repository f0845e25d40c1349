//! Secrets as administrators know them: `DHHC-1:hh:base64(key ‖ CRC-32):`.
//!
//! `hh` is 00 when the key is used as it is, 01 to 03 when it is first bound to an NQN with SHA-256,
//! SHA-384 or SHA-512. Source: NVMe Base 2.1, "DH-HMAC-CHAP Security Requirements" (representation of
//! secrets, transformed keys).

use crate::digest::hmac;
use crate::key_text::{self, Fault, KeyText};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use wire::fabrics::auth::HashId;
use zeroize::Zeroizing;

const PREFIX: &str = "DHHC-1:";
/// What binds a key to this use.
const PURPOSE: &[u8] = b"NVMe-over-Fabrics";

/// A secret that a host and a target share. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret {
    key: Zeroizing<Vec<u8>>,
    transform: Option<HashId>,
}

/// Text that is no secret. The user's fault; never contains what was typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// Not the outer form.
    #[error("a secret looks like DHHC-1:hh:BASE64: (see `flexblk gen-dhchap-key`)")]
    Form,
    /// `hh` is none of 00 to 03.
    #[error("the two digits behind DHHC-1: are 00, 01, 02 or 03")]
    Transform,
    /// Not Base64.
    #[error("the part behind the second colon is not Base64")]
    Base64,
    /// Keys have 32, 48 or 64 octets; with a hash, as many as its digests.
    #[error("a key of {0} octets does not go with those two digits")]
    KeyLength(usize),
    /// A typing error.
    #[error("the checksum does not match: the secret was not copied in full, or changed")]
    Crc,
}

impl Secret {
    /// A secret from `material` (32, 48 or 64 octets), as nvme-cli makes them: with a hash, the key is
    /// the material bound to the host's NQN.
    ///
    /// Errors: a length that does not go with `transform`.
    pub fn generate(
        material: &[u8],
        transform: Option<HashId>,
        nqn: &str,
    ) -> Result<Secret, SecretError> {
        check_length(transform, material.len())?;
        let key = match transform {
            None => material.to_vec(),
            Some(hash) => bind(hash, material, nqn),
        };
        Ok(Secret { key: Zeroizing::new(key), transform })
    }
    /// Hash that binds the key to an NQN when it is used.
    #[must_use]
    pub fn transform(&self) -> Option<HashId> {
        self.transform
    }
    /// Octets of the key.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.key.len()
    }
    /// CRC-32 of the key, as it stands at its end.
    #[must_use]
    pub fn crc(&self) -> u32 {
        crc32fast::hash(&self.key)
    }
    /// The text that [`FromStr`] reads: to be shown to the one who asked for it, and nobody else.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        key_text::emit(PREFIX, self.transform, &self.key)
    }
    /// The key that responses are made with: bound to `nqn`, that of its owner.
    pub(crate) fn key_for(&self, nqn: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self.transform {
            None => self.key.to_vec(),
            Some(hash) => bind(hash, &self.key, nqn),
        })
    }
}

fn bind(hash: HashId, key: &[u8], nqn: &str) -> Vec<u8> {
    hmac(hash, key, &[nqn.as_bytes(), PURPOSE]).octets().to_vec()
}

fn check_length(transform: Option<HashId>, bytes: usize) -> Result<(), SecretError> {
    let fits = match transform {
        None => matches!(bytes, 32 | 48 | 64),
        Some(hash) => bytes == hash.digest_bytes(),
    };
    if fits { Ok(()) } else { Err(SecretError::KeyLength(bytes)) }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Secret, SecretError> {
        let KeyText { transform, key, crc_fits } = key_text::parse(PREFIX, text)?;
        check_length(transform, key.len())?;
        if crc_fits { Ok(Secret { key, transform }) } else { Err(SecretError::Crc) }
    }
}

impl From<Fault> for SecretError {
    fn from(fault: Fault) -> SecretError {
        match fault {
            Fault::Form => SecretError::Form,
            Fault::Transform => SecretError::Transform,
            Fault::Base64 => SecretError::Base64,
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.transform == other.transform && self.key.ct_eq(&other.key).into()
    }
}
impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
