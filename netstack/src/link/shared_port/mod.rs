//! One UDP port for several threads of a process: peers of others answer to port 4791 of an address,
//! and to no other port, however many connections there are.
//!
//! Each thread has a link of its own on the same socket, and sends by itself. Whoever looks receives for
//! all: packets of others are copied into their inboxes ([`hub`]), by the queue pair that they name, or the
//! connection in messages of connection management ([`names`]). A thread that is alone on its port shares
//! nothing and locks nothing. See docs/decisions/0019-one-port-for-all-threads.md.

mod hub;
mod names;
#[cfg(test)]
mod tests;

use super::{Link, LinkCaps, RxRing, TxBatch, UdpLink};
use hub::{Hub, Inbox};
use memory::Registry;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A link on a port that other threads of this process may be on, too.
pub struct SharedPort {
    udp: UdpLink,
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    /// Readable when the socket has something, or the inbox got something while its owner slept.
    either: OwnedFd,
    /// The socket is in `either`. Only while its owner sleeps: a watched socket costs time for each
    /// packet.
    is_watched: Cell<bool>,
    /// Packets taken out of the inbox, and put into those of others.
    taken: u64,
    handed_over: u64,
}

impl SharedPort {
    /// A link at `addr`, whose port is not 0; on the socket that this process has there, if it has one.
    ///
    /// Errors: as [`UdpLink::bind`]'s; `AddrInUse`: another process has the port.
    pub fn join(addr: SocketAddr) -> io::Result<SharedPort> {
        let (hub, udp) = Hub::find_or_bind(addr)?;
        let inbox = hub.join()?;
        let either = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&either, inbox.bell(), EventData::new_u64(0), EventFlags::IN)?;
        let is_watched = Cell::new(false);
        Ok(SharedPort { udp, hub, inbox, either, is_watched, taken: 0, handed_over: 0 })
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

    fn take(&mut self, ring: &mut RxRing) -> usize {
        let taken = self.inbox.take_into(ring);
        self.taken += taken as u64;
        taken
    }
}

impl Link for SharedPort {
    fn name(&self) -> &'static str {
        "udp"
    }
    fn caps(&self) -> &LinkCaps {
        self.udp.caps()
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if self.is_watched.get() {
            self.watch(false);
            self.inbox.awake();
        }
        let taken = self.take(ring);
        if taken > 0 {
            return Ok(taken);
        }
        if self.hub.has_one() {
            return self.udp.rx_burst(ring);
        }
        // Who receives now hands over what is this side's.
        let hub = Arc::clone(&self.hub);
        let Some(_receiving) = hub.try_receive() else { return Ok(0) };
        // What was handed over meanwhile is older than what the socket has.
        let taken = self.take(ring);
        if taken > 0 {
            return Ok(taken);
        }
        let before = ring.packets().len();
        let received = self.udp.rx_burst(ring)?;
        let others = self.hub.hand_over(&self.inbox, ring, before);
        self.handed_over += others as u64;
        Ok(received - others)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        for packet in batch.packets() {
            if let Some(names) = names::introduced(packet, memory) {
                self.hub.introduce(&self.inbox, names);
            }
        }
        self.udp.tx_burst(batch, memory)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inbox.sleeps();
        if !self.is_watched.get() {
            self.watch(true);
        }
        // Without memory to watch it, nobody may sleep on it.
        self.is_watched.get().then(|| self.either.as_fd())
    }

    /// For all threads on the port: the sockets are everybody's, and who came last has said.
    fn set_ecn_capable(&mut self, capable: bool) {
        self.udp.set_ecn_capable(capable);
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.udp.counters(report);
        report("link.taken_from_inbox", self.taken);
        report("link.handed_over", self.handed_over);
        report("link.inbox_dropped", self.inbox.dropped());
    }
}

impl Drop for SharedPort {
    fn drop(&mut self) {
        self.hub.leave(&self.inbox);
    }
}
