//! What the octets stand for: one step after another.

use super::host::{DATA_BYTES, QUEUES};
use super::input::Input;
use super::world::{HONEST_NQN, NQNS, SECRET, World, connect_command};
use auth::{HostKeys, HostSide, Names, Step};
use flexblk_target::{AnaState, Credentials, DISCOVERY_NQN, HostList, RateLimit};
use std::sync::Arc;
use std::time::Duration;
use wire::fabrics::auth::AuthCmd;
use wire::fabrics::{PropertySetCmd, PropertySize};
use wire::nvme::{Cid, ControllerId, Sgl, Sqe};

/// Steps of one run, so that it stays short.
const STEPS_MAX: usize = 96;
/// Octets that descriptors name.
const LENGTHS: [u32; 16] =
    [0, 4, 8, 16, 24, 32, 64, 512, 1024, 4096, 4096, 8192, 16384, 32768, 32, 20];
const ADMIN: [u8; 16] = [
    0x06, 0x02, 0x09, 0x0a, 0x0c, 0x08, 0x18, 0x7f, 0x7f, 0x0d, 0x15, 0x00, 0x05, 0x11, 0x10, 0x19,
];
const IO: [u8; 16] = [
    0x01, 0x02, 0x05, 0x08, 0x09, 0x0c, 0x0d, 0x0e, 0x11, 0x15, 0x19, 0x00, 0x04, 0x7f, 0x01, 0x02,
];

/// Runs the whole script. The top bit of each step's octet says whether it waits for rest.
pub(crate) fn run(world: &mut World, input: &mut Input<'_>) {
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            return;
        }
        let kind = input.octet();
        step(world, input, kind & 0x1f);
        if kind & 0x80 == 0 {
            world.settle();
        } else {
            world.reactor.turn(world.now);
            for host in &mut world.hosts {
                host.poll(world.now);
            }
        }
    }
}

fn step(world: &mut World, input: &mut Input<'_>, kind: u8) {
    let whom = input.octet();
    let (who, at) = (usize::from(whom & 1), usize::from(whom >> 1) % QUEUES);
    match kind {
        0..=2 => enter(world, input, who, at),
        3 => {
            let (qid, depth) = (u16::from(input.octet() & 7), u16::from(input.octet()));
            world.hosts[who].open(world.now, at, qid, depth);
        }
        4 => connect(world, input, who, at),
        5 => property(world, input, who, at),
        6..=9 => shaped(world, input, who, at, &ADMIN),
        10..=17 => shaped(world, input, who, at, &IO),
        18 => raw(world, input, who, at),
        19 => world.hosts[who].close(world.now, at, whom & 0x80 != 0),
        20 | 21 => prove(world, input, who, at),
        22 => {
            let by = input.choose(&[1_u64, 1000, 11_000, 31_000, 130_000]);
            world.advance(Duration::from_millis(by));
        }
        23 => world.watch.is_held.set(whom & 0x80 != 0),
        24 => world.read(),
        25 => world.write(),
        _ => operate(world, input),
    }
}

