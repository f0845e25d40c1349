//! A memory disk that can be held up, and counts the buffers that are out.

use memory::{DmaBuf, Region};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Instant;
use storage::{Backend, Done, Full, Geometry, Memory, Request};

/// What is seen of all disks of a target.
#[derive(Default)]
pub(crate) struct Watch {
    /// Nothing finishes while this is set.
    pub(crate) is_held: Cell<bool>,
    /// Buffers that disks gave out and did not get back.
    pub(crate) buffers_out: Cell<i64>,
}

impl Watch {
    fn count(&self, more: i64) {
        self.buffers_out.set(self.buffers_out.get() + more);
    }
}

pub(crate) struct Disk {
    memory: Memory,
    watch: Rc<Watch>,
    /// It is never held up.
    is_free: bool,
}

impl Disk {
    pub(crate) fn new(block_bytes: u32, blocks: u64, watch: &Rc<Watch>, is_free: bool) -> Disk {
        let memory = Memory::new(block_bytes, blocks, 32).expect("memory for a few blocks");
        Disk { memory, watch: Rc::clone(watch), is_free }
    }
}

impl Backend for Disk {
    fn geometry(&self) -> Geometry {
        self.memory.geometry()
    }
    fn regions(&self) -> &[Region] {
        self.memory.regions()
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        let spent = i64::from(request.buffer.is_some());
        self.memory.submit(request)?;
        self.watch.count(-spent);
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        if self.watch.is_held.get() && !self.is_free {
            return;
        }
        let before = done.len();
        self.memory.poll(now, done);
        let granted = done[before..].iter().filter(|done| done.buffer.is_some()).count();
        self.watch.count(i64::try_from(granted).unwrap_or(i64::MAX));
    }
    fn release(&mut self, buffer: DmaBuf) {
        self.watch.count(-1);
        self.memory.release(buffer);
    }
    fn resize(&mut self, block_count: u64) -> io::Result<()> {
        self.memory.resize(block_count)
    }
    fn in_flight(&self) -> usize {
        self.memory.in_flight()
    }
}
