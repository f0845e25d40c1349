//! Which descriptors have something, edge by edge.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors told in one look at most; the others come with the next.
const EVENTS_MAX: usize = 256;

/// An epoll instance. Edges: a descriptor is told once, and again when more has arrived.
pub(super) struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What a descriptor has.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) name: u64,
    /// Octets, or a connection to accept.
    pub(super) readable: bool,
    /// Room for more, where that was asked for.
    pub(super) writable: bool,
    /// The peer sends no more, or the connection is broken: reading tells.
    pub(super) ended: bool,
}

impl Readiness {
    /// Errors: no descriptors left.
    pub(super) fn new() -> io::Result<Readiness> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Readiness { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
    fn flags(write: bool) -> EventFlags {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if write { flags | EventFlags::OUT } else { flags }
    }
    /// Watches a descriptor; until it is closed. `write`: for room too.
    pub(super) fn watch(&self, fd: impl AsFd, name: u64, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(name), Readiness::flags(write))?)
    }
    /// Watches for room, or no longer. What is there already is told too.
    pub(super) fn watch_room(&self, fd: impl AsFd, name: u64, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(name), Readiness::flags(write))?)
    }

    /// Looks, without waiting. Errors: none that the caller did not make.
    pub(super) fn look(&mut self) -> io::Result<impl Iterator<Item = Ready> + '_> {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let events = rustix::buffer::spare_capacity(&mut self.events);
        epoll::wait(&self.epoll, events, Some(&at_once))?;
        Ok(self.events.iter().map(|event| {
            let flags = event.flags;
            let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
            Ready {
                name: event.data.u64(),
                readable: flags.contains(EventFlags::IN),
                writable: flags.contains(EventFlags::OUT),
                ended: flags.intersects(ended),
            }
        }))
    }
}
