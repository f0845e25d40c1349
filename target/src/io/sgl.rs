//! Data pointers: which descriptors a capsule may carry.
//!
//! Source: NVMe over Fabrics, RDMA Transport, "SGLs"; refusals follow Linux nvmet-rdma.

use super::DataPointer;
use crate::fault::{Fault, field};
use verbs::{Remote, Rkey};
use wire::nvme::{Sgl, Status};

/// Type of a data block descriptor.
const DATA_BLOCK: u8 = 0;
/// Type of a keyed data block descriptor.
const KEYED: u8 = 4;

/// Which way a command's data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// No data.
    None,
    /// Host to controller: opcode bits 1:0 are 01.
    FromHost,
    /// Controller to host: 10.
    ToHost,
}

impl Direction {
    /// From an opcode (of Fabrics commands: from the command type). 11, both ways, is used by no
    /// command that is served: treated as no data, and the opcode refused.
    pub(crate) fn of_opcode(opcode: u8) -> Direction {
        match opcode & 3 {
            1 => Direction::FromHost,
            2 => Direction::ToHost,
            _ => Direction::None,
        }
    }
}

/// The data pointer of a command whose data goes in `direction`; `capsule_bytes` came behind it.
///
/// A command without data may have any descriptor: hosts leave what was there.
pub(crate) fn map(
    sgl: &Sgl,
    direction: Direction,
    capsule_bytes: u32,
) -> Result<DataPointer, Fault> {
    if direction == Direction::None {
        return Ok(DataPointer::None);
    }
    match *sgl {
        Sgl::Keyed { addr, len, key, invalidate } => Ok(DataPointer::Keyed {
            remote: Remote { addr, rkey: Rkey(key) },
            bytes: len,
            invalidate,
        }),
        Sgl::InCapsule { offset, len } if direction == Direction::FromHost => {
            let end = offset.checked_add(u64::from(len));
            if end.is_none_or(|end| end > u64::from(capsule_bytes)) {
                return Err(Fault::at(Status::SGL_OFFSET, field::DATA_POINTER));
            }
            let offset = u32::try_from(offset).unwrap_or(0);
            Ok(DataPointer::Capsule { offset, bytes: len })
        }
        Sgl::InCapsule { .. } => Err(Fault::invalid_field(field::OPCODE)),
        // A type that exists, with a subtype that does not.
        Sgl::DataBlock { .. } => Err(Fault::invalid_field(field::DATA_POINTER)),
        Sgl::Other(octets) if matches!(Sgl::type_code(&octets), DATA_BLOCK | KEYED) => {
            Err(Fault::invalid_field(field::DATA_POINTER))
        }
        Sgl::Transport { .. } | Sgl::Other(_) => {
            Err(Fault::at(Status::SGL_TYPE, field::DATA_POINTER))
        }
    }
}
