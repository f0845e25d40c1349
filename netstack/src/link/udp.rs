//! UDP sockets as a link. FlexiNS part: "header-only offloading TX", with the kernel's gather in
//! the place of the NIC's.
//!
//! A batch leaves in one `sendmmsg`; a run of equal packets in it is one GSO message. Payload goes
//! from registered memory to the kernel without a copy in user space. Receiving is one `recvmmsg`
//! with GRO into the ring's slots.

use super::message::{Assembly, Framing, Size, UdpCounters};
use super::shm::is_near;
use super::sources::{Sources, hush};
use super::sys::{self, ReceiveArrays, SendArrays, SendBatch};
use super::trailer::ECT_0;
use super::{Flows, Link, LinkCaps, ROCE_PORT, RxRing, TxBatch};
use memory::Registry;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Packets that one `tx_burst` takes.
const BURST_MAX: usize = 256;
/// Ring slots that one `rx_burst` fills.
const SLOTS_MAX: usize = 64;
/// Socket buffers asked for, in octets, each way.
const SOCKET_BUFFER_BYTES: usize = 16 << 20;
/// Octets of headers that a device's MTU must hold beside the path MTU, as rxe counts them.
const HEADER_BYTES_MAX: u32 = 80;
/// Octets of a native packet beside the path MTU's: header, a command capsule, CRC.
const NATIVE_BYTES_MAX: u32 = 80 + 64 + 4;

/// A UDP socket, bound to one address of this host.
///
/// It is not connected: a connected socket's IP identification starts at random (the ICRC covers
/// it) and ICMP errors would come back as errors of unrelated sends.
///
/// At RoCEv2's port, unless it is on the loopback device, it has eight sockets more, from which RoCEv2
/// packets leave ([`Flows`]): nine descriptors in all, however many links share them. On the loopback
/// device nothing chooses by ports, and each socket costs system calls.
pub struct UdpLink {
    port: Port,
    segments_max: usize,
    send: SendArrays,
    receive: ReceiveArrays,
    sizes: Vec<Size>,
    counters: UdpCounters,
}

/// What links on the same port have together.
pub(super) struct Port {
    socket: Socket,
    sources: Arc<Sources>,
    caps: LinkCaps,
}

impl Port {
    /// The same port for another link. Errors: no descriptor is left.
    fn try_clone(&self) -> io::Result<Port> {
        let sources = Arc::clone(&self.sources);
        Ok(Port { socket: self.socket.try_clone()?, sources, caps: self.caps })
    }

    /// The socket at one of its ports.
    #[inline]
    fn socket_at(&self, from: SocketAddr) -> BorrowedFd<'_> {
        self.sources.at(from.port()).unwrap_or(&self.socket).as_fd()
    }
}

impl UdpLink {
    /// A link at `addr`. Port 0 lets the kernel choose (native mode; RoCEv2 peers need 4,791).
    ///
    /// Errors: `InvalidInput` for an unspecified address (peers and the ICRC need the true one);
    /// `AddrNotAvailable` when no device has it; `AddrInUse`; what the kernel says otherwise.
    pub fn bind(addr: SocketAddr) -> io::Result<UdpLink> {
        let mut link = UdpLink::bind_one(addr)?;
        if link.caps().local.port() == ROCE_PORT && !link.caps().same_host {
            link.spread();
        }
        Ok(link)
    }

