//! Which descriptors have something, edge by edge.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors told in one look at most; the others come with the next.
const EVENTS_MAX: usize = 256;

/// An epoll instance. Edges: a descriptor is told once, and again when more has arrived.
#[derive(Debug)]
pub struct Readiness {
    epoll: OwnedFd,
}

/// What a descriptor has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// What it was given.
    pub name: u64,
    /// Octets, or a connection to accept.
    pub readable: bool,
    /// Room for more, where that was asked for.
    pub writable: bool,
    /// The peer sends no more, or the connection is broken: reading tells.
    pub ended: bool,
}

impl Readiness {
    /// Errors: no descriptors left.
    pub fn new() -> io::Result<Readiness> {
        Ok(Readiness { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }
    /// To sleep on.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
    fn flags(write: bool) -> EventFlags {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if write { flags | EventFlags::OUT } else { flags }
    }
    /// Watches a descriptor, until it is closed, by `name`. `write`: for room too.
    ///
    /// Errors: no memory left.
    pub fn watch(&self, fd: impl AsFd, name: u64, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(name), Readiness::flags(write))?)
    }
    /// Watches for room, or no longer. What is there already is told too.
    ///
    /// Errors: it is not watched.
    pub fn watch_room(&self, fd: impl AsFd, name: u64, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(name), Readiness::flags(write))?)
    }

    /// Looks, without waiting; appends what it saw to `told`. Errors: none that the caller did not make.
    pub fn look(&self, told: &mut Vec<Ready>) -> io::Result<()> {
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_MAX];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (events, _) = epoll::wait(&self.epoll, &mut events, Some(&at_once))?;
        told.extend(events.iter().map(|event| {
            let flags = event.flags;
            let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
            Ready {
                name: event.data.u64(),
                readable: flags.contains(EventFlags::IN),
                writable: flags.contains(EventFlags::OUT),
                ended: flags.intersects(ended),
            }
        }));
        Ok(())
    }
}
