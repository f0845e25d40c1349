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
    /// End a connection.
    Disconnect {
        /// Queue, by its place in the reactor.
        queue: u32,
    },
}

/// Actions in order. Kept from turn to turn, so that it stops growing.
pub(crate) type Actions = VecDeque<Action>;
