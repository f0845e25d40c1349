//! Identifiers of namespaces: how they are written, and those that nobody chose.

use super::model::Model;
use super::words;
use target::{ChosenIds, NamespaceIds};

/// From digits, with or without hyphens. All zero: none was chosen, as nvmetcli writes it.
///
/// Errors: in words.
fn octets<const LEN: usize>(what: &str, text: &str) -> Result<Option<[u8; LEN]>, String> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let bad = || format!("{what} {text:?} is not {} hexadecimal digits", 2 * LEN);
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if digits.len() != 2 * LEN || !is_hex {
        return Err(bad());
    }
    let mut octets = [0; LEN];
    for (octet, at) in octets.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| bad())?;
    }
    Ok(Some(octets).filter(|octets| *octets != [0; LEN]))
}

/// The identifiers that a file chooses.
pub(super) fn chosen(namespace: &words::Namespace) -> Result<ChosenIds, String> {
    let words::Namespace { uuid, nguid, eui64, .. } = namespace;
    Ok(ChosenIds {
        uuid: uuid.as_ref().map_or(Ok(None), |text| octets("uuid", text))?,
        nguid: nguid.as_ref().map_or(Ok(None), |text| octets("nguid", text))?,
        eui64: eui64.as_ref().map_or(Ok(None), |text| octets("eui64", text))?,
    })
}

/// Digits.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// With the hyphens of RFC 9562.
pub(crate) fn uuid(octets: [u8; 16]) -> String {
    let digits = hex(&octets);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

/// Where `wanted` leaves identifiers out: those that `running` has there for the same disk.
pub(crate) fn keep(wanted: &mut Model, running: &Model) {
    for (nqn, subsystem) in &mut wanted.subsystems {
        let Some(old) = running.subsystems.get(nqn) else { continue };
        for (nsid, namespace) in &mut subsystem.namespaces {
            let old = old.namespaces.get(nsid).filter(|old| old.uri == namespace.uri);
            let Some(old) = old.map(|old| old.ids) else { continue };
            let ids = &mut namespace.ids;
            ids.uuid = ids.uuid.or(old.uuid);
            ids.nguid = ids.nguid.or(old.nguid);
            ids.eui64 = ids.eui64.or(old.eui64);
        }
    }
}

/// Gives every namespace all its identifiers, none of them twice in the target. Those that have most
/// of them chosen come first, so that nobody is given what another has chosen.
///
/// Errors: two namespaces chose the same, in words.
pub(crate) fn complete(model: &mut Model, seed: u64) -> Result<(), String> {
    let mut places: Vec<(usize, String, u32)> = model
        .namespaces()
        .map(|(nqn, nsid, namespace)| (missing(&namespace.ids), nqn.to_owned(), nsid))
        .collect();
    places.sort();
    let mut taken: Vec<NamespaceIds> = Vec::with_capacity(places.len());
    for (_, nqn, nsid) in places {
        let subsystem = model.subsystems.get_mut(&nqn);
        let Some(namespace) = subsystem.and_then(|s| s.namespaces.get_mut(&nsid)) else { continue };
        let place = (nqn.as_str(), nsid);
        let ids = NamespaceIds::unique(seed, &namespace.uri, place, &namespace.ids, &taken);
        let ids = ids.ok_or_else(|| {
            format!(
                "namespace {nsid} of {nqn} has an identifier (uuid, nguid or eui64) of another \
                 namespace: hosts would refuse it; leave it out, or choose another"
            )
        })?;
        namespace.ids = ids.into();
        taken.push(ids);
    }
    Ok(())
}

fn missing(ids: &ChosenIds) -> usize {
    let chosen = [ids.uuid.is_some(), ids.nguid.is_some(), ids.eui64.is_some()];
    chosen.iter().filter(|is_chosen| !**is_chosen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the spellings of nvmetcli, `nvme id-ns` and people; nonsense is refused.
    #[test]
    fn identifiers_are_read() {
        let text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        let read = octets::<16>("uuid", text).unwrap().unwrap();
        assert_eq!(uuid(read), text);
        assert_eq!(octets::<16>("nguid", &hex(&read)), Ok(Some(read)));
        assert_eq!(octets::<16>("nguid", "00000000-0000-0000-0000-000000000000"), Ok(None));
        for bad in ["", "1", "+1d4fae7dec11d0a76500a0c91e6bf6f8", "ää", &text[1..]] {
            assert!(octets::<16>("uuid", bad).is_err(), "{bad}");
        }
    }
}
