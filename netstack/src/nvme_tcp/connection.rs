//! A connection: its machine, and the socket that the octets go through.

use super::held::{BUFFER_BYTES, Buffer};
use super::machine::{Machine, Stage};
use super::outbox::Element;
use super::secure::Layer;
use super::{Shared, Stop};
use crate::link::sys::StreamArrays;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;
use verbs::WcStatus;

/// Data of which so much is missing is received where it belongs.
const DIRECT_BYTES_MIN: u32 = 16 << 10;
/// Behind such data no more is read than headers: its successor is to land where it belongs too.
const HEADERS_BYTES: usize = 512;
/// Octets that one connection takes in before others have their turn.
pub(super) const TURN_BYTES: usize = 1 << 20;
/// Octets handed over in one call at most.
const SEND_BYTES: usize = 1 << 20;

/// What all connections read and write with.
pub(super) struct Tools {
    pub(super) arrays: StreamArrays,
    pub(super) buffer: Buffer,
    /// Plain octets on their way into TLS.
    pub(super) plain: Vec<u8>,
}

pub(super) struct Connection {
    pub(super) machine: Machine,
    pub(super) stream: TcpStream,
    pub(super) layer: Layer,
    /// The handshake ends by then.
    pub(super) deadline: Option<Instant>,
    /// The kernel said that the peer sends no more.
    pub(super) ended: bool,
    /// The kernel has no room.
    pub(super) is_blocked: bool,
    /// The kernel takes no more: reading will tell why.
    pub(super) is_dead: bool,
    /// It is in the list of those to be read, of those to be written, of those read in every turn.
    pub(super) is_ready: bool,
    pub(super) is_dirty: bool,
    pub(super) is_hot: bool,
    /// Turn in which octets came last.
    pub(super) heard: u64,
}

/// What a read brought.
#[derive(Clone, Copy, Default)]
pub(super) struct Came {
    /// Anything.
    pub(super) any: bool,
    /// There may be more.
    pub(super) more: bool,
}

impl Connection {
    pub(super) fn new(machine: Machine, stream: TcpStream, deadline: Instant) -> Connection {
        // Until the kernel says that it is connected.
        let is_blocked = machine.stage == Stage::Connecting;
        Connection {
            machine,
            stream,
            layer: Layer::Plain,
            deadline: Some(deadline),
            ended: false,
            is_blocked,
            is_dead: false,
            is_ready: false,
            is_dirty: false,
            is_hot: false,
            heard: 0,
        }
    }

    /// The kernel has room, and so is connected. Errors: it could not.
    pub(super) fn handle_writable(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        if self.machine.stage == Stage::Connecting {
            match self.stream.take_error() {
                Ok(None) => {
                    self.machine.handle_connected();
                    self.begin_tls(shared)?;
                }
                Ok(Some(error)) | Err(error) => return Err(no_connection(&error)),
            }
        }
        self.is_blocked = false;
        Ok(())
    }
    /// Time has passed that a PDU, and a record of TLS, is given to become whole. Errors: it is not.
    pub(super) fn handle_patience(&mut self) -> Result<(), Stop> {
        let is_blocked = self.machine.is_blocked();
        let layer = match &mut self.layer {
            Layer::Tls(channel) if !is_blocked => channel.handle_patience(),
            Layer::Tls(_) | Layer::Plain | Layer::Undecided { .. } => Ok(()),
        };
        self.machine.handle_patience().and(layer)
    }
    /// Anything that [`Connection::write`] would try to hand over.
    pub(super) fn wants_to_write(&self) -> bool {
        let wants = match &self.layer {
            Layer::Plain => self.machine.wants_to_write(),
            Layer::Undecided { .. } => false,
            Layer::Tls(channel) => {
                channel.has_outgoing() || (channel.is_open() && self.machine.wants_to_write())
            }
        };
        wants && !self.is_blocked && !self.is_dead
    }

