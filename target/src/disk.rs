//! What the data path knows about each disk.

use memory::Lkey;
use storage::{DiskStatus, Geometry, Purpose};

use crate::io::IoKind;

/// A disk as commands see it: everything but the disk itself.
#[derive(Debug)]
pub(crate) struct DiskInfo {
    /// Size and abilities.
    pub(crate) geometry: Geometry,
    /// Keys of its regions on this fabric, in the disk's order.
    pub(crate) keys: Vec<Lkey>,
    /// Host data may land in the blocks' own memory: no packet carries parts of two blocks, so a
    /// transfer that breaks off leaves none of them torn.
    pub(crate) direct_writes: bool,
    /// What was done.
    pub(crate) stats: DiskStats,
}

/// What a disk did, for SMART and for reports. Counted when commands finish well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiskStats {
    /// Read commands.
    pub read_commands: u64,
    /// Write commands.
    pub write_commands: u64,
    /// Octets read.
    pub read_bytes: u64,
    /// Octets written.
    pub written_bytes: u64,
    /// Commands that a medium error ended.
    pub media_errors: u64,
}

impl DiskInfo {
    /// What buffer to ask for when host data is fetched over the network.
    /// `whole_packets`: its connection lands whole packets.
    pub(crate) fn fetch_purpose(&self, whole_packets: bool) -> Purpose {
        if self.direct_writes && whole_packets { Purpose::Write } else { Purpose::StagedWrite }
    }
    /// Counts a finished command.
    pub(crate) fn count(&mut self, kind: IoKind, bytes: u32, status: DiskStatus) {
        let stats = &mut self.stats;
        match status {
            DiskStatus::Good => {}
            DiskStatus::ReadError | DiskStatus::WriteError => stats.media_errors += 1,
            DiskStatus::CapacityExceeded
            | DiskStatus::CompareFailed
            | DiskStatus::Unsupported
            | DiskStatus::Internal => return,
        }
        match kind {
            IoKind::Read | IoKind::Compare => {
                stats.read_commands += 1;
                stats.read_bytes += u64::from(bytes);
            }
            IoKind::Write => {
                stats.write_commands += 1;
                stats.written_bytes += u64::from(bytes);
            }
            IoKind::FusedWrite => {
                stats.read_commands += 1;
                stats.read_bytes += u64::from(bytes);
                stats.write_commands += 1;
                stats.written_bytes += u64::from(bytes);
            }
            IoKind::Nothing
            | IoKind::Copy { .. }
            | IoKind::FusedCompare
            | IoKind::Flush
            | IoKind::WriteZeroes { .. }
            | IoKind::Verify
            | IoKind::Reserve(_)
            | IoKind::Report
            | IoKind::Deallocate { .. } => {}
        }
    }
}

impl DiskStats {
    /// Sum, for a controller's view of all its namespaces.
    #[must_use]
    pub fn plus(self, other: DiskStats) -> DiskStats {
        DiskStats {
            read_commands: self.read_commands + other.read_commands,
            write_commands: self.write_commands + other.write_commands,
            read_bytes: self.read_bytes + other.read_bytes,
            written_bytes: self.written_bytes + other.written_bytes,
            media_errors: self.media_errors + other.media_errors,
        }
    }
}
