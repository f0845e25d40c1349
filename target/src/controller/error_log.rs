//! What went wrong lately, for the Error Information log page.
//!
//! Source: NVMe Base 2.0, "Error Information (Log Identifier 01h)".

use super::Controller;
use crate::fault::Fault;
use wire::nvme::{IoOpcode, Rw, Sqe, Status};

/// Entries that are kept (ELPE is one less).
pub(crate) const ERROR_ENTRIES: usize = 64;

/// One failed command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ErrorEntry {
    /// Number of the error since the controller was made, from 1.
    pub(crate) error_count: u64,
    /// Submission queue.
    pub(crate) sqid: u16,
    /// Command identifier.
    pub(crate) cid: u16,
    /// Outcome.
    pub(crate) status: Status,
    /// First octet of the command that is at fault, and bit in it (15:8); 0xffff: none.
    pub(crate) location: u16,
    /// First logical block concerned.
    pub(crate) lba: u64,
    /// Namespace.
    pub(crate) nsid: u32,
}

impl Default for ErrorEntry {
    fn default() -> ErrorEntry {
        let status = Status::SUCCESS;
        ErrorEntry { error_count: 0, sqid: 0, cid: 0, status, location: 0, lba: 0, nsid: 0 }
    }
}

/// The last [`ERROR_ENTRIES`] of them.
#[derive(Debug)]
pub(crate) struct ErrorLog {
    entries: Box<[ErrorEntry]>,
    count: u64,
}

impl Default for ErrorLog {
    fn default() -> ErrorLog {
        ErrorLog { entries: vec![ErrorEntry::default(); ERROR_ENTRIES].into(), count: 0 }
    }
}

impl ErrorLog {
    /// Adds one; its `error_count` is set here.
    pub(crate) fn push(&mut self, entry: ErrorEntry) {
        let at = usize::try_from(self.count % ERROR_ENTRIES as u64).unwrap_or(0);
        self.count += 1;
        self.entries[at] = ErrorEntry { error_count: self.count, ..entry };
    }
    /// Errors since the controller was made.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
    /// Those kept, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &ErrorEntry> {
        let split = usize::try_from(self.count % ERROR_ENTRIES as u64).unwrap_or(0);
        let (newer, older) = self.entries.split_at(split);
        newer.iter().rev().chain(older.iter().rev()).filter(|entry| entry.error_count > 0)
    }
}

/// What the error log keeps of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FailedCommand {
    /// Command identifier.
    pub(crate) cid: u16,
    /// Namespace.
    pub(crate) nsid: u32,
    /// First logical block, of I/O commands.
    pub(crate) lba: u64,
}

impl FailedCommand {
    /// From the command as it came.
    pub(crate) fn of(sqe: &Sqe, is_io: bool) -> FailedCommand {
        let names_blocks = matches!(
            sqe.io_opcode(),
            Some(
                IoOpcode::Write
                    | IoOpcode::Read
                    | IoOpcode::Compare
                    | IoOpcode::WriteZeroes
                    | IoOpcode::Verify
                    | IoOpcode::Copy
            )
        );
        let lba = if is_io && names_blocks { Rw::decode(sqe).slba.0 } else { 0 };
        FailedCommand { cid: sqe.cid().0, nsid: sqe.nsid().0, lba }
    }
}

impl Controller {
    /// A command failed: for the error log.
    pub(crate) fn log_error(&mut self, sqid: u16, sqe: &FailedCommand, fault: &Fault) {
        self.errors.push(ErrorEntry {
            error_count: 0,
            sqid,
            cid: sqe.cid,
            status: fault.status,
            location: fault.location,
            lba: sqe.lba,
            nsid: sqe.nsid,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the log keeps the newest entries, newest first, also after it wrapped.
    #[test]
    fn newest_come_first() {
        let mut log = ErrorLog::default();
        for cid in 0..70 {
            log.push(ErrorEntry { cid, ..ErrorEntry::default() });
        }
        let cids: Vec<u16> = log.newest_first().map(|entry| entry.cid).collect();
        assert_eq!(cids, (6..70).rev().collect::<Vec<u16>>());
        assert_eq!(log.count(), 70);
    }
}
