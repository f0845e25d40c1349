//! A connection's way between socket and machine, where it leads through TLS.
//!
//! What TLS costs is paid here and nowhere else: octets are copied into records and out of them.

use super::Shared;
use super::Stop;
use super::connection::{Came, Connection, TURN_BYTES, Tools};
use super::fabric::TcpFabric;
use super::held::BUFFER_BYTES;
use super::machine::Stage;
use super::outbox::Element;
use super::tls::{Channel, FIRST_OCTET, TlsFault};
use crate::fabric::{Psk, Security, no_tls};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use verbs::WcStatus;

/// Octets that are put into records before the socket is given them.
const PLAIN_BYTES: usize = 64 << 10;

/// What lies between socket and machine.
pub(super) enum Layer {
    /// Nothing.
    Plain,
    /// The host's first octet tells (controller).
    Undecided {
        /// It must be TLS.
        required: bool,
    },
    /// TLS.
    Tls(Box<Channel>),
}

impl Layer {
    /// Of the connections of a listener.
    pub(super) fn of(security: Security) -> Layer {
        match security {
            Security::None => Layer::Plain,
            Security::Optional => Layer::Undecided { required: false },
            Security::Required => Layer::Undecided { required: true },
        }
    }
    /// Name of the key that the peer has proved to have.
    pub(super) fn identity(&self) -> Option<&str> {
        match self {
            Layer::Tls(channel) => channel.identity(),
            Layer::Plain | Layer::Undecided { .. } => None,
        }
    }
}

impl TcpFabric {
    /// Host: connections that are made from now on speak TLS with one of `psks`, the best first; with
    /// none, they speak no TLS.
    pub fn set_host_psks(&mut self, psks: Vec<Psk>) {
        self.shared.keys.set_own(psks);
    }
    pub(super) fn set_security(
        &mut self,
        trtype: &str,
        address: SocketAddr,
        security: Security,
    ) -> io::Result<()> {
        let listener = self.listeners.iter_mut().find(|it| trtype == "tcp" && it.local == address);
        let listener = listener.ok_or_else(|| match trtype {
            "tcp" => io::Error::new(ErrorKind::NotFound, format!("no listener at {address}")),
            _ => no_tls(trtype),
        })?;
        listener.security = security;
        Ok(())
    }
}

impl Connection {
    /// Host: with TLS, if there are keys.
    pub(super) fn set_host_layer(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        if shared.keys.wants_tls() {
            let channel = Channel::host(&mut shared.keys).map_err(Stop::Insecure)?;
            self.layer = Layer::Tls(Box::new(channel));
        }
        Ok(())
    }
    /// Host: the kernel has connected it, and the handshake begins.
    pub(super) fn begin_tls(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Layer::Tls(channel) = &mut self.layer else { return Ok(()) };
        channel.shake_hands(&mut shared.keys).map(drop).map_err(Stop::Insecure)
    }
    /// How it ends when its deadline is over.
    pub(super) fn late(&self) -> Stop {
        match &self.layer {
            Layer::Tls(channel) if self.machine.stage == Stage::Greeting && !channel.is_open() => {
                Stop::Insecure(TlsFault::Late)
            }
            Layer::Plain | Layer::Undecided { .. } | Layer::Tls(_) => Stop::Timeout,
        }
    }

    /// Controller: the host's first octet tells whether it speaks TLS. True: it does, or has not told.
    /// Errors: how it ends.
    pub(super) fn decide(&mut self) -> Result<bool, Stop> {
        let Layer::Undecided { required } = self.layer else { return Ok(true) };
        let mut first = [0];
        loop {
            match self.stream.peek(&mut first) {
                Ok(0) => return Err(Stop::Gone),
                Ok(_) if first[0] == FIRST_OCTET => {
                    self.layer = Layer::Tls(Box::new(Channel::controller()));
                    return Ok(true);
                }
                Ok(_) if required => return Err(Stop::Insecure(TlsFault::Plain)),
                Ok(_) => {
                    self.layer = Layer::Plain;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Stop::Gone),
            }
        }
    }

