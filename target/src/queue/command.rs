//! One command between its capsule and the acknowledgement of its response.

use super::Inflight;
use crate::io::Io;
use crate::subsystem::DiskIndex;
use memory::{DmaBuf, Lkey, Mr, Region, Sge};
use storage::BlockRange;

/// A place for one command. Places are used again; the list keeps its capacity.
#[derive(Debug, Default)]
pub(crate) struct Command {
    /// Where it stands.
    pub(crate) stage: Stage,
    /// The duty to answer; gone once the response is posted.
    pub(crate) inflight: Option<Inflight>,
    /// What an I/O command asked for.
    pub(crate) io: Io,
    /// Where fetched host data lands.
    pub(crate) local: Sge,
    /// Ranges of a Dataset Management command that are still to do, last first.
    pub(crate) ranges: Vec<BlockRange>,
    /// It is to end instead of going on: its host was preempted.
    pub(crate) is_preempted: bool,
    /// The receive that holds the command's data, until that was taken out.
    pub(crate) capsule: Option<u16>,
    /// What a Copy or half of a fused pair keeps between its steps.
    pub(crate) extra: Option<Box<super::Extra>>,
    /// The command itself, for those that the controller executes once their data is here.
    pub(crate) sqe: Option<wire::nvme::Sqe>,
}

impl Command {
    /// Its response is on its way, or it is over.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Free | Stage::Responding(_))
    }
}

/// Where a command stands, and who owns its buffer there.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// No command.
    #[default]
    Free,
    /// Accepted, with its capsule at hand.
    Accepted,
    /// A disk is asked for a buffer that host data will land in.
    Preparing,
    /// A disk works; whatever buffer there is, it owns.
    AtDisk,
    /// Host data is needed and as many RDMA READs are outstanding as the host takes.
    ReadQueued(Buffer),
    /// RDMA READ outstanding: the fabric owns the buffer.
    Fetching(Buffer),
    /// An Asynchronous Event Request that waits in the controller.
    Event,
    /// Response posted; the fabric owns the buffer (data sent without a copy) until it is
    /// acknowledged: a retransmission reads it again.
    Responding(Option<Buffer>),
}

/// Memory that belongs to a command.
#[derive(Debug)]
pub(crate) enum Buffer {
    /// From a disk, to be spent there or released.
    Disk(DiskIndex, DmaBuf),
    /// Our own, for data of the control path.
    Control(ControlBuffer),
}

/// Memory for one transfer of the control path, mapped and registered for it alone: rare enough
/// to afford, and no pool that could run dry.
#[derive(Debug)]
pub(crate) struct ControlBuffer {
    /// Memory.
    pub(crate) region: Region,
    /// Its registration.
    pub(crate) mr: Mr,
    /// Octets used.
    pub(crate) len: u32,
}

impl ControlBuffer {
    /// All of its octets.
    pub(crate) fn sge(&self) -> Sge {
        Sge { addr: self.region.addr(), length: self.len, lkey: self.mr.lkey }
    }
    /// A copy of what landed in it.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut octets = vec![0; self.len as usize];
        self.region.read(0, &mut octets);
        octets
    }
}

/// A disk's buffer as the fabric names it. `keys` are the disk's regions' keys in their order.
pub(crate) fn disk_sge(buffer: &DmaBuf, keys: &[Lkey]) -> Sge {
    #[expect(clippy::cast_possible_truncation, reason = "at most MDTS, 1 MiB")]
    let length = buffer.len() as u32;
    Sge { addr: buffer.addr(), length, lkey: keys[buffer.region_index() as usize] }
}
