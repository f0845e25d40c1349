//! Names of a namespace that stay the same from one start to the next.
//!
//! Source: NVMe Base 2.0, "Namespace Identifier"; RFC 9562, version 8 UUID (vendor-specific bits).

/// Globally unique identifiers of one namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamespaceIds {
    /// IEEE extended unique identifier, 8 octets as they stand on the wire.
    pub eui64: [u8; 8],
    /// Namespace globally unique identifier, 16 octets as they stand on the wire.
    pub nguid: [u8; 16],
    /// Version 8 UUID, 16 octets in network order.
    pub uuid: [u8; 16],
}

impl NamespaceIds {
    /// The identifiers of the namespace behind `uri` on the appliance that was given `seed`: the
    /// same arguments give the same identifiers, so a host recognises its disk after a restart.
    #[must_use]
    pub fn derive(seed: u64, uri: &str) -> NamespaceIds {
        let uuid = digest(seed, b"uuid", uri);
        let nguid = digest(seed, b"nguid", uri);
        let mut eui64 = [0; 8];
        eui64.copy_from_slice(&digest(seed, b"eui64", uri)[..8]);
        // Locally administered: these do not come from an assigned company identifier.
        eui64[0] = (eui64[0] & 0xfc) | 0x02;
        NamespaceIds { eui64, nguid, uuid: as_uuid(uuid) }
    }
}

/// Sets version 8 and the RFC 9562 variant.
fn as_uuid(mut octets: [u8; 16]) -> [u8; 16] {
    octets[6] = (octets[6] & 0x0f) | 0x80;
    octets[8] = (octets[8] & 0x3f) | 0x80;
    octets
}

/// A serial number of 20 printable octets, from the seed and the subsystem's name.
#[must_use]
pub(crate) fn serial(seed: u64, nqn: &str) -> String {
    let octets = digest(seed, b"serial", nqn);
    octets[..10].iter().map(|octet| format!("{octet:02x}")).collect()
}

/// FNV-1a with 128 bits over seed, purpose and text: collisions matter only between the few
/// namespaces of one appliance, nobody gains by forging one.
fn digest(seed: u64, purpose: &[u8], text: &str) -> [u8; 16] {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let seed = seed.to_le_bytes();
    // The seed again at the end: each octet then has reached all of the hash.
    let octets = seed.iter().chain(purpose).chain(&[0]).chain(text.as_bytes()).chain(&seed);
    let hash = octets.fold(BASIS, |hash, &octet| (hash ^ u128::from(octet)).wrapping_mul(PRIME));
    hash.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a host finds the same disk after a restart, and never confuses two disks.
    #[test]
    fn identifiers_are_stable_and_distinct() {
        let ids = NamespaceIds::derive(7, "file:a.img");
        assert_eq!(ids, NamespaceIds::derive(7, "file:a.img"));
        assert_ne!(ids, NamespaceIds::derive(8, "file:a.img"));
        assert_ne!(ids, NamespaceIds::derive(7, "file:b.img"));
        assert_ne!(ids.uuid, ids.nguid);
        assert_eq!(ids.uuid[6] >> 4, 8, "version");
        assert_eq!(ids.uuid[8] >> 6, 2, "variant");
    }
}
