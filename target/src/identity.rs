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

/// Identifiers that somebody chose for a namespace. The others are derived.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ChosenIds {
    /// See [`NamespaceIds::eui64`].
    pub eui64: Option<[u8; 8]>,
    /// See [`NamespaceIds::nguid`].
    pub nguid: Option<[u8; 16]>,
    /// See [`NamespaceIds::uuid`].
    pub uuid: Option<[u8; 16]>,
}

impl From<NamespaceIds> for ChosenIds {
    fn from(ids: NamespaceIds) -> ChosenIds {
        ChosenIds { eui64: Some(ids.eui64), nguid: Some(ids.nguid), uuid: Some(ids.uuid) }
    }
}

/// Two namespaces have one of these in common: hosts refuse the second.
fn clash(one: &NamespaceIds, other: &NamespaceIds) -> bool {
    one.eui64 == other.eui64 || one.nguid == other.nguid || one.uuid == other.uuid
}

impl NamespaceIds {
    /// Identifiers that none of the namespaces with the identifiers `taken` has: what is chosen, the
    /// others as [`Self::derive`] makes them or, if these are taken, derived from the namespace's
    /// place (subsystem, number) too. So they depend on what was exported before, and are the same
    /// after a restart that exports the same in the same order.
    ///
    /// `None`: a chosen one is taken, or is zero, which means that there is none.
    #[must_use]
    pub fn unique(
        seed: u64,
        uri: &str,
        (nqn, nsid): (&str, u32),
        chosen: &ChosenIds,
        taken: &[NamespaceIds],
    ) -> Option<NamespaceIds> {
        let with = |derived: NamespaceIds| NamespaceIds {
            eui64: chosen.eui64.unwrap_or(derived.eui64),
            nguid: chosen.nguid.unwrap_or(derived.nguid),
            uuid: chosen.uuid.unwrap_or(derived.uuid),
        };
        let is_bad = |other: &NamespaceIds| {
            chosen.eui64 == Some(other.eui64)
                || chosen.nguid == Some(other.nguid)
                || chosen.uuid == Some(other.uuid)
        };
        let none = NamespaceIds { eui64: [0; 8], nguid: [0; 16], uuid: [0; 16] };
        if is_bad(&none) || taken.iter().any(is_bad) {
            return None;
        }
        let plain = std::iter::once(uri.to_owned());
        // Each try is as good as random: one of them is free.
        let placed = (0..=taken.len()).map(|again| format!("{uri}\0{nqn}\0{nsid}\0{again}"));
        plain
            .chain(placed)
            .map(|text| with(NamespaceIds::derive(seed, &text)))
            .find(|ids| !taken.iter().any(|other| clash(ids, other)))
    }
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

    /// Goal: the first of several namespaces of one URI has the identifiers that it would have alone,
    /// each of the others its own; what is chosen is taken as it is, or refused.
    #[test]
    fn identifiers_are_unique() {
        let mut taken = Vec::new();
        for nsid in 1..=50 {
            let place = ("nqn.2026-01.io.flexblk:a", nsid);
            let ids = NamespaceIds::unique(7, "mem:1", place, &ChosenIds::default(), &taken);
            assert!(taken.iter().all(|other| !clash(other, &ids.unwrap())));
            taken.push(ids.unwrap());
        }
        assert_eq!(taken[0], NamespaceIds::derive(7, "mem:1"));
        let unique = |chosen| NamespaceIds::unique(7, "mem:1", ("nqn", 9), &chosen, &taken);
        let chosen = ChosenIds { uuid: Some([3; 16]), ..ChosenIds::default() };
        assert_eq!(unique(chosen).unwrap().uuid, [3; 16]);
        for bad in [
            ChosenIds { uuid: Some(taken[4].uuid), ..ChosenIds::default() },
            ChosenIds { nguid: Some(taken[4].nguid), ..ChosenIds::default() },
            ChosenIds { eui64: Some([0; 8]), ..ChosenIds::default() },
            taken[0].into(),
        ] {
            assert_eq!(unique(bad), None, "{bad:?}");
        }
    }
}
