//! A turn of the fabric: which connections are looked at, and what becomes of them.

use super::Stop;
use super::connection::Connection;
use super::fabric::{LISTENER, Listener, TcpFabric};
use super::machine::{Machine, Stage};
use super::secure::Layer;
use crate::fabric::{QpHandle, Security};
use crate::stream::{self, Ready};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Instant;

/// Up to so many busy connections are read in every turn, without asking which has something.
const HOT_MAX: usize = 4;
/// Turns without octets after which a connection is not busy.
const HOT_TURNS: u64 = 1024;
/// While busy ones are read so, the others are looked at once in so many turns.
const LOOK_TURNS: u64 = 64;
/// While none is busy, they are looked at once in so many turns.
const IDLE_TURNS: u64 = 8;
/// The same while there is no connection, and only listeners may have something.
const LONELY_TURNS: u64 = 256;
/// Of what comes for connections that are over, so much is thrown away at once.
const UNREAD_BYTES: usize = 16 << 10;
/// Connections accepted in one turn at most, of each listener.
const ACCEPTS_MAX: usize = 64;

impl TcpFabric {
    /// Listens on `port` of the fabric's address; once, however often it is asked for.
    ///
    /// Errors: the address cannot be had.
    pub fn try_listen(&mut self, port: u16) -> io::Result<()> {
        self.try_listen_at(SocketAddr::new(self.shared.config.local, port))
    }
    /// The same at any address of this machine.
    pub(super) fn try_listen_at(&mut self, local: SocketAddr) -> io::Result<()> {
        if self.listeners.iter().any(|listener| listener.local == local) {
            return Ok(());
        }
        let socket = stream::listener(local)?;
        let is_free = |number: &u32| self.listeners.iter().all(|other| other.number != *number);
        let number = (0..u32::MAX).find(is_free).unwrap_or(u32::MAX);
        self.readiness.watch(&socket, LISTENER | u64::from(number), false)?;
        let security = Security::None;
        self.listeners.push(Listener { socket, local, number, is_ready: false, security });
        Ok(())
    }

