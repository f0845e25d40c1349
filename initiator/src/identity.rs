//! Who this host is: NQN and identifier, which must agree.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;

/// Where nvme-cli keeps them.
const HOSTNQN_FILE: &str = "/etc/nvme/hostnqn";
const HOSTID_FILE: &str = "/etc/nvme/hostid";
const UUID_PREFIX: &str = "nqn.2014-08.org.nvmexpress:uuid:";

/// This host's NQN and identifier: `hostnqn` if given, else the machine's, else made up for this
/// process. An identifier that cannot be had from the NQN is derived from it, so that the same NQN
/// always goes with the same identifier.
#[must_use]
pub fn host(hostnqn: Option<&str>) -> (String, [u8; 16]) {
    let machine = || first_line(Path::new(HOSTNQN_FILE));
    let nqn = hostnqn.map(str::to_owned).or_else(machine).unwrap_or_else(made_up);
    let machine_id = || first_line(Path::new(HOSTID_FILE)).and_then(|text| uuid(&text));
    let id = nqn.strip_prefix(UUID_PREFIX).and_then(uuid).or_else(machine_id);
    let id = id.unwrap_or_else(|| derived(&nqn));
    (nqn, id)
}

fn first_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// The 16 octets of a UUID's text.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut octets = [0; 16];
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(octets)
}

/// A random NQN of the UUID form.
fn made_up() -> String {
    // The standard library's hasher is seeded by the operating system: enough to be unique.
    let [a, b] = [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&a.to_be_bytes());
    octets[8..].copy_from_slice(&b.to_be_bytes());
    // RFC 9562, version 4 and variant.
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{UUID_PREFIX}{a}-{b}-{c}-{d}-{e}")
}

/// FNV-1a, twice: a fixed function of the NQN, not a secret.
fn derived(nqn: &str) -> [u8; 16] {
    let fnv = |basis: u64| {
        nqn.bytes()
            .fold(basis, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&fnv(0xcbf2_9ce4_8422_2325).to_be_bytes());
    id[8..].copy_from_slice(&fnv(0x9ae1_6a3b_2f90_404f).to_be_bytes());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: NQN and identifier agree, as targets check, and a made-up host is a valid one.
    #[test]
    fn nqn_and_id_agree() {
        let nqn = "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff";
        let (same, id) = host(Some(nqn));
        assert_eq!((same.as_str(), id[0], id[15]), (nqn, 0x00, 0xff));
        let odd = "nqn.2026-11.org.example:host";
        if !Path::new(HOSTID_FILE).exists() {
            assert_eq!(host(Some(odd)), host(Some(odd)));
        }
        let made = made_up();
        assert!(made.strip_prefix(UUID_PREFIX).and_then(uuid).is_some(), "{made}");
        assert_ne!(made, made_up());
    }
}
