//! One NVMe queue pair of the host, pure: command slots, capsules, completions, deadlines.
//!
//! Source: NVMe over Fabrics, "Command Capsule", "Response Capsule", "Flow Control". The queue never
//! touches the network: `start` gives the work to post, `handle_response` takes what landed.

use memory::{Mr, Region, Rkey, Sge};
use netstack::fabric::{Gather, Work, WorkOp};
use std::io;
use std::time::{Duration, Instant};
use wire::nvme::{Cid, Cqe, Sgl, Sqe};

const CAPSULE_BYTES: usize = 64;
const RESPONSE_BYTES: usize = 16;
/// Posted above the depth, so that a response finds a place while the last one is handled.
const SPARE_RECEIVES: u16 = 2;
/// Most commands outstanding on one queue.
pub const DEPTH_MAX: u16 = 1024;
/// Low bits of a command identifier that name the slot; the rest count its uses, so that an answer
/// to an earlier use is not taken for one to the present.
const SLOT_BITS: u32 = 11;

/// Which way a command's data goes, and where it is here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// Local memory.
    pub sge: Sge,
    /// Key by which the controller reaches it.
    pub rkey: Rkey,
    /// NVMe Write data (host → controller): may travel in the capsule.
    pub to_controller: bool,
}

/// A command to send. `sqe` is complete but for the command identifier and the data pointer.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Returned with the completion.
    pub tag: u64,
    /// The command.
    pub sqe: Sqe,
    /// Its data.
    pub data: Option<Data>,
    /// Runs out of time; false for Asynchronous Event Requests, which wait as long as it takes.
    pub expires: bool,
    /// Times that it was sent before (on connections that were lost).
    pub attempts: u8,
}

/// A finished command.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// From the command.
    pub tag: u64,
    /// The controller's word.
    pub cqe: Cqe,
}

/// The controller broke the protocol on this queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueueFault {
    /// A response capsule of the wrong size.
    #[error("response capsule of {0} octets instead of 16")]
    BadLength(u32),
    /// A response to a command that is not outstanding.
    #[error("response to command {0:#06x}, which is not outstanding")]
    UnknownCommand(u16),
    /// A receive that was never posted.
    #[error("completion of a receive that was never posted")]
    UnknownReceive(u64),
}

/// The uses of one slot.
struct Slot {
    uses: u16,
    command: Option<Command>,
    deadline: Option<Instant>,
    order: u64,
}

/// One queue: up to `depth` commands outstanding.
pub struct Queue {
    qid: u16,
    depth: u16,
    in_capsule_bytes: u32,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Deadlines are looked at this often, not at every command.
    check_at: Option<Instant>,
    started: u64,
    timeout: Duration,
    memory: Region,
    mr: Mr,
}

impl Queue {
    /// Octets of memory that a queue of `depth` needs: capsules, then responses.
    ///
    /// Errors: what mapping memory says.
    pub fn allocate(depth: u16) -> io::Result<Region> {
        let receives = usize::from(depth + SPARE_RECEIVES);
        Region::allocate(usize::from(depth) * CAPSULE_BYTES + receives * RESPONSE_BYTES)
    }

    /// A queue over `memory` (from [`Queue::allocate`]), registered as `mr`.
    /// Panics if `depth` is 0 or above [`DEPTH_MAX`].
    #[must_use]
    pub fn new(qid: u16, depth: u16, timeout: Duration, memory: Region, mr: Mr) -> Queue {
        assert!((1..=DEPTH_MAX).contains(&depth), "queue depth {depth}");
        let slot = || Slot { uses: 0, command: None, deadline: None, order: 0 };
        Queue {
            qid,
            depth,
            in_capsule_bytes: 0,
            slots: (0..depth).map(|_| slot()).collect(),
            free: (0..depth).rev().collect(),
            check_at: None,
            started: 0,
            timeout,
            memory,
            mr,
        }
    }

