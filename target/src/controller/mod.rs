//! One controller: what a host has after Connect on an admin queue.
//!
//! A pure machine: commands in, a result or a [`Fault`] out, and [`Completion`]s of Asynchronous
//! Event Requests through `poll_completion`. It moves no data and knows no fabric.
//! Read first: `admin` (which command goes where). Source: NVMe Base 2.0, "Controllers".

mod abort;
mod admin;
mod aer;
mod ana_page;
mod discovery;
mod error_log;
mod fabrics;
mod features;
mod identify;
mod identify_namespace;
mod keep_alive;
mod log_page;
mod registers;
mod reservation_log;
mod settings;

pub(crate) use admin::{AUTH_SEND_BYTES_MAX, host_data_bytes};
pub(crate) use aer::AER_LIMIT;
pub(crate) use error_log::FailedCommand;
pub(crate) use fabrics::{ConnectRequest, parse_connect, unknown_type};
pub(crate) use identify::lists_controllers;
pub(crate) use registers::{ADMIN_ENTRIES_MAX, QUEUE_ENTRIES_MAX};

use crate::access::{Gates, Viewer};
use crate::directory::Directory;
use crate::disk::DiskInfo;
use crate::fault::Fault;
use crate::queue::Inflight;
use crate::reactor::Channels;
use crate::subsystem::{Port, Subsystem};
use aer::Aer;
use error_log::ErrorLog;
use keep_alive::KeepAlive;
pub use registers::ControllerKind;
use registers::Registers;
use reservation_log::Notices;
use settings::Settings;
use std::collections::VecDeque;
use std::time::Instant;
use wire::fabrics::ConnectFault;
use wire::nvme::{AsyncEvent, Status};

/// I/O queues that one host may have.
pub(crate) const QUEUES_MAX: u16 = 128;
/// A discovery controller whose host names no timeout is kept this long.
const DISCOVERY_KATO_MS: u32 = 120_000;

/// Everything outside a controller that its answers tell of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World<'w> {
    /// The controller's subsystem.
    pub(crate) subsystem: &'w Subsystem,
    /// All subsystems, the discovery service among them.
    pub(crate) subsystems: &'w [Subsystem],
    /// Where they are reached.
    pub(crate) ports: &'w [Port],
    /// Which of them speak TLS.
    pub(crate) channels: &'w Channels,
    /// What namespaces lie on.
    pub(crate) disks: &'w [DiskInfo],
    /// What else the discovery log tells.
    pub(crate) directory: &'w Directory,
    /// Most octets of one command.
    pub(crate) max_transfer_bytes: u32,
    /// Octets of data that a command may bring in its capsule.
    pub(crate) in_capsule_bytes: u32,
    /// The fabric reaches the host's memory by keys.
    pub(crate) keyed_sgls: bool,
    /// Controllers that an Identify asks about, ascending; empty for other commands.
    pub(crate) controllers: &'w [u16],
}

/// An Asynchronous Event Request that ends.
#[derive(Debug)]
pub(crate) struct Completion {
    /// The request.
    pub(crate) request: Inflight,
    /// Outcome.
    pub(crate) status: Status,
    /// Dword 0.
    pub(crate) result: u32,
}

/// Who a controller is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// Controller identifier, unique in its subsystem.
    pub(crate) cntlid: u16,
    /// Subsystem, by its place in the reactor.
    pub(crate) subsystem: usize,
    /// Host's NQN.
    pub(crate) host_nqn: String,
    /// Host's identifier.
    pub(crate) host_id: [u8; 16],
}

/// A controller.
#[derive(Debug)]
pub(crate) struct Controller {
    /// Controller identifier, unique in its subsystem.
    pub(crate) cntlid: u16,
    /// Subsystem, by its place in the reactor.
    pub(crate) subsystem: usize,
    /// Host's NQN.
    pub(crate) host_nqn: String,
    host_id: [u8; 16],
    kind: ControllerKind,
    created: Instant,
    registers: Registers,
    keep_alive: KeepAlive,
    settings: Settings,
    aer: Aer,
    errors: ErrorLog,
    /// Namespaces that changed since log page 04h was read.
    changed: Vec<u32>,
    /// Connections by queue identifier: 0 is the admin queue.
    queues: Vec<Option<u32>>,
    completions: VecDeque<Completion>,
    notices: Notices,
    /// Port through which it was made.
    port: u16,
    gates: Gates,
    /// What the discovery log told when its host last heard of a change; `None` at first.
    view: Option<u64>,
    /// Its connections are being ended.
    pub(crate) is_dying: bool,
}

