//! What a target serves on: UDP for the network, shared memory for processes of its own machine.
//!
//! Both fill the same receive ring, on one thread. A look into shared memory is a load and is made
//! in each turn; looks at the socket are spaced by whoever polls ([`Looks::Both`]). A packet leaves
//! by the way that its peer's address belongs to: see docs/decisions/0006-shared-memory-link.md.

use super::shm::{ShmLink, is_near};
use super::{Link, LinkCaps, Looks, RxRing, TxBatch, UdpLink};
use memory::Registry;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// UDP and shared memory behind one [`Link`], with the address and the limits of the UDP link.
pub struct HostLink {
    udp: UdpLink,
    shm: ShmLink,
    /// Packets for shared memory that were among others.
    near: TxBatch,
    /// Readable when either has something.
    either: OwnedFd,
    /// The socket is in `either`. Only while its owner sleeps: a socket that is watched costs its
    /// sender 0.3 us for each packet.
    is_watched: Cell<bool>,
}

impl HostLink {
    /// Serves both. `shm` offers `udp`'s address ([`ShmLink::listen`]).
    ///
    /// Errors: what the kernel says to one descriptor more.
    pub fn new(udp: UdpLink, shm: ShmLink) -> io::Result<HostLink> {
        let either = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&either, shm.sockets(), EventData::new_u64(0), EventFlags::IN)?;
        let near = TxBatch::new(udp.caps().burst_max);
        Ok(HostLink { udp, shm, near, either, is_watched: Cell::new(false) })
    }

    /// The socket, from here on in `either` or not.
    fn watch(&self, wanted: bool) {
        let Some(socket) = self.udp.fd() else { return };
        let outcome = if wanted {
            epoll::add(&self.either, socket, EventData::new_u64(0), EventFlags::IN)
        } else {
            epoll::delete(&self.either, socket)
        };
        if outcome.is_ok() {
            self.is_watched.set(wanted);
        }
    }
}

impl Link for HostLink {
    fn name(&self) -> &'static str {
        "udp+shm"
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
        self.shm.is_due()
    }
    fn rx_cheap(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        self.shm.rx_burst(ring)
    }
    fn rx_dear(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if self.is_watched.get() {
            self.watch(false);
        }
        self.udp.rx_burst(ring)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let near = batch.packets().iter().filter(|packet| is_near(packet.to)).count();
        if near == 0 {
            return self.udp.tx_burst(batch, memory);
        }
        if near == batch.packets().len() {
            return self.shm.tx_burst(batch, memory);
        }
        batch.move_to(&mut self.near, |packet| is_near(packet.to));
        let sent = self.shm.tx_burst(&mut self.near, memory)?;
        Ok(sent + self.udp.tx_burst(batch, memory)?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        // Peers are told to ring.
        let _ = self.shm.fd();
        if !self.is_watched.get() {
            self.watch(true);
        }
        // Without memory to watch it, nobody may sleep on it.
        self.is_watched.get().then(|| self.either.as_fd())
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.udp.set_ecn_capable(capable);
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let links: [&dyn Link; 2] = [&self.udp, &self.shm];
        sum_of(links, &[], report);
    }
}

/// The counters of several links and of `past` ones, those of one name as a sum.
pub(super) fn sum_of<'a>(
    links: impl IntoIterator<Item = &'a dyn Link>,
    past: &[(&'static str, u64)],
    report: &mut dyn FnMut(&'static str, u64),
) {
    let mut sums = BTreeMap::<_, u64>::new();
    past.iter().for_each(|(name, count)| *sums.entry(*name).or_default() += count);
    for link in links {
        link.counters(&mut |name, count| *sums.entry(name).or_default() += count);
    }
    sums.into_iter().for_each(|(name, count)| report(name, count));
}

#[cfg(test)]
#[path = "host_tests.rs"]
pub(super) mod tests;
