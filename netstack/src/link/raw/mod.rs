//! Whole frames as a link: for peers whose ICRC is to be verified. Needs `CAP_NET_RAW`.
//!
//! Read first: [`frame`] (headers), then this file. The kernel's UDP socket of the same address is
//! kept beside it: it holds the port, so that nobody else takes it and the kernel answers nobody that
//! it is closed, but its filter passes nothing; and what goes to a peer whose Ethernet address is
//! not known leaves by it ([`neighbours`]). See docs/decisions/0018-raw-link.md.

mod filter;
mod frame;
mod neighbours;

pub(super) use filter::nothing;

use self::frame::{HEADER_BYTES_MAX, Incoming, Outgoing, header_bytes};
use self::neighbours::Neighbours;
use super::message::{Assembly, Framing, Size, UdpCounters};
use super::shm::is_near;
use super::sys::{self, Ethernet, FrameArrays, SendArrays, SendBatch};
use super::trailer::ECT_0;
use super::{Flows, Link, LinkCaps, RxRing, Transmit, TxBatch, UdpLink};
use memory::Registry;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;
use wire::roce::Opcode;

/// Ring slots that one `rx_burst` fills.
const SLOTS_MAX: usize = 64;
/// Socket buffers asked for, in octets, each way.
const SOCKET_BUFFER_BYTES: usize = 16 << 20;
/// Ethernet types. Source: IEEE 802 numbers.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A packet socket of the device that owns one address of this host.
pub struct RawLink {
    udp: UdpLink,
    socket: Socket,
    device: Ethernet,
    caps: LinkCaps,
    segments_max: usize,
    /// Type of service of what is sent.
    class: u8,
    neighbours: Neighbours,
    /// Packets for the kernel's socket that were among others.
    unknown: TxBatch,
    send: SendArrays,
    receive: FrameArrays,
    sizes: Vec<Size>,
    counters: UdpCounters,
    own: Own,
}

/// What only this link counts.
#[derive(Clone, Copy, Default)]
struct Own {
    /// Datagrams dropped because their ICRC is wrong.
    rx_bad_icrc_packets: u64,
    /// Packets that left by the kernel's socket.
    tx_resolving_packets: u64,
}

impl RawLink {
    /// A link at `addr`. Port 0 lets the kernel choose.
    ///
    /// Errors: those of [`UdpLink::bind`]; `PermissionDenied` without `CAP_NET_RAW`; `Unsupported`
    /// when the address is of a device that carries no Ethernet frames.
    pub fn bind(addr: SocketAddr) -> io::Result<RawLink> {
        let udp = UdpLink::bind_mute(addr)?;
        let (local, same_host) = (udp.caps().local, udp.caps().same_host);
        // A frame says itself where it comes from. On the loopback device the kernel's socket sends.
        let flows = if same_host { Flows::NONE } else { Flows::ALL };
        let caps = LinkCaps { verifies_icrc: true, flows, ..*udp.caps() };
        let device = sys::ethernet_of(local.ip())?.ok_or_else(|| {
            let why = format!("link=raw: the device of {} has no Ethernet frames", local.ip());
            io::Error::new(io::ErrorKind::Unsupported, why)
        })?;
        // Without a protocol it gets nothing yet.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).map_err(|error| {
            let why = format!("link=raw: needs CAP_NET_RAW (root has it): {error}");
            io::Error::new(error.kind(), why)
        })?;
        socket.set_nonblocking(true)?;
        sys::configure_frames(&socket, SOCKET_BUFFER_BYTES)?;
        socket.attach_filter(&filter::datagrams_to(local))?;
        sys::bind_device(&socket, device.index, if local.is_ipv4() { IPV4 } else { IPV6 })?;
        Ok(RawLink {
            udp,
            socket,
            device,
            caps,
            segments_max: super::run::SEGMENTS_MAX,
            class: 0,
            neighbours: Neighbours::default(),
            unknown: TxBatch::new(caps.burst_max),
            send: SendArrays::new(caps.burst_max, HEADER_BYTES_MAX),
            receive: FrameArrays::new(SLOTS_MAX, header_bytes(local.is_ipv4())),
            sizes: Vec::with_capacity(caps.burst_max),
            counters: UdpCounters::default(),
            own: Own::default(),
        })
    }

    /// What it did so far, without what left by the kernel's socket.
    #[must_use]
    pub fn totals(&self) -> UdpCounters {
        self.counters
    }

    /// Takes in what slot `at` received; returns packets added.
    fn take(&mut self, now: Instant, at: usize, ring: &mut RxRing) -> usize {
        let arrived = self.receive.arrived(at);
        let incoming = arrived.and_then(|(headers, rest)| Incoming::parse(headers, rest));
        let Some(incoming) = incoming.filter(|incoming| !is_near(incoming.from)) else {
            self.counters.rx_dropped_messages += 1;
            ring.skip();
            return 0;
        };
        // On the loopback device the kernel takes no frame that claims to be from 127/8: there all that
        // is sent stays with its socket.
        if !self.caps.same_host {
            self.neighbours.hear(now, incoming.from.ip(), incoming.mac);
        }
        self.counters.rx_bytes += incoming.bytes as u64;
        let before = ring.packets().len();
        ring.fill(incoming.bytes, incoming.segment, incoming.from, incoming.ecn);
        let mut place = 0;
        let bad = ring.retain_from(before, |octets, _| {
            let is_good = is_native(octets) || incoming.is_intact(place, octets);
            place += 1;
            is_good
        });
        self.own.rx_bad_icrc_packets += bad as u64;
        ring.packets().len() - before
    }

    /// Moves what goes to peers of unknown Ethernet address out of the batch, and sends it.
    fn send_unknown(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        let now = Instant::now();
        let mut last: Option<(IpAddr, bool)> = None;
        let neighbours = &mut self.neighbours;
        let mut is_unknown = |packet: &Transmit| {
            let ip = packet.to.ip();
            if let Some((_, known)) = last.filter(|(of, _)| *of == ip) {
                return !known;
            }
            let known = neighbours.find(now, ip).is_some();
            last = Some((ip, known));
            !known
        };
        if !batch.packets().iter().any(&mut is_unknown) {
            return Ok(0);
        }
        batch.move_to(&mut self.unknown, is_unknown);
        self.own.tx_resolving_packets += self.unknown.packets().len() as u64;
        self.udp.tx_burst(&mut self.unknown, memory)
    }
}

