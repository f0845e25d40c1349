//! Which admin or Fabrics command goes where.
//!
//! Source: NVMe Base 2.0, "Admin Command Set". Refusals follow Linux nvmet.

use super::{Controller, ControllerKind, World, fabrics, features};
use crate::fault::Fault;
use std::time::Instant;
use wire::fabrics::CONNECT_DATA_BYTES;
use wire::nvme::{Sqe, admin_opcode};

/// Octets of data that an admin or Fabrics command brings: they are fetched before it is executed.
pub(crate) fn host_data_bytes(sqe: &Sqe) -> u32 {
    match sqe.opcode {
        wire::fabrics::OPCODE if fabrics::command_type(sqe) == wire::fabrics::fctype::CONNECT => {
            CONNECT_DATA_BYTES
        }
        admin_opcode::SET_FEATURES => {
            let [fid, ..] = sqe.cdw10.to_le_bytes();
            features::set_data_bytes(fid)
        }
        _ => 0,
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
        if sqe.opcode == wire::fabrics::OPCODE {
            return self.execute_fabrics(now, sqe);
        }
        self.check_ready()?;
        let has_cache = world.subsystem.has_write_cache();
        match sqe.opcode {
            admin_opcode::GET_LOG_PAGE => self.get_log_page(now, sqe, world, reply),
            admin_opcode::IDENTIFY => self.identify(sqe, world, reply),
            admin_opcode::SET_FEATURES => self.set_features(now, sqe, data, has_cache),
            admin_opcode::GET_FEATURES => self.get_features(now, sqe, has_cache, reply),
            admin_opcode::KEEP_ALIVE => Ok(0),
            admin_opcode::ABORT if self.kind == ControllerKind::Io => Ok(self.abort(sqe)),
            _ => Err(Fault::invalid_opcode()),
        }
    }
    fn execute_fabrics(&mut self, now: Instant, sqe: &Sqe) -> Result<u64, Fault> {
        match fabrics::command_type(sqe) {
            wire::fabrics::fctype::PROPERTY_GET => self.property_get(sqe),
            wire::fabrics::fctype::PROPERTY_SET => self.property_set(now, sqe),
            _ => Err(fabrics::unknown_type()),
        }
    }
}
