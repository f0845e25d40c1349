//! What nvmetcli keeps of hosts: their secrets, which go to each subsystem that lists them.
//!
//! No secret is named among what is left out. TLS keys lie in the kernel's keyring, and in no file.

use super::object::{Object, list};
use crate::config::words::File;
use crate::hosts::{Hidden, Host, Keys, keyring};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What the kernel takes by itself, and so do we.
const USUAL: [&str; 3] = ["hmac(sha256)", "sha256", "null"];

/// Reads the hosts, and gives their secrets to the subsystems.
pub(super) fn read(fields: &mut Map<String, Value>, file: &mut File, left_out: &mut Vec<String>) {
    let allowed: BTreeSet<String> =
        file.subsystems.iter().flat_map(|it| it.allowed_hosts.iter().flatten()).cloned().collect();
    let mut known = BTreeMap::new();
    for (at, value) in list(fields, "hosts", "", left_out).into_iter().enumerate() {
        let mut host = Object::new(value, format!("hosts[{at}]"), left_out);
        let nqn = host.text("nqn");
        let keys = read_keys(&mut host);
        if let Some(nqn) = nqn {
            if !allowed.contains(&nqn) {
                host.say(&format!("{nqn}, which is not on the list of any subsystem"));
            }
            known.extend(keys.and_then(|keys| checked(nqn, keys, &mut host)));
        }
        host.end();
    }
    for subsystem in &mut file.subsystems {
        let Some(allowed) = &mut subsystem.allowed_hosts else { continue };
        let proving: Vec<String> = allowed.extract_if(.., |nqn| known.contains_key(nqn)).collect();
        let host = |nqn: String| {
            let keys = known.get(&nqn).cloned().unwrap_or_default();
            Host { nqn, keys, ..Host::default() }
        };
        subsystem.hosts = proving.into_iter().map(host).collect();
    }
}

/// The host's attributes, each by its whole name or in the group that nvmetcli makes of them.
fn read_keys(host: &mut Object<'_>) -> Option<Keys> {
    let mut group = host.object("dhchap");
    let grouped = ["key", "ctrl_key", "hash", "dhgroup"].map(|name| group.text(name));
    group.end();
    let whole = ["dhchap_key", "dhchap_ctrl_key", "dhchap_hash", "dhchap_dhgroup"];
    let whole = whole.map(|name| host.text(name));
    let mut said = whole.into_iter().zip(grouped).map(|(whole, grouped)| whole.or(grouped));
    let mut next = || said.next().flatten().filter(|text| !text.is_empty());
    let keys = Keys {
        dhchap_secret: next().map(Hidden::new),
        dhchap_ctrl_secret: next().map(Hidden::new),
        dhchap_hash: next().filter(|text| !USUAL.contains(&text.as_str())),
        dhchap_dhgroup: next().filter(|text| !USUAL.contains(&text.as_str())),
        tls_psk: None,
    };
    // Without a secret, the rest means nothing to the kernel either.
    keys.dhchap_secret.is_some().then_some(keys)
}

/// The keys under the host's name, if they are such.
fn checked(nqn: String, keys: Keys, object: &mut Object<'_>) -> Option<(String, Keys)> {
    let host = Host { nqn: nqn.clone(), keys: keys.clone(), ..Host::default() };
    match keyring(&[host]) {
        Ok(_) => Some((nqn, keys)),
        Err(why) => {
            object.say(&format!("{why}; it may connect without, until you give it a secret"));
            None
        }
    }
}
