//! What has to change to get from one configuration to another. Pure.

use crate::config::limit::Limit;
use crate::config::model::{Group, Identity, Listener, Model, Namespace, Subsystem};
use crate::config::referrals::Referral;
use crate::hosts::{Keyring, with_tls};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use target::HostList;

/// A subsystem and a namespace's number.
pub(crate) type Place = (String, u32);

/// One change. It knows what was before, so that it can be undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A listener comes.
    AddListener(u16, Listener),
    /// A listener goes.
    RemoveListener(u16, Listener),
    /// Hosts are told of another discovery service.
    AddReferral(Referral),
    /// They are told of it no more.
    RemoveReferral(Referral),
    /// A subsystem comes. Its namespaces come by themselves.
    AddSubsystem(String, Subsystem),
    /// A subsystem goes. Its namespaces went before.
    RemoveSubsystem(String, Subsystem),
    /// A namespace comes.
    AddNamespace(Place, Namespace),
    /// A namespace goes.
    RemoveNamespace(Place, Namespace),
    /// Serial number and model.
    SetIdentity(String, Step<Identity>),
    /// Hosts that may connect.
    SetHosts(String, Step<HostList>),
    /// What the hosts that are named must prove.
    SetKeys(String, Step<Keyring>),
    /// How fast a host is.
    SetHostLimit(String, String, Step<Limit>),
    /// How well a group is reached.
    SetAna(String, u32, Step<Group>),
    /// Octets of a namespace; `None`: the whole disk.
    Resize(Place, Step<Option<u64>>),
    /// Whether hosts may write.
    SetReadOnly(Place, Step<bool>),
    /// Its group.
    SetGroup(Place, Step<u32>),
    /// Hosts that see it.
    SetVisibility(Place, Step<HostList>),
    /// How fast it is.
    SetLimit(Place, Step<Limit>),
}

/// From what to what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step<T> {
    /// Before.
    pub from: T,
    /// After.
    pub to: T,
}

impl<T: Clone + PartialEq> Step<T> {
    /// `None`: nothing changes.
    fn between(from: &T, to: &T) -> Option<Step<T>> {
        (from != to).then(|| Step { from: from.clone(), to: to.clone() })
    }
    fn reversed(&self) -> Step<T> {
        Step { from: self.to.clone(), to: self.from.clone() }
    }
}

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

impl Change {
    /// What takes it back.
    pub(crate) fn undo(&self) -> Change {
        match self {
            Change::AddListener(portid, listener) => Change::RemoveListener(*portid, *listener),
            Change::RemoveListener(portid, listener) => Change::AddListener(*portid, *listener),
            Change::AddReferral(it) => Change::RemoveReferral(it.clone()),
            Change::RemoveReferral(it) => Change::AddReferral(it.clone()),
            Change::AddSubsystem(nqn, it) => Change::RemoveSubsystem(nqn.clone(), it.clone()),
            Change::RemoveSubsystem(nqn, it) => Change::AddSubsystem(nqn.clone(), it.clone()),
            Change::AddNamespace(at, it) => Change::RemoveNamespace(at.clone(), it.clone()),
            Change::RemoveNamespace(at, it) => Change::AddNamespace(at.clone(), it.clone()),
            Change::SetIdentity(nqn, step) => Change::SetIdentity(nqn.clone(), step.reversed()),
            Change::SetHosts(nqn, step) => Change::SetHosts(nqn.clone(), step.reversed()),
            Change::SetKeys(nqn, step) => Change::SetKeys(nqn.clone(), step.reversed()),
            Change::SetHostLimit(nqn, host, step) => {
                Change::SetHostLimit(nqn.clone(), host.clone(), step.reversed())
            }
            Change::SetAna(nqn, group, step) => {
                Change::SetAna(nqn.clone(), *group, step.reversed())
            }
            Change::Resize(at, step) => Change::Resize(at.clone(), step.reversed()),
            Change::SetReadOnly(at, step) => Change::SetReadOnly(at.clone(), step.reversed()),
            Change::SetGroup(at, step) => Change::SetGroup(at.clone(), step.reversed()),
            Change::SetVisibility(at, step) => Change::SetVisibility(at.clone(), step.reversed()),
            Change::SetLimit(at, step) => Change::SetLimit(at.clone(), step.reversed()),
        }
    }