/// Native packets have a CRC of their own, or none; whose peer is which is the endpoint's to know.
fn is_native(octets: &[u8]) -> bool {
    octets.first().and_then(|octet| Opcode::from_octet(*octet)).is_some_and(Opcode::is_native)
}

/// Headers of all layers before each message.
struct Framed<'a> {
    device: Ethernet,
    class: u8,
    neighbours: &'a Neighbours,
}

impl Framing for Framed<'_> {
    fn header_bytes(&self, to: SocketAddr) -> usize {
        header_bytes(to.is_ipv4())
    }
    fn end(&self, messages: &mut SendBatch<'_>, at: usize, size: &Size) {
        let macs = (self.device.mac, self.neighbours.mac(size.to.ip()));
        let bytes = usize::try_from(size.bytes).unwrap_or(usize::MAX);
        let (from, to, segment) = (size.from, size.to, size.segment());
        let class = self.class;
        let headers = frame::emit(&Outgoing { from, to, macs, bytes, segment, class });
        messages.patch(at, headers.as_slice());
        messages.end_frame();
    }
}

impl Link for RawLink {
    fn name(&self) -> &'static str {
        "raw"
    }
    fn caps(&self) -> &LinkCaps {
        &self.caps
    }

    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        if ring.free_slots() == 0 {
            return Ok(0);
        }
        let outcome = self.receive.receive(self.socket.as_fd(), ring.free_slots_mut());
        let filled = self.counters.looked(outcome)?;
        if filled == 0 {
            return Ok(0);
        }
        let now = Instant::now();
        let packets = (0..filled).map(|at| self.take(now, at, ring)).sum();
        self.counters.rx_packets += packets as u64;
        Ok(packets)
    }

    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        if batch.packets().is_empty() {
            return Ok(0);
        }
        let resolving = self.send_unknown(batch, memory)?;
        let mut assembly = Assembly {
            caps: self.caps,
            framing: Framed {
                device: self.device,
                class: self.class,
                neighbours: &self.neighbours,
            },
            messages: self.send.batch(memory),
            sizes: &mut self.sizes,
            counters: &mut self.counters,
            header_at: 0,
        };
        assembly.gather(batch.packets(), memory, self.segments_max);
        let outcome = assembly.hand_over(|_| self.socket.as_fd());
        batch.clear();
        if let Err(error) = &outcome
            && error.raw_os_error() == Some(libc::EINVAL)
        {
            // The kernel takes no runs of datagrams from packet sockets (before 6.2): one by one.
            self.segments_max = 1;
        }
        Ok(resolving + outcome?)
    }

    fn set_ecn_capable(&mut self, capable: bool) {
        self.class = if capable { ECT_0 } else { 0 };
        self.udp.set_ecn_capable(capable);
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.counters.report(report);
        report("link.rx_bad_icrc_packets", self.own.rx_bad_icrc_packets);
        report("link.tx_resolving_packets", self.own.tx_resolving_packets);
    }
}

#[cfg(test)]
mod hosts;
#[cfg(test)]
mod tests;
