//! Which hosts something is for, and which of them must prove who they are.

use auth::Credentials;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All hosts, or those of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum HostList {
    /// Everybody.
    #[default]
    Any,
    /// Hosts by NQN, compared octet by octet. Empty: nobody.
    Only(BTreeSet<String>),
}

impl HostList {
    /// A list of these NQNs.
    #[must_use]
    pub fn only<'n>(nqns: impl IntoIterator<Item = &'n str>) -> HostList {
        HostList::Only(nqns.into_iter().map(str::to_owned).collect())
    }
    /// `host_nqn` is one of them.
    #[must_use]
    pub fn admits(&self, host_nqn: &str) -> bool {
        match self {
            HostList::Any => true,
            HostList::Only(nqns) => nqns.contains(host_nqn),
        }
    }
}

/// Hosts that must prove who they are, by NQN. `Debug` shows names, no secrets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Keyring(BTreeMap<String, Arc<Credentials>>);

impl Keyring {
    /// What `host_nqn` must prove; `None`: nothing.
    pub(crate) fn get(&self, host_nqn: &str) -> Option<&Arc<Credentials>> {
        self.0.get(host_nqn)
    }
    /// From now on `host_nqn` must prove this, or nothing.
    pub(crate) fn set(&mut self, host_nqn: &str, credentials: Option<Arc<Credentials>>) {
        match credentials {
            Some(credentials) => self.0.insert(host_nqn.to_owned(), credentials),
            None => self.0.remove(host_nqn),
        };
    }
}
