//! Which hosts something is for.

use std::collections::BTreeSet;

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
