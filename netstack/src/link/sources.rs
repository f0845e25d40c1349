//! Sockets that only send, from the ports of [`Flows`]: a UDP socket has one port, and what leaves from
//! another needs another socket.

use super::flows::Flows;
use super::raw::nothing;
use super::sys;
use socket2::{Domain, Protocol, Socket, Type};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;

/// Ports, and so descriptors, that a link takes: about as many as there are equal paths between two
/// switches, or receive queues of a NIC. Each that a batch leaves from is a system call.
const COUNT: u16 = 8;
/// Blocks of ports tried. Other programs' sockets lie in the same range.
const TRIES: u16 = 16;

/// The sockets of a block of ports, in order; or none.
#[derive(Default)]
pub(super) struct Sources {
    flows: Flows,
    sockets: Vec<Socket>,
}

impl Sources {
    /// Sockets at a free block of `local`'s address, with send buffers of `buffer_bytes`. None where there
    /// is no room for them: then all leaves from one port.
    pub(super) fn open(local: SocketAddr, buffer_bytes: usize) -> Sources {
        let start = u16::try_from(RandomState::new().hash_one(local) >> 48).unwrap_or(0);
        // An odd step comes through all blocks, and does not stay among neighbours that are taken.
        let blocks = (0..TRIES).map(|at| start.wrapping_add(at.wrapping_mul(641)));
        Sources::first_free(local, buffer_bytes, blocks).unwrap_or_else(|error| {
            tracing::warn!(%local, %error, "RoCEv2 leaves from one port: no other ones to be had");
            Sources::default()
        })
    }

    /// At the first of those blocks that is free. Errors: those of the last one tried.
    fn first_free(
        local: SocketAddr,
        buffer_bytes: usize,
        blocks: impl IntoIterator<Item = u16>,
    ) -> io::Result<Sources> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for number in blocks {
            let flows = Flows::block(number, COUNT);
            // A link-local address keeps the device that it is of.
            let mut at = local;
            let sockets = flows.ports().map(|port| {
                at.set_port(port);
                mute(at, buffer_bytes)
            });
            match sockets.collect() {
                Ok(sockets) => return Ok(Sources { flows, sockets }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Their ports.
    pub(super) fn flows(&self) -> Flows {
        self.flows
    }

    /// The socket at `port`. `None`: it is none of these.
    #[inline]
    pub(super) fn at(&self, port: u16) -> Option<&Socket> {
        self.flows.position(port).and_then(|at| self.sockets.get(at))
    }

    pub(super) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }
}

/// A socket that sends as a link's own does. What comes to it is dropped before it is queued, and nothing
/// is told to its sender.
fn mute(at: SocketAddr, buffer_bytes: usize) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    sys::configure(&socket, at.is_ipv4(), buffer_bytes)?;
    hush(&socket)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// From here on nothing is queued for `socket`.
///
/// Errors: what the kernel says.
pub(super) fn hush(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&nothing())?;
    // What the kernel joins for this socket would reach others joined too.
    sys::forgo_runs(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 9, 1], port))
    }

    /// Goal: a block of which one port is taken is passed over as a whole, and given back; where all are
    /// taken, or the address is no one's, it is said.
    #[test]
    fn taken_blocks_are_passed_over() {
        let taken = UdpSocket::bind(at(0xc000 + 8 * 100 + 5)).unwrap();
        let sources = Sources::first_free(at(4791), 1 << 16, [100, 101]).unwrap();
        assert_eq!(sources.flows(), Flows::block(101, 8));
        for (port, socket) in sources.flows().ports().zip(sources.sockets()) {
            assert_eq!(socket.local_addr().unwrap().as_socket(), Some(at(port)));
            assert!(std::ptr::eq(sources.at(port).unwrap(), socket));
        }
        assert!(sources.at(4791).is_none());
        let error = Sources::first_free(at(4791), 1 << 16, [100, 101]).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop((taken, sources));
        assert!(Sources::first_free(at(4791), 1 << 16, [100]).is_ok());
        let nowhere = Sources::open(SocketAddr::from(([192, 0, 2, 1], 4791)), 1 << 16);
        assert!(nowhere.flows().is_empty() && nowhere.sockets().is_empty());
    }

    /// Goal: what comes to such a port is not kept, and its sender is not told that the port is closed.
    #[test]
    fn nothing_is_heard() {
        let sources = Sources::open(at(4791), 1 << 16);
        let stranger = UdpSocket::bind(at(0)).unwrap();
        stranger.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for (port, socket) in sources.flows().ports().zip(sources.sockets()) {
            stranger.connect(at(port)).unwrap();
            stranger.send(&[7; 40]).unwrap();
            let told = stranger.recv(&mut [0; 64]).unwrap_err();
            assert_ne!(told.kind(), io::ErrorKind::ConnectionRefused);
            let kept = socket.recv_from(&mut [std::mem::MaybeUninit::uninit(); 64]).unwrap_err();
            assert_eq!(kept.kind(), io::ErrorKind::WouldBlock);
        }
        assert_eq!(sources.sockets().len(), 8);
    }
}