/// A queue the way hosts mean it: connected, with a Connect command, and enabled.
fn enter(world: &mut World, input: &mut Input<'_>, who: usize, at: usize) {
    let choice = input.octet();
    let qid = u16::try_from(at).unwrap_or(0);
    world.hosts[who].open(world.now, at, qid, 8);
    world.settle();
    let nqn = NQNS[usize::from(choice & 1)];
    let host = &mut world.hosts[who];
    let controller = if qid == 0 { ControllerId::DYNAMIC } else { ControllerId(host.cntlid) };
    let keep_alive_ms = if choice & 2 != 0 { 15_000 } else { 0 };
    let (sqe, data) = connect_command(host, qid, nqn, controller, keep_alive_ms);
    let cid = host.submit(at, sqe, data.as_octets());
    world.settle();
    let host = &mut world.hosts[who];
    let Some(queue) = &mut host.queues[at] else { return };
    let answer = queue.completions.iter().find(|cqe| Some(cqe.cid().0) == cid).copied();
    queue.completions.clear();
    if qid == 0 {
        host.cntlid = answer.map_or(0, |cqe| u16::try_from(cqe.dw0() & 0xffff).unwrap_or(0));
        let enable = PropertySetCmd { size: PropertySize::Four, offset: 0x14, value: 0x46_0001 };
        host.submit(at, enable.command(Cid(0)), &[]);
    }
}
fn connect(world: &mut World, input: &mut Input<'_>, who: usize, at: usize) {
    let nqn = input.choose(&[NQNS[0], NQNS[1], DISCOVERY_NQN, "nqn.2026-01.io.flexblk:none"]);
    let (qid, controller) = (u16::from(input.octet() & 7), input.octet());
    let host = &mut world.hosts[who];
    let controller = match controller {
        0xff => ControllerId::DYNAMIC,
        0xfe => ControllerId(host.cntlid),
        other => ControllerId(u16::from(other)),
    };
    let keep_alive_ms = input.dword();
    let (mut sqe, data) = connect_command(host, qid, nqn, controller, keep_alive_ms);
    let mut octets = data.as_octets().to_vec();
    // Now and then one octet is another.
    let (place, other) = (usize::from(u16::from_le_bytes(input.array())), input.octet());
    if other != 0 {
        octets[place % 1024] = other;
    }
    if place & 0x8000 != 0 {
        host.memory.write(0, &octets);
        sqe.set_sgl(host.sgl(0, 1024));
        octets.clear();
    }
    host.submit(at, sqe, &octets);
}
fn property(world: &mut World, input: &mut Input<'_>, who: usize, at: usize) {
    let value = input.choose(&[0x46_0001_u64, 0x46_0000, 0x46_4001, 0x46_8001, 0, u64::MAX, 1, 3]);
    let offset = input.choose(&[0x14_u32, 0x14, 0x14, 0x1c, 0, 0x20, 0x68, 0x15]);
    let size = if offset == 0 { PropertySize::Eight } else { PropertySize::Four };
    world.hosts[who].submit(at, PropertySetCmd { size, offset, value }.command(Cid(0)), &[]);
}

/// A command with each field from where sense and nonsense meet.
fn shaped(world: &mut World, input: &mut Input<'_>, who: usize, at: usize, opcodes: &[u8; 16]) {
    let host = &mut world.hosts[who];
    let mut octets = [0_u8; 64];
    let first = input.octet();
    octets[0] = opcodes[usize::from(first & 15)];
    // Plain, halves of a pair, nonsense.
    octets[1] = match first >> 4 {
        0..=11 => 0x40,
        12 => 0x41,
        13 => 0x42,
        _ => input.octet(),
    };
    let (nsid, form) = (input.octet(), input.octet());
    let nsid = if nsid == 0xff { u32::MAX } else { u32::from(nsid & 7) };
    octets[4..8].copy_from_slice(&nsid.to_le_bytes());
    let length = LENGTHS[usize::from(form & 15)];
    let offset = u32::from(input.octet()) * 64;
    let mut data = Vec::new();
    let sgl = match form >> 4 {
        0..=6 => host.sgl(offset, length).encode(),
        7..=11 => {
            let lead = if form & 1 == 0 { 0 } else { offset % 4096 };
            Sgl::InCapsule { offset: u64::from(lead), len: length }.encode()
        }
        12 => Sgl::Keyed { addr: 1, len: length, key: 7, invalidate: true }.encode(),
        13 => [0; 16],
        _ => input.array(),
    };
    octets[24..40].copy_from_slice(&sgl);
    for at in 0..6 {
        octets[40 + at * 4..44 + at * 4].copy_from_slice(&input.dword().to_le_bytes());
    }
    // The data: what comes, and again and again.
    let pattern = input.octet();
    let pattern = input.take(usize::from(pattern));
    if !pattern.is_empty() {
        let bytes = usize::try_from(length).unwrap_or(0).min(4096);
        data = pattern.iter().copied().cycle().take(bytes).collect();
        let room = DATA_BYTES - usize::try_from(offset).unwrap_or(0);
        host.memory.write(usize::try_from(offset).unwrap_or(0), &data[..bytes.min(room)]);
    }
    host.submit(at, Sqe::from_octets(octets), &data);
}
/// Octets as they are, whatever they are.
fn raw(world: &mut World, input: &mut Input<'_>, who: usize, at: usize) {
    let len = usize::from(input.octet());
    let octets = input.take(len).to_vec();
    world.hosts[who].send(at, &octets);
}

