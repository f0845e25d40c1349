//! One polling thread's share of a target: a fabric, the disks, and all that lives on connections.
//!
//! Read first: [`Reactor::turn`], then `connections` (CM), `commands` (capsules), `control` (what
//! the controller executes). `sleep` is the only file that waits.
//!
//! **Architecture invariant:** this crate knows neither which fabric nor which disk it has.

mod access;
mod ana;
mod authentication;
mod channel;
mod commands;
mod connect;
mod connections;
mod control;
mod counters;
mod discovery;
mod disks;
mod exports;
mod fused;
mod generated;
mod handle_hasher;
mod host_limits;
mod limit;
mod namespaces;
mod posts;
mod preempt;
mod reservations;
mod sleep;

pub use connections::ConnectionInfo;
pub use counters::Counters;
pub use exports::{NewNamespace, StagedDisk};
pub use limit::RateLimit;
pub use sleep::SpinBudget;

use crate::action::Actions;
use crate::config::Config;
use crate::controller::Controller;
use crate::directory::Directory;
use crate::disk::DiskInfo;
use crate::queue::Queue;
use crate::reservation::{NoStore, ReservationStore};
use crate::slab::Slab;
use crate::subsystem::{DiskIndex, Port, Subsystem};
use auth::{Helper, SystemHelper};
pub(crate) use channel::Channels;
use disks::Disk;
use generated::Generated;
use handle_hasher::HandleHasher;
use host_limits::HostLimits;
use netstack::fabric::{Fabric, FabricEvent, QpHandle};
use preempt::Preempt;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Instant;
use storage::Done;

/// Rounds of disk polling in one turn: enough for a write (prepare, store) on a disk that answers
/// at once, few enough that a long list of ranges does not keep the network waiting.
const DISK_ROUNDS: u32 = 4;

/// A target on one thread. See the module's page.
pub struct Reactor<F: Fabric> {
    fabric: F,
    config: Config,
    /// The discovery service comes first.
    subsystems: Vec<Subsystem>,
    ports: Vec<Port>,
    /// What else the discovery log tells, and how often it changed.
    directory: Directory,
    disks: Vec<DiskInfo>,
    backends: Vec<Disk>,
    host_limits: HostLimits,
    /// Disks of removed namespaces that commands may still need, with their subsystems.
    retiring: Vec<(DiskIndex, usize)>,
    /// Places of dropped ones.
    free_disks: Vec<DiskIndex>,
    controllers: Slab<Controller>,
    queues: Slab<Queue>,
    by_qp: HashMap<QpHandle, u32, BuildHasherDefault<HandleHasher>>,
    next_cntlid: u16,
    /// No host is let in any more.
    is_stopping: bool,
    /// No keep-alive timer ends before this. Traffic only moves deadlines away.
    keep_alive_check: Option<Instant>,
    /// Acquires that wait for the commands of preempted hosts.
    preempts: Vec<Preempt>,
    reservation_store: Box<dyn ReservationStore>,
    /// Randomness and powers for authentication.
    helper: Box<dyn Helper>,
    channels: Channels,
    /// Keys for TLS that conversations made.
    generated: Vec<Generated>,
    /// Jobs that it has, and the number of the next.
    jobs_outstanding: u32,
    next_job: u32,
    /// Queues with work that the fabric had no room for.
    blocked: Vec<u32>,
    counters: Counters,
    // Kept from turn to turn, so that nothing is allocated per command.
    actions: Actions,
    events: Vec<FabricEvent>,
    done: Vec<Done>,
    reply: Vec<u8>,
}

/// What a turn did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Something happened, or waits that must not wait: turn again before sleeping.
    pub did_work: bool,
    /// When to turn again even if nothing arrives.
    pub next_timeout: Option<Instant>,
}

impl<F: Fabric> Reactor<F> {
    /// A target that exports nothing yet and listens nowhere.
    ///
    /// Panics if `max_transfer_bytes` is not a power of two between 4 KiB and 1 MiB, or more than
    /// one message of the fabric.
    #[must_use]
    pub fn new(fabric: F, config: Config) -> Reactor<F> {
        let most = config.max_transfer_bytes;
        assert!(most.is_power_of_two() && (4096..=1 << 20).contains(&most), "MDTS of {most}");
        assert!(most <= fabric.limits().max_message_bytes, "MDTS exceeds the fabric's messages");
        let discovery = Subsystem::discovery(config.seed);
        Reactor {
            fabric,
            config,
            subsystems: vec![discovery],
            ports: Vec::new(),
            directory: Directory::default(),
            disks: Vec::new(),
            backends: Vec::new(),
            host_limits: HostLimits::default(),
            retiring: Vec::new(),
            free_disks: Vec::new(),
            controllers: Slab::default(),
            queues: Slab::default(),
            by_qp: HashMap::default(),
            next_cntlid: 1,
            is_stopping: false,
            keep_alive_check: None,
            preempts: Vec::new(),
            reservation_store: Box::new(NoStore),
            helper: Box::new(SystemHelper::default()),
            channels: Channels::default(),
            generated: Vec::new(),
            jobs_outstanding: 0,
            next_job: 0,
            blocked: Vec::new(),
            counters: Counters::default(),
            actions: Actions::new(),
            events: Vec::new(),
            done: Vec::new(),
            reply: Vec::new(),
        }
    }
    /// The fabric, for what only its owner knows.
    pub fn fabric(&self) -> &F {
        &self.fabric
    }
    /// The fabric, for what only its owner knows.
    pub fn fabric_mut(&mut self) -> &mut F {
        &mut self.fabric
    }