    /// Asks which descriptors have something.
    fn look(&mut self, now: Instant) {
        self.must_look.set(false);
        self.shared.counts.rx_syscalls += 1;
        // It fails for reasons of this code only; then there is nothing to see.
        let mut told = std::mem::take(&mut self.told);
        let _ = self.readiness.look(&mut told);
        self.shared.counts.rx_empty_syscalls += u64::from(told.is_empty());
        for ready in told.drain(..) {
            let number = u32::try_from(ready.name & !LISTENER).unwrap_or(u32::MAX);
            if ready.name & LISTENER == 0 {
                self.heard(QpHandle(number), ready);
            } else if let Some(listener) = self.listeners.iter_mut().find(|l| l.number == number) {
                listener.is_ready = true;
            }
        }
        self.told = told;
        for number in 0..self.listeners.len() {
            if self.listeners[number].is_ready {
                self.accept_all(number, now);
            }
        }
        self.end_late(now);
        self.let_go(now);
    }
    fn heard(&mut self, qp: QpHandle, ready: Ready) {
        self.at(qp, |connection, _, shared| {
            connection.ended |= ready.ended;
            if ready.writable || (ready.ended && connection.machine.stage == Stage::Connecting) {
                connection.handle_writable(shared)?;
            }
            Ok(())
        });
        if ready.writable {
            self.watch_room(qp, false);
        }
        if ready.readable || ready.ended {
            self.make_ready(qp);
        }
    }
    fn watch_room(&mut self, qp: QpHandle, write: bool) {
        if let Some(connection) = self.connections.get(&qp.0) {
            let watched = self.readiness.watch_room(&connection.stream, qp.0.into(), write);
            watched.expect("it was added, and is open");
        }
    }
    fn accept_all(&mut self, number: usize, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            let listener = &mut self.listeners[number];
            match listener.socket.accept() {
                Ok((stream, from)) => {
                    let (port, security) = (listener.local.port(), listener.security);
                    let machine = Machine::controller(self.take_handle(), from, port);
                    let deadline = now + self.shared.config.handshake;
                    let mut connection = Connection::new(machine, stream, deadline);
                    connection.layer = Layer::of(security);
                    self.add(connection);
                }
                Err(error) => {
                    // Without descriptors it waits for better times.
                    listener.is_ready = error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }
    pub(super) fn add(&mut self, connection: Connection) {
        let qp = connection.machine.qp;
        // It is to be told when the kernel has connected it.
        let write = connection.machine.stage == Stage::Connecting;
        // What the kernel accepted would block otherwise.
        let usable = connection.stream.set_nonblocking(true);
        let watched =
            usable.and_then(|()| self.readiness.watch(&connection.stream, qp.0.into(), write));
        self.connections.insert(qp.0, Box::new(connection));
        self.handshakes.push(qp);
        if watched.is_err() {
            self.at(qp, |_, _, _| Err::<(), Stop>(Stop::Timeout));
        }
    }
    fn end_late(&mut self, now: Instant) {
        let connections = &mut self.connections;
        self.handshakes.retain(|qp| {
            let Some(connection) = connections.get_mut(&qp.0) else { return false };
            if connection.machine.stage == Stage::Open {
                connection.deadline = None;
            }
            connection.deadline.is_some()
        });
        let deadline = |qp: &QpHandle| connections.get(&qp.0)?.deadline;
        let is_late = |qp: &&QpHandle| deadline(qp).is_some_and(|deadline| now >= deadline);
        let late: Vec<QpHandle> = self.handshakes.iter().filter(is_late).copied().collect();
        for qp in late {
            self.at(qp, |connection, _, _| Err::<(), Stop>(connection.late()));
        }
    }
    /// Ends connections whose peers have begun something long ago. One look for all, now and then: no
    /// PDU has a time of its own.
    #[cold]
    pub(super) fn end_overdue(&mut self, now: Instant) {
        let due = self.next_patience.take();
        if self.connections.is_empty() {
            return;
        }
        let patience = self.shared.config.patience;
        self.next_patience = Some(now + patience);
        // The first look, or one after this side was away: what is unfinished is noted only.
        let notes_only = due.is_none_or(|due| now >= due + patience);
        let handles: Vec<QpHandle> = self.connections.keys().map(|qp| QpHandle(*qp)).collect();
        for qp in handles {
            self.at(qp, |connection, _, _| match connection.handle_patience() {
                Err(_) if notes_only => Ok(()),
                outcome => outcome,
            });
        }
    }
    /// Closes sockets whose peers have, or have had time enough.
    fn let_go(&mut self, now: Instant) {
        if self.lingerers.is_empty() {
            return;
        }
        let mut unread = [0; UNREAD_BYTES];
        self.lingerers.retain_mut(|(stream, until)| {
            let is_open = match stream.read(&mut unread) {
                Ok(count) => count > 0,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            is_open && now < *until
        });
    }

    /// Chooses what is read in this turn.
    pub(super) fn choose(&mut self, now: Instant) {
        self.turn += 1;
        let direct = !self.hot.is_empty() && self.hot.len() <= HOT_MAX;
        let due = self.turn.is_multiple_of(LOOK_TURNS);
        if due {
            self.cool();
        }
        // Where nothing is busy, another fabric beside may be: a look is a system call.
        let lonely = self.connections.is_empty();
        let turns = if lonely { LONELY_TURNS } else { IDLE_TURNS };
        let idle = self.hot.is_empty() && !self.turn.is_multiple_of(turns);
        if !direct && !idle || due && !lonely || self.must_look.get() {
            self.look(now);
        }
        if direct {
            for at in 0..self.hot.len() {
                self.make_ready(self.hot[at]);
            }
        }
    }
    fn cool(&mut self) {
        let (connections, turn) = (&mut self.connections, self.turn);
        self.hot.retain(|qp| {
            let Some(connection) = connections.get_mut(&qp.0) else { return false };
            // One that waits for a receive is not read; epoll tells when it ends.
            let waits = connection.machine.is_blocked();
            connection.is_hot = !waits && turn - connection.heard < HOT_TURNS;
            connection.is_hot
        });
    }
    pub(super) fn read(&mut self, qp: QpHandle) {
        let turn = self.turn;
        let outcome = self.at(qp, |connection, tools, shared| {
            connection.is_ready = false;
            if matches!(connection.machine.stage, Stage::Over(_)) {
                return Ok((false, false));
            }
            let came = connection.read(tools, shared)?;
            if came.any {
                connection.heard = turn;
            }
            let warms = came.any && !std::mem::replace(&mut connection.is_hot, true);
            Ok((came.more, warms))
        });
        let (more, warms) = outcome.unwrap_or_default();
        if warms {
            self.hot.push(qp);
        }
        if more {
            self.make_ready(qp);
        }
    }
    pub(super) fn write(&mut self, qp: QpHandle) {
        let outcome = self.at(qp, |connection, tools, shared| {
            connection.is_dirty = false;
            connection.write(tools, shared)?;
            Ok((connection.is_blocked, connection.is_dead()))
        });
        let (is_blocked, is_dead) = outcome.unwrap_or_default();
        if is_blocked {
            self.watch_room(qp, true);
        }
        if is_dead {
            self.make_ready(qp);
        }
    }
}