    /// Changes `model`. What the change names and is not there, is left alone.
    pub(crate) fn apply(&self, model: &mut Model) {
        match self {
            Change::AddListener(portid, listener) => {
                model.listeners.insert(*portid, *listener);
            }
            Change::RemoveListener(portid, _) => drop(model.listeners.remove(portid)),
            Change::AddReferral(it) => drop(model.referrals.insert(it.clone())),
            Change::RemoveReferral(it) => drop(model.referrals.remove(it)),
            Change::AddSubsystem(nqn, it) => {
                model.subsystems.insert(nqn.clone(), it.clone());
            }
            Change::RemoveSubsystem(nqn, _) => drop(model.subsystems.remove(nqn)),
            Change::AddNamespace((nqn, nsid), it) => {
                let subsystem = model.subsystems.get_mut(nqn);
                subsystem.map(|subsystem| subsystem.namespaces.insert(*nsid, it.clone()));
            }
            Change::RemoveNamespace((nqn, nsid), _) => {
                let subsystem = model.subsystems.get_mut(nqn);
                subsystem.map(|subsystem| subsystem.namespaces.remove(nsid));
            }
            Change::SetIdentity(nqn, step) => {
                at(model, nqn, |subsystem| subsystem.identity = step.to.clone());
            }
            Change::SetHosts(nqn, step) => {
                at(model, nqn, |subsystem| subsystem.hosts = step.to.clone());
            }
            Change::SetKeys(nqn, step) => {
                at(model, nqn, |subsystem| subsystem.keyring = step.to.clone());
            }
            Change::SetHostLimit(nqn, host, step) => at(model, nqn, |subsystem| {
                subsystem.host_limits.insert(host.clone(), step.to);
                subsystem.host_limits.retain(|_, limit| !limit.is_none());
            }),
            Change::SetAna(nqn, grpid, step) => at(model, nqn, |subsystem| {
                subsystem.ana.insert(*grpid, step.to.clone());
                subsystem.ana.retain(|_, group| *group != Group::default());
            }),
            Change::Resize(place, step) => of(model, place, |it| it.size = step.to),
            Change::SetReadOnly(place, step) => of(model, place, |it| it.read_only = step.to),
            Change::SetGroup(place, step) => of(model, place, |it| it.ana_group = step.to),
            Change::SetVisibility(place, step) => {
                of(model, place, |it| it.hosts = step.to.clone());
            }
            Change::SetLimit(place, step) => of(model, place, |it| it.limit = step.to),
        }
    }

    /// `+` comes, `-` goes, `~` changes.
    pub(crate) fn sign(&self) -> char {
        match self {
            Change::AddListener(..)
            | Change::AddReferral(..)
            | Change::AddSubsystem(..)
            | Change::AddNamespace(..) => '+',
            Change::RemoveListener(..)
            | Change::RemoveReferral(..)
            | Change::RemoveSubsystem(..)
            | Change::RemoveNamespace(..) => '-',
            Change::SetIdentity(..)
            | Change::SetHosts(..)
            | Change::SetKeys(..)
            | Change::SetHostLimit(..)
            | Change::SetAna(..)
            | Change::Resize(..)
            | Change::SetReadOnly(..)
            | Change::SetGroup(..)
            | Change::SetVisibility(..)
            | Change::SetLimit(..) => '~',
        }
    }
}

fn at(model: &mut Model, nqn: &str, change: impl FnOnce(&mut Subsystem)) {
    if let Some(subsystem) = model.subsystems.get_mut(nqn) {
        change(subsystem);
    }
}
fn of(model: &mut Model, (nqn, nsid): &Place, change: impl FnOnce(&mut Namespace)) {
    let subsystem = model.subsystems.get_mut(nqn);
    if let Some(namespace) = subsystem.and_then(|it| it.namespaces.get_mut(nsid)) {
        change(namespace);
    }
}

