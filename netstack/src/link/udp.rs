//! UDP sockets as a link. FlexiNS part: "header-only offloading TX", with the kernel's gather in
//! the place of the NIC's.
//!
//! A batch leaves in one `sendmmsg`; a run of equal packets in it is one GSO message. Payload goes
//! from registered memory to the kernel without a copy in user space. Receiving is one `recvmmsg`
//! with GRO into the ring's slots.

use super::run::Runs;
use super::shm::is_near;
use super::sys::{self, ELEMENTS_MAX, ReceiveArrays, SendArrays, SendBatch};
use super::trailer::{Path, trailer};
use super::{Link, LinkCaps, ROCE_PORT, RxRing, Transmit, TxBatch};
use memory::{Access, Registry, Span};
use smallvec::SmallVec;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

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
pub struct UdpLink {
    socket: Socket,
    caps: LinkCaps,
    segments_max: usize,
    send: SendArrays,
    receive: ReceiveArrays,
    sizes: Vec<Size>,
    counters: UdpCounters,
}

/// What the link did, since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UdpCounters {
    /// Packets handed to the kernel.
    pub tx_packets: u64,
    /// Octets of UDP payload in them.
    pub tx_bytes: u64,
    /// Calls of `sendmmsg`.
    pub tx_syscalls: u64,
    /// Messages: a run of equal packets, or one packet.
    pub tx_messages: u64,
    /// Messages that held more than one packet.
    pub tx_gso_messages: u64,
    /// Payload octets that did not leave straight from registered memory: 0.
    pub tx_copied_bytes: u64,
    /// Packets dropped because the socket or device had no room.
    pub tx_dropped_packets: u64,
    /// Packets dropped because an element's key did not cover it.
    pub tx_bad_key_packets: u64,
    /// Packets that the kernel refused for a reason of their own (unreachable, too long).
    pub tx_refused_packets: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Octets of UDP payload in them.
    pub rx_bytes: u64,
    /// Calls of `recvmmsg`, those that found nothing included.
    pub rx_syscalls: u64,
    /// Calls that found nothing.
    pub rx_empty_syscalls: u64,
    /// Messages: a GRO run of equal packets, or one packet.
    pub rx_messages: u64,
    /// Messages dropped: cut short, from no IP address, or from one that names a peer in shared
    /// memory.
    pub rx_dropped_messages: u64,
}

