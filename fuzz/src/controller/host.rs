//! A host that sends what it is told to, and holds the target to one completion per command.

use memory::{Access, Mr, Region, Sge};
use netstack::fabric::loopback::Loopback;
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, Gather, QpHandle, Work, WorkOp};
use std::net::SocketAddr;
use std::time::Instant;
use wire::cm::NvmeRequestPrivate;
use wire::nvme::{Cqe, Sgl, Sqe};

/// Connections of a host at once.
pub(crate) const QUEUES: usize = 4;
/// Commands of a queue at once.
pub(crate) const DEPTH: u16 = 8;
/// Octets of memory for data.
pub(crate) const DATA_BYTES: usize = 64 << 10;
/// A command, and data behind it.
pub(crate) const CAPSULE_BYTES: usize = 64 + 4096;
const QUEUE_BYTES: usize = DEPTH as usize * (CAPSULE_BYTES + 16);

pub(crate) struct Host {
    pub(crate) id: u8,
    pub(crate) fabric: Loopback,
    to: SocketAddr,
    /// Data, then the memory of each queue.
    pub(crate) memory: Region,
    pub(crate) mr: Mr,
    pub(crate) queues: [Option<HostQueue>; QUEUES],
    /// That Connect gave it last.
    pub(crate) cntlid: u16,
    next_cid: u16,
    events: Vec<FabricEvent>,
}

/// A connection, until its end was told.
pub(crate) struct HostQueue {
    qp: QpHandle,
    pub(crate) qid: u16,
    /// Places for capsules that the fabric is done with.
    free: Vec<u16>,
    /// Commands that were sent and not answered.
    sent: Vec<Sent>,
    pub(crate) completions: Vec<Cqe>,
}

#[derive(Clone, Copy)]
struct Sent {
    cid: u16,
    /// It may stay without an answer: an event request, or half of a pair.
    may_wait: bool,
}

