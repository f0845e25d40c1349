//! Compare and Write as one step of the disk, for whoever shares blocks with other hosts.
//!
//! Source: NVMe Base 2.1, "Fused Operations"; NVM Command Set 1.1, "Fused Operation" (Compare and
//! Write).

use crate::io::{BadIo, IoOp, NamespaceInfo};
use crate::queue::Command;
use crate::session::{Session, SessionError};
use netstack::fabric::Fabric;
use std::io;
use std::time::Instant;
use wire::nvme::Status;

/// Tags of both halves.
const FIRST: u64 = 1;
const SECOND: u64 = 2;

impl<F: Fabric> Session<F> {
    /// Writes `new` at octet `offset` if, and only if, `expected` is there; true if it was. No
    /// command of any host comes between. Both are of one length, whole blocks, and at most what
    /// the controller does in one step (NACWU, else ACWU).
    ///
    /// A connection that is lost meanwhile leaves it open whether blocks were written
    /// ([`SessionError::Unknown`]): a pair is never sent a second time, since the second one would
    /// find what the first one wrote.
    ///
    /// Errors: `BadIo`, the caller's fault; a queue with less than two places free, too; the
    /// connection's or the controller's.
    pub fn compare_and_write(
        &mut self,
        ns: &NamespaceInfo,
        offset: u64,
        expected: &[u8],
        new: &[u8],
    ) -> Result<bool, SessionError> {
        let most = self.buffer.len() / 2;
        if expected.len() != new.len() || expected.len() > most {
            return Err(BadIo::BadLength(u32::try_from(most).unwrap_or(u32::MAX)).into());
        }
        if self.host.queue_depth() < 2 {
            return Err(io::Error::other("fused commands need a queue depth of 2 or more").into());
        }
        self.buffer.write(0, expected);
        self.buffer.write(most, new);
        let length = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let halves = [(FIRST, IoOp::Compare, 0), (SECOND, IoOp::Write, most)];
        for (half, op, at) in halves {
            let addr = self.mr.addr + at as u64;
            let mut command = ns.command(half, op, offset, length, &self.mr, addr)?;
            command.sqe.set_fuse(u8::try_from(half).unwrap_or_default());
            self.send_once(command)?;
        }
        let [compared, written] = [self.status_of(FIRST), self.status_of(SECOND)];
        if compared.is_success() && written.is_success() {
            return Ok(true);
        }
        if compared.is(Status::HOST_PATHING) || written.is(Status::HOST_PATHING) {
            return Err(SessionError::Unknown);
        }
        if compared.is(Status::COMPARE_FAILURE) {
            return Ok(false);
        }
        let (what, status) = if compared.is_success() || compared.is(Status::ABORTED_FAILED_FUSED) {
            ("the Write of Compare and Write", written)
        } else {
            ("the Compare of Compare and Write", compared)
        };
        Err(SessionError::Status { what, status })
    }

    fn send_once(&mut self, command: Command) -> Result<(), SessionError> {
        let command = Command { attempts: u8::MAX, ..command };
        let full = |_| io::Error::from(io::ErrorKind::WouldBlock);
        Ok(self.host.submit(Instant::now(), 0, command).map_err(full)?)
    }
    fn status_of(&mut self, tag: u64) -> Status {
        loop {
            if let Some(at) = self.done.iter().position(|done| done.tag == tag) {
                return self.done.swap_remove(at).status;
            }
            self.turn();
        }
    }
}
