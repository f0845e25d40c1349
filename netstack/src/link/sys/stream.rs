//! One call that gathers, and one that scatters, over a stream socket.

use memory::Span;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Elements of one call at most. Source: Linux `sendmsg(2)`, `UIO_MAXIOV`.
pub(crate) const STREAM_ELEMENTS_MAX: usize = 1024;

/// Arrays that every call uses again: nothing is allocated after `new`.
pub(crate) struct StreamArrays {
    iovecs: Box<[libc::iovec]>,
}

// SAFETY: the raw pointers inside are only used by `Elements`, which borrows the arrays exclusively and
// writes each pointer before the kernel sees it.
unsafe impl Send for StreamArrays {}

impl StreamArrays {
    pub(crate) fn new() -> StreamArrays {
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        StreamArrays { iovecs: vec![iovec; STREAM_ELEMENTS_MAX].into_boxed_slice() }
    }
    /// What is to be sent: nothing yet.
    pub(crate) fn gather(&mut self) -> Gather<'_, '_> {
        Gather { elements: Elements::new(&mut self.iovecs) }
    }
    /// Where octets are to go: nowhere yet.
    pub(crate) fn scatter(&mut self) -> Scatter<'_, '_> {
        Scatter { elements: Elements::new(&mut self.iovecs) }
    }
}

/// Elements of one call; `'o` is how long the octets stay.
struct Elements<'a, 'o> {
    iovecs: &'a mut [libc::iovec],
    count: usize,
    bytes: usize,
    _octets: PhantomData<&'o mut [u8]>,
}

impl<'a> Elements<'a, '_> {
    fn new(iovecs: &'a mut [libc::iovec]) -> Self {
        Elements { iovecs, count: 0, bytes: 0, _octets: PhantomData }
    }
    /// False: there is no room for it.
    fn push(&mut self, base: *mut u8, len: usize) -> bool {
        if len > 0 {
            let Some(iovec) = self.iovecs.get_mut(self.count) else { return false };
            *iovec = libc::iovec { iov_base: base.cast(), iov_len: len };
            self.count += 1;
            self.bytes += len;
        }
        true
    }
    /// The only element, if there is one only: the kernel is quicker without a list (a look that finds
    /// nothing took 400 instead of 530 ns).
    fn only(&self) -> Option<(*mut libc::c_void, usize)> {
        let first = self.iovecs.first().filter(|_| self.count == 1);
        first.map(|iovec| (iovec.iov_base, iovec.iov_len))
    }
    fn header(&mut self) -> libc::msghdr {
        // SAFETY: all-zero octets are a valid msghdr (null pointers, lengths of zero).
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = self.iovecs.as_mut_ptr();
        header.msg_iovlen = self.count;
        header
    }
}

/// Octets to send, in order.
pub(crate) struct Gather<'a, 'o> {
    elements: Elements<'a, 'o>,
}

