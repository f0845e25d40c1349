//! Fabrics commands: Connect, Property Get and Set.
//!
//! Source: NVMe Base 2.0, "Fabrics Command Set"; refusals follow Linux nvmet.

use super::registers::{BadProperty, Transition};
use super::settings::Settings;
use super::{Completion, Controller};
use crate::fault::{Fault, field};
use std::time::Instant;
use wire::fabrics::{ConnectCmd, ConnectData, ConnectFault, Nqn, PropertyGetCmd, PropertySetCmd};
use wire::nvme::{ControllerId, QueueId, Sqe, Status};

/// Offset of the record format in a Connect command.
const RECORD_FORMAT: u16 = 40;

/// A Connect command whose own parameters are in order.
#[derive(Clone, Debug)]
pub(crate) struct ConnectRequest {
    /// Entries of the submission queue.
    pub(crate) entries: u16,
    /// The host does not want to hear of the queue's head pointer.
    pub(crate) head_disabled: bool,
    /// Keep Alive timeout, 0 for none.
    pub(crate) kato_ms: u32,
    /// Controller wanted.
    pub(crate) cntlid: ControllerId,
    /// Host.
    pub(crate) host_id: [u8; 16],
    /// Host's NQN.
    pub(crate) host_nqn: Nqn,
    /// Subsystem's NQN.
    pub(crate) subsystem_nqn: Nqn,
}

/// Checks Connect's command and data. `connection_qid` is what the connection was set up for;
/// `entries_max` the largest submission queue. Errors: the host's fault.
pub(crate) fn parse_connect(
    sqe: &Sqe,
    data: &[u8],
    connection_qid: u16,
    entries_max: u16,
) -> Result<ConnectRequest, Fault> {
    let command = ConnectCmd::decode(sqe);
    if command.record_format != 0 {
        return Err(Fault::at(Status::CONNECT_INCOMPATIBLE_FORMAT, RECORD_FORMAT));
    }
    let data = ConnectData::decode(data).ok_or(Fault::data_length())?;
    if command.queue != QueueId(connection_qid) {
        return Err(Fault::connect(ConnectFault::QUEUE_ID));
    }
    let entries = u16::try_from(command.sq_size.count()).unwrap_or(u16::MAX);
    if !(2..=entries_max).contains(&entries) {
        return Err(Fault::connect(ConnectFault::SQ_SIZE));
    }
    let bad_subsystem = |_| Fault::connect(ConnectFault::SUBSYSTEM_NQN);
    let bad_host = |_| Fault::connect(ConnectFault::HOST_NQN);
    Ok(ConnectRequest {
        entries,
        head_disabled: command.attributes & ConnectCmd::NO_FLOW_CONTROL != 0,
        kato_ms: command.keep_alive_ms,
        cntlid: data.controller(),
        host_id: data.host_id(),
        host_nqn: data.host_nqn().map_err(bad_host)?,
        subsystem_nqn: data.subsystem_nqn().map_err(bad_subsystem)?,
    })
}

impl Controller {
    /// Property Get. Returns the property.
    pub(super) fn property_get(&self, sqe: &Sqe) -> Result<u64, Fault> {
        let command = PropertyGetCmd::decode(sqe);
        self.registers.get(command.offset, command.size).map_err(property_fault)
    }
    /// Property Set.
    pub(super) fn property_set(&mut self, now: Instant, sqe: &Sqe) -> Result<u64, Fault> {
        let PropertySetCmd { size, offset, value } = PropertySetCmd::decode(sqe);
        match self.registers.set(offset, size, value).map_err(property_fault)? {
            Transition::None | Transition::Enabled => {}
            Transition::Disabled => self.handle_reset(now),
        }
        Ok(0)
    }
    /// Reset or shutdown: what the host had set is forgotten, what it waits for ends.
    fn handle_reset(&mut self, now: Instant) {
        self.settings = Settings::new(now);
        self.aer.set_enabled(0);
        for request in self.aer.drain() {
            let status = Status::ABORTED_SQ_DELETION;
            self.completions.push_back(Completion { request, status, result: 0 });
        }
    }
}

fn property_fault(bad: BadProperty) -> Fault {
    Fault::invalid_field(match bad {
        BadProperty::Size => field::CDW10,
        BadProperty::Offset => field::CDW11,
    })
}

/// A command type that does not exist, or not on this queue.
pub(crate) fn unknown_type() -> Fault {
    Fault::at(Status::INVALID_OPCODE, field::NSID)
}
