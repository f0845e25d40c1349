//! The Asymmetric Namespace Access page.
//!
//! Source: NVMe Base 2.1, "Asymmetric Namespace Access (Log Page Identifier 0Ch)".

use super::{Controller, World};
use crate::access::ANA_GROUPS_MAX;
use crate::subsystem::NSID_MAX;
use wire::nvme::log::{AnaGroup, AnaGroupHeader, AnaHeader, write_ana_log};
use wire::nvme::{AsyncEvent, GetLogPageCmd, Nsid};

/// Seconds after which a host need not wait for a change any longer (ANATT).
pub(super) const TRANSITION_S: u8 = 10;
/// All five states are reported; a namespace may change its group while it is in use (ANACAP).
pub(super) const CAPABILITIES: u8 = 0x1f;
/// Log specific parameter: groups without their namespaces.
const GROUPS_ONLY: u32 = 1;

/// Octets of the page with as many groups and namespaces as NANAGRPID and MNAN promise.
const PAGE_BYTES_MAX: usize = AnaHeader::LEN
    + ANA_GROUPS_MAX as usize * AnaGroupHeader::LEN
    + NSID_MAX as usize * size_of::<u32>();

impl Controller {
    /// Every group, as this controller reaches it.
    pub(super) fn ana_page(&mut self, command: &GetLogPageCmd, world: &World<'_>) -> Vec<u8> {
        if !command.retain_event {
            self.aer.unmask(AsyncEvent::ANA_CHANGED);
        }
        let ana = world.subsystem.ana();
        let with_members = command.lsp & GROUPS_ONLY == 0;
        let members: Vec<(u32, Vec<Nsid>)> = ana
            .ids()
            .map(|id| (id, if with_members { self.members(id, world) } else { Vec::new() }))
            .collect();
        let groups: Vec<AnaGroup<'_>> = members
            .iter()
            .map(|(id, namespaces)| AnaGroup {
                group_id: *id,
                change_count: ana.group_changes(*id),
                state: ana.state(*id, self.port),
                namespaces,
            })
            .collect();
        let ids: usize = members.iter().map(|(_, namespaces)| namespaces.len()).sum();
        let len = AnaHeader::LEN + groups.len() * AnaGroupHeader::LEN + ids * size_of::<u32>();
        let mut page = vec![0; len];
        let written = write_ana_log(&mut page, ana.change_count(), &groups);
        debug_assert_eq!(written, Some(len), "the length was computed for it");
        // Hosts read as much as there could be, in pieces: nvme-cli 2.3 from offset 4,096 on, too.
        page.resize(PAGE_BYTES_MAX, 0);
        page
    }
    fn members(&self, group: u32, world: &World<'_>) -> Vec<Nsid> {
        let namespaces = world.subsystem.namespaces().iter();
        let visible = namespaces
            .filter(|n| n.ana_group == group)
            .filter(|namespace| self.gates.get(namespace.nsid).is_attached());
        visible.map(|namespace| Nsid(namespace.nsid)).collect()
    }
}
