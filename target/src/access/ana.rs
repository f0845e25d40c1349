//! Asymmetric namespace access: groups of namespaces, and how well each port reaches them.
//!
//! Source: NVMe Base 2.1, "Asymmetric Namespace Access Reporting", "Asymmetric Namespace Access"
//! (log page 0Ch).

use std::collections::BTreeMap;
use wire::nvme::log::AnaState;

/// Groups are numbered from 1 to this (ANAGRPMAX, NANAGRPID), as in Linux nvmet.
pub const ANA_GROUPS_MAX: u32 = 128;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    change_count: u64,
    /// At ports without a state of their own.
    state: AnaState,
    ports: BTreeMap<u16, AnaState>,
}

impl Default for Group {
    fn default() -> Group {
        Group { change_count: 0, state: AnaState::Optimized, ports: BTreeMap::new() }
    }
}

/// The groups of one subsystem. Group 1 is always there, optimized unless somebody says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnaGroups {
    change_count: u64,
    groups: BTreeMap<u32, Group>,
}

impl Default for AnaGroups {
    fn default() -> AnaGroups {
        AnaGroups { change_count: 0, groups: BTreeMap::from([(1, Group::default())]) }
    }
}

impl AnaGroups {
    /// How well `group` is reached through `port`.
    #[must_use]
    pub fn state(&self, group: u32, port: u16) -> AnaState {
        let known = self.groups.get(&group);
        known.map_or(AnaState::Optimized, |group| {
            group.ports.get(&port).copied().unwrap_or(group.state)
        })
    }
    /// Changes of any group since the subsystem was made.
    #[must_use]
    pub fn change_count(&self) -> u64 {
        self.change_count
    }
    /// Changes of `group`.
    #[must_use]
    pub fn group_changes(&self, group: u32) -> u64 {
        self.groups.get(&group).map_or(0, |group| group.change_count)
    }
    /// Groups that exist, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.groups.keys().copied()
    }
    /// A namespace joined or left `group`: it exists from now on, and it changed.
    pub(crate) fn note_members(&mut self, group: u32) {
        self.change_count += 1;
        self.groups.entry(group).or_default().change_count += 1;
    }
    /// Sets the state of `group` at `port`, or at all ports.
    pub(crate) fn set_state(&mut self, group: u32, port: Option<u16>, state: AnaState) {
        let entry = self.groups.entry(group).or_default();
        match port {
            Some(port) => {
                entry.ports.insert(port, state);
            }
            None => {
                entry.state = state;
                entry.ports.clear();
            }
        }
        self.note_members(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a port's own state wins until all ports are set, and every change is counted.
    #[test]
    fn ports_have_their_states() {
        let mut ana = AnaGroups::default();
        assert_eq!(ana.state(9, 1), AnaState::Optimized);
        ana.set_state(2, Some(1), AnaState::Inaccessible);
        assert_eq!(ana.state(2, 1), AnaState::Inaccessible);
        assert_eq!(ana.state(2, 2), AnaState::Optimized);
        ana.set_state(2, None, AnaState::NonOptimized);
        assert_eq!(ana.state(2, 1), AnaState::NonOptimized);
        assert_eq!((ana.change_count(), ana.group_changes(2), ana.group_changes(1)), (2, 2, 0));
        assert_eq!(ana.ids().collect::<Vec<_>>(), [1, 2]);
    }
}