    /// With its own port only.
    fn bind_one(addr: SocketAddr) -> io::Result<UdpLink> {
        if addr.ip().is_unspecified() {
            let why = "a link needs the address that peers use, not the unspecified one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let domain = Domain::for_address(addr);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        sys::configure(&socket, addr.is_ipv4(), SOCKET_BUFFER_BYTES)?;
        socket.bind(&addr.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        let mtu = sys::mtu_of(local.ip())?.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let caps = LinkCaps {
            local,
            path_mtu_bytes: path_mtu(mtu, HEADER_BYTES_MAX)?,
            native_mtu_bytes: path_mtu(mtu, native_bytes(local.ip()))?,
            burst_max: BURST_MAX,
            same_host: local.ip().is_loopback(),
            verifies_icrc: false,
            flows: Flows::NONE,
        };
        Ok(UdpLink::on(Port { socket, sources: Arc::default(), caps }))
    }

    /// From here on RoCEv2 packets leave from several ports, as far as there are free ones.
    pub(super) fn spread(&mut self) {
        let sources = Sources::open(self.port.caps.local, SOCKET_BUFFER_BYTES);
        self.port.caps.flows = sources.flows();
        self.port.sources = Arc::new(sources);
    }

    fn on(port: Port) -> UdpLink {
        UdpLink {
            port,
            segments_max: super::run::SEGMENTS_MAX,
            send: SendArrays::new(BURST_MAX, 0),
            receive: ReceiveArrays::new(SLOTS_MAX),
            sizes: Vec::with_capacity(BURST_MAX),
            counters: UdpCounters::default(),
        }
    }

    /// Its port, for [`UdpLink::of`] in another thread.
    ///
    /// Errors: no descriptor is left.
    pub(super) fn share(&self) -> io::Result<Port> {
        self.port.try_clone()
    }

    /// Another link on the same sockets. Errors: no descriptor is left.
    pub(super) fn of(port: &Port) -> io::Result<UdpLink> {
        Ok(UdpLink::on(port.try_clone()?))
    }

    /// A link that only sends: what comes to it is dropped before it is queued, and nothing is told
    /// to its sender. All leaves from its own port.
    ///
    /// Errors: those of [`UdpLink::bind`].
    pub(super) fn bind_mute(addr: SocketAddr) -> io::Result<UdpLink> {
        let link = UdpLink::bind_one(addr)?;
        hush(&link.port.socket)?;
        Ok(link)
    }

    /// A link at RoCEv2's port on the first free of 127.0.0.2, 127.0.0.3, …: a client's own
    /// address beside a target at 127.0.0.1.
    ///
    /// Errors: `AddrInUse` when all 253 are taken.
    pub fn bind_free_loopback() -> io::Result<UdpLink> {
        for host in 2..255 {
            let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), ROCE_PORT);
            match UdpLink::bind(addr) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// From here on each packet is a message of its own: for comparison, and for devices that
    /// cannot checksum segments.
    pub fn disable_gso(&mut self) {
        self.segments_max = 1;
    }

    /// What it did so far.
    #[must_use]
    pub fn totals(&self) -> UdpCounters {
        self.counters
    }
}

/// Largest path MTU that a device of `device_mtu` octets carries beside `headers`.
fn path_mtu(device_mtu: u32, headers: u32) -> io::Result<u32> {
    let least = 256 + headers;
    [4096, 2048, 1024, 512, 256]
        .into_iter()
        .find(|mtu| mtu + headers <= device_mtu)
        .ok_or_else(|| io::Error::other(format!("device MTU {device_mtu} is below {least}")))
}

/// What a native packet has beside the path MTU's octets, IP and UDP headers included.
fn native_bytes(local: IpAddr) -> u32 {
    let ip = if local.is_ipv4() { 20 } else { 40 };
    ip + 8 + NATIVE_BYTES_MAX
}

/// The kernel makes all headers.
struct Bare;

impl Framing for Bare {
    fn header_bytes(&self, _to: SocketAddr) -> usize {
        0
    }
    fn end(&self, messages: &mut SendBatch<'_>, _at: usize, size: &Size) {
        messages.end_message(size.to, size.segment());
    }
}

impl Link for UdpLink {
    fn name(&self) -> &'static str {
        "udp"
    }
    fn caps(&self) -> &LinkCaps {
        &self.port.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if ring.free_slots() == 0 {
            return Ok(0);
        }
        let outcome = self.receive.receive(self.port.socket.as_fd(), ring.free_slots_mut());
        let filled = self.counters.looked(outcome)?;
        let mut packets = 0;
        for at in 0..filled {
            let arrived = self.receive.arrived(at);
            let is_packet = |from: &SocketAddr| arrived.len <= ring.slot_bytes() && !is_near(*from);
            let Some(from) = arrived.from.filter(is_packet) else {
                self.counters.rx_dropped_messages += 1;
                ring.skip();
                continue;
            };
            self.counters.rx_bytes += arrived.len as u64;
            packets += ring.fill(arrived.len, arrived.segment_bytes, from, arrived.ecn);
        }
        self.counters.rx_packets += packets as u64;
        Ok(packets)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        if batch.packets().is_empty() {
            return Ok(0);
        }
        let mut assembly = Assembly {
            caps: self.port.caps,
            framing: Bare,
            messages: self.send.batch(memory),
            sizes: &mut self.sizes,
            counters: &mut self.counters,
            header_at: 0,
        };
        assembly.gather(batch.packets(), memory, self.segments_max);
        let outcome = assembly.hand_over(|from| self.port.socket_at(from));
        batch.clear();
        if let Err(error) = &outcome
            && error.raw_os_error() == Some(libc::EIO)
        {
            // The device cannot checksum segments: send them one by one from here on.
            self.segments_max = 1;
        }
        outcome
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        let class = if capable { ECT_0 } else { 0 };
        let Port { socket, sources, caps } = &self.port;
        for socket in std::iter::once(socket).chain(sources.sockets()) {
            // A kernel that refuses leaves packets unmarked: then losses tell of congestion.
            if let Err(error) = sys::set_class(socket, caps.local.is_ipv4(), class) {
                return tracing::warn!(%error, "cannot set ECN");
            }
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.port.socket.as_fd())
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.counters.report(report);
    }
}

#[cfg(test)]
#[path = "udp_source_tests.rs"]
mod source_tests;
#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
