//! A host and a controller without sockets: octets of each are handed to the other in pieces.

use super::super::held::Held;
use super::super::machine::{Machine, NotPosted, Stage};
use super::super::outbox::Element;
use super::super::tls::Keys;
use super::super::{Counts, Shared, Stop, TcpConfig};
use crate::fabric::{ConnectParams, FabricEvent, Gather, QpHandle, Work, WorkOp};
use memory::{Access, Mr, Region, Registry, Sge};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use verbs::{Remote, Rkey};
use wire::fabrics::ConnectCmd;
use wire::nvme::{Cid, Cqe, IoOpcode, Nsid, QueueId, Sgl, Sqe, Status, ZeroBased};

pub(super) const REGION_BYTES: usize = 4 << 20;
/// Where things are in a side's region: capsules that land or leave, then data.
pub(super) const DATA: u64 = 1 << 20;
const CAPSULE_BYTES: u64 = 64 + 16384;

/// One side: its machine, and its memory.
pub(super) struct End {
    pub(super) machine: Machine,
    pub(super) shared: Shared,
    pub(super) region: Region,
    pub(super) mr: Mr,
}

impl End {
    fn new(config: TcpConfig, bytes: usize, make: impl FnOnce(&Shared) -> Machine) -> End {
        let mut memory = Registry::new(8, 3);
        let region = Region::allocate(bytes).unwrap();
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = memory.register(&region, access).unwrap();
        let held = Held::default();
        let shared = Shared {
            memory,
            held,
            events: Vec::new(),
            counts: Counts::default(),
            keys: Keys::default(),
            config,
        };
        End { machine: make(&shared), shared, region, mr }
    }
    pub(super) fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    pub(super) fn post(&mut self, token: u64, op: WorkOp, local: Gather) {
        let work = Work { token, op, local, signaled: true };
        match self.machine.post(work, &mut self.shared) {
            Ok(_) => {}
            Err(NotPosted::Full(_)) => panic!("full"),
            Err(NotPosted::Stop(stop)) => self.machine.end(stop, &mut self.shared),
        }
    }
    /// Posts receive `slot`: a capsule and its data, or a response.
    pub(super) fn post_receive(&mut self, slot: u64, length: u32) {
        let at = slot * CAPSULE_BYTES;
        let local =
            Gather::two(self.sge(at, 64.min(length)), self.sge(at + 64, length.saturating_sub(64)));
        self.post(slot, WorkOp::Recv, local);
    }
    pub(super) fn received(&self, slot: u64) -> Vec<u8> {
        let mut octets = vec![0; 64 + 16384];
        self.region.read((slot * CAPSULE_BYTES) as usize, &mut octets);
        octets
    }
    pub(super) fn events(&mut self) -> Vec<FabricEvent> {
        std::mem::take(&mut self.shared.events)
    }
    /// All that the outbox holds.
    pub(super) fn sent(&mut self) -> Vec<u8> {
        if let Err(stop) = self.machine.settle_outbox(&mut self.shared) {
            self.machine.end(stop, &mut self.shared);
        }
        let mut octets = Vec::new();
        for element in self.machine.outbox.elements(&self.shared.memory) {
            match element.unwrap_or(Element::Octets(&[])) {
                Element::Octets(now) => octets.extend_from_slice(now),
                Element::Span(span) => {
                    let at = octets.len();
                    octets.resize(at + span.len(), 0);
                    span.read(&mut octets[at..]);
                }
            }
        }
        self.machine.handle_sent(octets.len() as u64, &mut self.shared);
        octets
    }
    /// Takes octets in, and ends when they are wrong.
    pub(super) fn take(&mut self, octets: &[u8]) -> Result<(), Stop> {
        let taken = self.machine.handle_octets(octets, &mut self.shared);
        let taken = taken.and_then(|()| self.machine.resume(&mut self.shared));
        if let Err(stop) = taken {
            self.machine.end(stop, &mut self.shared);
        }
        taken
    }
    pub(super) fn is_over(&self) -> bool {
        matches!(self.machine.stage, Stage::Over(_))
    }
}

/// Both.
pub(super) struct World {
    pub(super) host: End,
    pub(super) controller: End,
    /// Octets that are handed over at once at most, in turn.
    pub(super) steps: VecDeque<usize>,
}

pub(super) fn config() -> TcpConfig {
    TcpConfig::controller(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
pub(super) fn params() -> ConnectParams {
    ConnectParams { private: Vec::new(), send_depth: 256, recv_depth: 64, read_depth: 128 }
}
fn addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 9], 4420))
}

