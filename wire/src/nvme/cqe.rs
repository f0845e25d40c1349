//! Completion queue entry: one outcome, 16 octets.
//!
//! Source: NVMe Base 2.0, "Common completion queue entry layout".

use super::{Cid, QueueId, Status};
use crate::octets::{Bits, Le16, Le32, Le64, layout};

layout! {
    /// Completion queue entry.
    #[derive(Copy)]
    Cqe[16] {
        /// Command specific, dword 0.
        dw0 set_dw0: u32 as Le32, 0;
        /// Command specific, dword 1.
        dw1 set_dw1: u32 as Le32, 4;
        /// Dwords 0 and 1 together (Property Get).
        result set_result: u64 as Le64, 0;
        /// Submission queue head: commands that the controller has taken, modulo the queue size.
        sq_head set_sq_head: u16 as Le16, 8;
        /// Submission queue id (reserved on fabrics).
        sq_id_raw set_sq_id_raw: u16 as Le16, 10;
        /// Command id.
        cid_raw set_cid_raw: u16 as Le16, 12;
        /// Phase (0 on fabrics) and status.
        status_word set_status_word: u16 as Le16, 14;
        /// Phase tag; 0 on fabrics.
        phase set_phase: bool as Bits<Le16, 0, 1>, 14;
    }
}

impl Cqe {
    /// An outcome with dwords 0 and 1 zero.
    #[must_use]
    pub fn new(cid: Cid, sq_id: QueueId, sq_head: u16, status: Status) -> Self {
        let mut cqe = Self::zeroed();
        cqe.set_cid_raw(cid.0).set_sq_id_raw(sq_id.0).set_sq_head(sq_head).set_status(status);
        cqe
    }

    /// Command id.
    #[inline]
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid(self.cid_raw())
    }

    /// Submission queue id.
    #[inline]
    #[must_use]
    pub fn sq_id(&self) -> QueueId {
        QueueId(self.sq_id_raw())
    }

    /// The outcome.
    #[inline]
    #[must_use]
    pub fn status(&self) -> Status {
        Status::from_word(self.status_word())
    }

    /// Writes [`Self::status`]; the phase stays.
    #[inline]
    pub fn set_status(&mut self, status: Status) -> &mut Self {
        let phase = self.phase();
        self.set_status_word(status.word()).set_phase(phase)
    }
}