/// The host proves who it is; perhaps with an octet that is not as it should be.
fn prove(world: &mut World, input: &mut Input<'_>, who: usize, at: usize) {
    let (wrong_at, wrong, message) = (input.octet(), input.octet(), input.octet() & 3);
    let name = world.hosts[who].nqn();
    let keys = HostKeys { host: SECRET.parse().expect("a secret"), controller: None };
    let names = Names { host: name, subsystem: NQNS[1].into() };
    let (mut side, mut step) = HostSide::start(Arc::new(keys), names, 77);
    let mut dice = |octets: &mut [u8]| octets.fill(0x5a);
    for round in 0..8 {
        step = match step {
            Step::Send(mut octets) => {
                let length = octets.len();
                if wrong != 0 && round / 2 == message {
                    octets[usize::from(wrong_at) % length] ^= wrong;
                }
                world.hosts[who].memory.write(0, &octets);
                let length = u32::try_from(length).unwrap_or(0);
                let mut sqe = AuthCmd::new(length).send(Cid(0));
                sqe.set_sgl(world.hosts[who].sgl(0, length));
                world.hosts[who].submit(at, sqe, &[]);
                world.settle();
                side.handle_sent()
            }
            Step::Receive => {
                let mut sqe = AuthCmd::new(4096).receive(Cid(0));
                sqe.set_sgl(world.hosts[who].sgl(0, 4096));
                world.hosts[who].submit(at, sqe, &[]);
                world.settle();
                let mut octets = vec![0; 4096];
                world.hosts[who].memory.read(0, &mut octets);
                side.handle_received(&octets, &mut dice)
            }
            Step::Compute(job) => side.handle_agreed(job.compute()),
            Step::Done { .. } | Step::Failed(_) => return,
        };
    }
}

/// The operator changes something, never for the honest host.
fn operate(world: &mut World, input: &mut Input<'_>) {
    let (what, choice) = (input.octet(), input.octet());
    let nqn = NQNS[usize::from(choice & 1)];
    let reactor = &mut world.reactor;
    let all = [
        AnaState::Optimized,
        AnaState::NonOptimized,
        AnaState::Inaccessible,
        AnaState::PersistentLoss,
        AnaState::Change,
    ];
    let hosts = match choice >> 6 {
        0 => HostList::Any,
        1 => HostList::only([HONEST_NQN, "nqn.2026-01.io.flexblk:host1"]),
        _ => HostList::only([HONEST_NQN]),
    };
    let state = all[usize::from(choice >> 1) % all.len()];
    let nsid = u32::from(choice >> 1 & 1) + 1;
    // What is not there is refused, and changes nothing.
    let _ = match what % 10 {
        0 => reactor.set_ana_state(nqn, u32::from(choice >> 4 & 1) + 1, None, state),
        1 => reactor.set_ana_group(nqn, nsid, u32::from(choice >> 4 & 3) + 1),
        2 => reactor.set_namespace_hosts(nqn, nsid, hosts),
        3 => reactor.set_hosts(nqn, hosts),
        4 => reactor.set_read_only(nqn, nsid, choice & 0x10 != 0),
        5 => reactor.resize_namespace(nqn, nsid, u64::from(choice >> 2)),
        6 => reactor.remove_namespace(nqn, nsid),
        7 => {
            world.add_namespace(nqn, nsid, if nsid == 1 { 512 } else { 4096 }, 8);
            Ok(())
        }
        8 => {
            // Slow, fast, and none.
            let ios_per_second = [0, 1, 100, 10_000][usize::from(choice >> 2 & 3)];
            let write_bytes_per_second = [0, 4096, 1 << 20, 0][usize::from(choice >> 4 & 3)];
            let limit =
                RateLimit { ios_per_second, write_bytes_per_second, ..RateLimit::default() };
            match choice >> 6 {
                0 | 1 => reactor.set_limit(nqn, nsid, limit),
                host => {
                    let name = format!("nqn.2026-01.io.flexblk:host{}", host - 1);
                    reactor.set_host_limit(nqn, &name, limit)
                }
            }
        }
        _ => {
            let credentials = Credentials::new(SECRET.parse().expect("a secret"));
            let credentials = (choice & 2 != 0).then_some(credentials);
            let name = format!("nqn.2026-01.io.flexblk:host{}", (choice >> 2 & 1) + 1);
            reactor.set_credentials(nqn, &name, credentials)
        }
    };
}