impl World {
    /// Two that have not spoken yet.
    pub(super) fn strangers(host: TcpConfig, controller: TcpConfig) -> World {
        World::sized(REGION_BYTES, host, controller)
    }
    /// The same, with `bytes` of memory each.
    pub(super) fn sized(bytes: usize, host: TcpConfig, controller: TcpConfig) -> World {
        let make = |shared: &Shared| Machine::host(QpHandle(1), addr(), &params(), shared);
        let host = End::new(host, bytes, make);
        let make = |_: &Shared| Machine::controller(QpHandle(2), addr(), 4420);
        let controller = End::new(controller, bytes, make);
        let mut world = World { host, controller, steps: VecDeque::from([usize::MAX]) };
        world.host.machine.handle_connected();
        world
    }
    /// Connected; the Connect command was answered, and both have receives. `quiet`: without flow
    /// control of the submission queue.
    pub(super) fn connected(host: TcpConfig, controller: TcpConfig, quiet: bool) -> World {
        let mut world = World::strangers(host, controller);
        world.greet(quiet);
        world
    }
    /// Two that have not spoken yet become so.
    pub(super) fn greet(&mut self, quiet: bool) {
        let world = self;
        (0..16).for_each(|slot| world.host.post_receive(slot, 16));
        world.run();
        assert!(matches!(world.host.events()[..], [FabricEvent::Established { .. }]));
        let attributes = if quiet { ConnectCmd::NO_FLOW_CONTROL } else { 0 };
        let connect = ConnectCmd {
            record_format: 0,
            queue: QueueId(3),
            sq_size: ZeroBased::<u16>::from_raw(31),
            attributes,
            keep_alive_ms: 0,
        };
        world.command(0, connect.command(Cid(7)), None);
        world.run();
        let events = world.controller.events();
        assert!(matches!(events[..], [FabricEvent::ConnectRequest { .. }]), "{events:?}");
        (0..16).for_each(|slot| world.controller.post_receive(slot, 64 + 16384));
        world.controller.machine.accept(&params(), &mut world.controller.shared);
        world.controller.take(&[]).unwrap();
        let events = world.controller.events();
        let first = FabricEvent::Recv { qp: QpHandle(2), token: 0, len: 64, invalidated: None };
        assert_eq!(events[1..], [first]);
        world.respond(1, 7, Status::SUCCESS);
        world.run();
        world.controller.events();
        world.host.events();
    }
    /// Octets go both ways until none is left.
    pub(super) fn run(&mut self) {
        loop {
            let (out, back) = (self.host.sent(), self.controller.sent());
            if out.is_empty() && back.is_empty() {
                return;
            }
            World::hand(&out, &mut self.controller, &mut self.steps);
            World::hand(&back, &mut self.host, &mut self.steps);
        }
    }
    fn hand(mut octets: &[u8], to: &mut End, steps: &mut VecDeque<usize>) {
        while !octets.is_empty() && !to.is_over() {
            let step = steps.pop_front().unwrap_or(usize::MAX);
            steps.push_back(step);
            let (now, later) = octets.split_at(octets.len().min(step));
            // How it ended is seen by who asks.
            let _ = to.take(now);
            octets = later;
        }
    }
    /// The host sends a command, with `data` octets from [`DATA`] behind it.
    pub(super) fn command(&mut self, token: u64, sqe: Sqe, data: Option<u32>) {
        let at = token * 64;
        let capsule = self.host.sge(at + (512 << 10), 64);
        self.host.region.write((at + (512 << 10)) as usize, sqe.as_octets());
        let local = match data {
            Some(bytes) => Gather::two(capsule, self.host.sge(DATA, bytes)),
            None => Gather::one(capsule),
        };
        self.host.post(token, WorkOp::Send { invalidate: None }, local);
    }
    /// A command whose data the controller moves, at [`DATA`] of the host.
    pub(super) fn keyed(&self, opcode: IoOpcode, cid: u16, len: u32) -> Sqe {
        let mut sqe = Sqe::new(opcode.octet(), Cid(cid), Nsid(1));
        let (addr, key) = (self.host.mr.addr + DATA, self.host.mr.rkey.0);
        sqe.set_sgl(Sgl::Keyed { addr, len, key, invalidate: false });
        sqe
    }
    /// The controller answers a command.
    pub(super) fn respond(&mut self, token: u64, cid: u16, status: Status) {
        let cqe = Cqe::new(Cid(cid), QueueId(3), 1, status);
        let at = (768 << 10) + token * 16;
        self.controller.region.write(at as usize, cqe.as_octets());
        let local = Gather::one(self.controller.sge(at, 16));
        self.controller.post(token, WorkOp::Send { invalidate: None }, local);
    }
    /// Of a command, as the controller names its memory.
    pub(super) fn memory_of(cid: u16, offset: u64) -> Remote {
        Remote { addr: offset, rkey: Rkey(u32::from(cid)) }
    }
}
