//! Abort: best effort, as Linux nvmet has it, except that a waiting event request does end.
//!
//! Source: NVMe Base 2.0, "Abort command".

use super::{Completion, Controller};
use wire::nvme::{AbortCmd, QueueId, Sqe, Status};

/// Dword 0, bit 0: the command was not aborted.
const NOT_ABORTED: u64 = 1;

impl Controller {
    /// Abort. Commands at a disk or on the wire run on; that is allowed, and said in dword 0.
    pub(super) fn abort(&mut self, sqe: &Sqe) -> u64 {
        let command = AbortCmd::decode(sqe);
        if command.queue != QueueId::ADMIN {
            return NOT_ABORTED;
        }
        let Some(request) = self.aer.abort(command.cid.0) else { return NOT_ABORTED };
        let status = Status::ABORT_REQUESTED;
        self.completions.push_back(Completion { request, status, result: 0 });
        0
    }
}