impl<'o> Gather<'_, 'o> {
    /// False: there is no room for it.
    pub(crate) fn octets(&mut self, octets: &'o [u8]) -> bool {
        self.elements.push(octets.as_ptr().cast_mut(), octets.len())
    }
    /// Registered memory, from where it lies. False: there is no room for it.
    pub(crate) fn span(&mut self, span: &Span<'o>) -> bool {
        self.elements.push(span.as_ptr(), span.len())
    }
    /// Octets of all elements.
    pub(crate) fn bytes(&self) -> usize {
        self.elements.bytes
    }
    /// Hands them over; returns how many octets the kernel took. Errors: the kernel's, of which
    /// `WouldBlock` says that it has no room.
    pub(crate) fn send(mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let fd = fd.as_raw_fd();
        let header = self.elements.header();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the elements point to octets that are borrowed for 'o, and to spans whose registry is;
        // the arrays are borrowed by `self`. The kernel only reads.
        let sent = unsafe {
            match self.elements.only() {
                Some((octets, len)) => libc::send(fd, octets, len, flags),
                None => libc::sendmsg(fd, &raw const header, flags),
            }
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Places for octets, in order.
pub(crate) struct Scatter<'a, 'o> {
    elements: Elements<'a, 'o>,
}

impl<'o> Scatter<'_, 'o> {
    /// False: there is no room for it.
    pub(crate) fn octets(&mut self, octets: &'o mut [u8]) -> bool {
        self.elements.push(octets.as_mut_ptr(), octets.len())
    }
    /// Registered memory that this side lets the peer, or its own work, write. False: there is no room
    /// for it.
    pub(crate) fn span(&mut self, span: &Span<'o>) -> bool {
        self.elements.push(span.as_ptr(), span.len())
    }
    /// Takes what is there; returns how many octets, 0 at the end of the stream. Errors: the kernel's,
    /// of which `WouldBlock` says that nothing is there.
    pub(crate) fn receive(mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let fd = fd.as_raw_fd();
        let mut header = self.elements.header();
        // SAFETY: the elements point to octets that are borrowed exclusively for 'o, and to spans inside
        // live registrations, which the device may write while it owns them; with their true lengths.
        let came = unsafe {
            match self.elements.only() {
                Some((place, len)) => libc::recv(fd, place, len, libc::MSG_DONTWAIT),
                None => libc::recvmsg(fd, &raw mut header, libc::MSG_DONTWAIT),
            }
        };
        usize::try_from(came).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::{Access, Region, Registry, Sge};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    /// Goal: octets and registered memory leave in one call and arrive in two places by another; an
    /// empty socket says so, and a closed one its end.
    #[test]
    fn gathers_and_scatters() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let region = Region::allocate(8192).unwrap();
        region.write(0, b"payload");
        let mut memory = Registry::new(2, 1);
        let mr = memory.register(&region, Access::LOCAL_WRITE).unwrap();
        let span = |offset, length| {
            let sge = Sge { addr: mr.addr + offset, length, lkey: mr.lkey };
            memory.local(sge, Access::LOCAL_WRITE).unwrap()
        };
        let mut arrays = StreamArrays::new();
        let mut gather = arrays.gather();
        assert!(gather.octets(b"header ") && gather.span(&span(0, 7)) && gather.octets(b""));
        assert_eq!(gather.bytes(), 14);
        assert_eq!(gather.send(near.as_fd()).unwrap(), 14);
        let mut rest = [0; 64];
        // Waits: what was sent over loopback is there, but nothing says when.
        far.peek(&mut rest).unwrap();
        let mut scatter = arrays.scatter();
        assert!(scatter.span(&span(4096, 10)) && scatter.octets(&mut rest));
        assert_eq!(scatter.receive(far.as_fd()).unwrap(), 14);
        let mut head = [0; 10];
        region.read(4096, &mut head);
        assert_eq!((&head, &rest[..4]), (b"header pay", b"load".as_slice()));
        let mut scatter = arrays.scatter();
        assert!(scatter.octets(&mut rest));
        assert_eq!(scatter.receive(far.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut gather = arrays.gather();
        assert!(gather.span(&span(3, 4)));
        assert_eq!(gather.send(near.as_fd()).unwrap(), 4);
        far.peek(&mut rest).unwrap();
        let mut scatter = arrays.scatter();
        assert!(scatter.octets(&mut rest));
        assert_eq!(scatter.receive(far.as_fd()).unwrap(), 4);
        assert_eq!(&rest[..4], b"load");
        drop(near);
        far.peek(&mut rest).unwrap();
        let mut scatter = arrays.scatter();
        assert!(scatter.octets(&mut rest));
        assert_eq!(scatter.receive(far.as_fd()).unwrap(), 0);
        let mut gather = arrays.gather();
        let octet = [0; 1];
        assert_eq!((0..2000).filter(|_| gather.octets(&octet)).count(), STREAM_ELEMENTS_MAX);
    }
}
