//! Links: how packets leave and arrive. FlexiNS part: "header-only offloading TX".
//!
//! A packet to send is `{header, payload: Sge…, trailer}`: the link gathers the payload straight
//! from registered memory. A packet received lies in the small in-cache receive ring until it is
//! placed.

mod batch;
#[cfg(test)]
mod conformance;
mod dial;
mod faulty;
mod flows;
mod host;
pub mod inject;
mod loopback;
mod message;
mod pcap;
mod raw;
mod ring;
mod run;
mod shared_port;
mod shm;
mod sources;
pub(crate) mod sys;
mod trailer;
mod udp;

pub use batch::{Trailer, Transmit, TxBatch};
pub use dial::{DialLink, Ways, is_local};
pub use faulty::{Faults, FaultyLink, Injected};
pub use flows::Flows;
pub use host::HostLink;
pub use inject::InjectLink;
pub use loopback::LoopbackLink;
pub use message::UdpCounters;
pub use pcap::PcapLink;
pub use raw::RawLink;
pub use ring::{Received, RxRing};
pub use shared_port::SharedPort;
pub use shm::ShmLink;
pub use udp::UdpLink;

use memory::Registry;
use std::io;
use std::net::SocketAddr;

/// RoCEv2's UDP port. Source: IBTA, Annex A17.
pub const ROCE_PORT: u16 = 4791;

/// What a link can do, fixed when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkCaps {
    /// This side's address and UDP port.
    pub local: SocketAddr,
    /// Largest RoCE path MTU that fits the device's MTU: 256 to 4,096 octets.
    pub path_mtu_bytes: u32,
    /// Largest path MTU of which a native packet fits: its header, a command capsule beside the path
    /// MTU's octets, and its CRC.
    pub native_mtu_bytes: u32,
    /// Most packets that one `tx_burst` takes.
    pub burst_max: usize,
    /// Octets on the path are protected by nothing but memory (loopback, in process): the native
    /// mode may leave its CRC out, as the kernel leaves out UDP checksums there.
    pub same_host: bool,
    /// Received ICRCs were verified by the link (it sees IP headers). Others cannot verify RoCE's.
    pub verifies_icrc: bool,
    /// Ports that RoCEv2 packets leave from, beside `local`'s: see [`LinkCaps::source`].
    pub flows: Flows,
}

/// What a look that finds nothing costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looks {
    /// A system call: looks are worth spacing.
    Dear,
    /// A load: there is no reason to space them.
    Cheap,
    /// The link has a part of each kind: the cheap one is looked at in each turn, the other is
    /// spaced.
    Both,
}

/// A way for packets, one per polling thread. Never blocks.
pub trait Link {
    /// By which way packets go, for reports.
    fn name(&self) -> &'static str {
        "other"
    }
    /// What it can do.
    fn caps(&self) -> &LinkCaps;
    /// Receives into free slots of `ring`; returns packets added. Errors are the device's; a
    /// transient one (ICMP unreachable) is counted inside and not returned.
    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize>;
    /// Sends `batch` in order and empties it; returns packets handed to the device. What the
    /// device refuses for lack of room is dropped and counted: the transport recovers it as loss.
    /// An element whose key no longer covers it drops its packet.
    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize>;
    /// What looks at it cost; fixed when it is made.
    fn looks(&self) -> Looks {
        Looks::Dear
    }
    /// [`Looks::Both`]: whether [`Link::rx_cheap`] has something to do.
    fn is_cheap_due(&mut self) -> bool {
        false
    }
    /// [`Looks::Both`]: `rx_burst` of the part whose looks are cheap.
    fn rx_cheap(&mut self, _ring: &mut RxRing) -> io::Result<usize> {
        Ok(0)
    }
    /// [`Looks::Both`]: `rx_burst` of the other part.
    fn rx_dear(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        self.rx_burst(ring)
    }
    /// Descriptor that becomes readable when packets arrive, to sleep on. `None`: poll only. Asked
    /// for before each sleep: a link may arrange only then to be woken.
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
    /// From here on packets leave as able to be marked "congestion experienced", or not: only who gives
    /// way to marks may say so. Not, when it is made. Links that cross no queue ignore it.
    fn set_ecn_capable(&mut self, _capable: bool) {}
    /// Counters by name, for reports ("link.tx_packets", "link.tx_syscalls", …).
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64));
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn caps(&self) -> &LinkCaps {
        (**self).caps()
    }
    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        (**self).rx_burst(ring)
    }
    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        (**self).tx_burst(batch, memory)
    }
    fn looks(&self) -> Looks {
        (**self).looks()
    }
    fn is_cheap_due(&mut self) -> bool {
        (**self).is_cheap_due()
    }
    fn rx_cheap(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        (**self).rx_cheap(ring)
    }
    fn rx_dear(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        (**self).rx_dear(ring)
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        (**self).fd()
    }
    fn set_ecn_capable(&mut self, capable: bool) {
        (**self).set_ecn_capable(capable);
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        (**self).counters(report);
    }
}
