//! A memory disk that can be held up, counts the buffers that are out, and can claim a cache.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;
use storage::{Backend, DiskStatus, Done, Durability, Full, Geometry, Memory, Op, Request};

/// What the test sees of a disk that the target owns.
#[derive(Default)]
pub(super) struct State {
    /// Nothing finishes while this is set.
    pub(super) held: Cell<bool>,
    /// Buffers granted and neither spent nor released.
    pub(super) buffers_out: Cell<i64>,
    /// Writes that had to be durable.
    pub(super) forced_writes: Cell<u32>,
    /// What every read and write ends with.
    pub(super) status: Cell<Option<DiskStatus>>,
}

pub(super) struct Probe {
    disk: Memory,
    cached: bool,
    pub(super) state: Rc<State>,
}

impl Probe {
    /// `blocks` of 512 octets.
    pub(super) fn new(blocks: u64) -> Probe {
        Probe { disk: Memory::new(512, blocks, 2048).unwrap(), cached: false, state: Rc::default() }
    }
    /// Claims a volatile cache.
    pub(super) fn cached(self) -> Probe {
        Probe { cached: true, ..self }
    }
}

impl Backend for Probe {
    fn geometry(&self) -> Geometry {
        Geometry { volatile_write_cache: self.cached, ..self.disk.geometry() }
    }
    fn regions(&self) -> &[memory::Region] {
        self.disk.regions()
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        let spends = i64::from(request.buffer.is_some());
        let forced = matches!(request.op, Op::Write(_, Durability::Fua));
        self.disk.submit(request)?;
        self.state.buffers_out.set(self.state.buffers_out.get() - spends);
        self.state.forced_writes.set(self.state.forced_writes.get() + u32::from(forced));
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        if self.state.held.get() {
            return;
        }
        let before = done.len();
        self.disk.poll(now, done);
        for done in &mut done[before..] {
            if let Some(status) = self.state.status.get() {
                done.status = status;
                if let Some(buffer) = done.buffer.take() {
                    self.disk.release(buffer);
                }
            }
            let out = self.state.buffers_out.get() + i64::from(done.buffer.is_some());
            self.state.buffers_out.set(out);
        }
    }
    fn release(&mut self, buffer: memory::DmaBuf) {
        self.state.buffers_out.set(self.state.buffers_out.get() - 1);
        self.disk.release(buffer);
    }
    fn resize(&mut self, block_count: u64) -> std::io::Result<()> {
        self.disk.resize(block_count)
    }
    fn in_flight(&self) -> usize {
        self.disk.in_flight()
    }
}
