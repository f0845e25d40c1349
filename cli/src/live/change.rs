//! One change of a configuration, as a value: done to a model, and taken back. Pure.

use crate::config::limit::Limit;
use crate::config::model::{Group, Identity, Listener, Model, Namespace, Subsystem};
use crate::config::referrals::Referral;
use crate::hosts::Keyring;
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
    pub(super) fn between(from: &T, to: &T) -> Option<Step<T>> {
        (from != to).then(|| Step { from: from.clone(), to: to.clone() })
    }
    fn reversed(&self) -> Step<T> {
        Step { from: self.to.clone(), to: self.from.clone() }
    }
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
