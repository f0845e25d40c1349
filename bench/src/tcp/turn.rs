//! A turn of the fabric: which connections are looked at, and what becomes of them.

use super::connection::{Connection, Stage};
use super::fabric::{HANDSHAKE, LISTENER, TcpFabric};
use super::{Shared, Stop};
use netstack::fabric::{FabricEvent, QpHandle};
use netstack::stream::Ready;
use std::io;
use std::time::Instant;

/// Up to so many busy connections are read in every turn, without asking which has something.
const HOT_MAX: usize = 4;
/// Turns without octets after which a connection is not busy.
const HOT_TURNS: u64 = 1024;
/// While busy ones are read so, the others are looked at once in so many turns.
const LOOK_TURNS: u64 = 64;
/// Connections accepted in one turn at most, of each listener.
const ACCEPTS_MAX: usize = 64;

impl TcpFabric {
    /// What `with` does to a connection, and its lists kept right.
    pub(super) fn at<R>(
        &mut self,
        qp: QpHandle,
        with: impl FnOnce(&mut Connection, &mut Shared) -> R,
    ) -> Option<R> {
        let connection = self.connections.get_mut(qp.0 as usize)?.as_deref_mut()?;
        let result = with(connection, &mut self.shared);
        if matches!(connection.stage, Stage::Over(_)) {
            if !self.over.contains(&qp) {
                self.over.push(qp);
            }
        } else if connection.sending.wants_to_write() && !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(qp);
        }
        Some(result)
    }
    pub(super) fn make_ready(&mut self, qp: QpHandle) {
        let connection = self.connections.get_mut(qp.0 as usize);
        if let Some(connection) = connection.and_then(Option::as_deref_mut)
            && !std::mem::replace(&mut connection.is_ready, true)
        {
            self.ready.push(qp);
        }
    }

    /// Asks which descriptors have something.
    fn look(&mut self, now: Instant) {
        self.must_look.set(false);
        self.shared.counts.rx_syscalls += 1;
        // It fails for reasons of this code only; then there is nothing to see.
        let mut told: Vec<Ready> = Vec::new();
        let _ = self.readiness.look(&mut told);
        self.shared.counts.rx_empty_syscalls += u64::from(told.is_empty());
        for ready in told {
            let number = usize::try_from(ready.name & !LISTENER).unwrap_or(usize::MAX);
            if ready.name & LISTENER == 0 {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                self.heard(QpHandle(number), ready);
            } else if let Some(listener) = self.listeners.get_mut(number) {
                listener.is_ready = true;
            }
        }
        for number in 0..self.listeners.len() {
            if self.listeners[number].is_ready {
                self.accept_all(number, now);
            }
        }
        self.end_late(now);
    }
    fn heard(&mut self, qp: QpHandle, ready: Ready) {
        self.at(qp, |connection, shared| {
            connection.ended |= ready.ended;
            if ready.writable || (ready.ended && connection.stage == Stage::Connecting) {
                let outcome = connection.writable();
                outcome.unwrap_or_else(|stop| connection.end(stop, shared));
            }
        });
        if ready.writable {
            self.watch_room(qp, false);
        }
        if ready.readable || ready.ended {
            self.make_ready(qp);
        }
    }
    pub(super) fn watch_room(&mut self, qp: QpHandle, write: bool) {
        if let Some(Some(connection)) = self.connections.get(qp.0 as usize) {
            let watched = self.readiness.watch_room(&connection.stream, qp.0.into(), write);
            watched.expect("it was added, and is open");
        }
    }
    fn accept_all(&mut self, number: usize, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            let listener = &mut self.listeners[number];
            match listener.socket.accept() {
                Ok((stream, from)) => {
                    let from = (from, listener.port);
                    let deadline = now + HANDSHAKE;
                    let qp = self.next_handle();
                    self.add(Connection::accepted(qp, stream, from, deadline), false);
                }
                Err(error) => {
                    // Without descriptors it waits for better times.
                    listener.is_ready = error.kind() != io::ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }
    /// `write`: it is to be told when the kernel has connected it.
    pub(super) fn add(&mut self, connection: Connection, write: bool) {
        let qp = connection.qp;
        let name = qp.0.into();
        // What the kernel accepted would block otherwise.
        let usable = connection.stream.set_nonblocking(true);
        let watched = usable.and_then(|()| self.readiness.watch(&connection.stream, name, write));
        self.connections.push(Some(Box::new(connection)));
        self.handshakes.push(qp);
        if watched.is_err() {
            self.at(qp, |connection, shared| connection.end(Stop::Timeout, shared));
        }
    }
    fn end_late(&mut self, now: Instant) {
        let connections = &self.connections;
        let deadline =
            |qp: QpHandle| connections.get(qp.0 as usize)?.as_ref().and_then(|c| c.deadline);
        self.handshakes.retain(|&qp| deadline(qp).is_some());
        let is_late = |qp: &QpHandle| deadline(*qp).is_some_and(|deadline| now >= deadline);
        let late: Vec<QpHandle> = self.handshakes.iter().copied().filter(is_late).collect();
        for qp in late {
            self.at(qp, |connection, shared| connection.end(Stop::Timeout, shared));
        }
    }

    /// Chooses what is read in this turn.
    pub(super) fn choose(&mut self, now: Instant) {
        self.turn += 1;
        let direct = !self.hot.is_empty() && self.hot.len() <= HOT_MAX;
        let due = self.turn.is_multiple_of(LOOK_TURNS);
        if due {
            self.cool();
        }
        if !direct || due || self.must_look.get() {
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
            let Some(Some(connection)) = connections.get_mut(qp.0 as usize) else { return false };
            // One that waits for a receive is not read; epoll tells when it ends.
            let waits = connection.receiving.is_blocked;
            connection.is_hot = !waits && turn - connection.heard < HOT_TURNS;
            connection.is_hot
        });
    }
    pub(super) fn read(&mut self, qp: QpHandle, buffer: &mut [u8]) {
        let turn = self.turn;
        let outcome = self.at(qp, |connection, shared| {
            connection.is_ready = false;
            if matches!(connection.stage, Stage::Over(_)) {
                return (false, false);
            }
            let before = shared.counts.rx_bytes;
            let more = connection.receive(buffer, shared).unwrap_or_else(|stop| {
                connection.end(stop, shared);
                false
            });
            let came = shared.counts.rx_bytes > before;
            if came {
                connection.heard = turn;
            }
            (more, came && !std::mem::replace(&mut connection.is_hot, true))
        });
        let (more, warms) = outcome.unwrap_or_default();
        if warms {
            self.hot.push(qp);
        }
        if more {
            self.make_ready(qp);
        }
    }
    /// What was told last about those that are over.
    pub(super) fn tell_ends(&mut self, out: &mut Vec<FabricEvent>) {
        for qp in self.over.drain(..) {
            let connection = self.connections.get_mut(qp.0 as usize).and_then(Option::take);
            if let Some(Stage::Over(Some(event))) = connection.map(|connection| connection.stage) {
                out.push(event);
            }
        }
    }
}