    /// Reads what there is, within bounds, and takes it in. Errors: how it ends.
    pub(super) fn read(&mut self, tools: &mut Tools, shared: &mut Shared) -> Result<Came, Stop> {
        if self.machine.is_blocked() {
            self.machine.resume(shared)?;
            if self.machine.is_blocked() {
                // A peer that is gone does not wait either.
                return if self.ended { Err(Stop::Gone) } else { Ok(Came::default()) };
            }
        }
        if !matches!(self.layer, Layer::Plain) && self.decide()? {
            return self.read_tls(tools, shared);
        }
        let mut came = Came { any: false, more: true };
        let mut left = TURN_BYTES;
        while came.more && left > 0 && !self.machine.is_blocked() {
            let (count, room) = self.read_once(tools, shared)?;
            came.any |= count > 0;
            // Less than there is room for is all that there was. The end is told by a read of nothing.
            came.more = count == room || (self.ended && count > 0);
            left = left.saturating_sub(count.max(1));
        }
        Ok(came)
    }
    /// Octets that came, and how many would have had room. Errors: how it ends.
    fn read_once(
        &mut self,
        tools: &mut Tools,
        shared: &mut Shared,
    ) -> Result<(usize, usize), Stop> {
        shared.counts.rx_syscalls += 1;
        if shared.held.is_full(&tools.buffer) {
            shared.held.settle(&mut tools.buffer, &shared.memory);
        }
        let mut scatter = tools.arrays.scatter();
        let mut room = if self.machine.expects_long_data() { HEADERS_BYTES } else { BUFFER_BYTES };
        let mut direct = 0;
        if let Some(spans) = self.machine.direct_place(DIRECT_BYTES_MIN, shared)? {
            for span in &spans {
                scatter.span(span);
                direct += span.len();
            }
            room = HEADERS_BYTES;
        }
        let buffer = tools.buffer.room(room);
        room = buffer.len();
        scatter.octets(buffer);
        let count = match scatter.receive(self.stream.as_fd()) {
            Ok(0) => return Err(Stop::Gone),
            Ok(count) => count,
            Err(error) => {
                shared.counts.rx_empty_syscalls += 1;
                return self.nothing_came(error.kind(), room);
            }
        };
        shared.counts.rx_bytes += count as u64;
        let landed = count.min(direct);
        if landed > 0 {
            shared.counts.direct_bytes += landed as u64;
            self.machine.handle_landed(u32::try_from(landed).unwrap_or(u32::MAX));
        }
        let taken = self.machine.handle_octets(tools.buffer.came(count - landed), shared);
        shared.held.keep(&mut tools.buffer, count - landed);
        taken?;
        Ok((count, room + direct))
    }

    pub(super) fn nothing_came(&self, why: ErrorKind, room: usize) -> Result<(usize, usize), Stop> {
        if why == ErrorKind::Interrupted {
            Ok((0, 0))
        } else if why == ErrorKind::TimedOut {
            Err(Stop::Timeout)
        } else if why != ErrorKind::WouldBlock || self.is_dead {
            Err(Stop::Gone)
        } else {
            Ok((0, room))
        }
    }

    /// Hands over what is queued, as far as the kernel has room. Errors: how it ends.
    pub(super) fn write(&mut self, tools: &mut Tools, shared: &mut Shared) -> Result<(), Stop> {
        self.machine.settle_outbox(shared)?;
        if !matches!(self.layer, Layer::Plain) {
            return self.write_tls(tools, shared);
        }
        while !self.is_blocked && !self.is_dead && !self.machine.outbox.is_empty() {
            let mut gather = tools.arrays.gather();
            for element in self.machine.outbox.elements(&shared.memory) {
                let fits = match element {
                    Ok(Element::Octets(octets)) => gather.octets(octets),
                    Ok(Element::Span(span)) => gather.span(&span),
                    Err(_) => return Err(Stop::Broken(WcStatus::LocProtErr)),
                };
                if !fits || gather.bytes() >= SEND_BYTES {
                    break;
                }
            }
            shared.counts.tx_syscalls += 1;
            let offered = gather.bytes();
            match gather.send(self.stream.as_fd()) {
                Ok(count) => {
                    shared.counts.tx_bytes += count as u64;
                    self.machine.handle_sent(count as u64, shared);
                    self.is_blocked = count < offered;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => (self.is_dead, self.ended) = (true, true),
            }
        }
        Ok(())
    }

    /// The machine is over: hands over its last words, as far as the kernel has room, and reports the
    /// work that was not done.
    pub(super) fn close(&mut self, tools: &mut Tools, shared: &mut Shared) {
        // What does not go now is not missed by anybody.
        let _ = self.write(tools, shared);
        self.finish_tls(shared);
        let _ = self.stream.shutdown(Shutdown::Write);
        self.machine.flush(shared);
    }
    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }
}

/// How it ends when the kernel cannot connect.
pub(super) fn no_connection(error: &io::Error) -> Stop {
    let is_refused = error.kind() == ErrorKind::ConnectionRefused;
    if is_refused { Stop::NoListener } else { Stop::Timeout }
}
