//! The memory of one connection: where capsules land and responses leave.

use crate::action::InCapsule;
use memory::{Access, DmaBuf, Mr, Region, Sge};
use netstack::fabric::{Fabric, Gather, Landed};
use std::io;

/// Octets of a submission queue entry.
pub(crate) const SQE_BYTES: usize = 64;
/// Octets of a completion queue entry.
pub(crate) const CQE_BYTES: usize = 16;

/// One region with `depth` commands, then `slots` responses; another with `depth` pieces of
/// in-capsule data, which may stay in the receive ring until it is known where they belong.
///
/// Commands are packed so that those of a busy queue stay in the cache, and a page of in-capsule
/// data is only touched (and so only resident) once a host's data could not be placed at once.
#[derive(Debug)]
pub(crate) struct QueueMemory {
    region: Region,
    mr: Mr,
    data: Region,
    data_mr: Mr,
    depth: u16,
    slots: u16,
    /// Octets of data that a capsule may carry behind its command.
    capsule_data_bytes: u32,
}

impl QueueMemory {
    /// Maps the memory of a queue and makes it usable by the fabric.
    ///
    /// Errors: what `mmap` says, or that the fabric has no room for registrations.
    pub(crate) fn new<F: Fabric>(
        depth: u16,
        slots: u16,
        capsule_data_bytes: u32,
        fabric: &mut F,
    ) -> io::Result<QueueMemory> {
        let entries = usize::from(depth) * SQE_BYTES + usize::from(slots) * CQE_BYTES;
        let region = Region::allocate(entries)?;
        let data = Region::allocate(usize::from(depth) * capsule_data_bytes as usize)?;
        let mr = fabric.register(&region, Access::LOCAL_WRITE).map_err(io::Error::other)?;
        let data_mr = fabric.register(&data, Access::LOCAL_WRITE).map_err(|full| {
            fabric.deregister(&mr);
            io::Error::other(full)
        })?;
        fabric.hold_back(&data_mr);
        Ok(QueueMemory { region, mr, data, data_mr, depth, slots, capsule_data_bytes })
    }
    /// Ends the registrations, with the connection.
    pub(crate) fn deregister<F: Fabric>(&self, fabric: &mut F) {
        fabric.deregister(&self.mr);
        fabric.deregister(&self.data_mr);
    }
    /// Where a capsule lands: its command, then its data.
    pub(crate) fn landing(&self, recv: u16) -> Gather {
        let addr = self.data.addr() + self.capsule_data_offset(recv) as u64;
        let data = Sge { addr, length: self.capsule_data_bytes, lkey: self.data_mr.lkey };
        Gather::two(self.sge(self.command_offset(recv), SQE_BYTES), data)
    }
    /// The command that landed in `recv`.
    pub(crate) fn command(&self, recv: u16) -> [u8; SQE_BYTES] {
        let mut octets = [0; SQE_BYTES];
        self.region.read(self.command_offset(recv), &mut octets);
        octets
    }
    /// In-capsule data of `recv`, to be read through the fabric, before the receive is posted again.
    /// Panics beyond a capsule's data: the caller checked the descriptor.
    pub(crate) fn capsule_data(&self, recv: u16, offset: usize, len: usize) -> DmaBuf {
        assert!(offset + len <= self.capsule_data_len(), "beyond the capsule");
        DmaBuf::new(&self.data, 0, self.capsule_data_offset(recv) + offset, len)
    }
    /// The same, as the fabric is to copy it.
    pub(crate) fn landed(&self, at: InCapsule) -> Landed<'_> {
        assert!(at.offset + at.len <= self.capsule_data_len(), "beyond the capsule");
        let offset = self.capsule_data_offset(at.recv) + at.offset;
        Landed { region: &self.data, offset, len: at.len }
    }
    /// Writes the response of command slot `slot`; returns what to send.
    pub(crate) fn write_response(&self, slot: u16, cqe: &[u8; CQE_BYTES]) -> Gather {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        let offset = usize::from(self.depth) * SQE_BYTES + usize::from(slot) * CQE_BYTES;
        self.region.write(offset, cqe);
        Gather::one(self.sge(offset, CQE_BYTES))
    }

    /// Octets of data that a capsule may carry behind its command.
    pub(crate) fn capsule_data_bytes(&self) -> u32 {
        self.capsule_data_bytes
    }
    fn capsule_data_len(&self) -> usize {
        self.capsule_data_bytes as usize
    }
    fn command_offset(&self, recv: u16) -> usize {
        assert!(recv < self.depth, "receive {recv} of {}", self.depth);
        usize::from(recv) * SQE_BYTES
    }
    fn capsule_data_offset(&self, recv: u16) -> usize {
        assert!(recv < self.depth, "receive {recv} of {}", self.depth);
        usize::from(recv) * self.capsule_data_len()
    }
    fn sge(&self, offset: usize, len: usize) -> Sge {
        #[expect(clippy::cast_possible_truncation, reason = "64 or 16")]
        Sge { addr: self.region.addr() + offset as u64, length: len as u32, lkey: self.mr.lkey }
    }
}
