//! Several paths to one subsystem, behind the same calls as one.
//!
//! Each path is a host of its own, with its own bring-up and recovery; all share one fabric, so that
//! every path knows a command's memory. A command goes by the best path that is usable for its
//! namespace: optimized before non-optimized, then in the order in which they were named. What a lost
//! or inaccessible path did not answer goes by another one; what no path takes waits as long as
//! commands wait for a connection (`fast_io_fail`).

use super::bringup::Phase;
use super::{Completion, Full, Host, HostOptions, HostState};
use crate::queue::Command;
use netstack::fabric::Fabric;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::nvme::Status;

/// The other paths of a host, and what is on its way by any of them.
pub(super) struct Paths<F: Fabric> {
    others: Vec<Host<F>>,
    flying: HashMap<u64, Flight>,
    /// No path takes them now.
    parked: VecDeque<Flight>,
    finished: Vec<Completion>,
    scratch: Vec<Completion>,
}

/// One command that was not answered yet.
#[derive(Clone, Copy)]
struct Flight {
    command: Command,
    /// 0 is the admin queue.
    lane: usize,
    /// Times that a path failed it.
    failures: u8,
    /// Since when it has waited for a path.
    parked: Option<Instant>,
}

impl<F: Fabric> Host<F> {
    /// A host with several paths: the target of `options`, then `more`, each with its own share of
    /// one fabric (`shares`, as many as paths).
    ///
    /// Errors: memory that cannot be mapped or registered. Panics if the numbers differ.
    pub fn with_paths(
        shares: Vec<F>,
        options: HostOptions,
        more: &[SocketAddr],
        now: Instant,
    ) -> io::Result<Host<F>> {
        assert_eq!(shares.len(), more.len() + 1, "a share for each path");
        let mut hosts = Vec::new();
        let targets = std::iter::once(options.target).chain(more.iter().copied());
        for (share, target) in shares.into_iter().zip(targets) {
            let mut host = Host::new(share, HostOptions { target, ..options.clone() }, now)?;
            host.ana.is_asked = true;
            hosts.push(host);
        }
        let mut lead = hosts.remove(0);
        lead.paths = Some(Box::new(Paths {
            others: hosts,
            flying: HashMap::with_capacity(usize::from(options.queue_depth)),
            parked: VecDeque::new(),
            finished: Vec::with_capacity(1024),
            scratch: Vec::with_capacity(1024),
        }));
        Ok(lead)
    }

    /// Paths by which commands could go now.
    #[must_use]
    pub fn live_paths(&self) -> usize {
        let others = self.paths.iter().flat_map(|paths| &paths.others);
        std::iter::once(self).chain(others).filter(|host| host.phase == Phase::Live).count()
    }
    /// The whole's state: that of the path that is nearest to being live.
    pub(super) fn state_of_all(&self) -> HostState {
        let others = self.paths.iter().flat_map(|paths| &paths.others);
        let states: Vec<_> =
            std::iter::once(self.own_state()).chain(others.map(Host::own_state)).collect();
        let order = [HostState::Live, HostState::Connecting, HostState::Closed];
        let found = order.into_iter().find(|state| states.contains(state));
        found.unwrap_or(HostState::Dead)
    }
    /// A path that commands can take, this one if it can.
    pub(super) fn live(&self) -> &Host<F> {
        let others = self.paths.iter().flat_map(|paths| &paths.others);
        let mut all = std::iter::once(self).chain(others);
        all.find(|host| host.phase == Phase::Live).unwrap_or(self)
    }

    /// How good this path is for a command, 0 best; `None`: not usable.
    fn rank(&self, flight: &Flight) -> Option<u8> {
        if self.phase != Phase::Live || !self.lanes.get(flight.lane)?.ready {
            return None;
        }
        if flight.lane == 0 { Some(0) } else { self.ana.rank(flight.command.sqe.nsid().0) }
    }
    /// Commands that wait for this path to come back.
    fn take_waiting(&mut self) -> Vec<Command> {
        self.lanes.iter_mut().flat_map(|lane| lane.waiting.drain(..)).collect()
    }
}

