//! From what is meant back to words.

use super::model::{Listener, Model, Namespace, Subsystem};
use super::words::{self, Ana};
use super::{ids, referrals};
use crate::hosts::Host;
use std::collections::BTreeSet;
use target::{ChosenIds, HostList};

/// A file that means `model`.
pub(crate) fn words(model: &Model) -> words::File {
    let listener = |(portid, listener): (&u16, &Listener)| words::Listener {
        portid: Some(*portid),
        trtype: listener.trtype,
        traddr: listener.address.ip(),
        trsvcid: Some(listener.address.port()),
        discovery: listener.discovery,
        tls: listener.tls,
    };
    words::File {
        listeners: model.listeners.iter().map(listener).collect(),
        referrals: referrals::words(model),
        subsystems: model.subsystems.iter().map(subsystem_words).collect(),
        ..words::File::default()
    }
}

fn subsystem_words((nqn, subsystem): (&String, &Subsystem)) -> words::Subsystem {
    let mut ana_groups = Vec::new();
    for (grpid, group) in &subsystem.ana {
        let mut push = |portid, state| {
            ana_groups.push(words::AnaGroup { grpid: *grpid, portid, state });
        };
        if group.state != Ana::Optimized {
            push(None, group.state);
        }
        group.ports.iter().for_each(|(portid, state)| push(Some(*portid), *state));
    }
    let namespaces = subsystem.namespaces.iter();
    let hosts = host_words(subsystem);
    let is_any_named = subsystem.hosts == HostList::Any && !hosts.is_empty();
    words::Subsystem {
        nqn: nqn.clone(),
        serial: subsystem.identity.serial.clone(),
        model: subsystem.identity.model.clone(),
        allow_any_host: is_any_named.then_some(true),
        allowed_hosts: names(&subsystem.hosts).map(|mut nqns| {
            nqns.retain(|nqn| !hosts.iter().any(|host| host.nqn == *nqn));
            nqns
        }),
        hosts,
        ana_groups,
        namespaces: namespaces.map(|(nsid, namespace)| namespace_words(*nsid, namespace)).collect(),
    }
}

/// Hosts of which more is said than that they may connect.
fn host_words(subsystem: &Subsystem) -> Vec<Host> {
    let Subsystem { keyring, host_limits, .. } = subsystem;
    let nqns: BTreeSet<&String> = keyring.keys().chain(host_limits.keys()).collect();
    let host = |nqn: &String| Host {
        nqn: nqn.clone(),
        keys: keyring.get(nqn).cloned().unwrap_or_default(),
        limit: host_limits.get(nqn).copied().unwrap_or_default(),
    };
    nqns.into_iter().map(host).collect()
}

fn names(hosts: &HostList) -> Option<Vec<String>> {
    match hosts {
        HostList::Any => None,
        HostList::Only(nqns) => Some(nqns.iter().cloned().collect()),
    }
}

/// A namespace as a file has it.
pub(crate) fn namespace_words(nsid: u32, namespace: &Namespace) -> words::Namespace {
    let ChosenIds { uuid, nguid, eui64 } = namespace.ids;
    words::Namespace {
        nsid: Some(nsid),
        uri: namespace.uri.clone(),
        size: namespace.size.map(|octets| octets.to_string()),
        uuid: uuid.map(ids::uuid),
        nguid: nguid.map(|octets| ids::hex(&octets)),
        eui64: eui64.map(|octets| ids::hex(&octets)),
        read_only: namespace.read_only,
        ana_group: Some(namespace.ana_group).filter(|group| *group != 1),
        hosts: names(&namespace.hosts),
        limit: namespace.limit,
    }
}
