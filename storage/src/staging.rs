//! Buffers for data that is not in its blocks: in size classes, with a queue for each.

use ::memory::{BufferPool, DmaBuf, Region};
use std::collections::VecDeque;
use std::io;

/// Octets and number of the buffers of each class; 28 MiB in all. What is never used is never
/// resident, and the free lists are last-in-first-out.
const CLASSES: [(usize, u32); 4] =
    [(4 << 10, 1024), (32 << 10, 128), (128 << 10, 64), (1 << 20, 12)];

/// Most octets of one request on any backend: the largest class.
pub(crate) const MAX_TRANSFER_BYTES: u32 = 1 << 20;

struct Class {
    pool: BufferPool,
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    id: u32,
    len: usize,
}

/// The staging buffers of one backend.
pub(crate) struct Staging {
    classes: Vec<Class>,
    first_region_index: u32,
    waited_count: u64,
}

impl Staging {
    /// Maps the buffers, with room for `depth` waiters. Their regions are named from
    /// `first_region_index` on.
    ///
    /// Errors: what `mmap` says.
    pub(crate) fn new(first_region_index: u32, depth: usize) -> io::Result<Staging> {
        let mut classes = Vec::with_capacity(CLASSES.len());
        for (index, (octets, count)) in (first_region_index..).zip(CLASSES) {
            let pool = BufferPool::new(count, octets, index)?;
            classes.push(Class { pool, waiting: VecDeque::with_capacity(depth) });
        }
        Ok(Staging { classes, first_region_index, waited_count: 0 })
    }
    /// The regions, in the order of their indices.
    pub(crate) fn regions(&self) -> impl Iterator<Item = Region> + '_ {
        self.classes.iter().map(|class| class.pool.region().clone())
    }
    /// A buffer of `len` octets (at most [`MAX_TRANSFER_BYTES`]), unless others wait or none is
    /// free: then the caller may [`Staging::wait`].
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Option<DmaBuf> {
        let class = self.class_for(len);
        if class.waiting.is_empty() { class.pool.get(len) } else { None }
    }
    /// Queues `id` for a buffer of `len` octets, which a later [`Staging::put`] returns.
    pub(crate) fn wait(&mut self, len: usize, id: u32) {
        self.waited_count += 1;
        self.class_for(len).waiting.push_back(Waiter { id, len });
    }
    /// Takes a buffer back, and hands it to the first waiter of its class.
    #[inline]
    pub(crate) fn put(&mut self, buffer: DmaBuf) -> Option<(u32, DmaBuf)> {
        let index = (buffer.region_index() - self.first_region_index) as usize;
        let class = &mut self.classes[index];
        class.pool.put(buffer);
        let waiter = class.waiting.pop_front()?;
        let Some(buffer) = class.pool.get(waiter.len) else {
            panic!("a pool that just got a buffer back has none")
        };
        Some((waiter.id, buffer))
    }
    /// Buffers not handed out.
    pub(crate) fn available(&self) -> usize {
        self.classes.iter().map(|class| class.pool.available()).sum()
    }
    /// Requests that had to wait for a buffer since the start.
    pub(crate) fn waited_count(&self) -> u64 {
        self.waited_count
    }
    #[inline]
    fn class_for(&mut self, len: usize) -> &mut Class {
        let fits = self.classes.iter_mut().find(|class| len <= class.pool.buffer_bytes());
        let Some(class) = fits else { panic!("a request of {len} octets exceeds max_transfer") };
        class
    }
}
