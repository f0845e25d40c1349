//! Which admin or Fabrics command goes where.
//!
//! Source: NVMe Base 2.0, "Admin Command Set". Refusals follow Linux nvmet.

use super::{Controller, ControllerKind, World, fabrics, features};
use crate::fault::Fault;
use std::time::Instant;
use wire::fabrics::ConnectData;
use wire::nvme::{AdminOpcode, FabricsType, FeatureCmd, Sqe};

#[expect(clippy::cast_possible_truncation, reason = "1,024")]
const CONNECT_BYTES: u32 = ConnectData::LEN as u32;

/// Octets of data that an admin or Fabrics command brings: they are fetched before it is executed.
pub(crate) fn host_data_bytes(sqe: &Sqe) -> u32 {
    if sqe.fabrics_type() == Some(FabricsType::Connect) {
        CONNECT_BYTES
    } else if sqe.admin_opcode() == Some(AdminOpcode::SetFeatures) {
        features::set_data_bytes(FeatureCmd::decode(sqe).fid)
    } else {
        0
    }
}

impl Controller {
    /// Executes a command of the admin queue, or a Fabrics command of any queue (not Connect,
    /// Disconnect or Asynchronous Event Request: those concern connections). `data` is what the
    /// host brought; what goes to the host is left in `reply`. Returns dwords 0 and 1.
    pub(crate) fn execute(
        &mut self,
        now: Instant,
        sqe: &Sqe,
        data: &[u8],
        world: &World<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        if sqe.admin_opcode() == Some(AdminOpcode::Fabrics) {
            return self.execute_fabrics(now, sqe);
        }
        self.check_ready()?;
        let is_io = self.kind == ControllerKind::Io;
        // Everything without an arm is refused, as nvmet does; on fabrics that includes the making
        // and deleting of queues.
        match sqe.admin_opcode() {
            Some(AdminOpcode::GetLogPage) => self.get_log_page(now, sqe, world, reply),
            Some(AdminOpcode::Identify) => self.identify(sqe, world, reply),
            Some(AdminOpcode::SetFeatures) => self.set_features(now, sqe, data, world),
            Some(AdminOpcode::GetFeatures) => self.get_features(now, sqe, world, reply),
            Some(AdminOpcode::KeepAlive) => Ok(0),
            Some(AdminOpcode::Abort) if is_io => Ok(self.abort(sqe)),
            _ => Err(Fault::invalid_opcode()),
        }
    }
    fn execute_fabrics(&mut self, now: Instant, sqe: &Sqe) -> Result<u64, Fault> {
        match sqe.fabrics_type() {
            Some(FabricsType::PropertyGet) => self.property_get(sqe),
            Some(FabricsType::PropertySet) => self.property_set(now, sqe),
            Some(
                FabricsType::Connect
                | FabricsType::AuthenticationSend
                | FabricsType::AuthenticationReceive
                | FabricsType::Disconnect,
            )
            | None => Err(fabrics::unknown_type()),
        }
    }
}
