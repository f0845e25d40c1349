//! Secure channels, as users of a fabric speak of them: keys, and whether they are demanded.

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Whether a listener wants its hosts to speak TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Security {
    /// It speaks none.
    #[default]
    None,
    /// Hosts may.
    Optional,
    /// Hosts that do not are sent away.
    Required,
}

/// Hash of a key, and so of the cipher suite. Source: NVMe TCP Transport Specification 1.1, "TLS
/// PSK and PSK Identity Derivation"; RFC 8446, "Pre-Shared Key Extension".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PskHash {
    /// SHA-256: `TLS_AES_128_GCM_SHA256`.
    Sha256,
    /// SHA-384: `TLS_AES_256_GCM_SHA384`.
    Sha384,
}

/// A key that two sides share, with its name on the wire. `Debug` does not show the secret.
#[derive(Clone)]
pub struct Psk {
    /// What a host calls it, in the clear: 1 to 65,535 octets.
    pub identity: String,
    /// At least 16 octets.
    pub secret: Arc<Zeroizing<Vec<u8>>>,
    /// Its hash.
    pub hash: PskHash,
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Psk({:?}, …)", self.identity)
    }
}
