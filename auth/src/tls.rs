//! Keys for TLS as administrators know them, `NVMeTLSkey-1:hh:base64(key ‖ CRC-32):`, and what is made of
//! them for one host and one subsystem: the identity that the host names, and the key of TLS.
//!
//! configured PSK ─(`hh` is 01 or 02: bound to the host's NQN)→ retained PSK ─(bound to an identity)→ TLS PSK.
//! `hh` 00: the configured PSK is the retained one. A generated PSK, of a DH-HMAC-CHAP conversation, stands in
//! the place of a retained one (`G` in the identity). The hash is SHA-256 for 32 octets and SHA-384 for 48.
//!
//! Steps are HKDF-Expand-Label of RFC 8446, section 7.1, with the lengths that it puts before label and
//! context. libnvme before 1.15 left these lengths out: its keys are different ones, and not made here.
//!
//! Source: NVMe TCP Transport Specification 1.1, "PSK Interchange Format", "Retained PSK derivation",
//! "TLS PSK and PSK Identity Derivation"; RFC 5869.

use crate::digest::{Digest, hmac};
use crate::key_text::{self, Fault, KeyText};
use crate::response::Names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use wire::fabrics::auth::{DIGEST_BYTES_MAX, HashId};
use zeroize::Zeroizing;

const PREFIX: &str = "NVMeTLSkey-1:";
/// What binds the digest of an identity to this use.
const PURPOSE: &[u8] = b"NVMe-over-Fabrics";
const RETAINED_LABEL: &[u8] = b"tls13 HostNQN";
const TLS_LABEL: &[u8] = b"tls13 nvme-tls-psk";

/// A configured PSK. `Debug` does not show it.
#[derive(Clone)]
pub struct TlsKey {
    key: Zeroizing<Vec<u8>>,
    /// Binds the key to the host's NQN.
    transform: Option<HashId>,
}

/// What TLS is spoken with.
#[derive(Clone)]
pub struct TlsPsk {
    /// Named by the host in the clear: version, hash, NQNs of host and subsystem, and in version 1 a
    /// digest. At most 512 octets.
    pub identity: String,
    /// As many octets as the hash has.
    pub secret: Zeroizing<Vec<u8>>,
    /// SHA-256 (`TLS_AES_128_GCM_SHA256`) or SHA-384 (`TLS_AES_256_GCM_SHA384`).
    pub hash: HashId,
}

/// Text that is no key. The user's fault; never contains what was typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TlsKeyError {
    /// Not the outer form.
    #[error("a TLS key looks like NVMeTLSkey-1:hh:BASE64: (see `flexblk gen-tls-key`)")]
    Form,
    /// `hh` is none of 00 to 02.
    #[error("the two digits behind NVMeTLSkey-1: are 00, 01 or 02")]
    Transform,
    /// Not Base64.
    #[error("the part behind the second colon is not Base64")]
    Base64,
    /// 32 octets go with 00 and 01, 48 with 00 and 02.
    #[error("a key of {0} octets does not go with those two digits")]
    KeyLength(usize),
    /// A typing error.
    #[error("the checksum does not match: the key was not copied in full, or changed")]
    Crc,
}

impl TlsKey {
    /// A key of `material` (32 or 48 octets).
    ///
    /// Errors: a length that does not go with `transform`.
    pub fn new(material: &[u8], transform: Option<HashId>) -> Result<TlsKey, TlsKeyError> {
        let fits = match transform {
            None => matches!(material.len(), 32 | 48),
            Some(HashId::Sha256) => material.len() == 32,
            Some(HashId::Sha384) => material.len() == 48,
            Some(HashId::Sha512) => return Err(TlsKeyError::Transform),
        };
        if !fits {
            return Err(TlsKeyError::KeyLength(material.len()));
        }
        Ok(TlsKey { key: Zeroizing::new(material.to_vec()), transform })
    }
    /// Hash that binds the key to the host's NQN when it is used.
    #[must_use]
    pub fn transform(&self) -> Option<HashId> {
        self.transform
    }
    /// Octets of the key: 32 or 48.
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

