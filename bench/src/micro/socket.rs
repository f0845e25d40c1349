//! Messages with descriptors between an application and its engine.

use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest message: an answer with all counters is a tenth of it.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Descriptors in one message at most.
const FDS_MAX: usize = 4;

/// One end of a connection that keeps messages apart.
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Both ends. Errors: what `socketpair` says.
    pub(super) fn pair() -> io::Result<(Socket, Socket)> {
        let flags = SocketFlags::CLOEXEC;
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Socket(a), Socket(b)))
    }
    pub(super) fn new(fd: OwnedFd) -> Socket {
        Socket(fd)
    }
    pub(super) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends a message, and waits for room if need be. Errors: the other end is gone.
    pub(super) fn send<M: Serialize>(&self, message: &M, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(message, fds, SendFlags::NOSIGNAL)
    }
    /// Sends a message if there is room now. Errors: `WouldBlock`; the other end is gone.
    pub(super) fn try_send<M: Serialize>(&self, message: &M) -> io::Result<()> {
        self.send_with(message, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }
    fn send_with<M: Serialize>(
        &self,
        message: &M,
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> io::Result<()> {
        let octets = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        rustix::net::sendmsg(&self.0, &[IoSlice::new(&octets)], &mut control, flags)?;
        Ok(())
    }

    /// Waits for a message. Errors: `UnexpectedEof` when the other end is gone; `InvalidData` for
    /// what is no such message.
    pub(super) fn receive<M: DeserializeOwned>(&self) -> io::Result<(M, Vec<OwnedFd>)> {
        let mut octets = vec![0; MESSAGE_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut octets)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(&self.0, &mut into, &mut control, flags)?;
        if got.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rights = control.drain().filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None }
        });
        let fds = rights.flatten().collect();
        let message = octets.get(..got.bytes).unwrap_or_default();
        Ok((serde_json::from_slice(message)?, fds))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: messages stay apart and carry descriptors; an end that is gone is told, not waited for.
    #[test]
    fn messages_carry_descriptors() {
        let (near, far) = Socket::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        near.send(&"with", &[file.as_fd()]).unwrap();
        near.send(&"without", &[]).unwrap();
        let (text, fds) = far.receive::<String>().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("with", 1));
        let (text, fds) = far.receive::<String>().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("without", 0));
        near.send(&7, &[]).unwrap();
        let kind = far.receive::<String>().unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::InvalidData);
        drop(near);
        let kind = far.receive::<String>().unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::UnexpectedEof);
        assert!(far.send(&"late", &[]).is_err());
    }
}
