//! One `sendmmsg` for a batch: iovecs that point into registered memory, headers in one scratch.

use super::name::Name;
use memory::{Registry, Span};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use wire::roce::HeaderBuf;

/// Payload elements of one packet at most.
pub(crate) const ELEMENTS_MAX: usize = 16;
/// Octets of scratch a packet: header, pad and CRC (7 at most).
const SCRATCH_BYTES: usize = HeaderBuf::CAPACITY + 8;

/// `cmsghdr` with one `UDP_SEGMENT` value, padded to `CMSG_SPACE(2)`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control {
    header: libc::cmsghdr,
    segment: u16,
    pad: [u8; 6],
}

/// Arrays that every call uses again: nothing is allocated after `new`.
pub(crate) struct SendArrays {
    scratch: Box<[u8]>,
    iovecs: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers inside are only used by `SendBatch`, which borrows the arrays
// exclusively and writes each pointer before the kernel sees it.
unsafe impl Send for SendArrays {}

impl SendArrays {
    /// Room for `packets` packets, each a message of its own in the worst case, with a header of
    /// `header_bytes` before it.
    pub(crate) fn new(packets: usize, header_bytes: usize) -> SendArrays {
        // SAFETY: all-zero octets are a valid mmsghdr (null pointers, lengths of zero).
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let control = Control {
            header: libc::cmsghdr {
                cmsg_len: size_of::<libc::cmsghdr>() + size_of::<u16>(),
                cmsg_level: libc::SOL_UDP,
                cmsg_type: libc::UDP_SEGMENT,
            },
            segment: 0,
            pad: [0; 6],
        };
        SendArrays {
            scratch: vec![0; packets * (SCRATCH_BYTES + header_bytes)].into_boxed_slice(),
            iovecs: vec![iovec; packets * (ELEMENTS_MAX + 2)].into_boxed_slice(),
            messages: vec![message; packets].into_boxed_slice(),
            names: vec![Name::EMPTY; packets].into_boxed_slice(),
            controls: vec![control; packets].into_boxed_slice(),
        }
    }

    /// An empty batch whose payload will come from `memory`, which stays borrowed until it is sent.
    pub(crate) fn batch<'a>(&'a mut self, _memory: &'a Registry) -> SendBatch<'a> {
        let scratch = self.scratch.as_mut_ptr();
        SendBatch {
            arrays: self,
            scratch,
            scratch_used: 0,
            iovecs: 0,
            open_at: 0,
            messages: 0,
            gathered_bytes: 0,
        }
    }
}

/// Messages under construction.
pub(crate) struct SendBatch<'a> {
    arrays: &'a mut SendArrays,
    scratch: *mut u8,
    scratch_used: usize,
    iovecs: usize,
    open_at: usize,
    messages: usize,
    gathered_bytes: u64,
}

impl<'a> SendBatch<'a> {
    /// Copies octets that are not payload. Octets that follow scratch octets of the same message
    /// share their iovec: a trailer and the next header are one element.
    pub(crate) fn scratch(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let end = self.scratch_used + octets.len();
        assert!(end <= self.arrays.scratch.len(), "header scratch overrun");
        // SAFETY: in bounds of the scratch, checked above; `octets` is a Rust slice elsewhere.
        let base = unsafe {
            let at = self.scratch.add(self.scratch_used);
            std::ptr::copy_nonoverlapping(octets.as_ptr(), at, octets.len());
            at
        };
        self.scratch_used = end;
        if self.iovecs > self.open_at {
            let last = &mut self.arrays.iovecs[self.iovecs - 1];
            if last.iov_base.cast::<u8>().wrapping_add(last.iov_len) == base {
                last.iov_len += octets.len();
                return;
            }
        }
        self.element(base, octets.len());
    }

