//! The fabric: listeners, connections, and which of them to look at in a turn.

use super::connection::{Connection, Tools, no_connection};
use super::hash::NumberHash;
use super::held::{Buffer, Held};
use super::machine::{Machine, NotPosted, REASON_INVALID_SERVICE, Stage};
use super::tls::Keys;
use super::{Counts, Shared, Stop, TcpConfig};
use crate::fabric::{
    ConnectParams, DisconnectReason, Fabric, FabricEvent, FabricLimits, Full, Landed, Psk,
    QpHandle, Security, Work, no_transport,
};
use crate::link::sys::StreamArrays;
use crate::stream::{self, Readiness, Ready};
use memory::{Access, DmaBuf, Mr, Region, Registry, RegistryFull};
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Registrations at once.
const REGISTRATIONS_MAX: usize = 1 << 16;
/// In-capsule data of admin commands. Source: NVMe TCP Transport Specification 1.0, "Capsules and
/// SGLs".
const ADMIN_IN_CAPSULE_BYTES: u32 = 8192;
/// In the name of a listener.
pub(super) const LISTENER: u64 = 1 << 63;
/// Handles count from here, so that those of another fabric beside it are different.
const FIRST_HANDLE: u32 = 1 << 31;
/// A peer that was told the end has so long to close the connection.
const LINGER: Duration = Duration::from_secs(2);
/// More do not linger at once: those that do so longest are closed.
const LINGERERS_MAX: usize = 1024;

pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) local: SocketAddr,
    /// What it is called where descriptors are watched.
    pub(super) number: u32,
    /// Somebody waits there.
    pub(super) is_ready: bool,
    /// Whether its hosts speak TLS.
    pub(super) security: Security,
}

/// A fabric over NVMe/TCP, for hosts and controllers.
pub struct TcpFabric {
    pub(super) shared: Shared,
    pub(super) tools: Tools,
    pub(super) readiness: Readiness,
    pub(super) listeners: Vec<Listener>,
    pub(super) connections: HashMap<u32, Box<Connection>, NumberHash>,
    next_handle: u32,
    /// To be read, to be written, read in every turn, with a deadline, over but not told yet.
    pub(super) ready: Vec<QpHandle>,
    pub(super) dirty: Vec<QpHandle>,
    pub(super) hot: Vec<QpHandle>,
    pub(super) handshakes: Vec<QpHandle>,
    pub(super) over: Vec<QpHandle>,
    /// Sockets of connections that are over, until their peers have closed them too: closed earlier,
    /// with octets in it that nobody reads, a socket takes back what it sent last.
    pub(super) lingerers: Vec<(TcpStream, Instant)>,
    /// Kept for their memory.
    pub(super) told: Vec<Ready>,
    batch: Vec<QpHandle>,
    pub(super) turn: u64,
    /// When to look whose PDUs are not whole yet; `None`: there is no connection.
    pub(super) next_patience: Option<Instant>,
    /// The next turn looks at all.
    pub(super) must_look: Cell<bool>,
}

impl TcpFabric {
    /// Errors: no descriptors left.
    pub fn new(config: TcpConfig) -> io::Result<TcpFabric> {
        let seed = RandomState::new().hash_one(std::process::id());
        let buffer = Buffer::new();
        let shared = Shared {
            held: Held::new(&buffer),
            memory: Registry::new(REGISTRATIONS_MAX, seed),
            events: Vec::new(),
            counts: Counts::default(),
            keys: Keys::default(),
            config,
        };
        Ok(TcpFabric {
            shared,
            tools: Tools { arrays: StreamArrays::new(), buffer, plain: Vec::new() },
            readiness: Readiness::new()?,
            listeners: Vec::new(),
            connections: HashMap::default(),
            next_handle: FIRST_HANDLE,
            ready: Vec::new(),
            dirty: Vec::new(),
            hot: Vec::new(),
            handshakes: Vec::new(),
            over: Vec::new(),
            lingerers: Vec::new(),
            told: Vec::new(),
            batch: Vec::new(),
            turn: 0,
            next_patience: None,
            must_look: Cell::new(true),
        })
    }

    /// Knows a registration that another fabric made, under its keys.
    pub(super) fn adopt(&mut self, region: &Region, mr: &Mr) {
        self.shared.memory.adopt(region, mr);
    }
    pub(super) fn release(&mut self, mr: &Mr) {
        self.shared.memory.release(mr.lkey);
    }

