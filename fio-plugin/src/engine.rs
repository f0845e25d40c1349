//! One connection as fio uses it: requests in, completions out, on fio's own thread.

use initiator::edge::{self, AnySession, Settings};
use initiator::{Completion, HostState, IoOp, NamespaceInfo, PollMode, TargetSpec, Waiter};
use memory::{Mr, Region};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::time::{Duration, Instant};
use wire::nvme::Status;

/// Trim ranges are written here, one 16-octet descriptor per request slot.
const RANGE_BYTES: usize = 16;

/// Most commands, and octets of their data, that are kept back when fio comes back at once: more
/// would let the target idle while fio works through its completions. See `docs/decisions/0003`.
const HOLD_MAX: u32 = 8;
const HOLD_BYTES_MAX: u64 = 128 << 10;

/// Octets that fio lent us and that are registered.
struct Lent {
    addr: u64,
    len: u64,
    mr: Mr,
}

/// One request of fio; it may be several commands.
struct Request {
    tag: u64,
    parts: u32,
    error: i32,
}

/// What fio calls on.
pub(crate) struct Engine {
    session: AnySession,
    ns: NamespaceInfo,
    waiter: Waiter,
    lent: Vec<Lent>,
    ranges: Region,
    ranges_mr: Mr,
    requests: Vec<Option<Request>>,
    free: Vec<usize>,
    /// Finished, not polled.
    done: VecDeque<(u64, i32)>,
    completions: Vec<Completion>,
    /// Submitted and not yet sent.
    unsent: u32,
    unsent_bytes: u64,
    now: Instant,
}

/// Room in the queue, or not, or a refusal.
pub(crate) enum Submitted {
    Queued,
    Busy,
}

impl Engine {
    /// Connects. Errors: a sentence for the user.
    pub(crate) fn open(spec: &TargetSpec, depth: u32, poll: PollMode) -> Result<Engine, String> {
        let io_queues = u16::from(depth > 0);
        // A queue of 1,024 entries holds 1,023 commands: fio hears "busy" for one more.
        let depth = u16::try_from(depth.clamp(1, 1023)).unwrap_or(1023);
        let settings = Settings { queue_depth: depth, io_queues, poll, ..Settings::default() };
        let mut session = edge::connect(spec, &settings).map_err(|e| e.to_string())?;
        let ns = session.namespace(spec.nsid).map_err(|e| e.to_string())?;
        let slots = usize::from(depth);
        let ranges = Region::allocate(slots * RANGE_BYTES).map_err(|e| e.to_string())?;
        let ranges_mr = session.host().register(&ranges).map_err(|e| e.to_string())?;
        Ok(Engine {
            session,
            ns,
            waiter: Waiter::new(poll),
            lent: Vec::new(),
            ranges,
            ranges_mr,
            requests: (0..slots).map(|_| None).collect(),
            free: (0..slots).rev().collect(),
            done: VecDeque::with_capacity(slots),
            completions: Vec::with_capacity(slots),
            unsent: 0,
            unsent_bytes: 0,
            now: Instant::now(),
        })
    }

    pub(crate) fn namespace(&self) -> &NamespaceInfo {
        &self.ns
    }

    /// Registers memory of fio.
    ///
    /// # Safety
    /// `base..base+len` stays mapped, readable and writable until `unregister` or the end.
    pub(crate) unsafe fn register(&mut self, base: NonNull<u8>, len: usize) -> Result<(), i32> {
        // SAFETY: the caller's promise.
        let region = unsafe { Region::from_owner(base, len, Box::new(())) };
        let mr = self.session.host().register(&region).map_err(|_| libc::ENOMEM)?;
        self.lent.push(Lent { addr: base.as_ptr() as u64, len: len as u64, mr });
        Ok(())
    }

    pub(crate) fn unregister(&mut self, addr: u64, len: u64) -> Result<(), i32> {
        let at = self.lent.iter().position(|lent| lent.addr == addr && lent.len == len);
        let lent = self.lent.swap_remove(at.ok_or(libc::EINVAL)?);
        self.session.host().deregister(&lent.mr);
        Ok(())
    }

    /// Starts one request; larger than a command can be, it becomes several.
    pub(crate) fn submit(
        &mut self,
        op: IoOp,
        buf: u64,
        len: u64,
        offset: u64,
        tag: u64,
    ) -> Result<Submitted, i32> {
        let max = u64::from(self.ns.max_transfer_bytes);
        let parts = if op == IoOp::Flush { 1 } else { len.div_ceil(max).max(1) };
        let Some(&slot) = self.free.last() else { return Ok(Submitted::Busy) };
        let mr = if op == IoOp::Flush {
            self.ranges_mr
        } else {
            self.find(buf, len).ok_or(libc::EFAULT)?
        };
        if parts > 1 && self.in_flight() > 0 {
            // A split request takes the whole queue: simple, and rare.
            return Ok(Submitted::Busy);
        }
        self.begin(slot, tag, u32::try_from(parts).map_err(|_| libc::EINVAL)?);
        let mut at = 0;
        for _ in 0..parts {
            let part = if op == IoOp::Flush { 0 } else { (len - at).min(max) };
            let length = u32::try_from(part).map_err(|_| libc::EINVAL)?;
            let command = self.ns.command(slot as u64, op, offset + at, length, &mr, buf + at);
            match command {
                Ok(command) => self.send(slot, command),
                Err(_) => self.part_done(slot, libc::EINVAL),
            }
            at += part;
        }
        Ok(Submitted::Queued)
    }

