//! Header and data digests: CRC-32C, sent least significant octet first.

/// Octets of a digest.
pub const DIGEST_LEN: usize = 4;

/// The digest of `octets`, as it goes over the wire.
#[must_use]
pub fn digest(octets: &[u8]) -> [u8; DIGEST_LEN] {
    crc32c::crc32c(octets).to_le_bytes()
}

/// The digest of octets that come in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u32);

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Digest {
        Digest(0)
    }
    /// Goes on with `octets`.
    pub fn update(&mut self, octets: &[u8]) -> &mut Digest {
        self.0 = crc32c::crc32c_append(self.0, octets);
        self
    }
    /// As it goes over the wire.
    #[must_use]
    pub const fn octets(&self) -> [u8; DIGEST_LEN] {
        self.0.to_le_bytes()
    }
}
