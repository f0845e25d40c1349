//! A link between two processes of one machine: what memif is to packets, below the same transport.
//!
//! The sender gathers payload from registered memory straight into a slot of memory that both have
//! mapped (what a NIC's DMA would do); the DPA places it from there: two copies in all. A look is a
//! load, not a system call; a side that sleeps says so and is then woken over the socket that also
//! tells when the other side is gone. See docs/decisions/0006-shared-memory-link.md.

mod meet;
mod peer;
mod ring;

use super::sys::Shared;
use super::{Flows, Link, LinkCaps, Looks, ROCE_PORT, RxRing, TxBatch};
use memory::Registry;
use peer::{Peer, Sent};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

/// Packets that one `tx_burst` takes.
const BURST_MAX: usize = 256;
/// Peers of one target; more are turned away.
const PEERS_MAX: usize = 64;
/// Looks between two looks at the sockets.
const LOOKS: u32 = 1024;
/// Sockets looked after in one turn.
const EVENTS_MAX: usize = 16;
/// What the listener and the kick are called in the epoll set; peers have their number.
const LISTENER: u64 = 1 << 32;
const KICK: u64 = 1 << 33;

/// One side of shared-memory rings: a client with one peer, or a target with many.
pub struct ShmLink {
    caps: LinkCaps,
    listener: Option<UnixListener>,
    peers: Vec<Peer>,
    /// Whose turn it is to be asked first.
    turn: usize,
    /// Looks until the sockets' turn.
    looks_left: u32,
    sockets: OwnedFd,
    /// Makes `sockets` readable by our own hand.
    kick: OwnedFd,
    /// Peers were told to ring.
    armed: Cell<bool>,
    next_id: u32,
    /// A peer is gone, and perhaps not all of its packets are taken.
    anyone_gone: bool,
    totals: Totals,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    tx_packets: u64,
    tx_bytes: u64,
    tx_dropped: u64,
    tx_bad_key: u64,
    tx_refused: u64,
    rx_packets: u64,
    rx_bytes: u64,
    tx_copied: u64,
    wakes: u64,
    sockets_looks: u64,
    peers: u64,
    peers_gone: u64,
    peers_misbehaved: u64,
}

impl ShmLink {
    /// Offers `local` to processes of this machine.
    ///
    /// Errors: `AddrInUse` when another process does; what the kernel says otherwise.
    pub fn listen(local: SocketAddr) -> io::Result<ShmLink> {
        let listener = meet::listen(local)?;
        let link = ShmLink::new(local)?;
        epoll::add(&link.sockets, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(ShmLink { listener: Some(listener), ..link })
    }

    /// Connects to the process of this machine that offers `to`.
    ///
    /// Errors: `ConnectionRefused` when none does, `PermissionDenied` when it is another user's,
    /// `WouldBlock` when it does not answer within `patience`.
    pub fn connect(to: SocketAddr, patience: Duration) -> io::Result<ShmLink> {
        let (stream, shared, id) = meet::connect(to, patience)?;
        let mut link = ShmLink::new(address(id))?;
        link.add(shared, stream, (id, to), false)?;
        Ok(link)
    }

    fn new(local: SocketAddr) -> io::Result<ShmLink> {
        use rustix::event::{EventfdFlags, eventfd};
        let sockets = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&sockets, &kick, EventData::new_u64(KICK), EventFlags::IN)?;
        let caps = LinkCaps {
            local,
            path_mtu_bytes: 4096,
            native_mtu_bytes: 4096,
            burst_max: BURST_MAX,
            same_host: true,
            verifies_icrc: false,
            flows: Flows::NONE,
        };
        let (listener, armed, totals) = (None, Cell::new(false), Totals::default());
        let peers = Vec::with_capacity(PEERS_MAX);
        Ok(ShmLink {
            caps,
            listener,
            peers,
            turn: 0,
            looks_left: 0,
            sockets,
            kick,
            armed,
            next_id: 1,
            anyone_gone: false,
            totals,
        })
    }