    /// Starts a deallocate of one span.
    pub(crate) fn trim(&mut self, len: u64, offset: u64, tag: u64) -> Result<Submitted, i32> {
        let Some(&slot) = self.free.last() else { return Ok(Submitted::Busy) };
        let block = u64::from(self.ns.block_bytes);
        if !offset.is_multiple_of(block) || !len.is_multiple_of(block) || len == 0 {
            return Err(libc::EINVAL);
        }
        let blocks = u32::try_from(len / block).map_err(|_| libc::EINVAL)?;
        let range = initiator::commands::dsm_range(offset / block, blocks);
        self.ranges.write(slot * RANGE_BYTES, &range);
        self.begin(slot, tag, 1);
        let addr = self.ranges_mr.addr + (slot * RANGE_BYTES) as u64;
        let command = self.ns.deallocate(slot as u64, &self.ranges_mr, addr);
        self.send(slot, command);
        Ok(Submitted::Queued)
    }

    /// So much is kept back that the target would idle: it is to be sent now.
    pub(crate) fn is_batch(&self) -> bool {
        self.unsent >= HOLD_MAX || self.unsent_bytes >= HOLD_BYTES_MAX
    }

    /// Sends what was submitted.
    pub(crate) fn commit(&mut self) {
        if self.unsent_bytes >= HOLD_BYTES_MAX {
            // Large transfers: the target may be waiting for data that we have to send.
            self.now = Instant::now();
            self.turn();
        } else if self.unsent > 0 {
            (self.unsent, self.unsent_bytes) = (0, 0);
            self.now = Instant::now();
            self.session.host().kick(self.now);
        }
    }

    /// Waits for at least `min` completions (of those in flight), at most for `timeout`.
    ///
    /// Errors: the connection is gone for good and nothing is left to report.
    pub(crate) fn wait(&mut self, min: usize, timeout: Option<Duration>) -> Result<(), i32> {
        if !self.done.is_empty() && self.done.len() >= min {
            return Ok(());
        }
        let until = timeout.map(|timeout| Instant::now() + timeout);
        // What was kept back leaves before anything is looked for: its answer is what is awaited.
        self.commit();
        loop {
            self.now = Instant::now();
            let progress = self.turn();
            if progress {
                // fio comes back after a while of its own: that was no waiting.
                self.waiter.refresh();
            }
            let enough = self.done.len() >= min || self.in_flight() == 0;
            if enough || until.is_some_and(|until| self.now >= until) {
                return Ok(());
            }
            if self.session.host().state() == HostState::Dead && self.done.is_empty() {
                return Err(libc::EIO);
            }
            let deadline = self.session.host().poll_timeout().into_iter().chain(until).min();
            let fabric = self.session.host().fabric();
            self.waiter.idle(fabric, progress, self.now, deadline);
        }
    }

    /// Moves everything that can move; true when requests finished.
    fn turn(&mut self) -> bool {
        (self.unsent, self.unsent_bytes) = (0, 0);
        self.session.host().turn(self.now);
        self.session.host().poll_done(&mut self.completions);
        let progress = !self.completions.is_empty();
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            let slot = usize::try_from(completion.tag).unwrap_or(usize::MAX);
            self.part_done(slot, errno(completion.status));
        }
        self.completions = completions;
        progress
    }

    /// Takes one completion: tag and errno.
    pub(crate) fn poll(&mut self) -> Option<(u64, i32)> {
        self.done.pop_front()
    }

    /// Disconnects.
    pub(crate) fn close(self) {
        self.session.close();
    }

    fn in_flight(&self) -> usize {
        self.requests.len() - self.free.len()
    }

    fn find(&self, buf: u64, len: u64) -> Option<Mr> {
        self.lent
            .iter()
            .find(|lent| {
                buf >= lent.addr
                    && buf - lent.addr <= lent.len
                    && len <= lent.len - (buf - lent.addr)
            })
            .map(|lent| lent.mr)
    }

    fn begin(&mut self, slot: usize, tag: u64, parts: u32) {
        self.free.pop();
        self.requests[slot] = Some(Request { tag, parts, error: 0 });
    }

    fn send(&mut self, slot: usize, command: initiator::Command) {
        self.unsent += 1;
        self.unsent_bytes += command.data.map_or(0, |data| u64::from(data.sge.length));
        if self.session.host().submit(self.now, 0, command).is_err() {
            self.part_done(slot, libc::EAGAIN);
        }
    }

    fn part_done(&mut self, slot: usize, error: i32) {
        let Some(Some(request)) = self.requests.get_mut(slot) else { return };
        request.parts -= 1;
        if request.error == 0 {
            request.error = error;
        }
        if request.parts == 0 {
            self.done.push_back((request.tag, request.error));
            self.requests[slot] = None;
            self.free.push(slot);
        }
    }
}

/// What Linux's block layer makes of an NVMe status.
fn errno(status: Status) -> i32 {
    if status.is_success() {
        0
    } else if status.is(Status::CAPACITY_EXCEEDED) {
        libc::ENOSPC
    } else if status.is(Status::LBA_OUT_OF_RANGE) {
        libc::EINVAL
    } else if status.is(Status::WRITE_PROTECTED) {
        libc::EROFS
    } else if status.is(Status::HOST_PATHING) {
        libc::ENOTCONN
    } else {
        libc::EIO
    }
}
