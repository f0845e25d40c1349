//! What has to change to get from one configuration to another. Pure.

use super::change::{Change, Place, Step};
use crate::config::model::{Group, Model, Namespace, Subsystem};
use std::collections::{BTreeMap, BTreeSet};

/// The changes that make `new` of `old`: what goes first, then what comes, then what is different.
pub(crate) fn diff(old: &Model, new: &Model) -> Vec<Change> {
    let mut changes = Vec::new();
    for (nqn, nsid, namespace) in old.namespaces() {
        if kept(new, nqn, nsid, namespace).is_none() {
            changes.push(Change::RemoveNamespace((nqn.to_owned(), nsid), namespace.clone()));
        }
    }
    for (nqn, subsystem) in &old.subsystems {
        if !new.subsystems.contains_key(nqn) {
            changes.push(Change::RemoveSubsystem(nqn.clone(), bare(subsystem)));
        }
    }
    for (portid, listener) in &old.listeners {
        if new.listeners.get(portid) != Some(listener) {
            changes.push(Change::RemoveListener(*portid, *listener));
        }
    }
    for (portid, listener) in &new.listeners {
        if old.listeners.get(portid) != Some(listener) {
            changes.push(Change::AddListener(*portid, *listener));
        }
    }
    let gone = old.referrals.difference(&new.referrals).cloned();
    changes.extend(gone.map(Change::RemoveReferral));
    let come = new.referrals.difference(&old.referrals).cloned();
    changes.extend(come.map(Change::AddReferral));
    for (nqn, subsystem) in &new.subsystems {
        match old.subsystems.get(nqn) {
            None => changes.push(Change::AddSubsystem(nqn.clone(), bare(subsystem))),
            Some(before) => subsystem_changes(nqn, before, subsystem, &mut changes),
        }
    }
    for (nqn, nsid, namespace) in new.namespaces() {
        let place = (nqn.to_owned(), nsid);
        match kept(old, nqn, nsid, namespace) {
            None => changes.push(Change::AddNamespace(place, namespace.clone())),
            Some(before) => namespace_changes(&place, before, namespace, &mut changes),
        }
    }
    changes
}

/// The namespace there, if it is the same disk with the same identifiers: else it is another one.
fn kept<'m>(model: &'m Model, nqn: &str, nsid: u32, other: &Namespace) -> Option<&'m Namespace> {
    let namespace = model.subsystems.get(nqn)?.namespaces.get(&nsid)?;
    (namespace.uri == other.uri && namespace.ids == other.ids).then_some(namespace)
}

fn bare(subsystem: &Subsystem) -> Subsystem {
    Subsystem { namespaces: BTreeMap::new(), ..subsystem.clone() }
}

fn subsystem_changes(nqn: &str, old: &Subsystem, new: &Subsystem, changes: &mut Vec<Change>) {
    let nqn = || nqn.to_owned();
    let identity = Step::between(&old.identity, &new.identity);
    changes.extend(identity.map(|step| Change::SetIdentity(nqn(), step)));
    changes.extend(Step::between(&old.hosts, &new.hosts).map(|step| Change::SetHosts(nqn(), step)));
    let keys = Step::between(&old.keyring, &new.keyring);
    changes.extend(keys.map(|step| Change::SetKeys(nqn(), step)));
    let hosts: BTreeSet<&String> = old.host_limits.keys().chain(new.host_limits.keys()).collect();
    for host in hosts {
        let of = |it: &Subsystem| it.host_limits.get(host).copied().unwrap_or_default();
        let step = Step::between(&of(old), &of(new));
        changes.extend(step.map(|step| Change::SetHostLimit(nqn(), host.clone(), step)));
    }
    let optimized = Group::default();
    let groups: BTreeSet<&u32> = old.ana.keys().chain(new.ana.keys()).collect();
    for grpid in groups {
        let of = |ana: &BTreeMap<u32, Group>| ana.get(grpid).unwrap_or(&optimized).clone();
        let step = Step::between(&of(&old.ana), &of(&new.ana));
        changes.extend(step.map(|step| Change::SetAna(nqn(), *grpid, step)));
    }
}

fn namespace_changes(place: &Place, old: &Namespace, new: &Namespace, changes: &mut Vec<Change>) {
    let place = || place.clone();
    changes.extend(Step::between(&old.size, &new.size).map(|step| Change::Resize(place(), step)));
    let read_only = Step::between(&old.read_only, &new.read_only);
    changes.extend(read_only.map(|step| Change::SetReadOnly(place(), step)));
    let group = Step::between(&old.ana_group, &new.ana_group);
    changes.extend(group.map(|step| Change::SetGroup(place(), step)));
    let hosts = Step::between(&old.hosts, &new.hosts);
    changes.extend(hosts.map(|step| Change::SetVisibility(place(), step)));
    let limit = Step::between(&old.limit, &new.limit);
    changes.extend(limit.map(|step| Change::SetLimit(place(), step)));
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