impl Controller {
    /// A controller as after a reset at `now`, without queues.
    pub(crate) fn new(
        now: Instant,
        identity: Identity,
        kind: ControllerKind,
        kato_ms: u32,
    ) -> Controller {
        let kato_ms = match kind {
            ControllerKind::Discovery if kato_ms == 0 => DISCOVERY_KATO_MS,
            ControllerKind::Discovery | ControllerKind::Io => kato_ms,
        };
        let queues_max = if kind == ControllerKind::Io { QUEUES_MAX } else { 0 };
        Controller {
            cntlid: identity.cntlid,
            subsystem: identity.subsystem,
            host_nqn: identity.host_nqn,
            host_id: identity.host_id,
            kind,
            created: now,
            registers: Registers::new(kind),
            keep_alive: KeepAlive::new(now, kato_ms),
            settings: Settings::new(now),
            aer: Aer::default(),
            errors: ErrorLog::default(),
            changed: Vec::new(),
            queues: vec![None; usize::from(queues_max) + 1],
            completions: VecDeque::new(),
            notices: Notices::default(),
            port: 0,
            gates: Gates::default(),
            view: None,
            is_dying: false,
        }
    }
    /// Commands other than Fabrics are served.
    pub(crate) fn check_ready(&self) -> Result<(), Fault> {
        if self.registers.is_ready() {
            return Ok(());
        }
        Err(Fault::at(Status::COMMAND_SEQUENCE, crate::fault::field::NONE))
    }
    /// A command of any of its queues arrived.
    pub(crate) fn handle_traffic(&mut self, now: Instant) {
        self.keep_alive.handle_traffic(now);
    }
    /// The host is to be given up.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.keep_alive.is_expired(now)
    }
    /// Writes may be acknowledged from the volatile cache.
    pub(crate) fn write_cache(&self) -> bool {
        self.settings.write_cache
    }
    /// Whose controller it is: an I/O queue is refused to anybody else.
    pub(crate) fn host_id(&self) -> [u8; 16] {
        self.host_id
    }

    /// The port through which the host came: asymmetric access goes by it.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.port = port;
    }
    /// What it may do with each namespace.
    pub(crate) fn gates(&self) -> &Gates {
        &self.gates
    }
    /// Something changed in `subsystem`, its own: looks at every namespace again, and returns those
    /// that came or went.
    pub(crate) fn refresh_gates(&mut self, subsystem: &Subsystem) -> Vec<u32> {
        let viewer = self.viewer();
        let now = Gates::of(subsystem, viewer);
        let before = std::mem::replace(&mut self.gates, now);
        self.gates.attachment_changes(&before)
    }

    /// Something changed of namespace `nsid` of `subsystem`, which did not come or go.
    pub(crate) fn refresh_gate(&mut self, subsystem: &Subsystem, nsid: u32) {
        let Controller { host_nqn, host_id, port, gates, .. } = self;
        gates.refresh(subsystem, nsid, Viewer { host_nqn, host_id: *host_id, port: *port });
    }
    fn viewer(&self) -> Viewer<'_> {
        Viewer { host_nqn: &self.host_nqn, host_id: self.host_id, port: self.port }
    }

    /// Takes a connection as queue `qid`. Errors: no such queue, or taken.
    pub(crate) fn attach(&mut self, qid: u16, queue: u32) -> Result<(), Fault> {
        match self.queues.get_mut(usize::from(qid)) {
            None => Err(Fault::connect(ConnectFault::QUEUE_ID)),
            Some(Some(_)) => {
                Err(Fault::at(Status::COMMAND_SEQUENCE, ConnectFault::QUEUE_ID.offset))
            }
            Some(free) => {
                *free = Some(queue);
                Ok(())
            }
        }
    }
    /// Connection `queue` is gone.
    pub(crate) fn detach(&mut self, queue: u32) {
        let taken = self.queues.iter_mut().filter(|place| **place == Some(queue));
        taken.for_each(|place| *place = None);
    }
    /// Its connections, the admin queue first.
    pub(crate) fn queues(&self) -> impl Iterator<Item = u32> + '_ {
        self.queues.iter().flatten().copied()
    }
    /// It is one of namespaces, not of the discovery log.
    pub(crate) fn has_io_queues(&self) -> bool {
        self.kind == ControllerKind::Io
    }
    /// The connection of queue `qid`.
    pub(crate) fn queue(&self, qid: u16) -> Option<u32> {
        self.queues.get(usize::from(qid)).copied().flatten()
    }
    /// Its admin queue.
    pub(crate) fn admin_queue(&self) -> Option<u32> {
        self.queues.first().copied().flatten()
    }

    /// Something happened that hosts may ask to hear of.
    pub(crate) fn handle_event(&mut self, event: AsyncEvent) {
        self.aer.handle_event(event);
        self.complete_events();
    }
    /// A namespace of its subsystem changed.
    pub(crate) fn handle_namespace_change(&mut self, nsid: u32) {
        if !self.changed.contains(&nsid) {
            self.changed.push(nsid);
        }
        self.handle_event(AsyncEvent::NAMESPACE_CHANGED);
    }
    /// An Asynchronous Event Request. Errors: the request itself, when there are too many.
    pub(crate) fn handle_event_request(&mut self, request: Inflight) -> Result<(), Inflight> {
        self.aer.handle_request(request)?;
        self.complete_events();
        Ok(())
    }
    fn complete_events(&mut self) {
        while let Some((request, event)) = self.aer.poll_event() {
            let result = event.dword();
            self.completions.push_back(Completion { request, status: Status::SUCCESS, result });
        }
    }
    /// Event requests that end.
    pub(crate) fn poll_completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }
    /// The admin queue is gone: nobody is left to answer.
    pub(crate) fn handle_admin_gone(&mut self) {
        self.aer.drain().for_each(Inflight::abandon);
        self.completions.drain(..).for_each(|completion| completion.request.abandon());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.handle_admin_gone();
    }
}