    /// What `host_nqn` and `subsystem_nqn` speak TLS with, the best first: identities of version 1 and
    /// of version 0. The latter is left out where the names together are too long for its label (255
    /// octets of identity).
    #[must_use]
    pub fn psks(&self, host_nqn: &str, subsystem_nqn: &str) -> Vec<TlsPsk> {
        let hash = self.hash();
        let retained = match self.transform {
            None => self.key.clone(),
            Some(hash) => expand_label(hash, &self.key, RETAINED_LABEL, host_nqn.as_bytes()),
        };
        let mut psks = vec![named('R', hash, &retained, host_nqn, subsystem_nqn)];
        let identity = format!("NVMe0R{:02x} {host_nqn} {subsystem_nqn}", hash.octet());
        if identity.len() <= usize::from(u8::MAX) {
            let secret = expand_label(hash, &retained, TLS_LABEL, identity.as_bytes());
            psks.push(TlsPsk { identity, secret, hash });
        }
        psks
    }
    fn hash(&self) -> HashId {
        let by_length = if self.key.len() == 32 { HashId::Sha256 } else { HashId::Sha384 };
        self.transform.unwrap_or(by_length)
    }
}

/// The key of TLS that a conversation's generated PSK makes. `None`: TLS has no suite with its hash.
pub(crate) fn of_generated(hash: HashId, psk: &Digest, names: &Names) -> Option<TlsPsk> {
    let fits = matches!(hash, HashId::Sha256 | HashId::Sha384);
    fits.then(|| named('G', hash, psk.octets(), &names.host, &names.subsystem))
}

/// The key of TLS with an identity of version 1, of a PSK of this `kind`.
fn named(kind: char, hash: HashId, psk: &[u8], host_nqn: &str, subsystem_nqn: &str) -> TlsPsk {
    let [host, space, subsystem] = [host_nqn, " ", subsystem_nqn].map(str::as_bytes);
    let digest = hmac(hash, psk, &[host, space, subsystem, space, PURPOSE]);
    let digest = STANDARD.encode(digest.octets());
    let number = hash.octet();
    let identity = format!("NVMe1{kind}{number:02x} {host_nqn} {subsystem_nqn} {digest}");
    let secret = expand_label(hash, psk, TLS_LABEL, format!("{number:02x} {digest}").as_bytes());
    TlsPsk { identity, secret, hash }
}

/// HKDF-Extract without salt, then HKDF-Expand-Label to as many octets as the hash has.
/// Panics when a context has more than 255 octets: names and digests have at most 223.
fn expand_label(hash: HashId, key: &[u8], label: &[u8], context: &[u8]) -> Zeroizing<Vec<u8>> {
    let salt = [0; DIGEST_BYTES_MAX];
    let extracted = hmac(hash, &salt[..hash.digest_bytes()], &[key]);
    let octet = |length: usize| u8::try_from(length).expect("names are shorter");
    // The length of what is wanted, big-endian; then the one block that it takes.
    let length = [0, octet(hash.digest_bytes())];
    let (label_length, context_length) = ([octet(label.len())], [octet(context.len())]);
    let info = [&length[..], &label_length, label, &context_length, context, &[1]];
    Zeroizing::new(hmac(hash, extracted.octets(), &info).octets().to_vec())
}

impl FromStr for TlsKey {
    type Err = TlsKeyError;

    fn from_str(text: &str) -> Result<TlsKey, TlsKeyError> {
        let KeyText { transform, key, crc_fits } = key_text::parse(PREFIX, text)?;
        let made = TlsKey::new(&key, transform)?;
        if crc_fits { Ok(made) } else { Err(TlsKeyError::Crc) }
    }
}

impl From<Fault> for TlsKeyError {
    fn from(fault: Fault) -> TlsKeyError {
        match fault {
            Fault::Form => TlsKeyError::Form,
            Fault::Transform => TlsKeyError::Transform,
            Fault::Base64 => TlsKeyError::Base64,
        }
    }
}

impl PartialEq for TlsKey {
    fn eq(&self, other: &TlsKey) -> bool {
        self.transform == other.transform && self.key.ct_eq(&other.key).into()
    }
}
impl Eq for TlsKey {}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey(…)")
    }
}
impl fmt::Debug for TlsPsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsPsk({:?}, …)", self.identity)
    }
}

/// The parties that an identity names: host, subsystem. `None`: it is of another form, as identities
/// that hosts make up may be.
#[must_use]
pub fn tls_parties(identity: &str) -> Option<(&str, &str)> {
    let mut words = identity.split(' ');
    let kind = words.next()?;
    let is_known =
        matches!(kind, "NVMe0R01" | "NVMe0R02" | "NVMe1R01" | "NVMe1R02") || is_generated(identity);
    let (host, subsystem) = (words.next()?, words.next()?);
    is_known.then_some((host, subsystem))
}

/// The identity names a key that was made by a conversation, in which its host proved who it is.
#[must_use]
pub fn is_generated(identity: &str) -> bool {
    identity.starts_with("NVMe1G01 ") || identity.starts_with("NVMe1G02 ")
}
