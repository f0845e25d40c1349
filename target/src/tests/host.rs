//! A host of a few lines: it does what it is told, right or wrong.

use super::World;
use memory::{Access, Mr, Region, Sge};
use netstack::fabric::loopback::Loopback;
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, Gather, QpHandle, Work, WorkOp};
use std::collections::VecDeque;
use std::net::SocketAddr;
use wire::cm::NvmeRequestPrivate;
use wire::fabrics::{ConnectCmd, ConnectData, Nqn, PropertyGetCmd, PropertySetCmd, PropertySize};
use wire::nvme::{
    AdminOpcode, Cid, ControllerId, Cqe, IoOpcode, Lba, Nsid, QueueId, Rw, Sgl, Sqe, ZeroBased,
};

/// Octets of the host's data memory.
const DATA_BYTES: usize = 2 << 20;
const CAPSULE_BYTES: usize = 64 + 4096;

pub(super) struct Host {
    pub(super) fabric: Loopback,
    /// Memory that the target reads and writes.
    pub(super) data: Region,
    pub(super) mr: Mr,
    pub(super) queues: Vec<HostQueue>,
    pub(super) id: u8,
    /// Where it connects.
    pub(super) to: SocketAddr,
    pub(super) cntlid: u16,
    pub(super) next_cid: u16,
}

/// One queue pair of the host.
pub(super) struct HostQueue {
    pub(super) qid: u16,
    pub(super) qp: QpHandle,
    depth: u16,
    memory: Region,
    mr: Mr,
    next_capsule: u16,
    pub(super) established: bool,
    pub(super) rejected: Option<Vec<u8>>,
    pub(super) disconnected: bool,
    pub(super) completions: VecDeque<Cqe>,
    pub(super) invalidated: usize,
}