    /// Copies what landed there from the buffer. False: not all of it is there any more.
    pub(super) fn copy_held(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> bool {
        let addr = from.region.addr() + from.offset as u64;
        self.shared.held.copy(&self.tools.buffer, addr, from.len as u64, into)
    }

    /// A handle of this fabric, not of one that another kind gives out.
    #[must_use]
    pub fn is_own(qp: QpHandle) -> bool {
        qp.0 >= FIRST_HANDLE
    }
    pub(super) fn take_handle(&mut self) -> QpHandle {
        loop {
            let handle = self.next_handle;
            // Peers connect as often as they like. After 2^31 times nobody remembers the first.
            self.next_handle = handle.checked_add(1).unwrap_or(FIRST_HANDLE);
            if !self.connections.contains_key(&handle) {
                return QpHandle(handle);
            }
        }
    }

    /// What `with` does to a connection, and its lists kept right. `None`: it is gone.
    pub(super) fn at<R>(
        &mut self,
        qp: QpHandle,
        with: impl FnOnce(&mut Connection, &mut Tools, &mut Shared) -> Result<R, Stop>,
    ) -> Option<R> {
        let connection = self.connections.get_mut(&qp.0)?;
        let outcome = with(connection, &mut self.tools, &mut self.shared);
        let result = match outcome {
            Ok(result) => Some(result),
            Err(stop) => {
                connection.machine.end(stop, &mut self.shared);
                None
            }
        };
        if matches!(connection.machine.stage, Stage::Over(_)) {
            if !self.over.contains(&qp) {
                connection.close(&mut self.tools, &mut self.shared);
                self.over.push(qp);
            }
        } else if connection.wants_to_write() && !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(qp);
        }
        result
    }
    pub(super) fn make_ready(&mut self, qp: QpHandle) {
        if let Some(connection) = self.connections.get_mut(&qp.0)
            && !std::mem::replace(&mut connection.is_ready, true)
        {
            self.ready.push(qp);
        }
    }
    /// What was told last about those that are over.
    fn tell_ends(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        for qp in self.over.drain(..) {
            let Some(connection) = self.connections.remove(&qp.0) else { continue };
            let Connection { machine, stream, ended, .. } = *connection;
            if let Stage::Over(Some(event)) = machine.stage {
                out.push(event);
            }
            if !ended {
                self.lingerers.push((stream, now + LINGER));
            }
        }
        if self.lingerers.len() > LINGERERS_MAX {
            self.lingerers.drain(..self.lingerers.len() - LINGERERS_MAX);
        }
    }
}

