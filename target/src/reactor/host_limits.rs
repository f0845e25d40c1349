//! Rate limits of hosts: a command takes its turn here first, for all controllers and namespaces of its host
//! in a subsystem, and then at its namespace. So both limits hold, and a namespace that is slow holds
//! up nobody's other namespaces.

use super::Reactor;
use super::limit::{Limiter, RateLimit};
use crate::queue::{disk_tag, parse_tag};
use crate::slab::Slab;
use crate::subsystem::{DiskIndex, ExportError};
use netstack::fabric::Fabric;
use std::time::Instant;
use storage::Request;

/// One host's limit.
#[derive(Debug)]
struct HostLimit {
    subsystem: usize,
    host_nqn: String,
    limiter: Limiter<(DiskIndex, Request)>,
}

/// Those of all hosts that have one. Queues name them by their places.
#[derive(Debug, Default)]
pub(super) struct HostLimits {
    places: Slab<HostLimit>,
    last_poll: Option<Instant>,
}

impl HostLimits {
    /// No host has one.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.places.len() == 0
    }
    /// The place of a host's.
    pub(super) fn find(&self, subsystem: usize, host_nqn: &str) -> Option<u32> {
        let is_it = |limit: &HostLimit| limit.subsystem == subsystem && limit.host_nqn == host_nqn;
        self.places.iter().find(|(_, limit)| is_it(limit)).map(|(place, _)| place)
    }
    /// When the next command may start; `None`: none waits.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timeout = |(_, limit): (u32, &HostLimit)| limit.limiter.poll_timeout(self.last_poll);
        self.places.iter().filter_map(timeout).min()
    }
}

impl<F: Fabric> Reactor<F> {
    /// Sets how fast host `host_nqn` reads and writes, over all its controllers and namespaces of
    /// subsystem `nqn`; the default takes the limit away. It is found by the NQN, compared octet by
    /// octet, whether the host is connected or not. What [`Self::set_limit`] says of namespaces goes
    /// for hosts; where both limit a command, it waits for both.
    ///
    /// Errors: no such subsystem.
    pub fn set_host_limit(
        &mut self,
        nqn: &str,
        host_nqn: &str,
        limit: RateLimit,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let known = self.host_limits.find(at, host_nqn);
        if limit == RateLimit::default() {
            known.into_iter().for_each(|place| self.lift_host_limit(place));
            return Ok(());
        }
        if let Some(known) = known.and_then(|place| self.host_limits.places.get_mut(place)) {
            known.limiter.set(limit);
            return Ok(());
        }
        let (host_nqn, limiter) = (host_nqn.to_owned(), Limiter::new(limit));
        let is_its = |queue: &u32| {
            let attachment = self.queues.get(*queue).and_then(|queue| queue.attachment);
            let controller = attachment.and_then(|at| self.controllers.get(at.controller));
            controller.is_some_and(|it| it.subsystem == at && it.host_nqn == host_nqn)
        };
        let queues: Vec<u32> = self.queues.iter().map(|(queue, _)| queue).filter(is_its).collect();
        let limit = HostLimit { subsystem: at, host_nqn, limiter };
        let place = self.host_limits.places.insert_with(|_| limit);
        queues.into_iter().for_each(|queue| self.queues[queue].host_limit = Some(place));
        Ok(())
    }
    /// The limits of all hosts of a subsystem that goes.
    pub(super) fn lift_host_limits(&mut self, subsystem: usize) {
        let limits = self.host_limits.places.iter();
        let its = limits.filter(|(_, limit)| limit.subsystem == subsystem);
        let its: Vec<u32> = its.map(|(place, _)| place).collect();
        its.into_iter().for_each(|place| self.lift_host_limit(place));
    }
    /// What waits starts.
    fn lift_host_limit(&mut self, place: u32) {
        let mut limit = self.host_limits.places.remove(place);
        for (_, queue) in self.queues.iter_mut().filter(|(_, q)| q.host_limit == Some(place)) {
            queue.host_limit = None;
        }
        for (disk, request) in limit.limiter.extract(|_| true) {
            self.backends[disk.0 as usize].submit(request);
        }
    }

    /// Gives a request to its disk, or lets it wait until its host has a turn.
    pub(super) fn submit_limited(&mut self, disk: DiskIndex, request: Request) {
        let (index, _) = parse_tag(request.tag);
        let place = self.queues.get(index).and_then(|queue| queue.host_limit);
        let limit = place.and_then(|place| self.host_limits.places.get_mut(place));
        let backend = &mut self.backends[disk.0 as usize];
        match (limit, backend.cost(&request)) {
            (Some(limit), Some(cost)) => limit.limiter.submit(index, cost, (disk, request)),
            _ => backend.submit(request),
        }
    }
    /// Those whose turn it is go on to their disks.
    pub(super) fn poll_host_limits(&mut self, now: Instant) {
        let Reactor { host_limits, backends, .. } = self;
        host_limits.last_poll = Some(now);
        for (_, limit) in host_limits.places.iter_mut() {
            while let Some((disk, request)) = limit.limiter.poll(now) {
                backends[disk.0 as usize].submit(request);
            }
        }
    }
    /// What waits for a disk that is wanted for nothing else has its turn now.
    pub(super) fn hasten(&mut self, disk: DiskIndex) {
        let Reactor { host_limits, backends, .. } = self;
        for (_, limit) in host_limits.places.iter_mut() {
            for (disk, request) in limit.limiter.extract(|(of, _)| *of == disk) {
                backends[disk.0 as usize].submit(request);
            }
        }
    }
    /// Connection `queue` has ended: what waits of it ends too.
    pub(super) fn cancel_waiting(&mut self, queue: u32) {
        let Reactor { host_limits, backends, .. } = self;
        for (_, limit) in host_limits.places.iter_mut() {
            for (disk, request) in limit.limiter.cancel(queue) {
                backends[disk.0 as usize].end(request);
            }
        }
        backends.iter_mut().for_each(|disk| disk.cancel(queue));
    }
    /// Takes the command in `slot` out of the line in which it waits for its turn, so that nothing
    /// comes of it. False: it does not wait for one, or is one of several steps.
    pub(super) fn take_waiting(&mut self, index: u32, slot: u16) -> bool {
        let Some(queue) = self.queues.get_mut(index) else { return false };
        let (Some(disk), place) = (queue.waits_for_disk(slot), queue.host_limit) else {
            return false;
        };
        let tag = disk_tag(index, slot);
        let limit = place.and_then(|place| self.host_limits.places.get_mut(place));
        let at_host = limit
            .is_some_and(|it| !it.limiter.extract(|(_, request)| request.tag == tag).is_empty());
        at_host || self.backends[disk.0 as usize].take_waiting(tag)
    }
}
