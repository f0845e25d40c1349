//! What the machines ask the reactor to do.

use crate::subsystem::DiskIndex;
use memory::{DmaBuf, Mr};
use netstack::fabric::Work;
use std::collections::VecDeque;
use storage::Request;

/// One thing to do, in the order in which it was asked for.
#[derive(Debug)]
pub(crate) enum Action {
    /// Give a request to a disk.
    Submit {
        /// Which disk.
        disk: DiskIndex,
        /// What; its tag was made by [`crate::queue::disk_tag`].
        request: Request,
    },
    /// Copy in-capsule data into the request's buffer, then give the request to a disk.
    SubmitLanded {
        /// Which disk.
        disk: DiskIndex,
        /// What, with a buffer of the same length.
        request: Request,
        /// Queue whose capsule it was, by its place in the reactor.
        queue: u32,
        /// Where in the capsule.
        landed: InCapsule,
    },
    /// Give a buffer back to its disk.
    Release {
        /// Which disk.
        disk: DiskIndex,
        /// The buffer.
        buffer: DmaBuf,
    },
    /// Post work on a connection.
    Post {
        /// Queue, by its place in the reactor.
        queue: u32,
        /// Work.
        work: Work,
    },
    /// End the registration of a control buffer.
    Deregister(Mr),
    /// Count a command that a queue ended by itself.
    Count(Counted),
    /// End a connection.
    Disconnect {
        /// Queue, by its place in the reactor.
        queue: u32,
    },
}

/// Why a queue ended a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counted {
    /// It was answered with an error.
    Failed,
    /// Its host lost its registration.
    Preempted,
}

/// Data in a capsule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InCapsule {
    /// Receive in which it landed, not posted again before the action is done.
    pub(crate) recv: u16,
    /// First octet behind the command.
    pub(crate) offset: usize,
    /// Octets.
    pub(crate) len: usize,
}

/// Actions in order. Kept from turn to turn, so that it stops growing.
pub(crate) type Actions = VecDeque<Action>;
