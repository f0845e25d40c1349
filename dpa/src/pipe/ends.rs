//! Both ends of a pipe: two rings and two bells, between threads or between processes.

use super::bell::{Bell, Ringer, bell, bell_in};
use super::ring::{Consumer, Producer, consumer_in, producer_in, ring, ring_bytes};
use memory::Region;
use std::io;
use std::os::fd::OwnedFd;

/// Cells that only control calls may take, so that full work queues cannot lock them out.
pub(super) const CONTROL_RESERVE: usize = 16;

/// What the host holds.
pub struct HostEnds {
    pub(super) requests: Producer,
    pub(super) notices: Consumer,
    pub(super) bell: Bell,
    pub(super) nic: Ringer,
}

/// What the NIC holds.
pub struct NicEnds {
    pub(super) requests: Consumer,
    pub(super) notices: Producer,
    pub(super) bell: Bell,
    pub(super) host: Ringer,
}

/// Descriptors of the ring of requests, which has a part that only control calls use.
fn requests(depth: usize) -> usize {
    depth.max(4 * CONTROL_RESERVE)
}

/// Between threads, `depth` descriptors each way. Errors: what `eventfd` says.
pub(super) fn ends(depth: usize) -> io::Result<(HostEnds, NicEnds)> {
    let (request_in, request_out) = ring(requests(depth));
    let (notice_in, notice_out) = ring(depth);
    let (nic_bell, nic) = bell()?;
    let (host_bell, host) = bell()?;
    let host_ends = HostEnds { requests: request_in, notices: notice_out, bell: host_bell, nic };
    Ok((host_ends, NicEnds { requests: request_out, notices: notice_in, bell: nic_bell, host }))
}

/// A pipe between processes lies in a region that both map: requests, notices, then a line for each
/// side's bell. Each side makes its own ends, once, over zeroed memory.
pub struct SharedPipe<'r> {
    /// At least [`SharedPipe::bytes`] octets.
    pub region: &'r Region,
    /// Descriptors each way.
    pub depth: usize,
    /// The eventfd that wakes the NIC.
    pub nic_eventfd: OwnedFd,
    /// The eventfd that wakes the host.
    pub host_eventfd: OwnedFd,
}

impl SharedPipe<'_> {
    /// Octets of a pipe of this depth.
    #[must_use]
    pub fn bytes(depth: usize) -> usize {
        ring_bytes(requests(depth)) + ring_bytes(depth) + 2 * 64
    }
    /// The host's ends. Panics when the region is too short.
    #[must_use]
    pub fn host_ends(self) -> HostEnds {
        let [_, notices_at, nic_at, host_at] = self.layout();
        HostEnds {
            requests: producer_in(self.region, 0, requests(self.depth)),
            notices: consumer_in(self.region, notices_at, self.depth),
            bell: bell_in(self.region, host_at, self.host_eventfd).0,
            nic: bell_in(self.region, nic_at, self.nic_eventfd).1,
        }
    }
    /// The NIC's ends. Panics when the region is too short.
    #[must_use]
    pub fn nic_ends(self) -> NicEnds {
        let [_, notices_at, nic_at, host_at] = self.layout();
        NicEnds {
            requests: consumer_in(self.region, 0, requests(self.depth)),
            notices: producer_in(self.region, notices_at, self.depth),
            bell: bell_in(self.region, nic_at, self.nic_eventfd).0,
            host: bell_in(self.region, host_at, self.host_eventfd).1,
        }
    }
    fn layout(&self) -> [usize; 4] {
        let notices = ring_bytes(requests(self.depth));
        let nic = notices + ring_bytes(self.depth);
        [0, notices, nic, nic + 64]
    }
}
