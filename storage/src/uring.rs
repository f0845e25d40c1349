//! One file under io_uring: the only place where the kernel gets pointers to buffers.
//!
//! Read first: [`Ring::push`]. Unsafe code of this crate is here and in `mmap`, nowhere else.

use ::memory::DmaBuf;
use io_uring::{IoUring, opcode, squeue, types};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What to do with the file. Offsets and lengths in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Io {
    /// File from `offset` → `len` octets of the buffer from `at`.
    Read { offset: u64, at: u32, len: u32 },
    /// The reverse; `durable`: on the medium when done (RWF_DSYNC).
    Write { offset: u64, at: u32, len: u32, durable: bool },
    /// Data (not metadata that reads do not need) of a span becomes durable; `len` 0: of the file.
    Sync { offset: u64, len: u32 },
    /// `fallocate` with this mode.
    Allocate { offset: u64, len: u64, mode: i32 },
}

/// A finished one.
#[derive(Debug)]
pub(crate) struct Completion {
    /// From `push`.
    pub(crate) id: u32,
    /// Octets moved, or the positive `errno`.
    pub(crate) result: Result<u32, i32>,
    /// From `push`.
    pub(crate) buffer: Option<DmaBuf>,
}

/// The rings of one file, and the buffers that the kernel owns meanwhile.
pub(crate) struct Ring {
    ring: IoUring,
    file: File,
    /// Buffers of what is in flight, by id.
    held: Vec<Option<DmaBuf>>,
    in_flight: usize,
    /// Entries pushed since the last `enter`.
    pushed: usize,
    /// `region_index` of the buffers that the kernel has pinned.
    pinned: Option<u32>,
    enter_count: u64,
}

impl Ring {
    /// Rings for ids `0..depth`, each in flight once at most.
    ///
    /// Errors: what `io_uring_setup` says: `EPERM` or `ENOSYS` where it is forbidden.
    pub(crate) fn new(file: File, depth: u32) -> io::Result<Ring> {
        let entries = depth.next_power_of_two().clamp(8, 32_768);
        // Without `single_issuer`: a disk is opened by one thread and polled by another.
        let ring = IoUring::builder()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .build(entries)
            .or_else(|_| IoUring::new(entries))?;
        let held = (0..entries).map(|_| None).collect();
        let ring = Ring { ring, file, held, in_flight: 0, pushed: 0, pinned: None, enter_count: 0 };
        ring.ring.submitter().register_files(&[ring.file.as_raw_fd()])?;
        Ok(ring)
    }

    /// Pins the region of `sample` so that the kernel need not look up its pages each time. Says
    /// whether it worked: the limit of locked memory (`ulimit -l`) is per user and often 8 MiB.
    pub(crate) fn pin(&mut self, region: &memory::Region, region_index: u32) -> bool {
        let span = libc::iovec { iov_base: region.as_ptr(0).cast(), iov_len: region.len() };
        // SAFETY: the region stays mapped while its pages are pinned by the kernel, which holds
        // references of its own; the ring uses the registration only with buffers of that region,
        // each of which keeps it mapped.
        let registered = unsafe { self.ring.submitter().register_buffers(&[span]) };
        self.pinned = registered.is_ok().then_some(region_index);
        registered.is_ok()
    }

    /// Queues one operation; the kernel sees it at the next [`Ring::enter`], and owns the buffer
    /// until it is popped. Panics if `id` is in flight, or the span is not in the buffer.
    pub(crate) fn push(&mut self, id: u32, io: Io, buffer: Option<DmaBuf>) {
        let fixed = buffer.as_ref().is_some_and(|b| self.pinned == Some(b.region_index()));
        let entry = entry(io, buffer.as_ref(), fixed).user_data(u64::from(id));
        let place = &mut self.held[id as usize];
        assert!(place.is_none(), "id {id} is in flight");
        *place = buffer;
        // SAFETY: `entry` checked that the span lies in the buffer, which `held` keeps, with its
        // region, until the completion is popped or for ever (see `drop`). The descriptor is
        // registered, and the file is ours.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        assert!(pushed.is_ok(), "more operations than ids");
        self.pushed += 1;
        self.in_flight += 1;
    }

    /// The kernel has something to be told or to be asked.
    pub(crate) fn wants_enter(&mut self) -> bool {
        self.pushed > 0 || (self.in_flight > 0 && self.is_flagged())
    }