    /// Receives, executes, answers. Never blocks.
    pub fn turn(&mut self, now: Instant) -> Turn {
        let mut events = std::mem::take(&mut self.events);
        self.fabric.poll(now, &mut events);
        let mut did_work = !events.is_empty();
        for event in events.drain(..) {
            self.handle_event(now, event);
        }
        self.events = events;
        self.run_actions(now);
        did_work |= self.poll_disks(now);
        if self.jobs_outstanding > 0 {
            did_work |= self.poll_helper(now);
        }
        self.check_keep_alive(now);
        did_work |= self.tell_discovery_changes();
        self.run_actions(now);
        if !self.preempts.is_empty() {
            self.poll_preempts();
            self.run_actions(now);
        }
        if !self.retiring.is_empty() {
            self.retire_disks();
        }
        did_work |= self.retry_blocked();
        self.fabric.flush(now);
        self.counters.turns += 1;
        self.counters.idle_turns += u64::from(!did_work);
        Turn { did_work: did_work || self.fabric.has_pending(), next_timeout: self.next_timeout() }
    }

    /// Ends every connection, as before the program stops: hosts learn of it at once rather than by
    /// a timeout. Those that connect again are refused. Turn until there are no connections and the
    /// fabric is not [parting](Fabric::is_parting), or patience ends.
    pub fn shut_down(&mut self, now: Instant) {
        self.is_stopping = true;
        let queues: Vec<u32> = self.queues.iter().map(|(index, _)| index).collect();
        for index in queues {
            self.queues[index].close(&mut self.actions);
        }
        self.run_actions(now);
        self.fabric.flush(now);
    }

    fn poll_disks(&mut self, now: Instant) -> bool {
        let mut did_work = false;
        let mut done = std::mem::take(&mut self.done);
        for _ in 0..DISK_ROUNDS {
            if !self.host_limits.is_empty() {
                self.poll_host_limits(now);
            }
            self.backends.iter_mut().for_each(|disk| disk.poll(now, &mut done));
            if done.is_empty() {
                break;
            }
            did_work = true;
            for done in done.drain(..) {
                self.handle_disk_done(now, done);
            }
            self.run_actions(now);
        }
        self.done = done;
        did_work
    }

    /// Ends controllers whose hosts were silent for too long, and connections that never became
    /// part of one, or whose hosts do not prove who they are: their hosts may be gone, and nothing is sent that would tell.
    fn check_keep_alive(&mut self, now: Instant) {
        if self.keep_alive_check.is_none_or(|at| at > now) {
            return;
        }
        let expired = self.controllers.iter().filter(|(_, c)| !c.is_dying && c.is_expired(now));
        let expired: Vec<u32> = expired.map(|(index, _)| index).collect();
        for index in expired {
            self.counters.keep_alive_expired += 1;
            self.end_controller(index);
        }
        self.end_unused_connections(now);
        self.forget_generated(now);
        let alive = self.controllers.iter().filter(|(_, controller)| !controller.is_dying);
        let alive = alive.filter_map(|(_, controller)| controller.deadline());
        let unused = self.queues.iter().filter_map(|(_, queue)| queue.unused_until());
        let generated = self.generated_until(now);
        self.keep_alive_check = alive.chain(unused).chain(generated).min();
    }
    fn end_unused_connections(&mut self, now: Instant) {
        let late = |queue: &Queue| queue.unused_until().is_some_and(|until| until <= now);
        let late = self.queues.iter().filter(|(_, queue)| late(queue)).map(|(index, _)| index);
        let late: Vec<u32> = late.collect();
        for index in late {
            if self.queues[index].attachment.is_some() {
                self.note_unproved(index, "no answer in time");
            } else {
                self.counters.connects_expired += 1;
            }
            self.queues[index].close(&mut self.actions);
        }
    }
    /// A controller's deadline may have come nearer.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        self.keep_alive_check = self.keep_alive_check.into_iter().chain(deadline).min();
    }

    fn next_timeout(&self) -> Option<Instant> {
        let disks = self.backends.iter().filter_map(Disk::poll_timeout);
        let turns = self.host_limits.poll_timeout();
        disks.chain(turns).chain(self.fabric.poll_timeout()).chain(self.keep_alive_check).min()
    }
}
