//! One `recvmmsg` into the free slots of the receive ring.

use super::name::{NAME_BYTES, Name};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for the segment size and the traffic class, and some more.
const CONTROL_BYTES: usize = 96;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// What one slot received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    /// Octets.
    pub(crate) len: usize,
    /// Octets of each datagram but the last; `len` when it is only one.
    pub(crate) segment_bytes: usize,
    /// Who sent them. `None`: not an IP address, or cut by the kernel; to be dropped.
    pub(crate) from: Option<SocketAddr>,
    /// ECN bits.
    pub(crate) ecn: u8,
}

/// Arrays that every call uses again: nothing is allocated after `new`.
pub(crate) struct ReceiveArrays {
    messages: Box<[libc::mmsghdr]>,
    iovecs: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers inside are written afresh in each `receive` before the kernel sees them.
unsafe impl Send for ReceiveArrays {}

impl ReceiveArrays {
    /// At most `slots` slots a call.
    pub(crate) fn new(slots: usize) -> ReceiveArrays {
        // SAFETY: all-zero octets are a valid mmsghdr (null pointers, lengths of zero).
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        ReceiveArrays {
            messages: vec![message; slots].into_boxed_slice(),
            iovecs: vec![iovec; slots].into_boxed_slice(),
            names: vec![Name::EMPTY; slots].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_BYTES]); slots].into_boxed_slice(),
        }
    }

    /// Fills `slots` from the first on, one datagram or GRO run each; returns how many were
    /// filled, to be asked for by [`ReceiveArrays::arrived`]. Errors: `WouldBlock` when nothing
    /// waits.
    pub(crate) fn receive<'s>(
        &mut self,
        fd: BorrowedFd<'_>,
        slots: impl Iterator<Item = &'s mut [u8]>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (at, slot) in slots.take(self.messages.len()).enumerate() {
            self.iovecs[at] =
                libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            let header = &mut self.messages[at].msg_hdr;
            header.msg_name = self.names[at].as_mut_ptr();
            header.msg_namelen = u32::try_from(NAME_BYTES).unwrap_or(0);
            header.msg_iov = &raw mut self.iovecs[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES;
            header.msg_flags = 0;
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

    /// What slot `at` of the last `receive` holds.
    pub(crate) fn arrived(&self, at: usize) -> Arrived {
        let message = &self.messages[at];
        let len = message.msg_len as usize;
        let whole = message.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) == 0;
        let from = if whole { self.names[at].get() } else { None };
        let used = message.msg_hdr.msg_controllen.min(CONTROL_BYTES);
        let (segment, ecn) = parse(&self.controls[at].0[..used]);
        Arrived { len, segment_bytes: segment.unwrap_or(len), from, ecn }
    }
}

/// Segment size and ECN bits from control messages. Source: Linux `cmsg(3)`: length, level, type,
/// data, each message padded to eight octets.
fn parse(mut rest: &[u8]) -> (Option<usize>, u8) {
    let (mut segment, mut ecn) = (None, 0);
    while let Some((head, _)) = rest.split_first_chunk::<16>() {
        let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, t0, t1, t2, t3] = *head;
        let len = usize::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        let level = i32::from_ne_bytes([v0, v1, v2, v3]);
        let kind = i32::from_ne_bytes([t0, t1, t2, t3]);
        let Some(data) = rest.get(head.len()..len) else { break };
        match (level, kind, data) {
            (libc::SOL_UDP, libc::UDP_GRO, [a, b, c, d, ..]) => {
                segment = usize::try_from(i32::from_ne_bytes([*a, *b, *c, *d])).ok();
            }
            (libc::IPPROTO_IP, libc::IP_TOS, [tos, ..]) => ecn = tos & 3,
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, [a, b, c, d, ..]) => {
                ecn = i32::from_ne_bytes([*a, *b, *c, *d]).to_ne_bytes()[0] & 3;
            }
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
    (segment.filter(|&bytes| bytes > 0), ecn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut out = (16 + data.len()).to_ne_bytes().to_vec();
        out.extend(level.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    /// Goal: both values are found in any order; a cut or lying length ends the walk, no panic.
    #[test]
    fn control_messages_parse() {
        let gro = message(libc::SOL_UDP, libc::UDP_GRO, &4128_i32.to_ne_bytes());
        let tos = message(libc::IPPROTO_IP, libc::IP_TOS, &[0b11]);
        assert_eq!(parse(&[gro.clone(), tos.clone()].concat()), (Some(4128), 3));
        assert_eq!(parse(&[tos.clone(), gro.clone()].concat()), (Some(4128), 3));
        assert_eq!(parse(&gro[..18]), (None, 0));
        let mut lying = tos.clone();
        lying[0] = 200;
        assert_eq!(parse(&[lying, gro].concat()), (None, 0));
        assert_eq!(parse(&[0; 40]), (None, 0));
    }
}