    /// Leaves room for `len` octets that are known when the message ends; returns where.
    pub(crate) fn reserve(&mut self, len: usize) -> usize {
        let at = self.scratch_used;
        let end = at + len;
        assert!(end <= self.arrays.scratch.len(), "header scratch overrun");
        self.scratch_used = end;
        if len > 0 {
            self.element(self.scratch.wrapping_add(at), len);
        }
        at
    }

    /// Fills what [`SendBatch::reserve`] left free. Panics outside of what was used.
    pub(crate) fn patch(&mut self, at: usize, octets: &[u8]) {
        assert!(at + octets.len() <= self.scratch_used, "not reserved");
        // SAFETY: in bounds of the scratch, checked above; `octets` is a Rust slice elsewhere.
        unsafe {
            std::ptr::copy_nonoverlapping(octets.as_ptr(), self.scratch.add(at), octets.len());
        }
    }

    /// Adds payload where it lies.
    pub(crate) fn payload(&mut self, span: Span<'a>) {
        if !span.is_empty() {
            self.gathered_bytes += span.len() as u64;
            self.element(span.as_ptr(), span.len());
        }
    }

    fn element(&mut self, base: *mut u8, len: usize) {
        self.arrays.iovecs[self.iovecs] = libc::iovec { iov_base: base.cast(), iov_len: len };
        self.iovecs += 1;
    }

    /// Ends the message that the elements since the last `end_message` make. `segment` is the
    /// segment size when it holds more than one packet.
    pub(crate) fn end_message(&mut self, to: SocketAddr, segment: Option<u16>) {
        let at = self.messages;
        let namelen = self.arrays.names[at].set(to);
        let header = &mut self.arrays.messages[at].msg_hdr;
        header.msg_name = self.arrays.names[at].as_mut_ptr();
        header.msg_namelen = namelen;
        header.msg_iov = &raw mut self.arrays.iovecs[self.open_at];
        header.msg_iovlen = self.iovecs - self.open_at;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        if let Some(segment) = segment {
            let control = &mut self.arrays.controls[at];
            control.segment = segment;
            header.msg_control = (&raw mut *control).cast();
            header.msg_controllen = size_of::<Control>();
        }
        self.messages += 1;
        self.open_at = self.iovecs;
    }

    /// The same for a socket that is bound to a device: the message says itself where it goes.
    pub(crate) fn end_frame(&mut self) {
        let header = &mut self.arrays.messages[self.messages].msg_hdr;
        header.msg_name = std::ptr::null_mut();
        header.msg_namelen = 0;
        header.msg_iov = &raw mut self.arrays.iovecs[self.open_at];
        header.msg_iovlen = self.iovecs - self.open_at;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        self.messages += 1;
        self.open_at = self.iovecs;
    }

    /// Payload octets that the kernel will fetch from where they lie.
    pub(crate) fn gathered_bytes(&self) -> u64 {
        self.gathered_bytes
    }

    /// Hands those messages to the kernel, in order; returns how many it took (at least one).
    ///
    /// Errors: the kernel's for the first of them, of which nothing was sent. Panics on messages that
    /// were not ended.
    pub(crate) fn send(&mut self, fd: BorrowedFd<'_>, which: Range<usize>) -> io::Result<usize> {
        let messages = &mut self.arrays.messages[..self.messages][which];
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        // SAFETY: each header points into the arrays, which stay in place while `self` borrows
        // them, and to payload spans whose registry is borrowed for 'a. The kernel only reads.
        let sent = unsafe {
            libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT)
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// The span's octets, to run a CRC over them.
pub(crate) fn octets<'a>(span: &Span<'a>) -> &'a [u8] {
    // SAFETY: the span is inside a live registration for 'a. Nobody writes to memory that is being
    // sent: a buffer belongs to the device between post and completion (ARCHITECTURE.md,
    // invariant 5); a writer that breaks that can only make the CRC wrong.
    unsafe { std::slice::from_raw_parts(span.as_ptr(), span.len()) }
}
