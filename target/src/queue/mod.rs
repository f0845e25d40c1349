//! One connection: its submission queue, its completion queue, and the commands between.
//!
//! A pure machine: capsules and outcomes in (`handle_`), [`Actions`] out. Read first: [`Command`]
//! and [`Stage`] (what a command can wait for), then `flow` and `fetch` (data movement), `answer`, and
//! `life` (of the connection).
//! Source: NVMe over Fabrics, "Queue Model" and RDMA Transport, "Capsules".
//!
//! **Architecture invariant:** a command is accepted only with a response slot in hand, and is
//! answered exactly once, or abandoned with its connection; whoever owns its buffer is written in
//! its [`Stage`].

mod answer;
mod command;
mod copy;
mod ending;
mod fetch;
mod flow;
mod fused;
mod inflight;
mod life;
mod memory;
mod proof;
mod token;

pub(crate) use answer::{Answer, release};
pub(crate) use command::{Buffer, Command, ControlBuffer, Stage};
pub(crate) use copy::{CopyPlan, Extra};
pub(crate) use fetch::FetchDone;
pub(crate) use flow::DiskDone;
pub(crate) use fused::{FusedHalf, PARTNER_FAILED, PARTNER_MISSING, Pending};
pub(crate) use inflight::Inflight;
pub(crate) use life::QueueState;
pub(crate) use memory::{QueueMemory, SQE_BYTES};
pub(crate) use proof::{Computing, Proof};
pub(crate) use token::{WorkKind, disk_tag, parse_tag, parse_token, token};

use crate::action::{Action, Actions};
use crate::controller::AER_LIMIT;
use crate::io::IoKind;
use crate::subsystem::DiskIndex;
use netstack::fabric::{QpHandle, Work, WorkOp};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// What a queue is attached to, after its Connect command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attachment {
    /// Controller, by its place in the reactor.
    pub(crate) controller: u32,
    /// Subsystem, by its place in the reactor.
    pub(crate) subsystem: usize,
}

/// A connection's queue pair.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Place in the reactor.
    pub(crate) index: u32,
    /// Connection.
    pub(crate) qp: QpHandle,
    /// Queue identifier that the host named when it connected: 0 is the admin queue.
    pub(crate) qid: u16,
    /// Host's address.
    pub(crate) from: SocketAddr,
    /// Port of the discovery log by which the host came; 0: unknown.
    pub(crate) port_id: u16,
    /// Controller, once connected.
    pub(crate) attachment: Option<Attachment>,
    /// The limit of its host, by its place in the reactor.
    pub(crate) host_limit: Option<u32>,
    /// Without an attachment by then, it ends.
    pub(crate) connect_by: Option<Instant>,
    /// How far it has come.
    pub(crate) state: QueueState,
    /// The host's proof of who it is, where one is demanded.
    pub(crate) proof: Option<Box<Proof>>,
    /// That proof is outstanding: nothing else is served. Beside it, because every command asks.
    pub(crate) is_locked: bool,
    /// Memory of capsules and responses.
    pub(crate) memory: QueueMemory,
    /// Work that the fabric had no room for, in order.
    pub(crate) blocked: VecDeque<Work>,
    /// Submission queue entries, for the head pointer's wrap.
    entries: u16,
    head: u16,
    /// The host does not want to hear of the head pointer.
    head_disabled: bool,
    commands: Vec<Command>,
    free: Vec<u16>,
    /// Capsules that came while no slot was free: receive and octets.
    waiting: VecDeque<(u16, u32)>,
    /// What is fetched lands in whole packets.
    pub(crate) lands_whole_packets: bool,
    reads_max: u16,
    reads_outstanding: u16,
    read_queue: VecDeque<u16>,
    /// What the next command may be half of.
    pub(crate) fused: Pending,
    /// The Copy that is being executed, and those that wait for it.
    copying: Option<u16>,
    copies_waiting: VecDeque<u16>,
    /// The response after which the connection ends (Disconnect).
    last_slot: Option<u16>,
}

/// Command slots of a queue with `depth` receives: a host may send a new command on the heels of
/// a response whose acknowledgement is still on its way, and event requests wait long.
pub(crate) fn slots_for(depth: u16) -> u16 {
    depth.saturating_mul(2) + u16::from(AER_LIMIT)
}

