//! A whole session that octets decide: handshake, commands, data both ways, and what breaks in between.
//!
//! What must hold for any octets: no panic on either side; a host hears of each command at most once;
//! while nothing was broken on the way, every command is answered and the data is right.

use super::super::TcpConfig;
use super::super::machine::NotPosted;
use super::world::{DATA, End, World, config};
use crate::fabric::{FabricEvent, Gather, Work, WorkOp};
use wire::nvme::{IoOpcode, Sgl, Sqe, Status};
use wire::nvme_tcp::PduKind;

/// Memory of each side: too little for huge pages, which would cost more than the rest.
const REGION_BYTES: usize = (2 << 20) - 4096;
/// Steps of one run.
const STEPS_MAX: usize = 128;
/// Octets of data of a command.
const LENGTHS: [u32; 8] = [512, 4096, 8192, 12_288, 16_384, 20_480, 4, 65_536];

/// A command that the controller knows of.
#[derive(Clone, Copy)]
struct Open {
    cid: u16,
    bytes: u32,
    is_write: bool,
    /// Octets of its data that were asked for, or sent.
    moved: u32,
    /// Transfers that have not landed.
    outstanding: u32,
}

struct Session<'i> {
    world: World,
    input: &'i [u8],
    /// On their way.
    to_controller: Vec<u8>,
    to_host: Vec<u8>,
    open: Vec<Open>,
    /// Octets were changed, or put in between.
    is_broken: bool,
    commands: u32,
    answers: u32,
    next_cid: u16,
    token: u64,
}

/// Runs a session. Panics when anything does not hold.
#[cfg_attr(test, allow(unreachable_pub, reason = "the fuzz target uses it"))]
pub fn run(octets: &[u8]) {
    let Some((choice, input)) = octets.split_first() else { return };
    let side = |digests: u8| TcpConfig {
        header_digest: digests & 1 != 0,
        data_digest: digests & 2 != 0,
        max_h2c_data: 8192,
        ..config()
    };
    let mut world = World::sized(REGION_BYTES, side(*choice), side(choice >> 2));
    let is_greeted = choice & 0x10 == 0;
    if is_greeted {
        world.greet(choice & 0x20 != 0);
        // Those that the greeting used.
        world.host.post_receive(0, 16);
        world.controller.post_receive(0, 64 + 16384);
    }
    let (to_controller, to_host, open) = (Vec::new(), Vec::new(), Vec::new());
    let mut session = Session {
        world,
        input,
        to_controller,
        to_host,
        open,
        // Without a Connect command, nobody serves.
        is_broken: !is_greeted,
        commands: 0,
        answers: 0,
        next_cid: 100,
        token: 1 << 20,
    };
    for _ in 0..STEPS_MAX {
        if session.input.is_empty() {
            break;
        }
        session.step();
    }
    session.finish();
}