impl Host {
    pub(crate) fn new(id: u8, mut fabric: Loopback, to: SocketAddr) -> Host {
        let memory = Region::allocate(DATA_BYTES + QUEUES * QUEUE_BYTES).expect("memory");
        let rights = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&memory, rights).expect("room for one");
        let queues = std::array::from_fn(|_| None);
        Host { id, fabric, to, memory, mr, queues, cntlid: 0, next_cid: 0, events: Vec::new() }
    }
    pub(crate) fn nqn(&self) -> String {
        format!("nqn.2026-01.io.flexblk:host{}", self.id)
    }

    /// Opens a connection in place `at`, if that is free.
    pub(crate) fn open(&mut self, now: Instant, at: usize, qid: u16, depth: u16) {
        if self.queues[at].is_some() {
            return;
        }
        let mut private = NvmeRequestPrivate::zeroed();
        private.set_queue_id(qid).set_host_receive_queue_size(depth);
        private.set_host_send_queue_size(depth.wrapping_sub(1));
        let params = ConnectParams {
            private: private.as_octets().to_vec(),
            send_depth: u32::from(DEPTH) * 2,
            recv_depth: u32::from(DEPTH) * 2,
            read_depth: 2,
        };
        let qp = self.fabric.connect(now, self.to, params);
        let free = (0..DEPTH).collect();
        let (sent, completions) = (Vec::new(), Vec::new());
        self.queues[at] = Some(HostQueue { qp, qid, free, sent, completions });
        (0..DEPTH).for_each(|slot| self.post_receive(at, slot));
    }
    pub(crate) fn close(&mut self, now: Instant, at: usize, is_cut: bool) {
        if let Some(queue) = &self.queues[at] {
            if is_cut {
                self.fabric.cut(queue.qp);
            } else {
                self.fabric.disconnect(now, queue.qp);
            }
        }
    }

    /// Sends a command under a new identifier, if there is room. Returns the identifier.
    pub(crate) fn submit(&mut self, at: usize, mut sqe: Sqe, data: &[u8]) -> Option<u16> {
        self.next_cid = self.next_cid.wrapping_add(1);
        sqe.set_cid(wire::nvme::Cid(self.next_cid));
        let mut capsule = sqe.as_octets().to_vec();
        capsule.extend_from_slice(&data[..data.len().min(CAPSULE_BYTES - 64)]);
        self.send(at, &capsule).then_some(self.next_cid)
    }
    /// Sends octets as a capsule, if there is room.
    pub(crate) fn send(&mut self, at: usize, capsule: &[u8]) -> bool {
        let Some(queue) = &mut self.queues[at] else { return false };
        let Some(slot) = queue.free.pop() else { return false };
        if let Some(sqe) = Sqe::decode(capsule) {
            let is_event = queue.qid == 0 && sqe.as_octets()[0] == 0x0c;
            let may_wait = is_event || sqe.fuse() != 0;
            queue.sent.push(Sent { cid: sqe.cid().0, may_wait });
        }
        let qp = queue.qp;
        let offset = DATA_BYTES + at * QUEUE_BYTES + usize::from(slot) * CAPSULE_BYTES;
        self.memory.write(offset, capsule);
        let local = Gather::one(self.sge(offset, capsule.len()));
        let (token, op) = (1 << 32 | u64::from(slot), WorkOp::Send { invalidate: None });
        let posted = self.fabric.post(qp, Work { token, op, local, signaled: true });
        posted.expect("no more sends than places");
        true
    }
    fn post_receive(&mut self, at: usize, slot: u16) {
        let Some(queue) = &self.queues[at] else { return };
        let local = Gather::one(self.sge(response_offset(at, slot), 16));
        let work = Work { token: u64::from(slot), op: WorkOp::Recv, local, signaled: true };
        self.fabric.post(queue.qp, work).expect("no more receives than places");
    }
    fn sge(&self, offset: usize, len: usize) -> Sge {
        let length = u32::try_from(len).expect("a capsule");
        Sge { addr: self.memory.addr() + offset as u64, length, lkey: self.mr.lkey }
    }
    /// Memory of this host for data, as the target is to name it.
    pub(crate) fn sgl(&self, offset: u32, len: u32) -> Sgl {
        let addr = self.mr.addr + u64::from(offset);
        Sgl::Keyed { addr, len, key: self.mr.rkey.0, invalidate: false }
    }

    /// Takes what arrived. True if anything did.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        let mut events = std::mem::take(&mut self.events);
        self.fabric.poll(now, &mut events);
        let any = !events.is_empty();
        events.drain(..).for_each(|event| self.handle(event));
        self.events = events;
        any
    }
    fn handle(&mut self, event: FabricEvent) {
        match event {
            FabricEvent::Recv { qp, token, len, .. } => {
                let at = self.place(qp);
                let slot = u16::try_from(token).expect("the token of a receive");
                assert_eq!(len, 16, "a response is 16 octets");
                let mut octets = [0; 16];
                self.memory.read(response_offset(at, slot), &mut octets);
                let queue = self.queues[at].as_mut().expect("found");
                queue.complete(Cqe::from_octets(octets));
                self.post_receive(at, slot);
            }
            FabricEvent::Done { qp, token, .. } if token >> 32 == 1 => {
                let at = self.place(qp);
                let queue = self.queues[at].as_mut().expect("found");
                queue.free.push(u16::try_from(token & 0xffff).expect("a place"));
            }
            FabricEvent::Rejected { qp, .. } | FabricEvent::Disconnected { qp, .. } => {
                let at = self.place(qp);
                self.queues[at] = None;
            }
            FabricEvent::Done { .. }
            | FabricEvent::Established { .. }
            | FabricEvent::ConnectRequest { .. } => {}
        }
    }
    fn place(&self, qp: QpHandle) -> usize {
        let is_it = |queue: &Option<HostQueue>| queue.as_ref().is_some_and(|queue| queue.qp == qp);
        self.queues.iter().position(is_it).expect("nothing is told after the end")
    }
    /// The target is at rest: every command was answered that does not wait for something.
    pub(crate) fn check_answered(&self) {
        for queue in self.queues.iter().flatten() {
            let left = queue.sent.iter().find(|sent| !sent.may_wait);
            let left = left.map(|sent| sent.cid);
            assert_eq!(left, None, "host {} queue {}: no answer", self.id, queue.qid);
        }
    }
}

impl HostQueue {
    fn complete(&mut self, cqe: Cqe) {
        let cid = cqe.cid().0;
        let mine = |sent: &&Sent| sent.cid == cid;
        // Two commands of one identifier are told apart by nobody: the one that must be answered first.
        let first = self.sent.iter().filter(mine).min_by_key(|sent| sent.may_wait).copied();
        let first = first.unwrap_or_else(|| panic!("{cqe:?} answers nothing"));
        let same = |sent: &Sent| sent.cid == cid && sent.may_wait == first.may_wait;
        let at = self.sent.iter().position(same).expect("it is one of them");
        self.sent.swap_remove(at);
        self.completions.push(cqe);
    }
}

fn response_offset(at: usize, slot: u16) -> usize {
    DATA_BYTES + at * QUEUE_BYTES + usize::from(DEPTH) * CAPSULE_BYTES + usize::from(slot) * 16
}
