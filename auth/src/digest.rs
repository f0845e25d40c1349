//! Hashes and keyed hashes, by the identifier that was agreed on.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::fmt;
use subtle::ConstantTimeEq;
use wire::fabrics::auth::{DIGEST_BYTES_MAX, HashId};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32, 48 or 64 octets. Wiped when dropped: some are keys.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Digest {
    octets: [u8; DIGEST_BYTES_MAX],
    len: usize,
}

impl Digest {
    /// Panics on more than 64 octets.
    fn new(from: &[u8]) -> Digest {
        let mut octets = [0; DIGEST_BYTES_MAX];
        octets[..from.len()].copy_from_slice(from);
        Digest { octets, len: from.len() }
    }
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
    /// Compares without telling by its duration where they differ.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        self.octets().ct_eq(other).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} octets)", self.len)
    }
}

/// H(octets).
pub(crate) fn hash(hash: HashId, octets: &[u8]) -> Digest {
    match hash {
        HashId::Sha256 => Digest::new(&Sha256::digest(octets)),
        HashId::Sha384 => Digest::new(&Sha384::digest(octets)),
        HashId::Sha512 => Digest::new(&Sha512::digest(octets)),
    }
}

/// HMAC(key, parts one behind the other).
pub(crate) fn hmac(hash: HashId, key: &[u8], parts: &[&[u8]]) -> Digest {
    match hash {
        HashId::Sha256 => keyed::<Hmac<Sha256>>(key, parts),
        HashId::Sha384 => keyed::<Hmac<Sha384>>(key, parts),
        HashId::Sha512 => keyed::<Hmac<Sha512>>(key, parts),
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    Digest::new(&mac.finalize().into_bytes())
}
