//! The host's polled face: one controller, its admin queue and its I/O queues, over any fabric.
//!
//! `submit` queues a command, `turn` moves everything that can move, `poll_done` gives outcomes.
//! Nothing blocks. What happens when the connection breaks: [`crate::contract`].

mod ana;
mod authentication;
mod bringup;
mod error;
mod info;
mod io;
mod lane;
mod own;
mod paths;
mod recovery;
mod refusal;

pub use error::HostError;
pub use info::ControllerInfo;

use crate::contract::Timers;
use crate::queue::Command;
use auth::{HostKeys, HostSide};
use lane::Lane;
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{Fabric, FabricEvent};
use std::io as stdio;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::nvme::Status;

/// What to connect to, and how.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Target's address and NVMe port.
    pub target: SocketAddr,
    /// Subsystem NQN (or the discovery NQN).
    pub subnqn: String,
    /// This host's NQN.
    pub hostnqn: String,
    /// This host's identifier, that agrees with its NQN.
    pub hostid: [u8; 16],
    /// I/O queues to ask for; the controller may grant fewer. 0 for a discovery controller.
    pub io_queues: u16,
    /// Commands outstanding per I/O queue, 1 to 1,023.
    pub queue_depth: u16,
    /// Secrets: what this host proves, and what the controller must.
    pub keys: Option<Arc<HostKeys>>,
    /// Have a key for TLS made when this host proves itself, and speak TLS with it from then on (secure
    /// channel concatenation). Over NVMe/TCP, with `keys`; no other host shares the fabric.
    pub concatenate: bool,
    /// Timers.
    pub timers: Timers,
}

/// Where the host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostState {
    /// Connecting for the first time, or again.
    Connecting,
    /// Commands flow.
    Live,
    /// Closed by `disconnect`.
    Closed,
    /// Refused, or gave up. Final.
    Dead,
}

/// A finished command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// From `submit`.
    pub tag: u64,
    /// Outcome.
    pub status: Status,
    /// Command-specific result (dwords 0 and 1 of the completion).
    pub result: u64,
}

/// The command comes back: as many are outstanding as the queue holds.
#[derive(Clone, Copy, Debug)]
pub struct Full(pub Command);

/// One NVMe-oF host connection, driven by `turn`.
pub struct Host<F: Fabric> {
    fabric: F,
    options: HostOptions,
    /// Admin first, then the I/O queues.
    lanes: Vec<Lane>,
    phase: bringup::Phase,
    recovery: recovery::Recovery,
    info: Option<ControllerInfo>,
    error: Option<HostError>,
    scratch: own::Scratch,
    /// The conversation on the queue that is being connected.
    proof: Option<HostSide>,
    /// Conversations so far: each has its number.
    conversations: u16,
    /// Connections are made with a key that such a conversation made.
    is_secured: bool,
    events: Vec<FabricEvent>,
    done: Vec<Completion>,
    aborts: Vec<recovery::Abort>,
    keep_alive_at: Option<Instant>,
    /// How well namespaces are reached by this path.
    ana: ana::Ana,
    /// More paths to the same subsystem.
    paths: Option<Box<paths::Paths<F>>>,
}

impl<F: Fabric> Host<F> {
    /// A host over `fabric`; connecting starts with the first `turn`.
    ///
    /// Errors: memory that cannot be mapped or registered.
    pub fn new(mut fabric: F, options: HostOptions, now: Instant) -> stdio::Result<Host<F>> {
        let depth = options.queue_depth.clamp(1, crate::queue::DEPTH_MAX - 1);
        let mut lanes = Vec::new();
        for qid in 0..=options.io_queues {
            let depth = if qid == 0 { bringup::ADMIN_DEPTH } else { depth };
            lanes.push(Lane::new(&mut fabric, qid, depth, &options.timers)?);
        }
        let scratch = own::Scratch::new(&mut fabric)?;
        Ok(Host {
            fabric,
            options,
            lanes,
            phase: bringup::Phase::Down,
            recovery: recovery::Recovery::new(now),
            info: None,
            error: None,
            scratch,
            proof: None,
            conversations: 0,
            is_secured: false,
            events: Vec::with_capacity(256),
            done: Vec::with_capacity(1024),
            aborts: Vec::new(),
            keep_alive_at: None,
            ana: ana::Ana::default(),
            paths: None,
        })
    }

