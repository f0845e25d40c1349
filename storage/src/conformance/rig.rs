//! Drives one backend: gives tags, polls with a clock of its own, keeps what finished.

use crate::{
    Backend, BlockRange, DiskStatus, Done, Durability, Full, Geometry, Op, Purpose, Request, Tag,
};
use memory::DmaBuf;
use std::time::{Duration, Instant};

/// How far the rig's clock moves with each poll: delays and rates pass in virtual time.
const TICK: Duration = Duration::from_micros(20);
/// Real time after which a request that did not finish counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// Polls without a result after which the rig naps between polls.
const BUSY_POLLS: u32 = 200;

#[expect(clippy::disallowed_methods, reason = "a test must notice that nothing happens")]
fn real_now() -> Instant {
    Instant::now()
}

/// A backend, a virtual clock, and what finished but was not asked for yet.
pub struct Rig {
    /// The backend under test.
    pub backend: Box<dyn Backend>,
    now: Instant,
    done: Vec<Done>,
    next_tag: u64,
    buffers_free: u64,
}

/// When [`Rig::poll_until`] stops.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// This request finished.
    Done(Tag),
    /// As many results are there.
    Count(usize),
}

impl Rig {
    /// A rig over an idle backend.
    #[must_use]
    pub fn new(backend: Box<dyn Backend>) -> Rig {
        let geometry = backend.geometry();
        let octets = geometry.block_count * u64::from(geometry.block_bytes);
        assert!(octets >= super::DISK_BYTES_MIN, "the suite needs a larger disk");
        let mut rig =
            Rig { backend, now: real_now(), done: Vec::new(), next_tag: 0, buffers_free: 0 };
        rig.buffers_free = rig.count_free();
        rig
    }
    /// The backend's geometry.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.backend.geometry()
    }
    /// Octets of `range`.
    #[must_use]
    pub fn octets(&self, range: BlockRange) -> usize {
        range.count as usize * self.geometry().block_bytes as usize
    }
    /// Blocks in `octets`.
    #[must_use]
    pub fn blocks(&self, octets: u32) -> u32 {
        octets / self.geometry().block_bytes
    }
    /// Submits; `Err` when the backend is full.
    pub fn try_submit(&mut self, op: Op, buffer: Option<DmaBuf>) -> Result<Tag, Full> {
        let tag = Tag(self.next_tag);
        self.backend.submit(Request { tag, op, buffer })?;
        self.next_tag += 1;
        Ok(tag)
    }
    /// Submits, polling while the backend is full.
    pub fn submit(&mut self, op: Op, buffer: Option<DmaBuf>) -> Tag {
        let mut request = Request { tag: Tag(self.next_tag), op, buffer };
        let started = real_now();
        self.next_tag += 1;
        loop {
            let tag = request.tag;
            match self.backend.submit(request) {
                Ok(()) => return tag,
                Err(Full(back)) => {
                    assert!(back.tag == tag && back.op == op, "Full returned another request");
                    assert!(started.elapsed() < LOST_AFTER, "full for ever");
                    request = back;
                    self.poll();
                }
            }
        }
    }
    /// Polls once.
    pub fn poll(&mut self) {
        self.now += TICK;
        self.backend.poll(self.now, &mut self.done);
    }
    /// What finished and was not taken yet, in order.
    pub fn take_done(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.done)
    }
    /// Polls until it holds. Panics if it takes a minute.
    pub fn poll_until(&mut self, until: Until) {
        let started = real_now();
        let mut polls = 0;
        while !self.holds(until) {
            self.poll();
            polls += 1;
            if polls > BUSY_POLLS {
                std::thread::sleep(Duration::from_micros(50));
                let all = self.backend.in_flight();
                assert!(started.elapsed() < LOST_AFTER, "{until:?} not reached, {all} in flight");
            }
        }
    }
    fn holds(&self, until: Until) -> bool {
        match until {
            Until::Done(tag) => self.done.iter().any(|done| done.tag == tag),
            Until::Count(count) => self.done.len() >= count,
        }
    }
    /// Waits for one request.
    pub fn wait(&mut self, tag: Tag) -> Done {
        self.poll_until(Until::Done(tag));
        let place = self.done.iter().position(|done| done.tag == tag).expect("just seen");
        self.done.remove(place)
    }
    /// Submits and waits.
    pub fn run(&mut self, op: Op, buffer: Option<DmaBuf>) -> Done {
        let tag = self.submit(op, buffer);
        self.wait(tag)
    }
    /// Submits an operation without data and waits for its outcome.
    pub fn outcome(&mut self, op: Op) -> DiskStatus {
        let done = self.run(op, None);
        assert!(done.buffer.is_none(), "{op:?} granted a buffer");
        done.status
    }
    /// Reads, releases.
    pub fn read(&mut self, range: BlockRange) -> Vec<u8> {
        let done = self.run(Op::Read(range), None);
        assert_eq!(done.status, DiskStatus::Good, "read of {range:?}");
        let buffer = done.buffer.expect("a good read has a buffer");
        self.check_buffer(&buffer, range);
        let data = buffer.bytes().to_vec();
        self.backend.release(buffer);
        data
    }
    /// Asks for a buffer.
    pub fn prepare(&mut self, range: BlockRange, purpose: Purpose) -> DmaBuf {
        let done = self.run(Op::Prepare(range, purpose), None);
        assert_eq!(done.status, DiskStatus::Good, "prepare of {range:?}");
        let buffer = done.buffer.expect("a good prepare has a buffer");
        self.check_buffer(&buffer, range);
        buffer
    }
    /// Writes `data`.
    pub fn write(
        &mut self,
        range: BlockRange,
        data: &[u8],
        purpose: Purpose,
        durability: Durability,
    ) -> DiskStatus {
        let mut buffer = self.prepare(range, purpose);
        buffer.write(0, data);
        self.run(Op::Write(range, durability), Some(buffer)).status
    }
    /// A granted buffer has the right length and lies in the region that it names.
    pub fn check_buffer(&self, buffer: &DmaBuf, range: BlockRange) {
        assert_eq!(buffer.len(), self.octets(range), "buffer for {range:?}");
        let region = &self.backend.regions()[buffer.region_index() as usize];
        assert!(region.is_same(buffer.region()), "buffer outside the region it names");
    }
    /// All is back: nothing in flight, and as many free buffers as at the start.
    pub fn check_idle(&mut self) {
        assert!(self.done.is_empty(), "results nobody asked for: {:?}", self.done);
        assert_eq!(self.backend.in_flight(), 0, "still in flight");
        assert_eq!(self.count_free(), self.buffers_free, "buffers leaked");
    }
    fn count_free(&self) -> u64 {
        let mut free = 0;
        self.backend.counters(&mut |name, value| {
            if name == "buffers_free" {
                free = value;
            }
        });
        free
    }
}
