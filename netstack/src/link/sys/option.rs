//! Socket options that socket2 has no name for, or that must go together.

use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// Linux `PACKET_VNET_HDR`, for which libc has no name.
const PACKET_VNET_HDR: libc::c_int = 15;
/// Linux `IP_PMTUDISC_DO` and `IPV6_PMTUDISC_DO`: DF set, never fragment.
const PMTUDISC_DO: libc::c_int = 2;

/// Makes a UDP socket a link: DF set (an unconnected socket then sends IP identification 0, and
/// GSO segment numbers from 0 on), GRO, ECN of what arrives, buffers of `buffer_bytes` as far as allowed.
///
/// Errors: what the kernel says of an option that the link cannot do without.
pub(crate) fn configure(socket: &Socket, ipv4: bool, buffer_bytes: usize) -> io::Result<()> {
    if ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, PMTUDISC_DO)?;
        set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, PMTUDISC_DO)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        // RoCEv2's own CRC covers more than UDP's checksum, so rdma_rxe leaves that out. Over IPv6 the
        // kernel drops such datagrams unless it is asked not to. Source: RFC 6936.
        set(socket, libc::SOL_UDP, libc::UDP_NO_CHECK6_RX, 1)?;
    }
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
    set_buffers(socket, buffer_bytes)
}

/// Each message begins with what the kernel knows of its segments and checksum.
/// Source: Linux `packet(7)`, `PACKET_VNET_HDR`.
///
/// Errors: what the kernel says.
pub(crate) fn configure_frames(socket: &Socket, buffer_bytes: usize) -> io::Result<()> {
    set(socket, libc::SOL_PACKET, PACKET_VNET_HDR, 1)?;
    set_buffers(socket, buffer_bytes)
}

/// Type of service (IPv4) or traffic class of what is sent from here on: DSCP, and ECN in the two low bits.
///
/// Errors: what the kernel says.
pub(crate) fn set_class(socket: &Socket, ipv4: bool, class: u8) -> io::Result<()> {
    let (level, name) = match ipv4 {
        true => (libc::IPPROTO_IP, libc::IP_TOS),
        false => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    set(socket, level, name, libc::c_int::from(class))
}

/// From here on the kernel gives the socket datagrams as they came, one by one.
pub(crate) fn forgo_runs(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 0)
}

fn set_buffers(socket: &Socket, buffer_bytes: usize) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Protocol, Type};
    use std::net::UdpSocket;
    use std::time::Duration;

    /// Goal: what soft-RoCE sends over IPv6, datagrams without a UDP checksum, arrives.
    #[test]
    fn ipv6_without_a_checksum_arrives() {
        let link = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        configure(&link, false, 1 << 16).unwrap();
        link.bind(&"[::1]:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        link.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let link = UdpSocket::from(link);
        let peer = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        set(&peer, libc::SOL_UDP, libc::UDP_NO_CHECK6_TX, 1).unwrap();
        peer.send_to(&[7; 20], &link.local_addr().unwrap().into()).unwrap();
        let mut octets = [0; 64];
        assert_eq!(link.recv(&mut octets).unwrap(), 20);
    }
}