    fn add(
        &mut self,
        shared: Shared,
        stream: UnixStream,
        who: (u32, SocketAddr),
        is_maker: bool,
    ) -> io::Result<()> {
        let data = EventData::new_u64(u64::from(who.0));
        epoll::add(&self.sockets, &stream, data, EventFlags::IN)?;
        self.peers.push(Peer::new(Arc::new(shared), stream, who, is_maker));
        self.totals.peers += 1;
        Ok(())
    }

    /// Looks after the sockets: who comes, who rang, who is gone.
    fn look_after(&mut self) {
        self.totals.sockets_looks += 1;
        let none = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [none; EVENTS_MAX];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        // Interrupted: the next time, then.
        let count = epoll::wait(&self.sockets, &mut events[..], Some(&now)).unwrap_or(0);
        for event in events.iter().take(count) {
            let data = event.data;
            match data.u64() {
                LISTENER => self.accept(),
                KICK => {
                    let _ = rustix::io::read(&self.kick, &mut [0; 8]);
                }
                id => {
                    let peer = self.peers.iter_mut().find(|peer| u64::from(peer.id) == id);
                    if let Some(peer) = peer.filter(|peer| !peer.drain()) {
                        peer.is_gone = true;
                        self.anyone_gone = true;
                        let _ = epoll::delete(&self.sockets, &peer.stream);
                    }
                }
            }
        }
    }

    /// Forgets peers that are gone, once what they sent last was taken.
    fn forget(&mut self) {
        let before = self.peers.len();
        self.peers.retain(|peer| !peer.is_gone || peer.is_ready());
        self.totals.peers_gone += (before - self.peers.len()) as u64;
        self.anyone_gone = self.peers.iter().any(|peer| peer.is_gone);
    }

    /// Takes in the processes that want to be peers: all that wait, as each does so for a second
    /// and looks at the sockets are rare under load.
    fn accept(&mut self) {
        for _ in 0..PEERS_MAX {
            let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) else {
                return;
            };
            self.welcome(stream);
        }
    }

    /// Makes a process a peer. What fails with it is its own trouble.
    fn welcome(&mut self, stream: UnixStream) {
        if self.peers.len() == PEERS_MAX {
            return;
        }
        let id = self.next_id;
        if let Ok(shared) = meet::welcome(&stream, id)
            && self.add(shared, stream, (id, address(id)), true).is_ok()
        {
            self.next_id = if id == ID_MAX { 1 } else { id + 1 };
        }
    }

    /// Whether `rx_burst` has something to do: packets, slots to give back, sockets.
    pub(super) fn is_due(&mut self) -> bool {
        self.looks_left = self.looks_left.saturating_sub(1);
        self.looks_left == 0
            || self.armed.get()
            || self.anyone_gone
            || self.peers.iter().any(Peer::is_due)
    }

    /// Whether there is no peer (any more).
    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Readable when a peer came, rang or went.
    pub(super) fn sockets(&self) -> BorrowedFd<'_> {
        self.sockets.as_fd()
    }

    fn wake_up(&mut self) {
        if self.armed.take() {
            self.peers.iter().for_each(Peer::disarm);
            self.looks_left = 0;
        }
    }

    /// Between two packets to send: the peer that `to` names, ready to be sent to. What the one
    /// before got is shown to it when it is another.
    fn turn_to(&mut self, last: Option<usize>, to: SocketAddr) -> Option<usize> {
        let is_same = |at: usize| self.listener.is_none() || self.peers[at].addr == to;
        if last.is_some_and(is_same) {
            return last;
        }
        self.publish(last);
        let at = self.peer_of(to)?;
        if self.peers[at].reclaim().is_ok() {
            return Some(at);
        }
        self.misbehaved(at);
        None
    }

    fn publish(&mut self, at: Option<usize>) {
        if let Some(at) = at {
            self.totals.wakes += u64::from(self.peers[at].publish());
        }
    }

    /// The peer that `to` names; a client has only one.
    fn peer_of(&self, to: SocketAddr) -> Option<usize> {
        if self.listener.is_none() {
            return (!self.peers.is_empty()).then_some(0);
        }
        self.peers.iter().position(|peer| peer.addr == to)
    }

    fn misbehaved(&mut self, at: usize) {
        self.totals.peers_misbehaved += 1;
        tracing::warn!(peer = self.peers[at].id, "wrote nonsense into shared memory; cut off");
        self.peers.swap_remove(at);
    }
}