impl<F: Fabric> Paths<F> {
    /// The other paths.
    pub(super) fn others(&self) -> &[Host<F>] {
        &self.others
    }
    /// A command from the caller. Errors: the command itself, when there is no room.
    pub(super) fn submit(
        &mut self,
        lead: &mut Host<F>,
        now: Instant,
        lane: usize,
        command: Command,
    ) -> Result<(), Full> {
        let room = lead.lanes.get(lane).map_or(0, |lane| usize::from(lane.queue.depth()));
        if self.parked.len() >= room {
            return Err(Full(command));
        }
        let flight = Flight { command, lane, failures: 0, parked: None };
        match self.route(lead, now, flight) {
            Ok(None) => Ok(()),
            Ok(Some(flight)) => {
                self.park(now, flight);
                Ok(())
            }
            Err(full) => Err(full),
        }
    }
    /// Sends it by the best path. `Some`: there is none.
    fn route(
        &mut self,
        lead: &mut Host<F>,
        now: Instant,
        flight: Flight,
    ) -> Result<Option<Flight>, Full> {
        let mut best: Option<(u8, &mut Host<F>)> = None;
        for host in std::iter::once(lead).chain(&mut self.others) {
            let Some(rank) = host.rank(&flight) else { continue };
            if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                best = Some((rank, host));
            }
        }
        let Some((_, host)) = best else { return Ok(Some(flight)) };
        host.enqueue(now, flight.lane, flight.command)?;
        self.flying.insert(flight.command.tag, Flight { parked: None, ..flight });
        Ok(None)
    }
    fn park(&mut self, now: Instant, flight: Flight) {
        self.parked.push_back(Flight { parked: flight.parked.or(Some(now)), ..flight });
    }

    /// Moves the other paths, and what goes from one to another.
    pub(super) fn turn(&mut self, lead: &mut Host<F>, now: Instant) {
        self.others.iter_mut().for_each(|host| host.turn_alone(now));
        self.leave_lost_paths(lead, now);
        self.collect(lead, now);
        self.send_parked(lead, now);
    }
    /// What waits for a path that is lost may go by another one. A path that gave up tries again as
    /// long as another one lives: its target may come back.
    fn leave_lost_paths(&mut self, lead: &mut Host<F>, now: Instant) {
        let mut all: Vec<&mut Host<F>> =
            std::iter::once(&mut *lead).chain(&mut self.others).collect();
        let is_any_live = all.iter().any(|host| host.phase == Phase::Live);
        if !is_any_live {
            return;
        }
        let mut moved = Vec::new();
        for host in all.iter_mut().filter(|host| host.phase != Phase::Live) {
            moved.extend(host.take_waiting());
            if host.phase == Phase::Dead {
                host.revive(now);
            }
        }
        for command in moved {
            self.fail_over(lead.options.timers.retries, now, command.tag, Status::HOST_PATHING, 0);
        }
    }
    /// A path did not do the command: another one may, or the caller hears of it.
    fn fail_over(&mut self, retries: u8, now: Instant, tag: u64, status: Status, result: u64) {
        let Some(mut flight) = self.flying.remove(&tag) else { return };
        flight.failures = flight.failures.saturating_add(1);
        if flight.failures > retries {
            self.finished.push(Completion { tag, status, result });
        } else {
            self.park(now, flight);
        }
    }
    fn collect(&mut self, lead: &mut Host<F>, now: Instant) {
        let retries = lead.options.timers.retries;
        let mut done = std::mem::take(&mut self.scratch);
        let closed = lead.phase == Phase::Closed;
        for at in 0..=self.others.len() {
            let host = match at {
                0 => &mut *lead,
                at => &mut self.others[at - 1],
            };
            done.append(&mut host.done);
            if done.iter().any(|it| is_of_path(it.status)) {
                host.ana.doubt();
            }
            for it in done.drain(..) {
                if is_of_path(it.status) && !closed {
                    self.fail_over(retries, now, it.tag, it.status, it.result);
                } else {
                    self.flying.remove(&it.tag);
                    self.finished.push(it);
                }
            }
        }
        self.scratch = done;
    }
    fn send_parked(&mut self, lead: &mut Host<F>, now: Instant) {
        let patience = lead.options.timers.fast_io_fail;
        let is_over = matches!(lead.state(), HostState::Dead | HostState::Closed);
        for _ in 0..self.parked.len() {
            let Some(flight) = self.parked.pop_front() else { return };
            let is_late = flight.parked.is_some_and(|since| now >= since + patience);
            match self.route(lead, now, flight) {
                Ok(None) => {}
                Ok(Some(flight)) if is_late || is_over => {
                    let (tag, status) = (flight.command.tag, Status::HOST_PATHING);
                    self.finished.push(Completion { tag, status, result: 0 });
                }
                Ok(Some(_)) | Err(Full(_)) => self.parked.push_back(flight),
            }
        }
    }

    /// Ends all.
    pub(super) fn disconnect(&mut self, now: Instant) {
        self.others.iter_mut().for_each(|host| host.disconnect(now));
    }
    /// Appends outcomes to `out`.
    pub(super) fn poll_done(&mut self, out: &mut Vec<Completion>) {
        out.append(&mut self.finished);
    }
    /// When `turn` must be called even if nothing arrives.
    pub(super) fn poll_timeout(&self, lead: &Host<F>) -> Option<Instant> {
        let patience = lead.options.timers.fast_io_fail;
        let parked = self.parked.iter().filter_map(|flight| Some(flight.parked? + patience)).min();
        self.others.iter().filter_map(Host::own_timeout).chain(parked).min()
    }
}

/// The path failed, not the command: another path may do it.
fn is_of_path(status: Status) -> bool {
    [
        Status::PATH_INTERNAL,
        Status::ANA_PERSISTENT_LOSS,
        Status::ANA_INACCESSIBLE,
        Status::ANA_TRANSITION,
        Status::CONTROLLER_PATHING,
        Status::HOST_PATHING,
    ]
    .into_iter()
    .any(|of_path| status.is(of_path))
}
