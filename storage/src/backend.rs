//! The contract between the target and a disk.

use ::memory::{DmaBuf, Region};
use std::time::Instant;

/// Names a request between submit and done. The submitter chooses; unique among those in flight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tag(pub u64);

/// Blocks `start .. start + count`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockRange {
    /// First logical block.
    pub start: u64,
    /// Number of logical blocks, at least 1.
    pub count: u32,
}

/// What a disk looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Octets of a logical block: 512 or 4,096.
    pub block_bytes: u32,
    /// Logical blocks.
    pub block_count: u64,
    /// Writes may be acknowledged before they are durable: Flush and FUA matter.
    pub volatile_write_cache: bool,
    /// Most octets of one request.
    pub max_transfer_bytes: u32,
    /// Write Zeroes is done by the disk, without data.
    pub write_zeroes: bool,
    /// Deallocate frees space (and its blocks read as zeroes afterwards).
    pub deallocate: bool,
    /// `Prepare` for writes grants the blocks' own memory: data lands in place. The target then
    /// asks for it only where no logical block can be left torn by a transfer that breaks off.
    pub in_place: bool,
}

/// Whether a write may be acknowledged from a cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// May sit in a volatile cache until the next Flush.
    #[default]
    Cached,
    /// Force unit access: durable when done.
    Fua,
}

/// What a prepared buffer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Data for these blocks; may be the blocks' own memory (then they are locked until the
    /// buffer is spent or released).
    Write,
    /// Data for these blocks, in a staging buffer that never is the blocks' own memory.
    StagedWrite,
    /// Data to compare with these blocks; never their own memory.
    Compare,
    /// Twice the octets of these blocks (together at most `max_transfer_bytes`): what to compare
    /// with them, then what to write to them; never their own memory.
    CompareAndWrite,
}

/// What to do. Ranges are inside the geometry (the submitter checked).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Blocks → a buffer, which comes with `Done` and must be `release`d by the submitter: it may
    /// be the blocks' own memory, and then no write lands in them until that.
    Read(BlockRange),
    /// Grants a buffer for data to come; it comes with `Done`. May wait for overlapping users.
    Prepare(BlockRange, Purpose),
    /// The prepared buffer → blocks. Spends the buffer.
    Write(BlockRange, Durability),
    /// The prepared buffer = blocks? Spends the buffer. `DiskStatus::CompareFailed` if not.
    Compare(BlockRange),
    /// The first half of the prepared buffer = blocks? Then its second half → blocks, before anybody
    /// else reads or writes them. Spends the buffer. `DiskStatus::CompareFailed` if they differ, and
    /// then nothing changed.
    CompareAndWrite(BlockRange, Durability),
    /// Everything acknowledged so far becomes durable.
    Flush,
    /// Blocks become zeroes; `deallocate`: their space may be freed.
    WriteZeroes {
        /// Blocks.
        range: BlockRange,
        /// Space may be freed.
        deallocate: bool,
        /// Durability.
        durability: Durability,
    },
    /// The blocks' content is no longer needed.
    Deallocate(BlockRange),
    /// Reads the blocks and reports whether that works, without data.
    Verify(BlockRange),
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// Returned with `Done`.
    pub tag: Tag,
    /// What.
    pub op: Op,
    /// The prepared buffer, for `Write`, `Compare` and `CompareAndWrite`; `None` for others.
    pub buffer: Option<DmaBuf>,
}

/// Outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DiskStatus {
    /// Done.
    Good,
    /// The medium could not be read.
    ReadError,
    /// The medium could not be written.
    WriteError,
    /// No space left on the medium (thin files, full file systems).
    CapacityExceeded,
    /// Compare found a difference.
    CompareFailed,
    /// The disk does not do this operation.
    Unsupported,
    /// Anything else inside the backend.
    Internal,
}

/// A finished request.
#[derive(Debug)]
pub struct Done {
    /// From the request.
    pub tag: Tag,
    /// Outcome.
    pub status: DiskStatus,
    /// `Read`, `Prepare`, when good: the buffer.
    pub buffer: Option<DmaBuf>,
}

/// As many requests are in flight as the backend holds: poll, then submit again.
#[derive(Debug)]
pub struct Full(pub Request);

/// A disk, owned by one polling thread. Never blocks.
///
/// **Architecture invariant:** a logical block is never read torn. Between `Done` of a `Read` and
/// `release` of its buffer nothing changes in that buffer (where it is the blocks' own memory, no
/// write lands in those blocks); between `Done` of `Prepare(_, Write)`
/// that granted the blocks' own memory and its `Write` or `release`, nobody reads them.
/// Overlapping users wait in arrival order.
pub trait Backend {
    /// What it looks like. Fixed while it is open, but for the number of blocks ([`Self::resize`]).
    fn geometry(&self) -> Geometry;
    /// The regions that its buffers lie in; a buffer's `region_index` is an index into these.
    /// Fixed while it is open: the target registers them once.
    fn regions(&self) -> &[Region];
    /// Starts a request. Errors: the request itself when too many are in flight.
    fn submit(&mut self, request: Request) -> Result<(), Full>;
    /// Hands batched submissions to the device and appends what finished to `done`. After the last
    /// `submit` or `release` poll once more before sleeping: either may have started or finished
    /// work that the descriptor does not know of yet.
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>);
    /// Takes back a buffer that came with `Done` and was not spent. Unlocks its blocks.
    fn release(&mut self, buffer: DmaBuf);
    /// Changes the number of blocks (at least 1) while it is in use. Requests that were submitted
    /// before finish where they began, also behind a new end.
    ///
    /// Errors: `Unsupported` by this disk; `InvalidInput` for a size that it cannot have; what the
    /// medium says. The size is then as before.
    fn resize(&mut self, _block_count: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    /// Requests in flight, or waiting for a lock or a buffer.
    fn in_flight(&self) -> usize;
    /// Descriptor that becomes readable when something finishes, to sleep on.
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
    /// When `poll` must be called even if the descriptor stays quiet (delays, rates).
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// Counters by name, for reports.
    fn counters(&self, _report: &mut dyn FnMut(&'static str, u64)) {}
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn geometry(&self) -> Geometry {
        (**self).geometry()
    }
    fn regions(&self) -> &[Region] {
        (**self).regions()
    }
    fn submit(&mut self, request: Request) -> Result<(), Full> {
        (**self).submit(request)
    }
    fn poll(&mut self, now: Instant, done: &mut Vec<Done>) {
        (**self).poll(now, done);
    }
    fn release(&mut self, buffer: DmaBuf) {
        (**self).release(buffer);
    }
    fn resize(&mut self, block_count: u64) -> std::io::Result<()> {
        (**self).resize(block_count)
    }
    fn in_flight(&self) -> usize {
        (**self).in_flight()
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        (**self).fd()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        (**self).counters(report);
    }
}
