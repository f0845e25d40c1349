//! Error information (page 01h).

use crate::nvme::Status;
use crate::octets::{Le16, Le32, Le64, U8, layout};

layout! {
    /// One error, newest first in the page.
    ErrorLogEntry[64] {
        /// Errors so far, this one included; 0 = the entry is empty.
        error_count set_error_count: u64 as Le64, 0;
        /// Queue.
        sq_id set_sq_id: u16 as Le16, 8;
        /// Command.
        cid set_cid: u16 as Le16, 10;
        /// Status field with the phase in bit 0.
        status_word set_status_word: u16 as Le16, 12;
        /// Where in the command: octet in bits 7-0, bit in 10-8; `0xffff` = nowhere in particular.
        parameter_location set_parameter_location: u16 as Le16, 14;
        /// First block that failed.
        lba set_lba: u64 as Le64, 16;
        /// Namespace.
        nsid set_nsid: u32 as Le32, 24;
        /// Vendor specific page.
        vendor_page set_vendor_page: u8 as U8, 28;
        /// Transport.
        transport_type set_transport_type: u8 as U8, 29;
        /// Command specific information.
        command_specific set_command_specific: u64 as Le64, 32;
        /// Transport specific information.
        transport_specific set_transport_specific: u16 as Le16, 40;
    }
}

impl ErrorLogEntry {
    /// What the command completed with.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::from_word(self.status_word())
    }

    /// Writes [`Self::status`], phase 0.
    pub fn set_status(&mut self, status: Status) -> &mut Self {
        self.set_status_word(status.word())
    }
}