/// Numbers of peers have 24 bits.
const ID_MAX: u32 = (1 << 24) - 1;

/// By which address a peer is known: one that no packet from a network can come from (240.0.0.0/4,
/// reserved). Source: RFC 1112, section 4.
fn address(id: u32) -> SocketAddr {
    let [_, a, b, c] = id.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(240, a, b, c)), ROCE_PORT)
}

/// Whether an address is one of those.
#[inline]
pub(super) fn is_near(addr: SocketAddr) -> bool {
    matches!(addr.ip(), IpAddr::V4(ip) if ip.octets()[0] >= 240)
}

impl Link for ShmLink {
    fn name(&self) -> &'static str {
        "shm"
    }

    fn caps(&self) -> &LinkCaps {
        &self.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        self.wake_up();
        if self.looks_left == 0 {
            self.look_after();
            self.looks_left = LOOKS;
        }
        self.looks_left -= 1;
        if !ring.has_lent() {
            self.peers.iter_mut().for_each(Peer::release);
        }
        let (mut total, count) = (0, self.peers.len());
        self.turn = self.turn.wrapping_add(1);
        let mut bad = None;
        for step in 0..count {
            let at = self.turn.wrapping_add(step) % count;
            match self.peers[at].receive(ring) {
                Ok((packets, octets)) => {
                    total += packets;
                    self.totals.rx_bytes += octets as u64;
                }
                Err(ring::Misbehaved) => bad = Some(at),
            }
        }
        if let Some(at) = bad {
            self.misbehaved(at);
        }
        if self.anyone_gone {
            self.forget();
        }
        self.totals.rx_packets += total as u64;
        Ok(total)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        if batch.packets().is_empty() {
            return Ok(0);
        }
        let (mut sent, mut last) = (0, None);
        for packet in batch.packets() {
            last = self.turn_to(last, packet.to);
            let Some(at) = last else {
                self.totals.tx_refused += 1;
                continue;
            };
            match self.peers[at].send(packet, memory, self.caps.local) {
                Sent::Octets(octets) => {
                    sent += 1;
                    self.totals.tx_bytes += octets as u64;
                    let head = packet.header.as_slice().len();
                    self.totals.tx_copied += (octets - head) as u64;
                }
                Sent::Full => self.totals.tx_dropped += 1,
                Sent::BadKey => self.totals.tx_bad_key += 1,
                Sent::TooLong => self.totals.tx_refused += 1,
            }
        }
        self.publish(last);
        batch.clear();
        self.totals.tx_packets += sent as u64;
        Ok(sent)
    }

    fn looks(&self) -> Looks {
        Looks::Cheap
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.armed.set(true);
        self.peers.iter().for_each(Peer::arm);
        if self.peers.iter().any(Peer::is_ready) {
            let _ = rustix::io::write(&self.kick, &1_u64.to_ne_bytes());
        }
        Some(self.sockets.as_fd())
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let t = &self.totals;
        report("link.tx_packets", t.tx_packets);
        report("link.tx_bytes", t.tx_bytes);
        report("link.tx_dropped_packets", t.tx_dropped);
        report("link.tx_bad_key_packets", t.tx_bad_key);
        report("link.tx_refused_packets", t.tx_refused);
        report("link.rx_packets", t.rx_packets);
        report("link.rx_bytes", t.rx_bytes);
        report("link.tx_copied_bytes", t.tx_copied);
        // Of system calls there are these alone.
        report("link.tx_syscalls", t.wakes);
        report("link.rx_syscalls", t.sockets_looks);
        report("link.shm_tx_packets", t.tx_packets);
        report("link.shm_rx_packets", t.rx_packets);
        report("link.shm_wakes", t.wakes);
        report("link.shm_peers", t.peers);
        report("link.shm_peers_gone", t.peers_gone);
        report("link.shm_peers_misbehaved", t.peers_misbehaved);
    }
}

#[cfg(test)]
mod tests;