    /// Something was pushed that the kernel does not know of yet.
    pub(crate) fn has_pushed(&self) -> bool {
        self.pushed > 0
    }

    /// Hands everything pushed to the kernel, in one system call.
    pub(crate) fn enter(&mut self) {
        self.enter_count += 1;
        match self.ring.submit() {
            Ok(count) => self.pushed = self.pushed.saturating_sub(count),
            // Interrupted, or out of memory for a moment: the entries stay for the next time.
            Err(error) => tracing::debug!(%error, "io_uring_enter"),
        }
    }

    /// A finished operation, if any.
    pub(crate) fn pop(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        let Ok(id) = u32::try_from(entry.user_data()) else { panic!("not an id of ours") };
        let buffer = self.held[id as usize].take();
        self.in_flight -= 1;
        let result = u32::try_from(entry.result()).map_err(|_| entry.result().saturating_neg());
        Some(Completion { id, result, buffer })
    }

    /// Readable when something finished.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the ring, which the borrow keeps.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }

    /// System calls made for this file.
    pub(crate) fn enter_count(&self) -> u64 {
        self.enter_count
    }

    /// Waits for one completion, and leaves it to be popped.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        let count = self.ring.submit_and_wait(1)?;
        self.pushed = self.pushed.saturating_sub(count);
        Ok(())
    }

    /// The kernel asks to be entered: completions that it could not post yet.
    fn is_flagged(&mut self) -> bool {
        let submission = self.ring.submission();
        submission.taskrun() || submission.cq_overflow()
    }
}

impl Drop for Ring {
    /// The kernel may still write to buffers: waits until it does not.
    fn drop(&mut self) {
        while self.in_flight > 0 {
            let interrupted = |e: &io::Error| e.kind() == io::ErrorKind::Interrupted;
            if let Err(error) = self.wait()
                && !interrupted(&error)
            {
                tracing::error!(%error, "buffers abandoned to the kernel");
                #[expect(clippy::mem_forget, reason = "memory that a device writes stays mapped")]
                std::mem::forget(std::mem::take(&mut self.held));
                return;
            }
            while self.pop().is_some() {}
        }
        // Closing the ring would do it too, but later: others may be waiting for the file.
        if let Err(error) = self.ring.submitter().unregister_files() {
            tracing::debug!(%error, "unregister");
        }
    }
}

const FILE: types::Fixed = types::Fixed(0);

fn entry(io: Io, buffer: Option<&DmaBuf>, fixed: bool) -> squeue::Entry {
    let span = |at: u32, len: u32| {
        let Some(buffer) = buffer else { panic!("{io:?} without a buffer") };
        let end = at as usize + len as usize;
        assert!(end <= buffer.len(), "{io:?} in a buffer of {} octets", buffer.len());
        buffer.region().as_ptr(buffer.offset() + at as usize)
    };
    match io {
        Io::Read { offset, at, len } if fixed => {
            opcode::ReadFixed::new(FILE, span(at, len), len, 0).offset(offset).build()
        }
        Io::Read { offset, at, len } => {
            opcode::Read::new(FILE, span(at, len), len).offset(offset).build()
        }
        Io::Write { offset, at, len, durable } => {
            let (from, flags) = (span(at, len), if durable { libc::RWF_DSYNC } else { 0 });
            if fixed {
                opcode::WriteFixed::new(FILE, from, len, 0).offset(offset).rw_flags(flags).build()
            } else {
                opcode::Write::new(FILE, from, len).offset(offset).rw_flags(flags).build()
            }
        }
        Io::Sync { offset, len } => {
            let data = types::FsyncFlags::DATASYNC;
            opcode::Fsync::new(FILE).offset(offset).len(len).flags(data).build()
        }
        Io::Allocate { offset, len, mode } => {
            opcode::Fallocate::new(FILE, len).offset(offset).mode(mode).build()
        }
    }
}

/// Sleeps until `fd` is readable, as a target's idle thread does. Says whether it became so.
#[cfg(test)]
pub(crate) fn sleep_on(fd: BorrowedFd<'_>, timeout_ms: i32) -> bool {
    let mut wanted = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, alive during the call.
    let count = unsafe { libc::poll(&raw mut wanted, 1, timeout_ms) };
    count == 1 && wanted.revents & libc::POLLIN != 0
}