impl Fabric for TcpFabric {
    fn limits(&self) -> FabricLimits {
        let read_depth_max = super::machine::READ_DEPTH;
        FabricLimits { name: "tcp", max_message_bytes: 1 << 30, read_depth_max }
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.shared.memory.register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        // Unknown keys are ignored by contract.
        let _ = self.shared.memory.deregister(mr.lkey);
    }
    fn hold_back(&mut self, mr: &Mr) {
        // An unknown key holds nothing back.
        let _ = self.shared.memory.hold_back(mr.lkey);
    }
    fn copy_landed(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> u64 {
        if self.copy_held(from, into) {
            return 0;
        }
        self.settle_landed();
        into.place_from(from.region, from.offset, from.len);
        from.len as u64
    }
    fn settle_landed(&mut self) {
        self.shared.held.settle(&mut self.tools.buffer, &self.shared.memory);
    }
    fn in_capsule_bytes(&self, _qp: QpHandle) -> u32 {
        self.shared.config.in_capsule_bytes
    }
    fn admin_in_capsule_bytes(&self) -> u32 {
        ADMIN_IN_CAPSULE_BYTES
    }
    fn may_elide_responses(&self) -> bool {
        true
    }
    fn keyed_sgls(&self, _qp: QpHandle) -> bool {
        false
    }
    fn lands_whole_packets(&self, _qp: QpHandle) -> bool {
        false
    }
    fn listen(&mut self, port: u16) {
        let local = SocketAddr::new(self.shared.config.local, port);
        if let Err(error) = self.try_listen(port) {
            tracing::error!(%local, %error, "cannot listen");
        }
    }
    fn secure_listener(
        &mut self,
        trtype: &str,
        address: SocketAddr,
        security: Security,
    ) -> io::Result<()> {
        self.set_security(trtype, address, security)
    }
    fn set_psk(&mut self, identity: &str, psk: Option<Psk>) {
        self.shared.keys.set(identity, psk);
    }
    fn set_own_psks(&mut self, psks: Vec<Psk>) {
        self.set_host_psks(psks);
    }
    fn identity_of(&self, qp: QpHandle) -> Option<&str> {
        self.connections.get(&qp.0)?.layer.identity()
    }
    fn path_of(&self, qp: QpHandle) -> (&'static str, Option<IpAddr>) {
        let connection = self.connections.get(&qp.0);
        let local = connection.and_then(|connection| connection.stream.local_addr().ok());
        (self.limits().name, local.map(|local| local.ip()))
    }
    fn open_listener(&mut self, trtype: &str, address: SocketAddr) -> io::Result<()> {
        if trtype == "tcp" { self.try_listen_at(address) } else { Err(no_transport(trtype)) }
    }
    fn close_listener(&mut self, _trtype: &str, address: SocketAddr) -> io::Result<()> {
        // Closed, the socket is watched no more.
        self.listeners.retain(|listener| listener.local != address);
        Ok(())
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        let qp = self.take_handle();
        let deadline = now + self.shared.config.handshake;
        match stream::connecting(self.shared.config.local, to) {
            Ok(stream) => {
                let machine = Machine::host(qp, to, &params, &self.shared);
                self.add(Connection::new(machine, stream, deadline));
                self.at(qp, |connection, _, shared| connection.set_host_layer(shared));
            }
            Err(error) => {
                let reason = DisconnectReason::Timeout;
                let event = if no_connection(&error) == Stop::NoListener {
                    let (reason, private) = (REASON_INVALID_SERVICE, Vec::new());
                    FabricEvent::Rejected { qp, reason, private }
                } else {
                    FabricEvent::Disconnected { qp, reason }
                };
                self.shared.events.push(event);
            }
        }
        qp
    }
    fn accept(&mut self, _now: Instant, qp: QpHandle, params: ConnectParams) {
        self.at(qp, |connection, _, shared| {
            connection.machine.accept(&params, shared);
            connection.deadline = None;
            Ok(())
        });
        self.make_ready(qp);
    }
    fn reject(&mut self, _now: Instant, qp: QpHandle, private: &[u8]) {
        self.at(qp, |connection, _, shared| {
            connection.machine.reject(private, shared);
            Ok(())
        });
    }
    fn disconnect(&mut self, _now: Instant, qp: QpHandle) {
        self.at(qp, |connection, _, shared| {
            connection.machine.disconnect(shared);
            Ok(())
        });
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        let posted =
            self.at(qp, |connection, _, shared| match connection.machine.post(work, shared) {
                Ok(resumes) => Ok(Ok(resumes)),
                Err(NotPosted::Full(full)) => Ok(Err(full)),
                Err(NotPosted::Stop(stop)) => Err(stop),
            });
        // A connection that is gone takes work silently: its end was told.
        if posted.transpose()? == Some(true) {
            self.make_ready(qp);
        }
        Ok(())
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        self.settle_landed();
        self.choose(now);
        // What is to be read again meanwhile comes in the next turn.
        let mut ready = std::mem::replace(&mut self.ready, std::mem::take(&mut self.batch));
        for qp in ready.drain(..) {
            self.read(qp);
        }
        self.batch = ready;
        // After what came was read: nobody is blamed for a pause of this side.
        if self.next_patience.is_none_or(|at| now >= at) {
            self.end_overdue(now);
        }
        if std::mem::take(&mut self.shared.counts.unsettled) {
            memory::settle();
        }
        out.append(&mut self.shared.events);
        self.tell_ends(now, out);
    }
    fn flush(&mut self, _now: Instant) {
        let mut dirty = std::mem::replace(&mut self.dirty, std::mem::take(&mut self.batch));
        for qp in dirty.drain(..) {
            self.write(qp);
        }
        self.batch = dirty;
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let deadline = |qp: &QpHandle| self.connections.get(&qp.0)?.deadline;
        let lingerers = self.lingerers.iter().map(|(_, until)| *until);
        let times = self.handshakes.iter().filter_map(deadline).chain(lingerers);
        times.chain(self.next_patience).min()
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
    fn is_parting(&self) -> bool {
        !self.lingerers.is_empty()
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
        report("tcp.tx_pdus", counts.tx_pdus);
        report("tcp.rx_pdus", counts.rx_pdus);
        report("link.tx_copied_bytes", 0);
        report("dpa.placed_bytes", counts.placed_bytes);
        report("tcp.direct_bytes", counts.direct_bytes);
        report("tcp.faults", counts.faults);
        report("tcp.overdue", counts.overdue);
        report("tls.handshakes", counts.tls_handshakes);
        report("tls.failures", counts.tls_failures);
        report("tls.refused_plain", counts.tls_refused_plain);
        report("tls.copied_bytes", counts.tls_copied_bytes);
    }
}