    /// As [`Connection::read`].
    pub(super) fn read_tls(
        &mut self,
        tools: &mut Tools,
        shared: &mut Shared,
    ) -> Result<Came, Stop> {
        if let Layer::Undecided { .. } = self.layer {
            return Ok(Came::default());
        }
        let mut came = Came { any: false, more: true };
        let (mut left, mut is_dry) = (TURN_BYTES, false);
        while left > 0 && !self.machine.is_blocked() {
            if let Some(count) = self.unseal(tools, shared)? {
                came.any = true;
                left = left.saturating_sub(count);
                continue;
            }
            if is_dry {
                came.more = false;
                break;
            }
            let (count, room) = self.fill(shared)?;
            came.any |= count > 0;
            // Less than there is room for is all that there was. The end is told by a read of nothing.
            is_dry = count < room && !(self.ended && count > 0);
        }
        Ok(came)
    }
    /// Takes one record in, and goes on with the handshake before. `None`: nothing is complete.
    fn unseal(&mut self, tools: &mut Tools, shared: &mut Shared) -> Result<Option<usize>, Stop> {
        let Layer::Tls(channel) = &mut self.layer else { return Ok(None) };
        if !channel.is_open() && channel.shake_hands(&mut shared.keys).map_err(Stop::Insecure)? {
            shared.counts.tls_handshakes += 1;
        }
        if shared.held.is_full(&tools.buffer) {
            shared.held.settle(&mut tools.buffer, &shared.memory);
        }
        let count = match channel.unseal(tools.buffer.room(BUFFER_BYTES)) {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Err(Stop::Gone),
            Ok(Some(count)) => count,
            Err(fault) => return Err(Stop::Insecure(fault)),
        };
        shared.counts.tls_copied_bytes += count as u64;
        let taken = self.machine.handle_octets(tools.buffer.came(count), shared);
        shared.held.keep(&mut tools.buffer, count);
        taken?;
        Ok(Some(count))
    }
    /// Reads once: octets that came, and how many would have had room.
    fn fill(&mut self, shared: &mut Shared) -> Result<(usize, usize), Stop> {
        let Layer::Tls(channel) = &mut self.layer else { return Ok((0, 1)) };
        shared.counts.rx_syscalls += 1;
        let stream = &mut self.stream;
        match channel.fill(|room| stream.read(room)) {
            // A target that does not know TLS closes the connection.
            Ok((0, _)) if !channel.is_open() => Err(Stop::Insecure(TlsFault::Broken)),
            Ok((0, _)) => Err(Stop::Gone),
            Ok((count, room)) => {
                shared.counts.rx_bytes += count as u64;
                Ok((count, room))
            }
            Err(error) => {
                shared.counts.rx_empty_syscalls += 1;
                self.nothing_came(error.kind(), 1)
            }
        }
    }

    /// As [`Connection::write`], of what is in the outbox.
    pub(super) fn write_tls(&mut self, tools: &mut Tools, shared: &mut Shared) -> Result<(), Stop> {
        loop {
            self.drain(shared);
            let Layer::Tls(channel) = &mut self.layer else { return Ok(()) };
            let is_idle = !channel.is_open() || self.machine.outbox.is_empty();
            if is_idle || self.is_blocked || self.is_dead {
                return Ok(());
            }
            tools.plain.clear();
            for element in self.machine.outbox.elements(&shared.memory) {
                let element = element.map_err(|_| Stop::Broken(WcStatus::LocProtErr))?;
                if !stage(&element, &mut tools.plain) {
                    break;
                }
            }
            channel.seal(&tools.plain).map_err(Stop::Insecure)?;
            let count = tools.plain.len() as u64;
            shared.counts.tls_copied_bytes += count;
            self.machine.handle_sent(count, shared);
        }
    }
    /// Hands records over, as far as the kernel has room.
    fn drain(&mut self, shared: &mut Shared) {
        let Layer::Tls(channel) = &mut self.layer else { return };
        let stream = &mut self.stream;
        while channel.has_outgoing() && !self.is_blocked && !self.is_dead {
            shared.counts.tx_syscalls += 1;
            match channel.drain(|octets| stream.write(octets)) {
                Ok((offered, taken)) => {
                    shared.counts.tx_bytes += taken as u64;
                    self.is_blocked = taken < offered;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => (self.is_dead, self.ended) = (true, true),
            }
        }
    }
    /// Says the last words of TLS, as far as the kernel has room.
    pub(super) fn finish_tls(&mut self, shared: &mut Shared) {
        if let Layer::Tls(channel) = &mut self.layer {
            channel.finish();
            self.drain(shared);
        }
    }
}

/// Copies an element to the octets that are to be put into records. False: it did not fit in full.
fn stage(element: &Element<'_>, plain: &mut Vec<u8>) -> bool {
    let (before, room) = (plain.len(), PLAIN_BYTES - plain.len());
    match element {
        Element::Octets(octets) => {
            plain.extend_from_slice(&octets[..octets.len().min(room)]);
            octets.len() <= room
        }
        Element::Span(span) => {
            let count = span.len().min(room);
            plain.resize(before + count, 0);
            span.read(&mut plain[before..]);
            span.len() <= room
        }
    }
}