impl Host {
    pub(super) fn new(mut fabric: Loopback, id: u8) -> Host {
        let data = Region::allocate(DATA_BYTES).unwrap();
        let rights = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&data, rights).unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], 4420));
        Host { fabric, data, mr, queues: Vec::new(), id, to, cntlid: 0xffff, next_cid: 0 }
    }
    pub(super) fn nqn(&self) -> Nqn {
        Nqn::new(&format!("nqn.2026-01.io.flexblk:host{}", self.id)).unwrap()
    }

    /// Sets a connection up. Returns the place of the queue; look there for what became of it.
    pub(super) fn open(&mut self, world: &mut World, qid: u16, depth: u16) -> usize {
        let mut private = NvmeRequestPrivate::zeroed();
        private
            .set_queue_id(qid)
            .set_host_receive_queue_size(depth)
            .set_host_send_queue_size(depth - 1);
        self.open_with(world, qid, depth, private.as_octets())
    }
    pub(super) fn open_with(
        &mut self,
        world: &mut World,
        qid: u16,
        depth: u16,
        private: &[u8],
    ) -> usize {
        let params = ConnectParams {
            private: private.to_vec(),
            send_depth: u32::from(depth) * 2,
            recv_depth: u32::from(depth) * 2,
            read_depth: 4,
        };
        let qp = self.fabric.connect(world.now, self.to, params);
        let slots = usize::from(depth) * (CAPSULE_BYTES + 16) + 64;
        let memory = Region::allocate(slots).unwrap();
        let mr = self.fabric.register(&memory, Access::LOCAL_WRITE).unwrap();
        self.queues.push(HostQueue {
            qid,
            qp,
            depth,
            memory,
            mr,
            next_capsule: 0,
            established: false,
            rejected: None,
            disconnected: false,
            completions: VecDeque::new(),
            invalidated: 0,
        });
        let at = self.queues.len() - 1;
        for slot in 0..depth {
            self.post_receive(at, slot);
        }
        self.run(world);
        at
    }
    fn post_receive(&mut self, at: usize, slot: u16) {
        let queue = &self.queues[at];
        let offset = usize::from(queue.depth) * CAPSULE_BYTES + usize::from(slot) * 16;
        let local = Gather::one(queue.sge(offset, 16));
        let work = Work { token: u64::from(slot), op: WorkOp::Recv, local, signaled: true };
        self.fabric.post(queue.qp, work).unwrap_or_else(|_| panic!("receive queue of the host"));
    }

    /// Admin queue and controller.
    pub(super) fn connect_admin(&mut self, world: &mut World, nqn: &str) {
        let at = self.open(world, 0, 32);
        let cqe = self.connect(world, at, nqn, ControllerId::DYNAMIC, 0);
        assert!(cqe.status().is_success(), "{:?}", cqe.status());
        self.cntlid = u16::try_from(cqe.dw0()).unwrap();
    }
    pub(super) fn connect_io(&mut self, world: &mut World, qid: u16, depth: u16) -> usize {
        let at = self.open(world, qid, depth);
        let cqe = self.connect(world, at, super::NQN, ControllerId(self.cntlid), 0);
        assert!(cqe.status().is_success(), "{:?}", cqe.status());
        at
    }
    pub(super) fn connect(
        &mut self,
        world: &mut World,
        at: usize,
        nqn: &str,
        cntlid: ControllerId,
        keep_alive_ms: u32,
    ) -> Cqe {
        let (sqe, data) = self.connect_command(at, nqn, cntlid, keep_alive_ms);
        self.execute(world, at, sqe, data.as_octets())
    }
    pub(super) fn connect_command(
        &mut self,
        at: usize,
        nqn: &str,
        cntlid: ControllerId,
        keep_alive_ms: u32,
    ) -> (Sqe, ConnectData) {
        let queue = &self.queues[at];
        let command = ConnectCmd {
            record_format: 0,
            queue: QueueId(queue.qid),
            sq_size: ZeroBased::<u16>::from_count(u32::from(queue.depth)).unwrap(),
            attributes: 0,
            keep_alive_ms,
        };
        let subsystem = Nqn::new(nqn).unwrap();
        let data = ConnectData::new([self.id; 16], cntlid, &subsystem, &self.nqn());
        let mut sqe = command.command(Cid(0));
        // As Linux does: on the admin queue through memory, on an I/O queue in the capsule.
        if queue.qid == 0 {
            self.data.write(0, data.as_octets());
            sqe.set_sgl(self.sgl(0, 1024));
        } else {
            sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 1024 });
        }
        (sqe, data)
    }
    pub(super) fn enable(&mut self, world: &mut World) {
        assert_eq!(self.set_cc(world, 4 << 20 | 6 << 16 | 1), 1, "ready");
    }
    /// Writes CC, and returns CSTS.
    pub(super) fn set_cc(&mut self, world: &mut World, value: u64) -> u32 {
        let set = PropertySetCmd { size: PropertySize::Four, offset: 0x14, value };
        assert!(self.execute(world, 0, set.command(Cid(0)), &[]).status().is_success());
        let get = PropertyGetCmd { size: PropertySize::Four, offset: 0x1c };
        self.execute(world, 0, get.command(Cid(0)), &[]).dw0()
    }

    /// Keyed descriptor of the host's data memory.
    pub(super) fn sgl(&self, offset: usize, len: u32) -> Sgl {
        let addr = self.mr.addr + offset as u64;
        Sgl::Keyed { addr, len, key: self.mr.rkey.0, invalidate: false }
    }
    pub(super) fn read_data(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        self.data.read(offset, &mut octets);
        octets
    }

    /// Sends a command, with data behind it in the capsule, and returns its identifier.
    pub(super) fn submit(&mut self, at: usize, mut sqe: Sqe, data: &[u8]) -> u16 {
        self.next_cid = self.next_cid.wrapping_add(1);
        let cid = self.next_cid;
        sqe.set_cid(Cid(cid));
        let sgl = sqe.sgl();
        let data = if matches!(sgl, Sgl::Keyed { .. }) { &[] } else { data };
        let mut capsule = sqe.as_octets().to_vec();
        capsule.extend_from_slice(data);
        self.send(at, &capsule);
        cid
    }
    /// Sends octets as a capsule.
    pub(super) fn send(&mut self, at: usize, capsule: &[u8]) {
        let queue = &mut self.queues[at];
        let offset = usize::from(queue.next_capsule) * CAPSULE_BYTES;
        queue.next_capsule = (queue.next_capsule + 1) % queue.depth;
        queue.memory.write(offset, capsule);
        let local = Gather::one(queue.sge(offset, u32::try_from(capsule.len()).unwrap()));
        let op = WorkOp::Send { invalidate: None };
        let work = Work { token: 1 << 32, op, local, signaled: false };
        self.fabric.post(queue.qp, work).unwrap_or_else(|_| panic!("send queue of the host"));
    }
    /// Sends a command and waits for its completion, which must be the only one.
    pub(super) fn execute(&mut self, world: &mut World, at: usize, sqe: Sqe, data: &[u8]) -> Cqe {
        let cid = self.submit(at, sqe, data);
        self.run(world);
        let queue = &mut self.queues[at];
        let cqe = queue.completions.pop_front().expect("a completion");
        assert_eq!((cqe.cid(), queue.completions.len()), (Cid(cid), 0));
        cqe
    }
    /// Lets target and host run until nothing more happens.
    pub(super) fn run(&mut self, world: &mut World) {
        loop {
            world.settle();
            if !self.poll(world) {
                return;
            }
        }
    }
    /// Takes what arrived. True if anything did.
    pub(super) fn poll(&mut self, world: &World) -> bool {
        let mut events = Vec::new();
        self.fabric.poll(world.now, &mut events);
        let any = !events.is_empty();
        events.into_iter().for_each(|event| self.handle(event));
        any
    }
    fn handle(&mut self, event: FabricEvent) {
        match event {
            FabricEvent::Established { qp, .. } => self.queue(qp).established = true,
            FabricEvent::Rejected { qp, private, .. } => self.queue(qp).rejected = Some(private),
            FabricEvent::Disconnected { qp, .. } => self.queue(qp).disconnected = true,
            FabricEvent::Recv { qp, token, invalidated, .. } => {
                let queue = self.queue(qp);
                let slot = u16::try_from(token).unwrap();
                let mut cqe = [0; 16];
                let offset = usize::from(queue.depth) * CAPSULE_BYTES + usize::from(slot) * 16;
                queue.memory.read(offset, &mut cqe);
                queue.completions.push_back(Cqe::from_octets(cqe));
                queue.invalidated += usize::from(invalidated.is_some());
                let at = self.queues.iter().position(|queue| queue.qp == qp).unwrap();
                self.post_receive(at, slot);
            }
            FabricEvent::Done { .. } | FabricEvent::ConnectRequest { .. } => {}
        }
    }
    fn queue(&mut self, qp: QpHandle) -> &mut HostQueue {
        self.queues.iter_mut().find(|queue| queue.qp == qp).expect("queue of this host")
    }

    /// An I/O command on namespace 1 with its data at `offset` of the host's memory.
    pub(super) fn rw(&self, opcode: IoOpcode, start: u64, blocks: u32, offset: usize) -> Sqe {
        let mut sqe = Rw::new(Lba(start), blocks).unwrap().command(opcode, Cid(0), Nsid(1));
        sqe.set_sgl(self.sgl(offset, blocks * 512));
        sqe
    }
    /// An admin command whose answer lands at offset 0 of the host's memory.
    pub(super) fn with_answer(&self, mut sqe: Sqe, len: u32) -> Sqe {
        sqe.set_sgl(self.sgl(0, len));
        sqe
    }
    pub(super) fn admin(&self, opcode: AdminOpcode) -> Sqe {
        Sqe::new(opcode.octet(), Cid(0), Nsid(0))
    }
}

impl HostQueue {
    fn sge(&self, offset: usize, length: u32) -> Sge {
        Sge { addr: self.memory.addr() + offset as u64, length, lkey: self.mr.lkey }
    }
}