impl Session<'_> {
    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.input.split_first() else { return 0 };
        self.input = rest;
        *first
    }
    fn octets(&mut self, len: usize) -> Vec<u8> {
        let (now, later) = self.input.split_at(len.min(self.input.len()));
        self.input = later;
        now.to_vec()
    }

    fn step(&mut self) {
        let (kind, choice) = (self.octet(), self.octet());
        match kind & 0x0f {
            0 => self.command(IoOpcode::Read, choice),
            1 => self.command(IoOpcode::Write, choice),
            2 => self.in_capsule(choice),
            3..=5 => self.transfer(choice),
            6 => self.respond(choice),
            7 | 8 => self.hand(usize::from(choice) * 16 + 1, true, 0),
            9 | 10 => self.hand(usize::from(choice) * 16 + 1, false, 0),
            11 => {
                let wrong = self.octet();
                self.hand(usize::from(choice) + 1, kind & 0x10 != 0, wrong);
            }
            12 | 13 => self.inject(kind, choice),
            14 if choice == 7 => self.end(kind & 0x10 != 0),
            _ => self.settle(),
        }
        self.serve();
    }
    fn end(&mut self, is_host: bool) {
        let End { machine, shared, .. } =
            if is_host { &mut self.world.host } else { &mut self.world.controller };
        machine.disconnect(shared);
        self.is_broken = true;
    }

    /// Posts work if there is room for it. False: there is none.
    fn post(end: &mut End, token: u64, op: WorkOp, local: Gather) -> bool {
        let work = Work { token, op, local, signaled: true };
        match end.machine.post(work, &mut end.shared) {
            Ok(_) => true,
            Err(NotPosted::Full(_)) => false,
            Err(NotPosted::Stop(stop)) => {
                end.machine.end(stop, &mut end.shared);
                true
            }
        }
    }
    fn submit(&mut self, sqe: Sqe, data_bytes: u32) {
        self.next_cid += 1;
        let mut sqe = sqe;
        sqe.set_cid(wire::nvme::Cid(self.next_cid));
        let at = (512 << 10) + u64::from(self.next_cid) * 64;
        let host = &mut self.world.host;
        host.region.write(at as usize, sqe.as_octets());
        let capsule = host.sge(at, 64);
        let data = host.sge(DATA, data_bytes);
        let local = if data_bytes > 0 { Gather::two(capsule, data) } else { Gather::one(capsule) };
        let posted = Session::post(host, at, WorkOp::Send { invalidate: None }, local);
        self.commands += u32::from(posted);
    }
    fn command(&mut self, opcode: IoOpcode, choice: u8) {
        let bytes = LENGTHS[usize::from(choice & 7)];
        self.submit(self.world.keyed(opcode, 0, bytes), 0);
    }
    fn in_capsule(&mut self, choice: u8) {
        let bytes = LENGTHS[usize::from(choice & 3)];
        let mut sqe = self.world.keyed(IoOpcode::Write, 0, 0);
        sqe.set_sgl(Sgl::InCapsule { offset: 0, len: bytes });
        self.submit(sqe, bytes);
    }

    /// The controller moves a piece of a command's data.
    fn transfer(&mut self, choice: u8) {
        let Some(at) = self.pick(choice) else { return };
        let Open { cid, bytes, is_write, moved, .. } = self.open[at];
        let left = bytes - moved;
        // All of it, or half.
        let now = if choice & 0x80 != 0 && left > 8 { left / 8 * 4 } else { left };
        if now == 0 {
            return;
        }
        let controller = &mut self.world.controller;
        let local = Gather::one(controller.sge(DATA + u64::from(moved), now));
        let remote = World::memory_of(cid, u64::from(moved));
        let op = if is_write { WorkOp::RdmaRead(remote) } else { WorkOp::RdmaWrite(remote) };
        self.token += 1;
        if Session::post(controller, self.token << 16 | u64::from(cid), op, local) {
            self.open[at].moved += now;
            self.open[at].outstanding += u32::from(is_write);
        }
    }
    fn respond(&mut self, choice: u8) {
        let Some(at) = self.pick(choice) else { return };
        let Open { cid, bytes, moved, outstanding, .. } = self.open[at];
        if outstanding > 0 {
            return;
        }
        let status = if moved == bytes { Status::SUCCESS } else { Status::INTERNAL_ERROR };
        let cqe = wire::nvme::Cqe::new(wire::nvme::Cid(cid), wire::nvme::QueueId(3), 1, status);
        self.token += 1;
        let place = (768 << 10) + self.token % 1024 * 16;
        let controller = &mut self.world.controller;
        controller.region.write(place as usize, cqe.as_octets());
        let local = Gather::one(controller.sge(place, 16));
        let op = WorkOp::Send { invalidate: None };
        if Session::post(controller, self.token << 16 | 0xffff, op, local) {
            self.open.remove(at);
        }
    }
    fn pick(&self, choice: u8) -> Option<usize> {
        usize::from(choice & 0x7f).checked_rem(self.open.len())
    }

    /// What both sides want to send is on its way.
    fn collect(&mut self) {
        self.to_controller.extend(self.world.host.sent());
        self.to_host.extend(self.world.controller.sent());
    }
    /// `count` octets arrive at one side; the last of them with `wrong` in it.
    fn hand(&mut self, count: usize, to_controller: bool, wrong: u8) {
        self.collect();
        let (end, way) = if to_controller {
            (&mut self.world.controller, &mut self.to_controller)
        } else {
            (&mut self.world.host, &mut self.to_host)
        };
        let mut octets: Vec<u8> = way.drain(..count.min(way.len())).collect();
        if let Some(last) = octets.last_mut().filter(|_| wrong != 0) {
            *last ^= wrong;
            self.is_broken = true;
        }
        if !end.is_over() {
            // How it ended is seen by who asks.
            let _ = end.take(&octets);
        }
    }
    /// Octets that nobody sent: with a plausible start, or as they come.
    fn inject(&mut self, kind: u8, choice: u8) {
        let mut octets = self.octets(usize::from(choice & 0x7f) + 8);
        octets.resize(octets.len().max(8), 0);
        let pdu = PduKind::from_octet(octets[0] % 10).filter(|_| kind & 0x20 == 0);
        if let Some(pdu) = pdu {
            octets[0] = pdu.octet();
            octets[2] = pdu.hlen();
            octets[1] &= 0x0f;
            (octets[6], octets[7]) = (0, 0);
        }
        self.is_broken = true;
        let is_controller = kind & 0x10 != 0;
        let end = if is_controller { &mut self.world.controller } else { &mut self.world.host };
        if !end.is_over() {
            let _ = end.take(&octets);
        }
    }

    /// Both sides' consumers take what came. True if anything did.
    fn serve(&mut self) -> bool {
        let (here, there) = (self.world.controller.events(), self.world.host.events());
        let any = !here.is_empty() || !there.is_empty();
        for event in here {
            match event {
                FabricEvent::Recv { token, .. } => {
                    self.note_command(token);
                    self.world.controller.post_receive(token, 64 + 16384);
                }
                FabricEvent::Done { token, .. } => {
                    let mine = |open: &&mut Open| open.cid == token as u16 && open.outstanding > 0;
                    if let Some(open) = self.open.iter_mut().find(mine) {
                        open.outstanding -= 1;
                    }
                }
                _ => {}
            }
        }
        for event in there {
            if let FabricEvent::Recv { token, .. } = event {
                self.answers += 1;
                self.world.host.post_receive(token, 16);
            }
        }
        // What waited for a receive goes on.
        for end in [&mut self.world.host, &mut self.world.controller] {
            if !end.is_over() {
                let _ = end.take(&[]);
            }
        }
        let Session { answers, commands, is_broken, .. } = self;
        assert!(answers <= commands || *is_broken, "{answers} answers to {commands} commands");
        any
    }
    fn note_command(&mut self, slot: u64) {
        let octets = self.world.controller.received(slot);
        let Some(sqe) = Sqe::decode(&octets) else { return };
        let bytes = match sqe.sgl() {
            Sgl::Keyed { len, .. } => len.min(65_536),
            _ => 0,
        };
        let is_write = sqe.as_octets()[0] & 3 == 1;
        self.open.push(Open { cid: sqe.cid().0, bytes, is_write, moved: 0, outstanding: 0 });
    }
    fn settle(&mut self) {
        loop {
            self.collect();
            let is_moving = !self.to_controller.is_empty() || !self.to_host.is_empty();
            self.hand(usize::MAX, true, 0);
            self.hand(usize::MAX, false, 0);
            if !self.serve() && !is_moving {
                return;
            }
        }
    }
    fn finish(&mut self) {
        self.settle();
        for _ in 0..STEPS_MAX * 2 {
            if self.open.is_empty() {
                break;
            }
            self.transfer(0);
            self.settle();
            self.respond(0);
            self.settle();
        }
        if !self.is_broken {
            assert!(!self.world.host.is_over() && !self.world.controller.is_over());
            assert_eq!(self.answers, self.commands, "each command has its answer");
        }
    }
}

/// Goal: no session of the corpus, nor a beginning of one, breaks either side.
#[cfg(test)]
#[test]
fn sessions_of_the_corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/session");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        [octets.len(), octets.len() / 2].into_iter().for_each(|len| run(&octets[..len]));
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
