//! Whole frames: a socket of one device, and one `recvmmsg` that parts headers from payload.

use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Binds a packet socket to a device: from here on it gets its frames of one protocol (an Ethernet
/// type), as far as its filter passes them.
///
/// Errors: what the kernel says.
pub(crate) fn bind_device(socket: &Socket, index: i32, ethernet_type: u16) -> io::Result<()> {
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut name: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    name.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
    name.sll_protocol = ethernet_type.to_be();
    name.sll_ifindex = index;
    let len = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
    let name: *const libc::sockaddr_ll = &raw const name;
    // SAFETY: `name` is a sockaddr_ll that lives through the call, and `len` is its size.
    let rc = unsafe { libc::bind(socket.as_raw_fd(), name.cast(), len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Arrays that every call uses again: nothing is allocated after `new`.
pub(crate) struct FrameArrays {
    headers: Box<[u8]>,
    header_bytes: usize,
    messages: Box<[libc::mmsghdr]>,
    iovecs: Box<[[libc::iovec; 2]]>,
}

// SAFETY: the raw pointers inside are written afresh in each `receive` before the kernel sees them.
unsafe impl Send for FrameArrays {}

impl FrameArrays {
    /// At most `slots` slots a call, for frames of which the first `header_bytes` are headers.
    pub(crate) fn new(slots: usize, header_bytes: usize) -> FrameArrays {
        // SAFETY: all-zero octets are a valid mmsghdr (null pointers, lengths of zero).
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        FrameArrays {
            headers: vec![0; slots * header_bytes].into_boxed_slice(),
            header_bytes,
            messages: vec![message; slots].into_boxed_slice(),
            iovecs: vec![[iovec; 2]; slots].into_boxed_slice(),
        }
    }

    /// Fills `slots` from the first on with what follows the headers of one frame each; returns how
    /// many were filled, to be asked for by [`FrameArrays::arrived`]. Errors: `WouldBlock` when
    /// nothing waits.
    pub(crate) fn receive<'s>(
        &mut self,
        fd: BorrowedFd<'_>,
        slots: impl Iterator<Item = &'s mut [u8]>,
    ) -> io::Result<usize> {
        let headers = self.headers.chunks_exact_mut(self.header_bytes);
        let mut count = 0;
        for ((slot, head), (iovecs, message)) in
            slots.zip(headers).zip(self.iovecs.iter_mut().zip(&mut self.messages))
        {
            for (iovec, octets) in iovecs.iter_mut().zip([head, slot]) {
                let iov_base = octets.as_mut_ptr().cast();
                *iovec = libc::iovec { iov_base, iov_len: octets.len() };
            }
            message.msg_hdr.msg_iov = iovecs.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
            message.msg_hdr.msg_flags = 0;
            count += 1;
        }
        // SAFETY: every header points to a slot borrowed for this call and into our own arrays,
        // with their true lengths.
        let filled = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(filled).map_err(|_| io::Error::last_os_error())
    }

    /// Headers of the frame whose rest is in slot `at` of the last `receive`, and the octets of the
    /// rest. `None`: it was cut short.
    pub(crate) fn arrived(&self, at: usize) -> Option<(&[u8], usize)> {
        let message = &self.messages[at];
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let rest = (message.msg_len as usize).checked_sub(self.header_bytes)?;
        Some((&self.headers[at * self.header_bytes..][..self.header_bytes], rest))
    }
}
