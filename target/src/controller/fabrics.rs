//! Fabrics commands: Connect, Property Get and Set.
//!
//! Source: NVMe over Fabrics 1.1 / NVMe Base 2.0, "Fabrics Command Set".

use super::registers::{BadProperty, Transition};
use super::{Completion, Controller, Features};
use crate::fault::{Fault, field};
use std::time::Instant;
use wire::fabrics::ConnectData;
use wire::nvme::{Sqe, Status};

/// Offsets of Connect's parameters in the command, as its result names them.
const CONNECT_RECORD_FORMAT: u16 = 40;
pub(super) const CONNECT_QID: u16 = 42;
const CONNECT_SQSIZE: u16 = 44;
/// Offsets in Connect's data.
const DATA_SUBSYSTEM_NQN: u16 = 256;
const DATA_HOST_NQN: u16 = 512;

/// A Connect command whose own parameters are in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConnectRequest {
    /// Queue identifier: 0 asks for a controller.
    pub(crate) qid: u16,
    /// Entries of the submission queue.
    pub(crate) entries: u16,
    /// The host does not want to hear of the queue's head pointer.
    pub(crate) head_disabled: bool,
    /// Keep Alive timeout, 0 for none.
    pub(crate) kato_ms: u32,
    /// Controller identifier: 0xffff asks for any.
    pub(crate) cntlid: u16,
    /// Host.
    pub(crate) host_id: [u8; 16],
    /// Host's NQN.
    pub(crate) host_nqn: String,
    /// Subsystem's NQN.
    pub(crate) subsystem_nqn: String,
}

/// Checks Connect's command and data. `connection_qid` is what the connection was set up for;
/// `entries_max` the largest submission queue. Errors: the host's fault.
pub(crate) fn parse_connect(
    sqe: &Sqe,
    data: &[u8],
    connection_qid: u16,
    entries_max: u16,
) -> Result<ConnectRequest, Fault> {
    let [format0, format1, qid0, qid1] = sqe.cdw10.to_le_bytes();
    let [size0, size1, attributes, _] = sqe.cdw11.to_le_bytes();
    if u16::from_le_bytes([format0, format1]) != 0 {
        return Err(Fault::at(Status::CONNECT_INCOMPATIBLE_FORMAT, CONNECT_RECORD_FORMAT));
    }
    let data = data.first_chunk().ok_or(Fault::data_length())?;
    let data = ConnectData::parse(data);
    let qid = u16::from_le_bytes([qid0, qid1]);
    if qid != connection_qid {
        return Err(Fault::connect_command(CONNECT_QID));
    }
    let zero_based = u16::from_le_bytes([size0, size1]);
    if zero_based == 0 || zero_based >= entries_max {
        return Err(Fault::connect_command(CONNECT_SQSIZE));
    }
    let subsystem_nqn = data.subsystem_nqn().ok_or(Fault::connect_data(DATA_SUBSYSTEM_NQN))?;
    let host_nqn = data.host_nqn().filter(|nqn| !nqn.is_empty());
    let host_nqn = host_nqn.ok_or(Fault::connect_data(DATA_HOST_NQN))?;
    Ok(ConnectRequest {
        qid,
        entries: zero_based + 1,
        head_disabled: attributes & 1 << 2 != 0,
        kato_ms: sqe.cdw12,
        cntlid: data.cntlid,
        host_id: data.host_id,
        host_nqn: host_nqn.to_owned(),
        subsystem_nqn: subsystem_nqn.to_owned(),
    })
}

impl Controller {
    /// Property Get. Dword 10: size; dword 11: offset.
    pub(super) fn property_get(&self, sqe: &Sqe) -> Result<u64, Fault> {
        self.registers.get(sqe.cdw11, sqe.cdw10 & 7 == 1).map_err(property_fault)
    }
    /// Property Set. Dword 12: value.
    pub(super) fn property_set(&mut self, now: Instant, sqe: &Sqe) -> Result<u64, Fault> {
        let wide = sqe.cdw10 & 7 == 1;
        let transition = self.registers.set(sqe.cdw11, wide, sqe.cdw12).map_err(property_fault)?;
        match transition {
            Transition::None => {}
            Transition::Enabled => self.keep_alive.handle_traffic(now),
            Transition::Disabled => self.handle_reset(now),
        }
        Ok(0)
    }
    /// Reset or shutdown: what the host had set is forgotten, what it waits for ends.
    fn handle_reset(&mut self, now: Instant) {
        self.features = Features::new(now);
        self.aer.set_enabled(0);
        for request in self.aer.drain() {
            let status = Status::ABORTED_SQ_DELETION;
            self.completions.push_back(Completion { request, status, result: 0 });
        }
    }
}

fn property_fault(bad: BadProperty) -> Fault {
    Fault::invalid_field(if bad.size { field::CDW10 } else { field::CDW11 })
}

/// Fabrics command type: the low octet of what is the namespace identifier elsewhere.
pub(crate) fn command_type(sqe: &Sqe) -> u8 {
    let [kind, ..] = sqe.nsid.to_le_bytes();
    kind
}

/// A command type that does not exist, or not on this queue.
pub(crate) fn unknown_type() -> Fault {
    Fault::at(Status::INVALID_OPCODE, field::NSID)
}