impl Queue {
    /// A queue that has not seen its Connect command.
    pub(crate) fn new(
        index: u32,
        qp: QpHandle,
        qid: u16,
        from: SocketAddr,
        depth: u16,
        memory: QueueMemory,
    ) -> Queue {
        let slots = slots_for(depth);
        Queue {
            index,
            qp,
            qid,
            from,
            port_id: 0,
            attachment: None,
            host_limit: None,
            connect_by: None,
            proof: None,
            is_locked: false,
            state: QueueState::Open,
            memory,
            blocked: VecDeque::new(),
            entries: depth,
            head: 0,
            head_disabled: false,
            commands: (0..slots).map(|_| Command::default()).collect(),
            free: (0..slots).rev().collect(),
            waiting: VecDeque::with_capacity(usize::from(depth)),
            lands_whole_packets: true,
            reads_max: 1,
            reads_outstanding: 0,
            read_queue: VecDeque::with_capacity(usize::from(slots)),
            fused: Pending::None,
            copying: None,
            copies_waiting: VecDeque::new(),
            last_slot: None,
        }
    }
    /// The READs that the host lets us have outstanding (at least one is assumed).
    pub(crate) fn set_reads_max(&mut self, reads: u8) {
        self.reads_max = u16::from(reads.max(1));
    }
    /// Connect told the submission queue's size, and whether its head pointer is wanted.
    pub(crate) fn set_entries(&mut self, entries: u16, head_disabled: bool) {
        self.entries = entries.max(1);
        self.head_disabled = head_disabled;
    }
    /// The command in `slot`.
    pub(crate) fn command(&mut self, slot: u16) -> &mut Command {
        &mut self.commands[usize::from(slot)]
    }
    /// A command holds a buffer of `disk`, or may still need it.
    pub(crate) fn uses_disk(&self, disk: DiskIndex) -> bool {
        self.commands.iter().any(|command| match command.stage {
            Stage::Free => false,
            Stage::Fetching(Buffer::Disk(at, _))
            | Stage::ReadQueued(Buffer::Disk(at, _))
            | Stage::Responding(Some(Buffer::Disk(at, _))) => at == disk,
            Stage::Accepted
            | Stage::Preparing
            | Stage::AtDisk
            | Stage::Fetching(Buffer::Control(_))
            | Stage::ReadQueued(Buffer::Control(_))
            | Stage::Event
            | Stage::Responding(_) => command.io.kind != IoKind::Nothing && command.io.disk == disk,
        })
    }
    /// Commands accepted and not finished.
    pub(crate) fn in_flight(&self) -> usize {
        self.commands.len() - self.free.len()
    }

    /// A capsule of `len` octets landed in `recv`: takes a command slot for it. `None`: it waits
    /// for one, see [`Self::poll_waiting`].
    pub(crate) fn handle_capsule(&mut self, recv: u16, len: u32, cid: u16) -> Option<u16> {
        let Some(slot) = self.free.pop() else {
            self.waiting.push_back((recv, len));
            return None;
        };
        self.head = (self.head + 1) % self.entries;
        let command = &mut self.commands[usize::from(slot)];
        command.stage = Stage::Accepted;
        command.inflight = Some(Inflight::accept(slot, cid));
        command.capsule = Some(recv);
        command.is_preempted = false;
        Some(slot)
    }
    /// A capsule that waited and can be accepted now.
    pub(crate) fn poll_waiting(&mut self) -> Option<(u16, u32)> {
        if self.free.is_empty() {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Posts `recv` for another capsule.
    pub(crate) fn post_receive(&self, recv: u16, out: &mut Actions) {
        let token = token(WorkKind::Recv, recv);
        let local = self.memory.landing(recv);
        self.post(Work { token, op: WorkOp::Recv, local, signaled: true }, out);
    }
    fn post(&self, work: Work, out: &mut Actions) {
        out.push_back(Action::Post { queue: self.index, work });
    }
    /// The capsule of `slot` was read: its receive goes back, before the response that lets the
    /// host send another command.
    pub(crate) fn spend_capsule(&mut self, slot: u16, out: &mut Actions) {
        if let Some(recv) = self.command(slot).capsule.take() {
            self.post_receive(recv, out);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let commands = self.commands.iter_mut();
        commands.filter_map(|command| command.inflight.take()).for_each(Inflight::abandon);
    }
}

fn slots_of(commands: &[Command]) -> u16 {
    u16::try_from(commands.len()).expect("at most twice 1,024 slots and a few")
}