    /// Queue identifier; 0 is the admin queue.
    #[must_use]
    pub fn qid(&self) -> u16 {
        self.qid
    }
    /// Commands that may be outstanding.
    #[must_use]
    pub fn depth(&self) -> u16 {
        self.depth
    }
    /// Commands outstanding.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }
    /// The registration of the queue's own memory.
    #[must_use]
    pub fn mr(&self) -> &Mr {
        &self.mr
    }
    /// Data of at most this many octets travels in the capsule.
    pub fn set_in_capsule(&mut self, bytes: u32) {
        self.in_capsule_bytes = bytes;
    }
    /// At most `most` commands outstanding from now on, and never more than memory was given for.
    ///
    /// # Panics
    /// If a command is outstanding, or `most` is 0.
    pub fn bound_depth(&mut self, most: u16) {
        assert!(most > 0 && self.free.len() == usize::from(self.depth), "not idle, or no depth");
        let slots = u16::try_from(self.slots.len()).unwrap_or(DEPTH_MAX);
        self.depth = slots.min(most);
        self.free = (0..self.depth).rev().collect();
    }
    /// Receives to post on a new connection.
    pub fn receives(&self) -> impl Iterator<Item = Work> + '_ {
        (0..self.depth + SPARE_RECEIVES).map(|index| self.receive(u64::from(index)))
    }

    /// Takes a slot and gives the work to post; `None` when all slots are taken.
    pub fn start(&mut self, now: Instant, command: Command) -> Option<Work> {
        let index = self.free.pop()?;
        let slot = &mut self.slots[usize::from(index)];
        slot.uses = slot.uses.wrapping_add(1);
        let cid = index | slot.uses << SLOT_BITS;
        slot.command = Some(command);
        slot.deadline = command.expires.then(|| now + self.timeout);
        slot.order = self.started;
        self.started += 1;
        if self.check_at.is_none() {
            self.check_at = Some(now + self.timeout);
        }
        let (sgl, data) = self.data_pointer(&command);
        let mut sqe = command.sqe;
        sqe.set_cid(Cid(cid));
        sqe.set_sgl(sgl);
        let offset = usize::from(index) * CAPSULE_BYTES;
        self.memory.write(offset, sqe.as_octets());
        let capsule = self.own(offset, CAPSULE_BYTES);
        let local = data.map_or(Gather::one(capsule), |data| Gather::two(capsule, data));
        let op = WorkOp::Send { invalidate: None };
        Some(Work { token: u64::from(cid), op, local, signaled: false })
    }

    /// A response landed in receive `token`: the answer, and the receive to post again.
    ///
    /// Errors: the controller's fault; the connection is to be reset.
    pub fn handle_response(&mut self, token: u64, len: u32) -> Result<(Answer, Work), QueueFault> {
        if token >= u64::from(self.depth + SPARE_RECEIVES) {
            return Err(QueueFault::UnknownReceive(token));
        }
        if len as usize != RESPONSE_BYTES {
            return Err(QueueFault::BadLength(len));
        }
        let mut octets = [0; RESPONSE_BYTES];
        self.memory.read(self.response_offset(token), &mut octets);
        let cqe = Cqe::from_octets(octets);
        let command = self.take(cqe.cid().0).ok_or(QueueFault::UnknownCommand(cqe.cid().0))?;
        Ok((Answer { tag: command.tag, cqe }, self.receive(token)))
    }

    /// When deadlines are to be looked at next; at most a quarter of the timeout late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.check_at
    }

    /// Takes the deadline of one command that ran out of time (its slot stays taken): its
    /// identifier, to be aborted. `None`: no more for now.
    pub fn poll_expired(&mut self, now: Instant) -> Option<u16> {
        if self.check_at.is_none_or(|at| at > now) {
            return None;
        }
        for (index, slot) in (0u16..).zip(&mut self.slots) {
            if slot.command.is_some() && slot.deadline.is_some_and(|at| at <= now) {
                slot.deadline = None;
                return Some(index | slot.uses << SLOT_BITS);
            }
        }
        self.check_at = (self.outstanding() > 0).then(|| now + self.timeout / 4);
        None
    }

    /// The connection is gone: every outstanding command, in submission order.
    pub fn reset(&mut self) -> Vec<Command> {
        let mut lost: Vec<(u64, Command)> = self
            .slots
            .iter_mut()
            .filter_map(|slot| slot.command.take().map(|command| (slot.order, command)))
            .collect();
        lost.sort_unstable_by_key(|&(order, _)| order);
        self.free = (0..self.depth).rev().collect();
        self.check_at = None;
        lost.into_iter().map(|(_, command)| command).collect()
    }

    pub(crate) fn is_outstanding(&self, cid: u16) -> bool {
        let index = cid & ((1 << SLOT_BITS) - 1);
        self.slots
            .get(usize::from(index))
            .is_some_and(|slot| slot.command.is_some() && index | slot.uses << SLOT_BITS == cid)
    }

    fn take(&mut self, cid: u16) -> Option<Command> {
        if !self.is_outstanding(cid) {
            return None;
        }
        let index = cid & ((1 << SLOT_BITS) - 1);
        self.free.push(index);
        self.slots[usize::from(index)].command.take()
    }

    /// The data pointer, and the data to gather when it travels in the capsule.
    fn data_pointer(&self, command: &Command) -> (Sgl, Option<Sge>) {
        let Some(data) = command.data else {
            return (Sgl::Keyed { addr: 0, len: 0, key: 0, invalidate: false }, None);
        };
        let len = data.sge.length;
        if data.to_controller && len <= self.in_capsule_bytes {
            return (Sgl::InCapsule { offset: 0, len }, Some(data.sge));
        }
        let (addr, key) = (data.sge.addr, data.rkey.0);
        (Sgl::Keyed { addr, len, key, invalidate: false }, None)
    }

    fn response_offset(&self, token: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below depth + spare, a u16")]
        let index = token as usize;
        usize::from(self.depth) * CAPSULE_BYTES + index * RESPONSE_BYTES
    }

    fn receive(&self, token: u64) -> Work {
        let local = Gather::one(self.own(self.response_offset(token), RESPONSE_BYTES));
        Work { token, op: WorkOp::Recv, local, signaled: true }
    }

    fn own(&self, offset: usize, len: usize) -> Sge {
        #[expect(clippy::cast_possible_truncation, reason = "64 or 16")]
        let length = len as u32;
        Sge { addr: self.mr.addr + offset as u64, length, lkey: self.mr.lkey }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
