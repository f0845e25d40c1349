//! Asymmetric access, changed live.
//!
//! Source: NVMe Base 2.1, "Asymmetric Namespace Access Reporting".

use super::Reactor;
use crate::access::ANA_GROUPS_MAX;
use crate::subsystem::ExportError;
use netstack::fabric::Fabric;
use wire::nvme::AsyncEvent;
use wire::nvme::log::AnaState;

impl<F: Fabric> Reactor<F> {
    /// Says how well namespaces of `group` (1 to [`ANA_GROUPS_MAX`]) of subsystem `nqn` are reached
    /// through the port `port` of the discovery log, or through all ports. New commands are served
    /// or refused accordingly at once; those that were accepted finish.
    ///
    /// Errors: no such subsystem, or a group out of range.
    pub fn set_ana_state(
        &mut self,
        nqn: &str,
        group: u32,
        port: Option<u16>,
        state: AnaState,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        check_group(group)?;
        self.subsystems[at].ana_mut().set_state(group, port, state);
        self.tell_ana(at);
        Ok(())
    }
    /// Moves namespace `nsid` to `group`.
    ///
    /// Errors: no such subsystem or namespace, or a group out of range.
    pub fn set_ana_group(&mut self, nqn: &str, nsid: u32, group: u32) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        check_group(group)?;
        let left = std::mem::replace(&mut self.namespace_mut(at, nsid)?.ana_group, group);
        let ana = self.subsystems[at].ana_mut();
        ana.note_members(left);
        ana.note_members(group);
        self.tell_namespace_changed(at, nsid, None);
        self.tell_ana(at);
        Ok(())
    }
    fn tell_ana(&mut self, at: usize) {
        self.refresh_access(at);
        for (_, controller) in self.controllers.iter_mut().filter(|(_, c)| c.subsystem == at) {
            controller.handle_event(AsyncEvent::ANA_CHANGED);
        }
        self.deliver_events();
    }
}

pub(super) fn check_group(group: u32) -> Result<(), ExportError> {
    if (1..=ANA_GROUPS_MAX).contains(&group) { Ok(()) } else { Err(ExportError::BadGroup(group)) }
}