impl UdpLink {
    /// A link at `addr`. Port 0 lets the kernel choose (native mode; RoCEv2 peers need 4,791).
    ///
    /// Errors: `InvalidInput` for an unspecified address (peers and the ICRC need the true one);
    /// `AddrNotAvailable` when no device has it; `AddrInUse`; what the kernel says otherwise.
    pub fn bind(addr: SocketAddr) -> io::Result<UdpLink> {
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
        };
        Ok(UdpLink::on(socket, caps))
    }

    fn on(socket: Socket, caps: LinkCaps) -> UdpLink {
        UdpLink {
            socket,
            caps,
            segments_max: super::run::SEGMENTS_MAX,
            send: SendArrays::new(BURST_MAX),
            receive: ReceiveArrays::new(SLOTS_MAX),
            sizes: Vec::with_capacity(BURST_MAX),
            counters: UdpCounters::default(),
        }
    }

    /// The socket, and what can be done on it, for [`UdpLink::of`] in another thread.
    ///
    /// Errors: no descriptor is left.
    pub(super) fn share(&self) -> io::Result<(Socket, LinkCaps)> {
        Ok((self.socket.try_clone()?, self.caps))
    }

    /// Another link on the same socket. Errors: no descriptor is left.
    pub(super) fn of((socket, caps): &(Socket, LinkCaps)) -> io::Result<UdpLink> {
        Ok(UdpLink::on(socket.try_clone()?, *caps))
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

impl Link for UdpLink {
    fn name(&self) -> &'static str {
        "udp"
    }
    fn caps(&self) -> &LinkCaps {
        &self.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if ring.free_slots() == 0 {
            return Ok(0);
        }
        self.counters.rx_syscalls += 1;
        let filled = match self.receive.receive(self.socket.as_fd(), ring.free_slots_mut()) {
            Ok(filled) => filled,
            Err(error) if is_transient(&error) => {
                self.counters.rx_empty_syscalls += 1;
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
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
        self.counters.rx_messages += filled as u64;
        self.counters.rx_packets += packets as u64;
        Ok(packets)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        if batch.packets().is_empty() {
            return Ok(0);
        }
        let mut assembly = Assembly {
            local: self.caps.local,
            messages: self.send.batch(memory),
            sizes: &mut self.sizes,
            counters: &mut self.counters,
        };
        assembly.gather(batch.packets(), memory, self.segments_max);
        let outcome = assembly.hand_over(self.socket.as_fd());
        batch.clear();
        if let Err(error) = &outcome
            && error.raw_os_error() == Some(libc::EIO)
        {
            // The device cannot checksum segments: send them one by one from here on.
            self.segments_max = 1;
        }
        outcome
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let c = &self.counters;
        report("link.tx_packets", c.tx_packets);
        report("link.tx_bytes", c.tx_bytes);
        report("link.tx_syscalls", c.tx_syscalls);
        report("link.tx_messages", c.tx_messages);
        report("link.tx_gso_messages", c.tx_gso_messages);
        report("link.tx_copied_bytes", c.tx_copied_bytes);
        report("link.tx_dropped_packets", c.tx_dropped_packets);
        report("link.tx_bad_key_packets", c.tx_bad_key_packets);
        report("link.tx_refused_packets", c.tx_refused_packets);
        report("link.rx_packets", c.rx_packets);
        report("link.rx_bytes", c.rx_bytes);
        report("link.rx_syscalls", c.rx_syscalls);
        report("link.rx_empty_syscalls", c.rx_empty_syscalls);
        report("link.rx_messages", c.rx_messages);
        report("link.rx_dropped_messages", c.rx_dropped_messages);
    }
}

/// A batch on its way to the kernel.
struct Assembly<'a> {
    local: SocketAddr,
    messages: SendBatch<'a>,
    sizes: &'a mut Vec<Size>,
    counters: &'a mut UdpCounters,
}

impl<'a> Assembly<'a> {
    /// Lays the packets out as messages of equal packets.
    fn gather(&mut self, packets: &[Transmit], memory: &'a Registry, segments_max: usize) {
        self.sizes.clear();
        let mut runs = Runs::new(segments_max);
        let mut payload_bytes = 0;
        for packet in packets {
            let Some(spans) = spans_of(packet, memory) else {
                self.counters.tx_bad_key_packets += 1;
                continue;
            };
            let wire_len = packet.wire_len();
            let place = runs.place(packet.to, wire_len);
            if place.begins {
                self.end_message();
                self.sizes.push(Size {
                    to: packet.to,
                    segment_bytes: wire_len,
                    packets: 0,
                    bytes: 0,
                });
            }
            if let Some(size) = self.sizes.last_mut() {
                size.packets += 1;
                size.bytes += wire_len as u64;
            }
            let path = Path { from: self.local, to: packet.to, ip_id: place.index };
            let tail = trailer(packet, path, spans.iter().map(sys::octets));
            self.messages.scratch(packet.header.as_slice());
            for span in &spans {
                payload_bytes += span.len() as u64;
                self.messages.payload(*span);
            }
            self.messages.scratch(tail.as_slice());
        }
        self.end_message();
        self.counters.tx_copied_bytes += payload_bytes - self.messages.gathered_bytes();
    }

    fn end_message(&mut self) {
        if let Some(size) = self.sizes.last() {
            let segment = u16::try_from(size.segment_bytes).ok().filter(|_| size.packets > 1);
            self.messages.end_message(size.to, segment);
        }
    }

    /// Gives all messages to the kernel, in one call if it takes them all.
    fn hand_over(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let mut handed = 0;
        let mut at = 0;
        let mut failure = None;
        while let Some(next) = self.sizes.get(at).copied() {
            self.counters.tx_syscalls += 1;
            match self.messages.send(fd, at) {
                Ok(count) => {
                    for size in self.sizes.iter().skip(at).take(count) {
                        handed += self.counters.sent(size);
                    }
                    at += count.max(1);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => {
                    let rest = self.sizes.iter().skip(at).map(|size| size.packets);
                    self.counters.tx_dropped_packets += rest.sum::<u64>();
                    break;
                }
                Err(error) => {
                    self.counters.tx_refused_packets += next.packets;
                    if !is_transient(&error) {
                        failure.get_or_insert(error);
                    }
                    at += 1;
                }
            }
        }
        failure.map_or(Ok(handed), Err)
    }
}

/// One message: how many packets of which size, to whom.
#[derive(Clone, Copy, Debug)]
struct Size {
    to: SocketAddr,
    segment_bytes: usize,
    packets: u64,
    bytes: u64,
}

impl UdpCounters {
    fn sent(&mut self, size: &Size) -> usize {
        self.tx_messages += 1;
        self.tx_gso_messages += u64::from(size.packets > 1);
        self.tx_packets += size.packets;
        self.tx_bytes += size.bytes;
        usize::try_from(size.packets).unwrap_or(usize::MAX)
    }
}

/// The memory of a packet's payload; `None` when a key does not cover it, or it is cut into more
/// elements than a packet may have.
fn spans_of<'a>(packet: &Transmit, memory: &'a Registry) -> Option<SmallVec<[Span<'a>; 2]>> {
    if packet.payload.len() > ELEMENTS_MAX {
        return None;
    }
    let mut spans = SmallVec::new();
    for sge in &packet.payload {
        spans.push(memory.local(*sge, Access::LOCAL_READ).ok()?);
    }
    Some(spans)
}

/// The device or socket has no room: loss, which the transport recovers.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM))
}

/// Nothing to receive, or what an ICMP message or a route says about one peer: no fault of the
/// link, and no news to the transport, whose timers find out.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::EINTR
                | libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::EHOSTDOWN
                | libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::EPERM
        )
    )
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
