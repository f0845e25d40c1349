//! Why a command fails: the status that Linux nvmet gives, and which part of the command is at
//! fault, for the error log.
//!
//! Source: NVMe Base 2.0, "Status Field"; NVMe over Fabrics, "Connect command" (its result).

use storage::DiskStatus;
use wire::fabrics::ConnectFault;
use wire::nvme::Status;

/// Octet offsets in a command, as the error log names the field at fault.
pub(crate) mod field {
    /// Operation code.
    pub(crate) const OPCODE: u16 = 0;
    /// Fused operation and kind of data pointer.
    pub(crate) const FLAGS: u16 = 1;
    /// Fabrics command type; namespace otherwise.
    pub(crate) const NSID: u16 = 4;
    /// Data pointer.
    pub(crate) const DATA_POINTER: u16 = 24;
    /// Command dword 10 and what follows.
    pub(crate) const CDW10: u16 = 40;
    /// Command dword 11.
    pub(crate) const CDW11: u16 = 44;
    /// Command dword 12.
    pub(crate) const CDW12: u16 = 48;
    /// Command dword 14.
    pub(crate) const CDW14: u16 = 56;
    /// No field in particular.
    pub(crate) const NONE: u16 = 0xffff;
}

/// A command that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// For the completion entry.
    pub(crate) status: Status,
    /// First octet of the field at fault, or [`field::NONE`].
    pub(crate) location: u16,
    /// Dword 0 of the completion entry: Connect says there which parameter was wrong.
    pub(crate) result: u32,
}

impl Fault {
    /// `status` because of the field at `location`; pointless to retry.
    pub(crate) const fn at(status: Status, location: u16) -> Fault {
        Fault { status: status.do_not_retry(), location, result: 0 }
    }
    /// `status` because of nothing in the command.
    pub(crate) const fn plain(status: Status) -> Fault {
        Fault { status, location: field::NONE, result: 0 }
    }
    /// Invalid Field in Command, at `location`.
    pub(crate) const fn invalid_field(location: u16) -> Fault {
        Fault::at(Status::INVALID_FIELD, location)
    }
    /// Invalid Command Opcode.
    pub(crate) const fn invalid_opcode() -> Fault {
        Fault::at(Status::INVALID_OPCODE, field::OPCODE)
    }
    /// The data is not as long as the command needs.
    pub(crate) const fn data_length() -> Fault {
        Fault::at(Status::SGL_DATA_LENGTH, field::DATA_POINTER)
    }
    /// Connect Invalid Parameters: which one.
    pub(crate) const fn connect(parameter: ConnectFault) -> Fault {
        let location = if parameter.in_data { field::DATA_POINTER } else { parameter.offset };
        let fault = Fault::at(Status::CONNECT_INVALID_PARAMETERS, location);
        Fault { result: parameter.dword(), ..fault }
    }
    /// As the completion entry tells it, when the error log tells more.
    pub(crate) const fn logged(self) -> Fault {
        if self.location == field::NONE {
            return self;
        }
        Fault { status: self.status.with_more(), ..self }
    }
}

/// What a disk's outcome means to a host. `None`: success.
pub(crate) fn of_disk(status: DiskStatus) -> Option<Fault> {
    match status {
        DiskStatus::Good => None,
        DiskStatus::ReadError => Some(Fault::plain(Status::UNRECOVERED_READ)),
        DiskStatus::WriteError => Some(Fault::plain(Status::WRITE_FAULT)),
        DiskStatus::CapacityExceeded => Some(Fault::at(Status::CAPACITY_EXCEEDED, field::CDW12)),
        DiskStatus::CompareFailed => Some(Fault::plain(Status::COMPARE_FAILURE)),
        DiskStatus::Unsupported => Some(Fault::invalid_opcode()),
        DiskStatus::Internal => Some(Fault::plain(Status::INTERNAL_ERROR)),
    }
}
