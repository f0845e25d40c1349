//! One connection's TLS: octets of the socket in and out, plain octets out and in.

use super::hello::{self, Hello};
use super::records::Records;
use super::session::{Progress, Session, SharedWire};
use super::{Keys, RECORD_BYTES, TlsFault};
use crate::fabric::Psk;
use crate::nvme_tcp::Stop;
use s2n_tls::enums::Mode;
use std::io;

/// Octets that are read from the socket at once: four records of the largest kind.
const READ_BYTES: usize = 4 * (RECORD_BYTES + 256);
/// Alerts that are told in the clear: a record of two octets. Source: RFC 8446, "Alert Protocol".
const ALERT_RECORD: [u8; 6] = [21, 3, 3, 0, 2, 2];

enum Stage {
    /// Controller: the host's first message is not complete.
    Greeting,
    /// The handshake goes on.
    Handshake(Session),
    /// Octets may pass.
    Open(Session),
    /// It failed, or is over.
    Over,
}

/// TLS of one connection.
pub(in crate::nvme_tcp) struct Channel {
    stage: Stage,
    wire: SharedWire,
    /// Where in the peer's records the socket is, and which was not whole at the last look.
    records: Records,
    unfinished: Option<u32>,
    /// Name of the key that both sides have, once that is proved.
    identity: Option<String>,
}

impl Channel {
    /// A host's. Errors: no memory, or a key that is none.
    pub(in crate::nvme_tcp) fn host(keys: &mut Keys) -> Result<Channel, TlsFault> {
        let (config, wire) = (keys.config()?, SharedWire::default());
        let own: Vec<&Psk> = keys.own.iter().collect();
        let session = Session::new(Mode::Client, config, wire.clone(), &own)?;
        Ok(Channel { wire, ..Channel::of(Stage::Handshake(session)) })
    }
    /// A controller's: nothing is spent before the host has named a key.
    pub(in crate::nvme_tcp) fn controller() -> Channel {
        Channel::of(Stage::Greeting)
    }
    fn of(stage: Stage) -> Channel {
        let (wire, records) = (SharedWire::default(), Records::default());
        Channel { stage, wire, records, unfinished: None, identity: None }
    }
    /// Plain octets may pass.
    pub(in crate::nvme_tcp) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }
    /// What the peer has proved to know a key by.
    pub(in crate::nvme_tcp) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Has `read` take octets from the socket: how many came, and how many would have had room.
    /// Errors: those of `read`.
    pub(in crate::nvme_tcp) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(usize, usize)> {
        let mut wire = self.wire.lock();
        // What is there already is part of a first message, or was left by a turn that was long enough.
        let room = wire.room(READ_BYTES);
        let bytes = room.len();
        let came = read(room)?;
        let from = wire.came;
        wire.came += came;
        self.records.handle_octets(&wire.incoming[from..from + came]);
        Ok((came, bytes))
    }
    /// Time has passed that a record is given to become whole. Errors: the same one was unfinished the
    /// last time.
    pub(in crate::nvme_tcp) fn handle_patience(&mut self) -> Result<(), Stop> {
        let unfinished = self.records.unfinished();
        let before = std::mem::replace(&mut self.unfinished, unfinished);
        if unfinished.is_some() && unfinished == before { Err(Stop::Overdue) } else { Ok(()) }
    }
    /// Anything for the socket.
    pub(in crate::nvme_tcp) fn has_outgoing(&self) -> bool {
        !self.wire.lock().outgoing.is_empty()
    }
    /// Has `write` give octets to the socket: how many were offered, and how many were taken. Errors:
    /// those of `write`.
    pub(in crate::nvme_tcp) fn drain(
        &mut self,
        write: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<(usize, usize)> {
        let mut wire = self.wire.lock();
        let offered = wire.outgoing.len();
        let taken = write(&wire.outgoing)?;
        wire.outgoing.drain(..taken);
        Ok((offered, taken))
    }

    /// Goes on with the handshake, as far as it can. True: it is done now. Errors: it failed.
    pub(in crate::nvme_tcp) fn shake_hands(&mut self, keys: &mut Keys) -> Result<bool, TlsFault> {
        let outcome = self.advance(keys);
        if let Err(fault) = outcome {
            self.stage = Stage::Over;
            if let Some(alert) = fault.alert() {
                let mut wire = self.wire.lock();
                wire.outgoing.extend_from_slice(&ALERT_RECORD);
                wire.outgoing.push(alert);
            }
        }
        outcome
    }
    fn advance(&mut self, keys: &mut Keys) -> Result<bool, TlsFault> {
        if let Stage::Greeting = self.stage {
            match self.meet(keys)? {
                Some(session) => self.stage = Stage::Handshake(session),
                None => return Ok(false),
            }
        }
        let Stage::Handshake(session) = &mut self.stage else { return Ok(false) };
        if let Progress::Hungry = session.negotiate()? {
            return Ok(false);
        }
        self.identity = session.identity();
        let Stage::Handshake(session) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(false);
        };
        self.stage = Stage::Open(session);
        Ok(true)
    }
    /// Controller: the session with the keys that the host names. `None`: its message is not complete.
    fn meet(&self, keys: &mut Keys) -> Result<Option<Session>, TlsFault> {
        let names = match hello::read(self.wire.lock().arrived()) {
            Hello::More => return Ok(None),
            Hello::Bad => return Err(TlsFault::Broken),
            Hello::Names(names) => names,
        };
        if names.is_empty() {
            return Err(TlsFault::NoOffer);
        }
        let config = keys.config()?;
        let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        let known: Vec<&Psk> =
            names.iter().filter_map(|name| keys.known.get(&text(name))).collect();
        if known.is_empty() {
            let names: Vec<String> = names.iter().map(text).collect();
            tracing::info!(?names, "a host names TLS keys that are not known");
            return Err(TlsFault::Unknown);
        }
        Session::new(Mode::Server, config, self.wire.clone(), &known).map(Some)
    }

    /// Puts octets into records for the socket. Panics before it is open. Errors: it cannot.
    pub(in crate::nvme_tcp) fn seal(&mut self, mut plain: &[u8]) -> Result<(), TlsFault> {
        let Stage::Open(session) = &mut self.stage else { panic!("sealed before it was open") };
        while !plain.is_empty() {
            let count = session.seal(plain)?;
            plain = &plain[count..];
        }
        Ok(())
    }
    /// Takes octets out of a record that came. `None`: more has to come first, or it is not open.
    /// `Some(0)`: the peer sends no more. Errors: a record that was changed, or an alert.
    pub(in crate::nvme_tcp) fn unseal(
        &mut self,
        plain: &mut [u8],
    ) -> Result<Option<usize>, TlsFault> {
        let Stage::Open(session) = &mut self.stage else { return Ok(None) };
        match session.unseal(plain)? {
            Progress::Done(count) => Ok(Some(count)),
            Progress::Hungry => Ok(None),
        }
    }
    /// Says that this side sends no more.
    pub(in crate::nvme_tcp) fn finish(&mut self) {
        if let Stage::Open(mut session) = std::mem::replace(&mut self.stage, Stage::Over) {
            session.finish();
        }
    }
}
