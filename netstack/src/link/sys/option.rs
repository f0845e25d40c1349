//! Socket options that socket2 has no name for, or that must go together.

use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// ECN-capable transport, codepoint 0. Source: RFC 3168, section 5.
const ECT_0: libc::c_int = 0b10;
/// Linux `IP_PMTUDISC_DO` and `IPV6_PMTUDISC_DO`: DF set, never fragment.
const PMTUDISC_DO: libc::c_int = 2;

/// Makes a UDP socket a link: DF set (an unconnected socket then sends IP identification 0, and
/// GSO segment numbers from 0 on), GRO, ECN both ways, buffers of `buffer_bytes` as far as allowed.
///
/// Errors: what the kernel says of an option that the link cannot do without.
pub(crate) fn configure(socket: &Socket, ipv4: bool, buffer_bytes: usize) -> io::Result<()> {
    if ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, PMTUDISC_DO)?;
        set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
        set(socket, libc::IPPROTO_IP, libc::IP_TOS, ECT_0)?;
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, PMTUDISC_DO)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, ECT_0)?;
    }
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
    let bytes = libc::c_int::try_from(buffer_bytes).unwrap_or(libc::c_int::MAX);
    for (force, plain) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        // FORCE needs CAP_NET_ADMIN; without it the kernel cuts to net.core.{r,w}mem_max.
        if set(socket, libc::SOL_SOCKET, force, bytes).is_err() {
            set(socket, libc::SOL_SOCKET, plain, bytes)?;
        }
    }
    Ok(())
}

fn set(
    socket: &Socket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = u32::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    let value: *const libc::c_int = &raw const value;
    // SAFETY: `value` points to a c_int that lives through the call, and `len` is its size.
    let rc = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.cast(), len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