/// In nvme's terms.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: Option<u64>| size.map_or("the whole disk".into(), |it| format!("{it} B"));
        match self {
            Change::AddListener(portid, it) | Change::RemoveListener(portid, it) => {
                write!(f, "listener {portid}: trtype={it}")
            }
            Change::AddReferral(it) | Change::RemoveReferral(it) => write!(f, "referral {it}"),
            Change::AddSubsystem(nqn, it) => write!(f, "subsystem {nqn}: {}", hosts(&it.hosts)),
            Change::RemoveSubsystem(nqn, _) => write!(f, "subsystem {nqn}"),
            Change::AddNamespace((nqn, nsid), it) => {
                write!(f, "namespace {nsid} of {nqn}: {}", described(it))
            }
            Change::RemoveNamespace((nqn, nsid), it) => {
                write!(f, "namespace {nsid} of {nqn}: {}", it.uri)
            }
            Change::SetIdentity(nqn, step) => {
                let Identity { serial, model } = &step.to;
                let text = |text: &Option<String>| text.clone().unwrap_or("its own".into());
                write!(f, "subsystem {nqn}: serial {}, model {}", text(serial), text(model))
            }
            Change::SetHosts(nqn, step) => write!(f, "subsystem {nqn}: {}", hosts(&step.to)),
            Change::SetKeys(nqn, step) => write!(f, "subsystem {nqn}: {}", proofs(&step.to)),
            Change::SetHostLimit(nqn, host, step) => {
                write!(f, "host {host} of {nqn}: {}", step.to)
            }
            Change::SetAna(nqn, grpid, step) => {
                write!(f, "group {grpid} of {nqn}: {}", step.to.state)?;
                let mut ports = step.to.ports.iter();
                ports.try_for_each(|(portid, state)| write!(f, ", at listener {portid} {state}"))
            }
            Change::Resize((nqn, nsid), step) => {
                let (from, to) = (size(step.from), size(step.to));
                write!(f, "namespace {nsid} of {nqn}: from {from} to {to}")
            }
            Change::SetReadOnly((nqn, nsid), step) => {
                let word = if step.to { "read-only" } else { "writable" };
                write!(f, "namespace {nsid} of {nqn}: {word}")
            }
            Change::SetGroup((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: from group {} to {}", step.from, step.to)
            }
            Change::SetVisibility((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: {}", hosts(&step.to))
            }
            Change::SetLimit((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: {}", step.to)
            }
        }
    }
}

/// Its disk, and what is not as usual.
fn described(namespace: &Namespace) -> String {
    let mut words = vec![namespace.uri.clone()];
    words.extend(namespace.size.map(|octets| format!("{octets} B")));
    words.extend(namespace.read_only.then(|| "read-only".into()));
    words.extend((namespace.ana_group != 1).then(|| format!("group {}", namespace.ana_group)));
    words.extend((!namespace.limit.is_none()).then(|| namespace.limit.to_string()));
    words.extend((namespace.hosts != HostList::Any).then(|| hosts(&namespace.hosts)));
    words.join(", ")
}

fn hosts(hosts: &HostList) -> String {
    match hosts {
        HostList::Any => "for any host".into(),
        HostList::Only(nqns) if nqns.is_empty() => "for no host".into(),
        HostList::Only(nqns) => {
            let nqns: Vec<&str> = nqns.iter().map(String::as_str).collect();
            format!("for {}", nqns.join(", "))
        }
    }
}

/// Who must prove something; not what.
fn proofs(keyring: &Keyring) -> String {
    let with_secret = keyring.iter().filter(|(_, keys)| keys.dhchap_secret.is_some());
    let nqns: Vec<&str> = with_secret.map(|(nqn, _)| nqn.as_str()).collect();
    let mut words = if nqns.is_empty() {
        "no host has to authenticate".into()
    } else {
        format!("to authenticate: {}", nqns.join(", "))
    };
    let secured: Vec<&str> = with_tls(keyring).collect();
    if !secured.is_empty() {
        words += &format!("; to come with TLS: {}", secured.join(", "));
    }
    words
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
