//! The memory of one connection: where capsules land and responses leave.

use memory::{DmaBuf, Mr, Region, Sge};
use netstack::fabric::Gather;
use std::io;

/// Octets of a submission queue entry.
pub(crate) const SQE_BYTES: usize = 64;
/// Octets of a completion queue entry.
pub(crate) const CQE_BYTES: usize = 16;
/// Octets of data that a capsule may carry behind its command.
pub(crate) const CAPSULE_DATA_BYTES: u32 = 4096;
const CAPSULE_DATA_LEN: usize = CAPSULE_DATA_BYTES as usize;

/// One region: `depth` commands, then `slots` responses, then `depth` pieces of in-capsule data.
///
/// Commands are packed so that those of a busy queue stay in the cache, and a page of in-capsule
/// data is only touched (and so only resident) once a host sends data that way.
#[derive(Debug)]
pub(crate) struct QueueMemory {
    region: Region,
    mr: Mr,
    depth: u16,
    slots: u16,
}

impl QueueMemory {
    /// Maps the memory of a queue. `register` makes it usable by the fabric.
    ///
    /// Errors: what `mmap` says, or whatever `register` reports as an error.
    pub(crate) fn new(
        depth: u16,
        slots: u16,
        register: impl FnOnce(&Region) -> io::Result<Mr>,
    ) -> io::Result<QueueMemory> {
        let region =
            Region::allocate(data_offset(depth, slots) + usize::from(depth) * CAPSULE_DATA_LEN)?;
        let mr = register(&region)?;
        Ok(QueueMemory { region, mr, depth, slots })
    }
    /// The registration, to be ended with the connection.
    pub(crate) fn mr(&self) -> &Mr {
        &self.mr
    }
    /// Where a capsule lands: its command, then its data.
    pub(crate) fn landing(&self, recv: u16) -> Gather {
        Gather::two(
            self.sge(self.command_offset(recv), SQE_BYTES),
            self.sge(self.capsule_data_offset(recv), CAPSULE_DATA_LEN),
        )
    }
    /// The command that landed in `recv`.
    pub(crate) fn command(&self, recv: u16) -> [u8; SQE_BYTES] {
        let mut octets = [0; SQE_BYTES];
        self.region.read(self.command_offset(recv), &mut octets);
        octets
    }
    /// In-capsule data of `recv`, to be read before the receive is posted again.
    /// Panics beyond [`CAPSULE_DATA_BYTES`]: the caller checked the descriptor.
    pub(crate) fn capsule_data(&self, recv: u16, offset: usize, len: usize) -> DmaBuf {
        assert!(offset + len <= CAPSULE_DATA_LEN, "beyond the capsule");
        DmaBuf::new(&self.region, 0, self.capsule_data_offset(recv) + offset, len)
    }
    /// Writes the response of command slot `slot`; returns what to send.
    pub(crate) fn write_response(&self, slot: u16, cqe: &[u8; CQE_BYTES]) -> Gather {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        let offset = usize::from(self.depth) * SQE_BYTES + usize::from(slot) * CQE_BYTES;
        self.region.write(offset, cqe);
        Gather::one(self.sge(offset, CQE_BYTES))
    }

    fn command_offset(&self, recv: u16) -> usize {
        assert!(recv < self.depth, "receive {recv} of {}", self.depth);
        usize::from(recv) * SQE_BYTES
    }
    fn capsule_data_offset(&self, recv: u16) -> usize {
        data_offset(self.depth, self.slots) + usize::from(recv) * CAPSULE_DATA_LEN
    }
    fn sge(&self, offset: usize, len: usize) -> Sge {
        #[expect(clippy::cast_possible_truncation, reason = "64, 16 or 4,096")]
        Sge { addr: self.region.addr() + offset as u64, length: len as u32, lkey: self.mr.lkey }
    }
}

/// Data starts on a page of its own.
fn data_offset(depth: u16, slots: u16) -> usize {
    let entries = usize::from(depth) * SQE_BYTES + usize::from(slots) * CQE_BYTES;
    entries.next_multiple_of(4096)
}
