//! How two processes meet: an abstract Unix socket named after the target's address, over which the
//! target hands out a mapping.

use super::peer::MAPPING_BYTES;
use crate::link::sys::Shared;
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::time::Duration;

/// What a welcome begins with; another layout gets another.
const MAGIC: [u8; 8] = *b"flexshm2";
/// Octets of a welcome: magic, the peer's number, reserved.
const WELCOME_BYTES: usize = 16;

pub(super) fn name(target: SocketAddr) -> io::Result<UnixAddr> {
    UnixAddr::from_abstract_name(format!("flexblk-{}-{}", target.ip(), target.port()))
}

/// Errors: `AddrInUse` when another process offers this address.
pub(super) fn listen(local: SocketAddr) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&name(local)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Makes a mapping for a client that connected and hands it over, as number `id`.
pub(super) fn welcome(stream: &UnixStream, id: u32) -> io::Result<Shared> {
    let (fd, shared) = Shared::create(MAPPING_BYTES)?;
    let mut octets = [0; WELCOME_BYTES];
    octets[..8].copy_from_slice(&MAGIC);
    octets[8..12].copy_from_slice(&id.to_le_bytes());
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = rustix::net::sendmsg(stream, &[IoSlice::new(&octets)], &mut control, flags)?;
    if sent == WELCOME_BYTES { Ok(shared) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Connects to the target at `to` and takes the mapping that it hands out, with this side's number.
///
/// Errors: `ConnectionRefused` when nobody offers that address; `PermissionDenied` when somebody
/// does who is neither this user nor root (names of sockets belong to whoever comes first);
/// `InvalidData` for anything but a welcome.
pub(super) fn connect(to: SocketAddr, patience: Duration) -> io::Result<(UnixStream, Shared, u32)> {
    let stream = UnixStream::connect_addr(&name(to)?)?;
    let owner = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    if !owner.is_root() && owner != rustix::process::geteuid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(patience))?;
    let mut octets = [0; WELCOME_BYTES];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut octets)];
    let got = rustix::net::recvmsg(&stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fds = control.drain().filter_map(|message| {
        if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None }
    });
    let fd: Option<OwnedFd> = fds.flatten().next();
    let (Some(fd), WELCOME_BYTES, true) = (fd, got.bytes, octets.starts_with(&MAGIC)) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let shared = Shared::open(fd.as_fd(), MAPPING_BYTES)?;
    let [.., a, b, c, d, _, _, _, _] = octets;
    Ok((stream, shared, u32::from_le_bytes([a, b, c, d])))
}
