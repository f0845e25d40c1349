//! Sockets with the options that a fabric wants.

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

/// Octets of each socket buffer: what is outstanding on a connection should fit, so that nobody waits
/// for room. The kernel takes what it allows.
const BUFFER_BYTES: usize = 4 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// `near`: its other end is on this machine.
fn fresh(is_ipv4: bool, near: bool) -> io::Result<OwnedFd> {
    let family = if is_ipv4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    // Before the handshake, which fixes the scale of windows.
    sockopt::set_socket_send_buffer_size(&socket, BUFFER_BYTES)?;
    sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES)?;
    if near {
        // One that paces its packets with timers is slower where nothing is ever lost. Where it cannot
        // be had, the default is as good as another.
        let _ = sockopt::set_tcp_congestion(&socket, "reno");
    }
    Ok(socket)
}

/// Listens. What it accepts inherits its options: small messages leave at once, buffers are large.
///
/// Errors: the address cannot be had.
pub fn listener(local: SocketAddr) -> io::Result<TcpListener> {
    let socket = fresh(local.is_ipv4(), local.ip().is_loopback())?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &local)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Begins to connect, without waiting: writable is connected.
///
/// Errors: what is known to fail at once.
pub fn connecting(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let local = SocketAddr::new(from, 0);
    let socket = fresh(local.is_ipv4(), to.ip().is_loopback())?;
    rustix::net::bind(&socket, &local)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}