    /// Where it is; of several paths, the one that is nearest to being live.
    #[must_use]
    pub fn state(&self) -> HostState {
        if self.paths.is_some() { self.state_of_all() } else { self.own_state() }
    }
    fn own_state(&self) -> HostState {
        match self.phase {
            bringup::Phase::Live => HostState::Live,
            bringup::Phase::Dead => HostState::Dead,
            bringup::Phase::Closed => HostState::Closed,
            bringup::Phase::Down | bringup::Phase::Closing | bringup::Phase::Bringup(_) => {
                HostState::Connecting
            }
        }
    }
    /// Why there is no connection, when there is none.
    #[must_use]
    pub fn error(&self) -> Option<&HostError> {
        let others = self.paths.iter().flat_map(|paths| paths.others());
        self.error.as_ref().or_else(|| others.filter_map(|host| host.error.as_ref()).next())
    }
    /// What the controller said of itself; `None` before the first connection.
    #[must_use]
    pub fn info(&self) -> Option<&ControllerInfo> {
        self.live().info.as_ref()
    }
    /// I/O queues in use.
    #[must_use]
    pub fn io_queues(&self) -> usize {
        self.live().lanes.iter().skip(1).filter(|lane| lane.ready).count()
    }
    /// Commands that may be outstanding on an I/O queue.
    #[must_use]
    pub fn queue_depth(&self) -> u16 {
        self.live().lanes.last().map_or(0, |lane| lane.queue.depth())
    }
    /// Where the host connects to.
    pub fn target(&self) -> SocketAddr {
        self.options.target
    }
    /// The fabric, for its counters and descriptor.
    pub fn fabric(&self) -> &F {
        &self.fabric
    }
    /// The fabric, to be changed (test fault injection).
    pub fn fabric_mut(&mut self) -> &mut F {
        &mut self.fabric
    }

    /// Makes `region` usable as command data.
    pub fn register(&mut self, region: &Region) -> Result<Mr, RegistryFull> {
        let access = Access::LOCAL_WRITE | Access::REMOTE_READ | Access::REMOTE_WRITE;
        self.fabric.register(region, access)
    }
    /// Ends a registration. No outstanding command may use it.
    pub fn deregister(&mut self, mr: &Mr) {
        self.fabric.deregister(mr);
    }

    /// Moves everything that can move: sends what was queued, receives, runs timers, sends again.
    pub fn turn(&mut self, now: Instant) {
        self.turn_alone(now);
        if let Some(mut paths) = self.paths.take() {
            paths.turn(self, now);
            self.paths = Some(paths);
            self.fabric.flush(now);
        }
    }
    /// The same of this path.
    fn turn_alone(&mut self, now: Instant) {
        let mut events = std::mem::take(&mut self.events);
        self.fabric.poll(now, &mut events);
        for event in events.drain(..) {
            self.handle_event(now, event);
        }
        self.events = events;
        self.handle_timeout(now);
        self.repost();
        self.fabric.flush(now);
    }
    /// Sends what was queued, without receiving.
    pub fn kick(&mut self, now: Instant) {
        self.fabric.flush(now);
    }
    /// Appends outcomes to `out`.
    pub fn poll_done(&mut self, out: &mut Vec<Completion>) {
        match &mut self.paths {
            Some(paths) => paths.poll_done(out),
            None => out.append(&mut self.done),
        }
    }
    /// When `turn` must be called even if nothing arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let others = self.paths.as_ref().and_then(|paths| paths.poll_timeout(self));
        self.own_timeout().into_iter().chain(others).min()
    }
    fn own_timeout(&self) -> Option<Instant> {
        // Deadlines of commands are looked at while live only: until then the attempt has its own,
        // and a past one in here would keep the caller from sleeping.
        let live = self.lanes.iter().filter(|_| self.phase == bringup::Phase::Live);
        let queues = live.filter_map(|lane| lane.queue.poll_timeout()).min();
        let own = [self.fabric.poll_timeout(), queues, self.keep_alive_at, self.wakes_at()];
        own.into_iter().flatten().min()
    }

    fn handle_event(&mut self, now: Instant, event: FabricEvent) {
        match event {
            FabricEvent::Recv { qp, token, len, .. } => self.handle_response(now, qp, token, len),
            FabricEvent::Established { qp, .. } => self.on_established(now, qp),
            FabricEvent::Rejected { qp, reason, .. } => self.on_rejected(now, qp, reason),
            FabricEvent::Disconnected { qp, reason } => self.on_disconnected(now, qp, reason),
            FabricEvent::ConnectRequest { qp, .. } => self.fabric.reject(now, qp, &[]),
            // Sends are unsignaled; a failed one is followed by Disconnected, which retries it.
            FabricEvent::Done { .. } => {}
        }
    }
}
