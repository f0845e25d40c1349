//! The operations, and what each must have brought in the end.

use super::super::world::{Told, World};
use super::{Mode, PacketKind, Rule, script};
use memory::{Access, Rkey};
use std::time::Duration;
use verbs::{QpNum, SendOp, Wc, WcOpcode, WcStatus};

/// Where the payload lies, where it lands, and where atomics work: at both hosts.
const SOURCE: u32 = 0;
const LANDING: u32 = 256 << 10;
const CELL: u32 = 512 << 10;
/// What the cell holds at first.
const BEFORE: u64 = 40;
const IMMEDIATE: u32 = 0x0bad_cafe;
/// One packet, and five.
const ONE: u32 = 512;
const FIVE: u32 = 4 * 4096 + 1000;
/// With no receive posted, one is so much later.
const UNREADY: Duration = Duration::from_micros(300);

/// What is posted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Send,
    SendImmediate,
    SendInvalidate,
    Write,
    WriteImmediate,
    Read,
    CompareSwap,
    FetchAdd,
}

/// One operation.
pub(super) struct Case {
    pub(super) name: &'static str,
    op: Op,
    len: u32,
    /// Faults that are part of the case.
    given: &'static [&'static str],
    /// Only these packets are hit; none: all of them.
    pub(super) only: &'static [PacketKind],
    /// The receive is posted too late.
    is_unready: bool,
}

/// What a run showed.
pub(super) struct Outcome {
    /// Until both sides had their completions.
    pub(super) took: Duration,
    /// Packets that were sent.
    pub(super) kinds: Vec<PacketKind>,
}

const fn case(name: &'static str, op: Op, len: u32) -> Case {
    Case { name, op, len, given: &[], only: &[], is_unready: false }
}

