//! A batch of packets as messages for the kernel: runs of equal packets, one message each.

use super::run::Runs;
use super::sys::{self, ELEMENTS_MAX, SendBatch};
use super::trailer::{Path, trailer};
use super::{LinkCaps, Transmit};
use memory::{Access, Registry, Span};
use smallvec::SmallVec;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a link that sends datagrams did, since it was made.
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

/// What stands before a message's packets, and whom it names.
pub(super) trait Framing {
    /// Octets before the first packet of a message to that address.
    fn header_bytes(&self, to: SocketAddr) -> usize;
    /// Writes them at `at`, and ends the message.
    fn end(&self, messages: &mut SendBatch<'_>, at: usize, size: &Size);
}

/// A batch on its way to the kernel.
pub(super) struct Assembly<'a, F> {
    pub(super) caps: LinkCaps,
    pub(super) framing: F,
    pub(super) messages: SendBatch<'a>,
    pub(super) sizes: &'a mut Vec<Size>,
    pub(super) counters: &'a mut UdpCounters,
    /// Where the header of the open message is.
    pub(super) header_at: usize,
}

impl<'a, F: Framing> Assembly<'a, F> {
    /// Lays the packets out as messages of equal packets.
    pub(super) fn gather(
        &mut self,
        packets: &[Transmit],
        memory: &'a Registry,
        segments_max: usize,
    ) {
        self.sizes.clear();
        let mut runs = Runs::new(segments_max);
        let mut payload_bytes = 0;
        for packet in packets {
            let Some(spans) = spans_of(packet, memory) else {
                self.counters.tx_bad_key_packets += 1;
                continue;
            };
            let wire_len = packet.wire_len();
            let from = self.caps.source(packet);
            let place = runs.place((from, packet.to), wire_len);
            if place.begins {
                self.end_message();
                self.header_at = self.messages.reserve(self.framing.header_bytes(packet.to));
                self.sizes.push(Size::new(from, packet.to, wire_len));
            }
            if let Some(size) = self.sizes.last_mut() {
                size.packets += 1;
                size.bytes += wire_len as u64;
            }
            let path = Path { from, to: packet.to, ip_id: place.index };
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
            self.framing.end(&mut self.messages, self.header_at, size);
        }
    }

    /// Gives all messages to the kernel, by the socket of where each leaves from: those of one socket
    /// that follow each other in one call, if it takes them all.
    pub(super) fn hand_over<'s>(
        &mut self,
        socket_at: impl Fn(SocketAddr) -> BorrowedFd<'s>,
    ) -> io::Result<usize> {
        let mut handed = 0;
        let (mut at, mut end) = (0, 0);
        let mut failure = None;
        while let Some(next) = self.sizes.get(at).copied() {
            let fd = socket_at(next.from);
            if at == end {
                let is_same = |size: &&Size| {
                    size.from == next.from || socket_at(size.from).as_raw_fd() == fd.as_raw_fd()
                };
                end += self.sizes.iter().skip(at).take_while(is_same).count();
            }
            self.counters.tx_syscalls += 1;
            match self.messages.send(fd, at..end) {
                Ok(count) => {
                    for size in self.sizes.iter().skip(at).take(count) {
                        handed += self.counters.sent(size);
                    }
                    at += count.max(1);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => {
                    // Another socket may have room.
                    let rest = self.sizes.iter().take(end).skip(at).map(|size| size.packets);
                    self.counters.tx_dropped_packets += rest.sum::<u64>();
                    at = end;
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

/// One message: how many packets of which size, from where, to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    segment_bytes: usize,
    packets: u64,
    pub(super) bytes: u64,
}

impl Size {
    fn new(from: SocketAddr, to: SocketAddr, segment_bytes: usize) -> Size {
        Size { from, to, segment_bytes, packets: 0, bytes: 0 }
    }
    /// Octets of each packet but the last, when it holds more than one.
    pub(super) fn segment(&self) -> Option<u16> {
        u16::try_from(self.segment_bytes).ok().filter(|_| self.packets > 1)
    }
}

impl UdpCounters {
    /// A look into the socket; returns messages received, 0 when there were none for now.
    pub(super) fn looked(&mut self, outcome: io::Result<usize>) -> io::Result<usize> {
        self.rx_syscalls += 1;
        match outcome {
            Err(error) if is_transient(&error) => {
                self.rx_empty_syscalls += 1;
                Ok(0)
            }
            Err(error) => Err(error),
            Ok(messages) => {
                self.rx_messages += messages as u64;
                Ok(messages)
            }
        }
    }
    pub(super) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let c = self;
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
