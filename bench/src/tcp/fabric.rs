//! The fabric: listeners, connections, and which of them to look at in a turn.

use super::connection::{Connection, no_connection};
use super::memory::Table;
use super::sending::MESSAGE_BYTES_MAX;
use super::{Counts, Shared, Stop};
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{
    ConnectParams, DisconnectReason, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work,
    WorkOp,
};
use netstack::stream::{self, Readiness};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Octets read at once at most: what the second-level cache holds beside everything else.
const READ_BYTES: usize = 256 << 10;
/// A handshake takes at most this long.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// In the name of a listener.
pub(super) const LISTENER: u64 = 1 << 63;

pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) port: u16,
    /// Somebody waits there.
    pub(super) is_ready: bool,
}

/// A fabric over kernel TCP.
pub struct TcpFabric {
    pub(super) local: IpAddr,
    pub(super) shared: Shared,
    pub(super) readiness: Readiness,
    pub(super) listeners: Vec<Listener>,
    /// By handle; a handle is not used again.
    pub(super) connections: Vec<Option<Box<Connection>>>,
    /// To be read, to be written, read in every turn, with a deadline, over but not told yet.
    pub(super) ready: Vec<QpHandle>,
    pub(super) dirty: Vec<QpHandle>,
    pub(super) hot: Vec<QpHandle>,
    pub(super) handshakes: Vec<QpHandle>,
    pub(super) over: Vec<QpHandle>,
    /// Kept for its memory.
    batch: Vec<QpHandle>,
    pub(super) turn: u64,
    /// The next turn looks at all.
    pub(super) must_look: Cell<bool>,
    pub(super) buffer: Vec<u8>,
}

impl TcpFabric {
    /// Its connections leave from `local`, and come there.
    ///
    /// Errors: no descriptors left.
    pub fn new(local: IpAddr) -> io::Result<TcpFabric> {
        let shared = Shared {
            memory: Table::new(),
            events: Vec::new(),
            counts: Counts::default(),
            pieces: Vec::new(),
        };
        Ok(TcpFabric {
            local,
            shared,
            readiness: Readiness::new()?,
            listeners: Vec::new(),
            connections: Vec::new(),
            ready: Vec::new(),
            batch: Vec::new(),
            dirty: Vec::new(),
            hot: Vec::new(),
            handshakes: Vec::new(),
            over: Vec::new(),
            turn: 0,
            must_look: Cell::new(true),
            buffer: vec![0; READ_BYTES],
        })
    }

    pub(super) fn next_handle(&self) -> QpHandle {
        QpHandle(u32::try_from(self.connections.len()).expect("fewer than 2^32 connections ever"))
    }
}

impl Fabric for TcpFabric {
    fn limits(&self) -> FabricLimits {
        FabricLimits { name: "tcp", max_message_bytes: MESSAGE_BYTES_MAX, read_depth_max: 128 }
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.shared.memory.register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        self.shared.memory.deregister(mr);
    }
    fn listen(&mut self, port: u16) {
        let local = SocketAddr::new(self.local, port);
        let number = self.listeners.len() as u64;
        let opened = stream::listener(local).and_then(|socket| {
            self.readiness.watch(&socket, LISTENER | number, false)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => self.listeners.push(Listener { socket, port, is_ready: false }),
            Err(error) => tracing::error!(%local, %error, "cannot listen"),
        }
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        let (qp, deadline) = (self.next_handle(), now + HANDSHAKE);
        match stream::connecting(self.local, to) {
            Ok(stream) => {
                self.add(Connection::connecting(qp, stream, to, deadline, params), true);
            }
            Err(error) => {
                self.connections.push(None);
                let timeout = DisconnectReason::Timeout;
                let event = if let Stop::Rejected { reason, private } = no_connection(&error) {
                    FabricEvent::Rejected { qp, reason, private }
                } else {
                    FabricEvent::Disconnected { qp, reason: timeout }
                };
                self.shared.events.push(event);
            }
        }
        qp
    }
    fn accept(&mut self, _now: Instant, qp: QpHandle, params: ConnectParams) {
        self.at(qp, |connection, shared| connection.accept(params, &mut shared.events));
    }
    fn reject(&mut self, _now: Instant, qp: QpHandle, private: &[u8]) {
        self.at(qp, |connection, shared| connection.reject(private, shared));
    }
    fn disconnect(&mut self, _now: Instant, qp: QpHandle) {
        self.at(qp, Connection::disconnect);
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        let is_receive = work.op == WorkOp::Recv;
        let posted = self.at(qp, |connection, shared| {
            connection.post(work, &mut shared.events)?;
            Ok(is_receive && std::mem::take(&mut connection.receiving.is_blocked))
        });
        // A connection that is gone takes work silently: its end was told.
        if posted.transpose()? == Some(true) {
            self.make_ready(qp);
        }
        Ok(())
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        self.choose(now);
        // What is to be read again meanwhile comes in the next turn.
        let mut ready = std::mem::replace(&mut self.ready, std::mem::take(&mut self.batch));
        let mut buffer = std::mem::take(&mut self.buffer);
        for qp in ready.drain(..) {
            self.read(qp, &mut buffer);
        }
        self.buffer = buffer;
        self.batch = ready;
        if std::mem::take(&mut self.shared.counts.unsettled) {
            memory::settle();
        }
        out.append(&mut self.shared.events);
        self.tell_ends(out);
    }
    fn flush(&mut self, _now: Instant) {
        let mut dirty = std::mem::replace(&mut self.dirty, std::mem::take(&mut self.batch));
        for qp in dirty.drain(..) {
            let outcome = self.at(qp, |connection, shared| {
                connection.is_dirty = false;
                let written = connection.sending.write(&connection.stream, shared);
                written.unwrap_or_else(|stop| connection.end(stop, shared));
                connection.ended |= connection.sending.is_dead;
                (connection.sending.is_blocked, connection.sending.is_dead)
            });
            let (is_blocked, is_dead) = outcome.unwrap_or_default();
            if is_blocked {
                self.watch_room(qp, true);
            }
            if is_dead {
                self.make_ready(qp);
            }
        }
        self.batch = dirty;
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let deadline = |qp: &QpHandle| self.connections.get(qp.0 as usize)?.as_ref()?.deadline;
        self.handshakes.iter().filter_map(deadline).min()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.readiness.fd())
    }
    fn has_pending(&self) -> bool {
        let lists = [&self.ready, &self.dirty, &self.over];
        !self.shared.events.is_empty() || lists.iter().any(|list| !list.is_empty())
    }
    fn may_sleep(&self) -> bool {
        // What ends the sleep may be on any of them.
        self.must_look.set(true);
        !self.has_pending()
    }
    fn activity(&self) -> u64 {
        self.shared.counts.tx_bytes + self.shared.counts.rx_bytes
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let counts = &self.shared.counts;
        report("link.tx_syscalls", counts.tx_syscalls);
        report("link.rx_syscalls", counts.rx_syscalls);
        report("link.rx_empty_syscalls", counts.rx_empty_syscalls);
        report("link.tx_bytes", counts.tx_bytes);
        report("link.rx_bytes", counts.rx_bytes);
        report("link.tx_copied_bytes", 0);
        report("dpa.placed_bytes", counts.placed_bytes);
    }
}
