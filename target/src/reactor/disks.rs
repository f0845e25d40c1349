//! Disks of a reactor, with the requests that they had no room for.

use memory::{DmaBuf, Mr, Region};
use std::collections::VecDeque;
use std::time::Instant;
use storage::{Backend, Done, Full, Geometry, Request};

/// One disk.
pub(crate) struct Disk {
    /// The disk.
    pub(crate) backend: Box<dyn Backend>,
    waiting: VecDeque<Request>,
    /// Registrations of its regions.
    pub(crate) regions: Vec<Mr>,
}

impl Disk {
    /// A disk whose regions are registered.
    pub(crate) fn new(backend: Box<dyn Backend>, regions: Vec<Mr>) -> Disk {
        Disk { backend, waiting: VecDeque::new(), regions }
    }
    /// The place of a disk that was dropped, until it is used again.
    pub(crate) fn gone() -> Disk {
        Disk::new(Box::new(Gone), Vec::new())
    }
    /// Starts a request, or keeps it until there is room, in order.
    pub(crate) fn submit(&mut self, request: Request) {
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
        if self.is_idle() {
            return;
        }
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
        self.waiting.is_empty() && self.backend.in_flight() == 0
    }
    /// When to poll even if the descriptor stays quiet.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.backend.poll_timeout()
    }
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