/// A second fault, among the packets that repair the first.
const fn twice(name: &'static str, op: Op, given: &'static [&'static str]) -> Case {
    let only = &[PacketKind::Nak, PacketKind::Ack, PacketKind::ReadRequest];
    Case { only, given, ..case(name, op, FIVE) }
}

pub(super) const CASES: [Case; 18] = [
    case("SEND", Op::Send, ONE),
    case("SEND, long", Op::Send, FIVE),
    case("SEND immediate", Op::SendImmediate, ONE),
    case("SEND immediate, long", Op::SendImmediate, FIVE),
    case("SEND invalidate", Op::SendInvalidate, ONE),
    case("SEND invalidate, long", Op::SendInvalidate, FIVE),
    case("WRITE", Op::Write, ONE),
    case("WRITE, long", Op::Write, FIVE),
    case("WRITE immediate", Op::WriteImmediate, ONE),
    case("WRITE immediate, long", Op::WriteImmediate, FIVE),
    case("READ", Op::Read, ONE),
    case("READ, long", Op::Read, FIVE),
    case("COMPARE_SWAP", Op::CompareSwap, 8),
    case("FETCH_ADD", Op::FetchAdd, 8),
    twice("SEND, 2nd middle lost", Op::Send, &["drop:send-middle:2"]),
    twice("WRITE, 2nd middle lost", Op::Write, &["drop:write-middle:2"]),
    twice("READ, 2nd middle lost", Op::Read, &["drop:read-response-middle:2"]),
    Case {
        only: &[PacketKind::RnrNak],
        is_unready: true,
        ..case("SEND, no receive yet", Op::Send, ONE)
    },
];

impl Case {
    /// Runs it under `rules` and checks everything but the time.
    pub(super) fn run(&self, mode: Mode, rules: &[Rule]) -> Outcome {
        let mut world = World::pair(mode, mode, 77);
        let (a, b) = world.connect();
        warm_up(&mut world, a, b);
        let key = self.prepare(&mut world, b);
        let given = self.given.iter().map(|rule| rule.parse().unwrap());
        let rules: Vec<Rule> = given.chain(rules.iter().copied()).collect();
        let (script, kinds) = script(&rules);
        world.script = Some(script);
        let start = world.now;
        let op = self.op.work(&world, key);
        let offset = if self.op.brings_data() { LANDING } else { SOURCE };
        world.hosts[0].post(a, 1, op, offset, self.len);
        if self.is_unready {
            world.drive(UNREADY);
            world.hosts[1].post_recv(b, 9, LANDING, self.len);
        }
        world.drive(Duration::from_secs(2));
        let what = format!("{mode:?} {} under {rules:?}", self.name);
        self.check(&world, key, &what);
        let last = world.hosts.iter().flat_map(|host| &host.told_at).max().unwrap();
        Outcome { took: *last - start, kinds: kinds.take() }
    }

    /// Those that are part of it, and the one of the matrix.
    pub(super) fn faults_in_all(&self) -> u32 {
        1 + u32::try_from(self.given.len()).unwrap()
    }

    /// Payload, the cell, a receive if one is needed, and a key to invalidate.
    fn prepare(&self, world: &mut World, b: QpNum) -> Rkey {
        world.hosts[0].paint(SOURCE, self.len, 5);
        world.hosts[1].paint(SOURCE, self.len, 6);
        world.hosts[1].region.write(CELL as usize, &BEFORE.to_ne_bytes());
        if self.op.takes_receive() && !self.is_unready {
            world.hosts[1].post_recv(b, 9, LANDING, self.len);
        }
        let region = world.hosts[1].region.clone();
        let memory = world.hosts[1].endpoint.memory();
        memory.register(&region, Access::REMOTE_READ).unwrap().rkey
    }

    fn check(&self, world: &World, key: Rkey, what: &str) {
        let [near, far] = &world.hosts[..] else { panic!("two hosts") };
        let found: Vec<_> = near.wcs().iter().map(|wc| (wc.wr_id, wc.status, wc.opcode)).collect();
        assert_eq!(found, [(1, WcStatus::Success, self.op.completion())], "{what}");
        let received: Vec<Wc> =
            if self.op.takes_receive() { vec![self.receive(key)] } else { vec![] };
        let found: Vec<Wc> =
            far.wcs().iter().map(|wc| Wc { qp: QpNum::default(), ..*wc }).collect();
        assert_eq!(found, received, "{what}");
        if self.op.is_atomic() {
            assert_eq!(near.octets(LANDING, 8), BEFORE.to_ne_bytes(), "{what}");
            assert_eq!(far.octets(CELL, 8), (BEFORE + 2).to_ne_bytes(), "{what}: executed once");
            return;
        }
        let (from, to) = if self.op.brings_data() { (far, near) } else { (near, far) };
        assert!(from.octets(SOURCE, self.len) == to.octets(LANDING, self.len), "{what}: data");
        let ends = world.hosts.iter().flat_map(|host| &host.told);
        assert!(ends.into_iter().all(|told| matches!(told, Told::Wc(_))), "{what}");
    }

    /// The peer's completion.
    fn receive(&self, key: Rkey) -> Wc {
        let (is_write, takes_imm) = (
            self.op == Op::WriteImmediate,
            matches!(self.op, Op::SendImmediate | Op::WriteImmediate),
        );
        Wc {
            wr_id: 9,
            status: WcStatus::Success,
            opcode: if is_write { WcOpcode::RecvRdmaWithImm } else { WcOpcode::Recv },
            byte_len: self.len,
            imm: takes_imm.then_some(IMMEDIATE),
            invalidated: (self.op == Op::SendInvalidate).then_some(key),
            ..Wc::default()
        }
    }
}

impl Op {
    fn work(self, world: &World, key: Rkey) -> SendOp {
        let (landing, source) = (world.hosts[1].remote(LANDING), world.hosts[1].remote(SOURCE));
        let remote = world.hosts[1].remote(CELL);
        match self {
            Op::Send => SendOp::Send,
            Op::SendImmediate => SendOp::SendWithImm(IMMEDIATE),
            Op::SendInvalidate => SendOp::SendWithInv(key),
            Op::Write => SendOp::RdmaWrite(landing),
            Op::WriteImmediate => SendOp::RdmaWriteWithImm(landing, IMMEDIATE),
            Op::Read => SendOp::RdmaRead(source),
            Op::CompareSwap => SendOp::CompareSwap { remote, compare: BEFORE, swap: BEFORE + 2 },
            Op::FetchAdd => SendOp::FetchAdd { remote, add: 2 },
        }
    }
    fn completion(self) -> WcOpcode {
        match self {
            Op::Send | Op::SendImmediate | Op::SendInvalidate => WcOpcode::Send,
            Op::Write | Op::WriteImmediate => WcOpcode::RdmaWrite,
            Op::Read => WcOpcode::RdmaRead,
            Op::CompareSwap => WcOpcode::CompSwap,
            Op::FetchAdd => WcOpcode::FetchAdd,
        }
    }
    fn is_atomic(self) -> bool {
        matches!(self, Op::CompareSwap | Op::FetchAdd)
    }
    /// From the peer's memory to ours.
    fn brings_data(self) -> bool {
        self == Op::Read || self.is_atomic()
    }
    fn takes_receive(self) -> bool {
        let is_write = matches!(self, Op::Write | Op::WriteImmediate);
        !self.brings_data() && (!is_write || self == Op::WriteImmediate)
    }
}

/// Both sides know the round trip, and nothing is told any more.
fn warm_up(world: &mut World, a: QpNum, b: QpNum) {
    world.settle();
    for round in 0..4 {
        for (from, qps) in [(0, [a, b]), (1, [b, a])] {
            world.hosts[1 - from].post_recv(qps[1], round, LANDING, 64);
            world.hosts[from].post(qps[0], round, SendOp::Send, SOURCE, 64);
            world.settle();
        }
    }
    for host in &mut world.hosts {
        host.told.clear();
        host.told_at.clear();
    }
}
