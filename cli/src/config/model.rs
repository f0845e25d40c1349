//! What is exported, as it is meant: everything checked, nothing left out.

use super::limit::Limit;
use super::referrals::Referral;
use super::tls::Tls;
use super::words::Ana;
use crate::args::Transport;
use crate::hosts::Keyring;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use target::{ChosenIds, HostList};

/// The part of a configuration that changes while the target runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Model {
    /// By their numbers in the discovery log, from 1.
    pub listeners: BTreeMap<u16, Listener>,
    /// Other discovery services that hosts are told of.
    pub referrals: BTreeSet<Referral>,
    /// By NQN.
    pub subsystems: BTreeMap<String, Subsystem>,
}

/// Where hosts come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Listener {
    /// How.
    pub trtype: Transport,
    /// `traddr` and `trsvcid`.
    pub address: SocketAddr,
    /// No subsystem but the discovery service is reached there.
    pub discovery: bool,
    /// Whether its hosts speak TLS.
    pub tls: Tls,
}

impl Listener {
    /// The other is in the same place.
    pub(crate) fn is_at(&self, other: &Listener) -> bool {
        (self.trtype, self.address) == (other.trtype, other.address)
    }
}

/// One subsystem.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Subsystem {
    /// Serial number and model, where they are not its own.
    pub identity: Identity,
    /// Hosts that may connect.
    pub hosts: HostList,
    /// What those that are named must prove.
    pub keyring: Keyring,
    /// How fast single hosts may read and write, by NQN. None of them is no limit.
    pub host_limits: BTreeMap<String, Limit>,
    /// Groups that are not optimized everywhere.
    pub ana: BTreeMap<u32, Group>,
    /// By number.
    pub namespaces: BTreeMap<u32, Namespace>,
}

/// What Identify tells of a subsystem.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Identity {
    /// Serial number; `None`: derived from the NQN.
    pub serial: Option<String>,
    /// Model number; `None`: the product's.
    pub model: Option<String>,
}

/// How well a group is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Through listeners that have no state of their own.
    pub state: Ana,
    /// Through listeners that have.
    pub ports: BTreeMap<u16, Ana>,
}

impl Default for Group {
    fn default() -> Group {
        Group { state: Ana::Optimized, ports: BTreeMap::new() }
    }
}

/// One namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Namespace {
    /// Its disk.
    pub uri: String,
    /// Octets, where it is not the whole disk.
    pub size: Option<u64>,
    /// Identifiers.
    pub ids: ChosenIds,
    /// No host may write.
    pub read_only: bool,
    /// Group for asymmetric access.
    pub ana_group: u32,
    /// Hosts that see it.
    pub hosts: HostList,
    /// How fast it is read and written.
    pub limit: Limit,
}

impl Namespace {
    /// The whole disk, for everybody.
    pub(crate) fn new(uri: &str) -> Namespace {
        Namespace {
            uri: uri.to_owned(),
            size: None,
            ids: ChosenIds::default(),
            read_only: false,
            ana_group: 1,
            hosts: HostList::Any,
            limit: Limit::default(),
        }
    }
}

impl Subsystem {
    /// The smallest number that no namespace has.
    pub(crate) fn free_nsid(&self) -> u32 {
        (1..=u32::MAX).find(|nsid| !self.namespaces.contains_key(nsid)).unwrap_or(u32::MAX)
    }
}

impl Model {
    /// The smallest number that no listener has.
    pub(crate) fn free_portid(&self) -> u16 {
        (1..=u16::MAX).find(|portid| !self.listeners.contains_key(portid)).unwrap_or(u16::MAX)
    }
    /// Namespaces with their places.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (&str, u32, &Namespace)> {
        self.subsystems.iter().flat_map(|(nqn, subsystem)| {
            let namespaces = subsystem.namespaces.iter();
            namespaces.map(move |(nsid, namespace)| (nqn.as_str(), *nsid, namespace))
        })
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Listener { trtype, address, discovery, tls } = self;
        write!(f, "{trtype} traddr={} trsvcid={}{tls}", address.ip(), address.port())?;
        if *discovery { f.write_str(", for discovery alone") } else { Ok(()) }
    }
}
