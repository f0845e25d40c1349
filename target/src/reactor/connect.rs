//! Connect: a queue finds its controller, or an admin queue gets a new one.
//!
//! Source: NVMe over Fabrics, "Connect command"; refusals follow Linux nvmet.

use super::Reactor;
use crate::controller::{
    ADMIN_ENTRIES_MAX, ConnectRequest, Controller, ControllerKind, Identity, QUEUE_ENTRIES_MAX,
    parse_connect,
};
use crate::fault::{Fault, field};
use crate::queue::Attachment;
use netstack::fabric::Fabric;
use std::time::Instant;
use wire::fabrics::{ConnectFault, ConnectResult};
use wire::nvme::{ControllerId, Sqe, Status};

/// The host identifier, in Connect's data.
const HOST_ID: ConnectFault = ConnectFault { offset: 0, in_data: true };
/// Largest identifier: those above are reserved.
const CNTLID_MAX: u16 = 0xffef;

impl<F: Fabric> Reactor<F> {
    /// Executes Connect on connection `index`. Returns dword 0: the controller's
    /// identifier, and whether the host must prove who it is.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        index: u32,
        sqe: &Sqe,
        data: &[u8],
    ) -> Result<u64, Fault> {
        let qid = self.queues[index].qid;
        let entries_max = if qid == 0 { ADMIN_ENTRIES_MAX } else { QUEUE_ENTRIES_MAX };
        let request = parse_connect(sqe, data, qid, entries_max)?;
        let subsystem = self
            .subsystem_index(request.subsystem_nqn.as_str())
            .filter(|subsystem| !self.is_elsewhere(index, *subsystem))
            .ok_or(Fault::connect(ConnectFault::SUBSYSTEM_NQN))?;
        self.check_channel(index, request.host_nqn.as_str(), subsystem)?;
        let controller = if qid == 0 {
            self.make_controller(now, &request, subsystem)?
        } else {
            self.find_controller(&request, subsystem)?
        };
        self.controllers[controller].attach(qid, index)?;
        let queue = &mut self.queues[index];
        queue.attachment = Some(Attachment { controller, subsystem });
        queue.host_limit = self.host_limits.find(subsystem, request.host_nqn.as_str());
        queue.set_entries(request.entries, request.head_disabled);
        let controller = &mut self.controllers[controller];
        controller.handle_traffic(now);
        let (cntlid, deadline) = (controller.cntlid, controller.deadline());
        self.note_deadline(deadline);
        let authentication = self.demand_proof(now, index, request.host_nqn.as_str(), subsystem);
        let result = ConnectResult { controller: ControllerId(cntlid), authentication };
        Ok(u64::from(result.dword()))
    }

    fn make_controller(
        &mut self,
        now: Instant,
        request: &ConnectRequest,
        subsystem: usize,
    ) -> Result<u32, Fault> {
        if request.cntlid != ControllerId::DYNAMIC {
            return Err(Fault::connect(ConnectFault::CONTROLLER_ID));
        }
        let cntlid = self.free_cntlid(subsystem);
        let cntlid = cntlid.ok_or(Fault::at(Status::CONNECT_CONTROLLER_BUSY, field::NONE))?;
        let kind = if self.subsystems[subsystem].is_discovery() {
            ControllerKind::Discovery
        } else {
            ControllerKind::Io
        };
        let identity = Identity {
            cntlid,
            subsystem,
            host_nqn: request.host_nqn.as_str().to_owned(),
            host_id: request.host_id,
        };
        self.counters.controllers += 1;
        let controller = Controller::new(now, identity, kind, request.kato_ms);
        Ok(self.controllers.insert_with(|_| controller))
    }
    /// The controller that the host made earlier: same subsystem, host and identifiers.
    fn find_controller(&self, request: &ConnectRequest, subsystem: usize) -> Result<u32, Fault> {
        let (index, controller) = self
            .controllers
            .iter()
            .find(|(_, controller)| {
                controller.subsystem == subsystem
                    && ControllerId(controller.cntlid) == request.cntlid
                    && controller.host_nqn == request.host_nqn.as_str()
                    && !controller.is_dying
            })
            .ok_or(Fault::connect(ConnectFault::CONTROLLER_ID))?;
        if controller.host_id() != request.host_id {
            return Err(Fault::connect(HOST_ID));
        }
        controller.check_ready()?;
        Ok(index)
    }
    /// Counts on, so that a late message of a dead controller's host does not meet a new one.
    fn free_cntlid(&mut self, subsystem: usize) -> Option<u16> {
        let taken = |cntlid: u16| {
            let mut controllers = self.controllers.iter();
            controllers.any(|(_, c)| c.subsystem == subsystem && c.cntlid == cntlid)
        };
        let start = self.next_cntlid;
        let found = (start..=CNTLID_MAX).chain(1..start).find(|cntlid| !taken(*cntlid))?;
        self.next_cntlid = if found == CNTLID_MAX { 1 } else { found + 1 };
        Some(found)
    }
}
