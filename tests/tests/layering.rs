//! A crate uses only crates above it (ARCHITECTURE.md, "Code map").

use std::collections::{BTreeMap, BTreeSet};

use flexblk_tree::manifests;

/// Who may be built on whom; what those use is allowed too. `dev-dependencies` are not checked
/// here: a test may reach down (the initiator's tests run a target), the product may not.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("wire", &[]),
    ("auth", &["wire"]),
    ("memory", &[]),
    ("verbs", &["wire", "memory"]),
    ("netstack", &["verbs"]),
    ("dpa", &["netstack"]),
    ("storage", &["memory"]),
    ("target", &["netstack", "dpa", "storage", "auth"]),
    ("initiator", &["netstack", "dpa", "auth"]),
    ("fio-plugin", &["initiator"]),
    ("sim", &["target", "initiator"]),
    ("bench", &["target", "initiator", "sim"]),
    ("cli", &["target", "initiator", "sim", "bench", "auth"]),
    ("xtask", &[]),
    ("tests", &[]),
];

fn allowed(folder: &str, rules: &BTreeMap<&str, &[&str]>) -> BTreeSet<String> {
    let direct = rules.get(folder).copied().unwrap_or_default();
    let mut all: BTreeSet<String> = direct.iter().map(ToString::to_string).collect();
    for below in direct {
        all.extend(allowed(below, rules));
    }
    all
}

/// Nobody uses a crate beside or below itself: the layering is what the design shows.
#[test]
fn crates_use_only_crates_above_them() {
    let rules = BTreeMap::from(MAY_USE);
    let mut faults = Vec::new();
    for manifest in manifests() {
        let may = allowed(&manifest.folder, &rules);
        for used in manifest.uses.difference(&may) {
            faults.push(format!("{} must not use {used}", manifest.folder));
        }
    }
    assert!(faults.is_empty(), "layering broken:\n  {}", faults.join("\n  "));
}

/// A new crate gets a place in the order on the day it is made.
#[test]
fn every_crate_has_a_place() {
    let rules = BTreeMap::from(MAY_USE);
    for manifest in manifests() {
        let folder = manifest.folder;
        assert!(rules.contains_key(folder.as_str()), "give `{folder}` a row in MAY_USE");
    }
}

/// The manifests are read at all: known edges are seen, so that an empty answer cannot pass.
#[test]
fn known_edges_are_seen() {
    let all = manifests();
    let uses = |folder: &str, used: &str| {
        all.iter().any(|manifest| manifest.folder == folder && manifest.uses.contains(used))
    };
    assert!(uses("netstack", "verbs") && uses("fio-plugin", "initiator") && uses("cli", "target"));
    assert!(!uses("wire", "memory"));
}
