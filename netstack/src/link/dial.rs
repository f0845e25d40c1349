//! What a client connects on: shared memory when the target is a process of its own machine and
//! offers it, UDP otherwise.
//!
//! One of them at a time. When the target's process ends, the next attempt to connect again (a
//! packet to queue pair 1, where connection management is) asks for shared memory again; if nobody
//! offers it, it goes by UDP. A way that carries a connection is never left: the target knows the
//! client by where its packets come from.

use super::host::sum_of;
use super::shm::ShmLink;
use super::{Link, LinkCaps, Looks, ROCE_PORT, RxRing, Transmit, TxBatch, UdpLink, sys};
use memory::Registry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long the first call waits for an answer. A target of the machine answers at its next look.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
/// The same, of later calls: there is no connection to keep waiting, but perhaps other work.
const PATIENCE: Duration = Duration::from_millis(200);
/// UDP that was silent for this long carries no connection: longer than between two keep-alives.
const SILENCE: Duration = Duration::from_secs(10);
/// Where the destination queue pair lies in a packet. Source: IBTA 1.4, "Base Transport Header".
const DEST_QP: std::ops::Range<usize> = 5..8;

/// Whether `addr` belongs to this machine.
///
/// Errors: the kernel does not tell.
pub fn is_local(addr: IpAddr) -> io::Result<bool> {
    Ok(addr.is_loopback() || sys::mtu_of(addr)?.is_some())
}

/// Which ways a client may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ways {
    /// Shared memory if it is offered, else UDP.
    #[default]
    Any,
    /// Shared memory alone.
    ShmOnly,
}

/// A client's link to one target of this machine, with the address and the limits of the UDP link.
pub struct DialLink {
    udp: UdpLink,
    shm: Option<ShmLink>,
    to: SocketAddr,
    ways: Ways,
    /// Something came by UDP since `silent_since`.
    heard: bool,
    silent_since: Option<Instant>,
    /// Counters of links that ended.
    past: Vec<(&'static str, u64)>,
}

impl DialLink {
    /// A link to the target at `to`, which is an address of this machine.
    ///
    /// Errors: with [`Ways::ShmOnly`], why there is no shared memory.
    pub fn new(udp: UdpLink, to: IpAddr, ways: Ways) -> io::Result<DialLink> {
        let to = SocketAddr::new(to, ROCE_PORT);
        let shm = match ShmLink::connect(to, FIRST_PATIENCE) {
            Ok(link) => Some(link),
            Err(error) if ways == Ways::ShmOnly => return Err(error),
            Err(error) => {
                tracing::debug!(%to, %error, "no shared memory: UDP");
                None
            }
        };
        let (heard, silent_since, past) = (false, None, Vec::new());
        Ok(DialLink { udp, shm, to, ways, heard, silent_since, past })
    }

    /// Whether packets go by shared memory now.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.shm.is_some()
    }

    /// The target's process is gone: whoever comes next is asked anew.
    fn forget_gone(&mut self) {
        if let Some(gone) = self.shm.take_if(|link| link.is_empty()) {
            let mut sums = std::mem::take(&mut self.past);
            sum_of([&gone as &dyn Link], &sums.clone(), &mut |name, count| {
                sums.push((name, count));
            });
            self.past = sums;
            (self.heard, self.silent_since) = (false, None);
        }
    }

    /// A connection is to be made or ended, none is alive: time to ask for shared memory.
    fn dial(&mut self) {
        let now = Instant::now();
        if std::mem::take(&mut self.heard) {
            self.silent_since = Some(now);
        }
        let silent = self.silent_since.is_none_or(|since| now - since >= SILENCE);
        if silent {
            self.shm = ShmLink::connect(self.to, PATIENCE).ok();
        }
    }
}

/// Whether a packet is of connection management.
fn is_management(packet: &Transmit) -> bool {
    packet.header.as_slice().get(DEST_QP) == Some(&[0, 0, 1])
}

impl Link for DialLink {
    fn name(&self) -> &'static str {
        if self.shm.is_some() { "shm" } else { "udp" }
    }

    fn caps(&self) -> &LinkCaps {
        self.udp.caps()
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        let near = self.rx_cheap(ring)?;
        Ok(near + self.rx_dear(ring)?)
    }

    fn looks(&self) -> Looks {
        Looks::Both
    }
    fn is_cheap_due(&mut self) -> bool {
        self.shm.as_mut().is_some_and(ShmLink::is_due)
    }
    fn rx_cheap(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        let Some(link) = &mut self.shm else { return Ok(0) };
        let packets = link.rx_burst(ring)?;
        self.forget_gone();
        Ok(packets)
    }
    fn rx_dear(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if self.shm.is_some() {
            return Ok(0);
        }
        let packets = self.udp.rx_burst(ring)?;
        self.heard |= packets > 0;
        Ok(packets)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        if self.shm.is_none() && batch.packets().iter().any(is_management) {
            self.dial();
        }
        match &mut self.shm {
            Some(link) => link.tx_burst(batch, memory),
            None if self.ways == Ways::Any => self.udp.tx_burst(batch, memory),
            None => {
                batch.clear();
                Ok(0)
            }
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.shm.as_ref().map_or_else(|| self.udp.fd(), Link::fd)
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.udp.set_ecn_capable(capable);
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let near = self.shm.as_ref().map(|link| link as &dyn Link);
        sum_of(near.into_iter().chain([&self.udp as &dyn Link]), &self.past, report);
    }
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
