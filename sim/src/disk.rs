//! The disk under the target: real backends, and what is left of them after a crash.

use crate::pattern::{self, Content, Value};
use crate::random::Random;
use memory::{DmaBuf, Region};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Instant;
use storage::layer::{Delay, Fault, Faulty, Time};
use storage::{
    Backend, BlockRange, DiskStatus, Done, Durability, Full, Geometry, Memory, Op, Request, Tag,
};

/// Requests in flight.
const DEPTH: u32 = 64;

/// What a disk is made of.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct DiskPlan {
    /// Octets of a block.
    pub block_bytes: u32,
    /// Blocks.
    pub block_count: u64,
    /// Acknowledges writes that a crash may lose, until Flush or FUA.
    pub is_volatile: bool,
    /// How it fails.
    pub faults: Vec<Fault>,
    /// How slow it is.
    pub delay: Option<Time>,
    /// Makes failures.
    pub seed: u64,
}

/// What survives the target: shared by the disk and the world around it.
pub(crate) struct Platter {
    plan: DiskPlan,
    /// The blocks' own memory.
    region: Region,
    /// What a crash leaves of a volatile disk, at least.
    durable: Vec<u8>,
    /// Buffers that the target holds.
    granted: usize,
    in_flight: usize,
}

/// A platter that outlives its disks.
pub(crate) type SharedPlatter = Rc<RefCell<Platter>>;

/// Makes a disk of zeroes.
///
/// Errors: what mapping memory says.
pub(crate) fn create(plan: DiskPlan) -> io::Result<(SharedPlatter, Box<dyn Backend>)> {
    let memory = Memory::new(plan.block_bytes, plan.block_count, DEPTH)?;
    let region = memory.regions()[0].clone();
    let durable = if plan.is_volatile { vec![0; octets(&plan)] } else { Vec::new() };
    let platter = Platter { plan, region, durable, granted: 0, in_flight: 0 };
    let platter = Rc::new(RefCell::new(platter));
    let disk = stack(&platter, memory);
    Ok((platter, disk))
}

/// The target died with its disk: a new one with what is left. A volatile disk keeps any mixture
/// of what was durable and what was written since.
///
/// Errors: what mapping memory says.
pub(crate) fn restart(
    platter: &SharedPlatter,
    random: &mut Random,
) -> io::Result<Box<dyn Backend>> {
    let mut state = platter.borrow_mut();
    let plan = state.plan.clone();
    let mut image = vec![0; octets(&plan)];
    state.region.read(0, &mut image);
    if plan.is_volatile {
        let block = plan.block_bytes as usize;
        for (now, durable) in image.chunks_mut(block).zip(state.durable.chunks(block)) {
            if random.one_in(2) {
                now.copy_from_slice(durable);
            }
        }
        state.durable.copy_from_slice(&image);
    }
    let memory = Memory::new(plan.block_bytes, plan.block_count, DEPTH)?;
    state.region = memory.regions()[0].clone();
    state.region.write(0, &image);
    (state.granted, state.in_flight) = (0, 0);
    drop(state);
    Ok(stack(platter, memory))
}

fn stack(platter: &SharedPlatter, memory: Memory) -> Box<dyn Backend> {
    let plan = platter.borrow().plan.clone();
    let watched = Watched { inner: memory, platter: Rc::clone(platter), ops: HashMap::new() };
    let faulty = Faulty::new(watched, plan.faults, plan.seed);
    match plan.delay {
        None => Box::new(faulty),
        Some(time) => Box::new(Delay::new(faulty, time)),
    }
}

impl Platter {
    /// Blocks that are not whole, and the values of all.
    #[must_use]
    pub(crate) fn values(&self) -> (Vec<Value>, Vec<u64>) {
        let block = self.plan.block_bytes as usize;
        let mut octets = vec![0; self.region.len().min(octets(&self.plan))];
        self.region.read(0, &mut octets);
        let (mut values, mut torn) = (Vec::new(), Vec::new());
        for (lba, block) in (0u64..).zip(octets.chunks_exact(block)) {
            match pattern::read(block, lba) {
                Content::Whole(value) => values.push(value),
                Content::Torn { first, .. } => {
                    values.push(first);
                    torn.push(lba);
                }
            }
        }
        (values, torn)
    }
    /// Buffers that the target holds, and requests that the disk holds.
    #[must_use]
    pub(crate) fn owed(&self) -> (usize, usize) {
        (self.granted, self.in_flight)
    }
    /// Loses what is not durable in a crash.
    #[must_use]
    pub(crate) fn is_volatile(&self) -> bool {
        self.plan.is_volatile
    }

    fn persist(&mut self, range: Option<BlockRange>) {
        if !self.plan.is_volatile {
            return;
        }
        let block = u64::from(self.plan.block_bytes);
        let (start, len) = range.map_or((0, self.durable.len()), |range| {
            let start = usize::try_from(range.start * block).unwrap_or(0);
            (start, range.count as usize * self.plan.block_bytes as usize)
        });
        self.region.read(start, &mut self.durable[start..start + len]);
    }
}

fn octets(plan: &DiskPlan) -> usize {
    usize::try_from(plan.block_count * u64::from(plan.block_bytes)).unwrap_or(usize::MAX)
}

/// Next to the memory: counts what the target holds, and remembers what was forced.
struct Watched {
    inner: Memory,
    platter: SharedPlatter,
    ops: HashMap<Tag, Op>,
}

impl Backend for Watched {
    fn geometry(&self) -> Geometry {
        let volatile_write_cache = self.platter.borrow().plan.is_volatile;
        Geometry { volatile_write_cache, ..self.inner.geometry() }
    }
    fn regions(&self) -> &[Region] {
        self.inner.regions()
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        let (tag, op, spends) = (request.tag, request.op, request.buffer.is_some());
        self.inner.submit(request)?;
        self.ops.insert(tag, op);
        self.platter.borrow_mut().granted -= usize::from(spends);
        Ok(())
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        let from = done.len();
        self.inner.poll(now, done);
        let mut platter = self.platter.borrow_mut();
        for done in &done[from..] {
            platter.granted += usize::from(done.buffer.is_some());
            let op = self.ops.remove(&done.tag);
            if done.status == DiskStatus::Good {
                match op {
                    Some(Op::Flush) => platter.persist(None),
                    Some(
                        Op::Write(range, Durability::Fua)
                        | Op::CompareAndWrite(range, Durability::Fua)
                        | Op::WriteZeroes { range, durability: Durability::Fua, .. },
                    ) => platter.persist(Some(range)),
                    _ => {}
                }
            }
        }
        platter.in_flight = self.inner.in_flight();
    }
    fn release(&mut self, buffer: DmaBuf) {
        self.inner.release(buffer);
        self.platter.borrow_mut().granted -= 1;
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
    }
}
