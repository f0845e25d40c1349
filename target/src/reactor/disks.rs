//! Disks of a reactor, with the requests that they had no room for.

use super::limit::{Cost, Limiter, RateLimit};
use crate::queue::parse_tag;
use memory::{DmaBuf, Mr, Region};
use std::collections::VecDeque;
use std::time::Instant;
use storage::{Backend, DiskStatus, Done, Full, Geometry, Op, Purpose, Request, Tag};

/// One disk.
pub(crate) struct Disk {
    /// The disk.
    pub(crate) backend: Box<dyn Backend>,
    waiting: VecDeque<Request>,
    /// Of a namespace with limits, those that wait for their turn.
    limiter: Option<Box<Limiter<Request>>>,
    /// That limiter goes as soon as nothing waits.
    is_unlimited: bool,
    /// To be told as done.
    cancelled: Vec<Done>,
    last_poll: Option<Instant>,
    /// Registrations of its regions.
    pub(crate) regions: Vec<Mr>,
}

impl Disk {
    /// A disk whose regions are registered.
    pub(crate) fn new(backend: Box<dyn Backend>, regions: Vec<Mr>) -> Disk {
        Disk {
            backend,
            waiting: VecDeque::new(),
            limiter: None,
            is_unlimited: true,
            cancelled: Vec::new(),
            last_poll: None,
            regions,
        }
    }
    /// The place of a disk that was dropped, until it is used again.
    pub(crate) fn gone() -> Disk {
        Disk::new(Box::new(Gone), Vec::new())
    }
    /// Starts a request, or keeps it until its turn comes, and there is room.
    pub(crate) fn submit(&mut self, request: Request) {
        if let Some(limiter) = &mut self.limiter
            && let Some(cost) = cost(&request.op, &*self.backend)
        {
            let (queue, _) = parse_tag(request.tag);
            return limiter.submit(queue, cost, request);
        }
        self.start(request);
    }
    /// What a request takes of a limit; `None`: it has not to wait.
    pub(crate) fn cost(&self, request: &Request) -> Option<Cost> {
        cost(&request.op, &*self.backend)
    }
    /// Sets the limits of those that start from now on.
    pub(crate) fn set_limit(&mut self, limit: RateLimit) {
        match &mut self.limiter {
            Some(limiter) => limiter.set(limit),
            None if limit == RateLimit::default() => {}
            None => self.limiter = Some(Box::new(Limiter::new(limit))),
        }
        self.is_unlimited = limit == RateLimit::default();
    }
    /// Connection `queue` has ended: what waits of it ends too, and the disk is not asked.
    pub(crate) fn cancel(&mut self, queue: u32) {
        let Some(limiter) = &mut self.limiter else { return };
        self.cancelled.extend(limiter.cancel(queue).map(unserved));
    }
    /// A request that never came here ends: its connection did.
    pub(crate) fn end(&mut self, request: Request) {
        self.cancelled.push(unserved(request));
    }
    /// Drops a request that waits for its turn, and has no buffer. False: it does not wait.
    pub(crate) fn take_waiting(&mut self, tag: Tag) -> bool {
        let Some(limiter) = &mut self.limiter else { return false };
        !limiter.extract(|request| request.tag == tag).is_empty()
    }
    /// Those whose turn it is start.
    #[cold]
    fn poll_limiter(&mut self, now: Instant) {
        self.last_poll = Some(now);
        while let Some(request) = self.limiter.as_mut().and_then(|limiter| limiter.poll(now)) {
            self.start(request);
        }
        if self.is_unlimited && self.limiter.as_ref().is_some_and(|limiter| limiter.is_empty()) {
            self.limiter = None;
        }
    }
    fn start(&mut self, request: Request) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(request);
        } else if let Err(Full(request)) = self.backend.submit(request) {
            self.waiting.push_back(request);
        }
    }
    /// Takes a buffer back.
    pub(crate) fn release(&mut self, buffer: DmaBuf) {
        self.backend.release(buffer);
    }
    /// Appends what finished; starts what waited.
    pub(crate) fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        if self.limiter.is_some() {
            self.poll_limiter(now);
        }
        if self.is_idle() {
            return;
        }
        done.append(&mut self.cancelled);
        self.backend.poll(now, done);
        while let Some(request) = self.waiting.pop_front() {
            if let Err(Full(request)) = self.backend.submit(request) {
                self.waiting.push_front(request);
                break;
            }
        }
    }
    /// Nothing to wait for.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.backend.in_flight() == 0
            && self.cancelled.is_empty()
            && self.limiter.as_ref().is_none_or(|limiter| limiter.is_empty())
    }
    /// When to poll even if the descriptor stays quiet.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let turn = self.limiter.as_ref().and_then(|limiter| limiter.poll_timeout(self.last_poll));
        self.backend.poll_timeout().into_iter().chain(turn).min()
    }
}

/// What a request takes of a limit: once for each command, with its first request.
fn cost(op: &Op, disk: &dyn Backend) -> Option<Cost> {
    let (range, is_write) = match op {
        Op::Read(range) | Op::Prepare(range, Purpose::Compare) => (range, false),
        Op::Prepare(range, _) => (range, true),
        Op::Write(..)
        | Op::Compare(_)
        | Op::CompareAndWrite(..)
        | Op::Flush
        | Op::WriteZeroes { .. }
        | Op::Deallocate(_)
        | Op::Verify(_) => return None,
    };
    let block_bytes = disk.geometry().block_bytes;
    Some(Cost { is_write, bytes: u64::from(range.count) * u64::from(block_bytes) })
}

/// The answer to a request that the disk is not asked.
fn unserved(request: Request) -> Done {
    Done { tag: request.tag, status: DiskStatus::Internal, buffer: request.buffer }
}

/// No disk: nothing names it.
struct Gone;

impl Backend for Gone {
    fn geometry(&self) -> Geometry {
        unreachable!("asked of a disk that is gone")
    }
    fn regions(&self) -> &[Region] {
        &[]
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        unreachable!("{request:?} for a disk that is gone")
    }
    fn poll(&mut self, _now: Instant, _done: &mut Vec<Done>) {}
    fn release(&mut self, buffer: DmaBuf) {
        unreachable!("{buffer:?} of a disk that is gone")
    }
    fn in_flight(&self) -> usize {
        0
    }
}
