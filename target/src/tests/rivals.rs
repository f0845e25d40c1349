//! Hosts that do everything at once to one namespace, while the operator changes it, connections die,
//! and the disk dawdles.

use super::host::Host;
use super::probe::{Probe, State};
use super::{NQN, World};
use crate::{AnaState, Config, HostList, RateLimit};
use proptest::prelude::*;
use std::collections::HashSet;
use std::rc::Rc;
use wire::nvme::reservation::{ReservationCmd, ReservationKeys};
use wire::nvme::{
    AbortCmd, Cid, CopyCmd, CopyRange, DsmCmd, DsmRange, IoOpcode, Lba, Nsid, QueueId, Sqe,
    ZeroBased,
};

/// One step of somebody.
#[derive(Clone, Copy, Debug)]
enum Step {
    Io { host: usize, opcode: IoOpcode, start: u64 },
    Pair { host: usize, start: u64 },
    Half { host: usize, start: u64 },
    Copy { host: usize, start: u64 },
    Deallocate { host: usize, start: u64 },
    Register { host: usize },
    Acquire { host: usize, action: u32, kind: u8, victim: usize },
    Release { host: usize, action: u32, kind: u8 },
    Cut { host: usize },
    Hide { host: usize },
    Path { state: AnaState },
    ReadOnly { on: bool },
    Replace,
    Resize { blocks: u64 },
    LimitHost { host: usize, ios: u64 },
    LimitNamespace { ios: u64 },
    Abort { host: usize, back: u16 },
    Hold { on: bool },
    Turn { times: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let opcode = prop::sample::select(vec![
        IoOpcode::Read,
        IoOpcode::Write,
        IoOpcode::Compare,
        IoOpcode::WriteZeroes,
        IoOpcode::Verify,
    ]);
    let state = prop::sample::select(vec![AnaState::Optimized, AnaState::Inaccessible]);
    let (host, start) = (0..2usize, 0..8u64);
    // Time stands still: one command has its turn, a few have, or all.
    let ios = prop::sample::select(vec![0, 1, 500]);
    prop_oneof![
        8 => (host.clone(), opcode, start.clone())
            .prop_map(|(host, opcode, start)| Step::Io { host, opcode, start }),
        3 => (host.clone(), start.clone()).prop_map(|(host, start)| Step::Pair { host, start }),
        1 => (host.clone(), start.clone()).prop_map(|(host, start)| Step::Half { host, start }),
        3 => (host.clone(), start.clone()).prop_map(|(host, start)| Step::Copy { host, start }),
        2 => (host.clone(), start).prop_map(|(host, start)| Step::Deallocate { host, start }),
        4 => host.clone().prop_map(|host| Step::Register { host }),
        4 => (host.clone(), 0..3u32, 1..7u8, host.clone())
            .prop_map(|(host, action, kind, victim)| Step::Acquire { host, action, kind, victim }),
        2 => (host.clone(), 0..2u32, 1..7u8)
            .prop_map(|(host, action, kind)| Step::Release { host, action, kind }),
        1 => host.clone().prop_map(|host| Step::Cut { host }),
        2 => (host.clone(), ios.clone()).prop_map(|(host, ios)| Step::LimitHost { host, ios }),
        1 => ios.prop_map(|ios| Step::LimitNamespace { ios }),
        3 => (host.clone(), 0..12u16).prop_map(|(host, back)| Step::Abort { host, back }),
        1 => host.prop_map(|host| Step::Hide { host }),
        1 => state.prop_map(|state| Step::Path { state }),
        1 => any::<bool>().prop_map(|on| Step::ReadOnly { on }),
        1 => Just(Step::Replace),
        1 => (4..64u64).prop_map(|blocks| Step::Resize { blocks }),
        4 => any::<bool>().prop_map(|on| Step::Hold { on }),
        12 => (1..4u8).prop_map(|times| Step::Turn { times }),
    ]
}

/// The target, its hosts, and what each host waits for.
struct Fight {
    world: World,
    hosts: Vec<Host>,
    waiting: Vec<HashSet<u16>>,
    disks: Vec<Rc<State>>,
    held: bool,
    /// Hosts that were limited, by NQN, and Aborts that are not answered.
    limited: HashSet<String>,
    aborts: [usize; 2],
}

fn limit(ios_per_second: u64) -> RateLimit {
    RateLimit { ios_per_second, ..RateLimit::default() }
}

impl Fight {
    fn new() -> Fight {
        let world = World::empty(Config::default());
        let waiting = vec![HashSet::new(), HashSet::new()];
        let mut fight = Fight {
            world,
            hosts: Vec::new(),
            waiting,
            disks: Vec::new(),
            held: false,
            limited: HashSet::new(),
            aborts: [0; 2],
        };
        fight.add_disk();
        for _ in 0..2 {
            let host = fight.world.connected(1, 64);
            fight.hosts.push(host);
        }
        fight
    }
    fn add_disk(&mut self) {
        let probe = Probe::new(64);
        self.disks.push(Rc::clone(&probe.state));
        probe.state.held.set(self.held);
        self.world.add(1, Box::new(probe));
    }
    fn send(&mut self, at: usize, sqe: Sqe) {
        // The submission queue has so many entries.
        if self.waiting[at].len() < 40 {
            let cid = self.hosts[at].submit(1, sqe, &[]);
            self.waiting[at].insert(cid);
        }
    }
    /// A command that brings `octets`.
    fn send_with(&mut self, at: usize, mut sqe: Sqe, octets: &[u8]) {
        // Each command has its own memory: it may be fetched late.
        let offset = (1 << 20) + usize::from(self.hosts[at].next_cid % 1024) * 512;
        self.hosts[at].data.write(offset, octets);
        sqe.set_sgl(self.hosts[at].sgl(offset, octets.len() as u32));
        self.send(at, sqe);
    }
    fn reserve(&mut self, at: usize, opcode: IoOpcode, command: ReservationCmd, keys: [u64; 2]) {
        let mut data = ReservationKeys::zeroed();
        data.set_current(keys[0]).set_other(keys[1]);
        self.send_with(at, command.command(opcode, Cid(0), Nsid(1)), data.as_octets());
    }
    fn half(&mut self, at: usize, fuse: u8, start: u64) {
        let opcode = if fuse == 1 { IoOpcode::Compare } else { IoOpcode::Write };
        let mut sqe = self.hosts[at].rw(opcode, start, 1, 0);
        sqe.set_fuse(fuse);
        self.send(at, sqe);
    }
    fn step(&mut self, step: Step) {
        let key = |host: usize| 0xa0 + host as u64;
        match step {
            Step::Io { host, opcode, start } => {
                let sqe = self.hosts[host].rw(opcode, start, 4, 8192);
                self.send(host, sqe);
            }
            Step::Pair { host, start } => {
                self.half(host, 1, start);
                self.half(host, 2, start);
            }
            Step::Half { host, start } => self.half(host, 1 + (start % 2) as u8, start),
            Step::Copy { host, start } => {
                let copy = CopyCmd {
                    destination: Lba(8 - start),
                    ranges: ZeroBased::<u8>::from_count(2).unwrap(),
                    format: 0,
                    fua: false,
                    limited_retry: false,
                };
                let range = CopyRange::new(Lba(start), 3).unwrap();
                let octets = [*range.as_octets(), *range.as_octets()].concat();
                self.send_with(host, copy.command(Cid(0), Nsid(1)), &octets);
            }
            Step::Deallocate { host, start } => {
                let dsm = DsmCmd {
                    ranges: ZeroBased::<u8>::from_count(2).unwrap(),
                    deallocate: true,
                    integral_read: false,
                    integral_write: false,
                };
                let range = DsmRange::new(Lba(start), 2);
                let octets = [*range.as_octets(), *range.as_octets()].concat();
                self.send_with(host, dsm.command(Cid(0), Nsid(1)), &octets);
            }
            Step::Register { host } => {
                let command = ReservationCmd { action: 2, ignore_key: true, ..Default::default() };
                self.reserve(host, IoOpcode::ReservationRegister, command, [0, key(host)]);
            }
            Step::Acquire { host, action, kind, victim } => {
                let command = ReservationCmd { action, kind, ..Default::default() };
                let keys = [key(host), if kind == 6 { 0 } else { key(victim) }];
                self.reserve(host, IoOpcode::ReservationAcquire, command, keys);
            }
            Step::Release { host, action, kind } => {
                let command = ReservationCmd { action, kind, ..Default::default() };
                self.reserve(host, IoOpcode::ReservationRelease, command, [key(host), 0]);
            }
            Step::Cut { host } => {
                let Host { queues, fabric, .. } = &mut self.hosts[host];
                queues.iter().for_each(|queue| fabric.cut(queue.qp));
                self.hosts[host] = self.world.connected(1, 64);
                self.waiting[host].clear();
                self.aborts[host] = 0;
            }
            Step::Hide { host } => {
                let other = self.hosts[host].nqn();
                self.world
                    .reactor
                    .set_namespace_hosts(NQN, 1, HostList::only([other.as_str()]))
                    .unwrap();
            }
            Step::Path { state } => {
                self.world.reactor.set_ana_state(NQN, 1, None, state).unwrap();
            }
            Step::ReadOnly { on } => self.world.reactor.set_read_only(NQN, 1, on).unwrap(),
            Step::Replace => {
                self.world.reactor.remove_namespace(NQN, 1).unwrap();
                self.add_disk();
            }
            Step::Resize { blocks } => {
                self.world.reactor.resize_namespace(NQN, 1, blocks).unwrap();
            }
            Step::LimitHost { host, ios } => {
                let nqn = self.hosts[host].nqn();
                self.limited.insert(nqn.as_str().to_owned());
                self.world.reactor.set_host_limit(NQN, nqn.as_str(), limit(ios)).unwrap();
            }
            Step::LimitNamespace { ios } => {
                self.world.reactor.set_limit(NQN, 1, limit(ios)).unwrap();
            }
            Step::Abort { host, back } => {
                let cid = Cid(self.hosts[host].next_cid.wrapping_sub(back));
                let abort = AbortCmd { queue: QueueId(1), cid };
                if self.aborts[host] < 20 {
                    self.aborts[host] += 1;
                    self.hosts[host].submit(0, abort.command(Cid(0)), &[]);
                }
            }
            Step::Hold { on } => self.hold(on),
            Step::Turn { times } => {
                for _ in 0..times {
                    self.world.reactor.turn(self.world.now);
                    (0..2).for_each(|host| self.collect(host));
                }
            }
        }
    }
    fn hold(&mut self, on: bool) {
        self.held = on;
        self.disks.iter().for_each(|disk| disk.held.set(on));
    }
    fn collect(&mut self, host: usize) {
        self.hosts[host].poll(&self.world);
        self.aborts[host] -= self.hosts[host].queues[0].completions.drain(..).count();
        for cqe in self.hosts[host].queues[1].completions.drain(..) {
            assert!(self.waiting[host].remove(&cqe.cid().0), "answered twice: {:?}", cqe.cid());
        }
    }
    /// Lets everything come to its end.
    fn finish(&mut self) {
        self.hold(false);
        self.world.reactor.set_limit(NQN, 1, limit(0)).unwrap();
        for nqn in std::mem::take(&mut self.limited) {
            self.world.reactor.set_host_limit(NQN, &nqn, limit(0)).unwrap();
        }
        for host in 0..2 {
            // Ends a half that waits for its other half.
            let sqe = Sqe::new(IoOpcode::Flush.octet(), Cid(0), Nsid(1));
            let cid = self.hosts[host].submit(1, sqe, &[]);
            self.waiting[host].insert(cid);
        }
        for _ in 0..4 {
            self.world.settle();
            (0..2).for_each(|host| self.collect(host));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    /// Goal: every command is answered exactly once whatever happens to its namespace, its host's
    /// standing and its disk meanwhile; nobody waits for ever, no buffer is lost, and disks of
    /// removed namespaces are dropped.
    #[test]
    fn everything_comes_to_an_end(steps in prop::collection::vec(step(), 1..80)) {
        let mut fight = Fight::new();
        steps.into_iter().for_each(|step| fight.step(step));
        fight.finish();
        for host in 0..2 {
            prop_assert!(fight.waiting[host].is_empty(), "unanswered: {:?}", fight.waiting[host]);
            prop_assert_eq!(fight.aborts[host], 0, "unanswered Aborts");
        }
        prop_assert_eq!(fight.world.reactor.preempts_waiting(), 0);
        let (last, removed) = fight.disks.split_last().unwrap();
        prop_assert_eq!(last.buffers_out.get(), 0);
        for disk in removed {
            prop_assert_eq!((disk.buffers_out.get(), Rc::strong_count(disk)), (0, 1));
        }
    }
}
