//! One system call serves several I/Os: what is outstanding is sent together, and taken together.

use crate::world::World;
use flexblk_initiator::IoOp;
use netstack::endpoint::Mode;
use netstack::fabric::Fabric;
use netstack::link::UdpLink;

const DEPTH: u16 = 32;
const COUNT: u32 = 1_600;
/// The fewest calls of so many rounds count: where the kernel delivers late, both sides look in vain.
const ROUNDS: usize = 5;

/// System calls until now, those that found nothing included: of the host, of the target.
fn calls<F: Fabric>(world: &World<F>) -> [u64; 2] {
    let mut calls = [0; 2];
    let [host, target] = &mut calls;
    let count = |into: &mut u64, name: &str, count: u64| {
        if ["link.tx_syscalls", "link.rx_syscalls"].contains(&name) {
            *into += count;
        }
    };
    world.host.fabric().counters(&mut |name, calls| count(host, name, calls));
    world.reactor.report(&mut |name, calls| count(target, name, calls));
    calls
}

/// A system call of either end serves at least `ios` I/Os of 4 KiB, be they reads or writes.
fn serves<F: Fabric>(ios: u64, mut world: World<F>) {
    for op in [IoOp::Read, IoOp::Write] {
        let mut fewest = [u64::MAX; 2];
        for _ in 0..ROUNDS {
            let before = calls(&world);
            world.load(op, 4096, DEPTH, COUNT);
            let after = calls(&world);
            fewest = std::array::from_fn(|side| fewest[side].min(after[side] - before[side]));
        }
        for (calls, side) in fewest.into_iter().zip(["host", "target"]) {
            assert!(calls * ios <= u64::from(COUNT), "{op:?}: {calls} calls at the {side}");
        }
    }
}

/// Goal: at depth 32 a call serves at least four I/Os.
#[test]
fn a_call_serves_four_ios() {
    let link = || UdpLink::bind_free_loopback().unwrap();
    serves(4, World::over(link(), link(), Mode::Native));
    serves(4, World::over_tcp("127.0.79.4:4420".parse().unwrap()));
}

/// Goal: over RoCEv2 it serves at least two: a block and its response are packets of two sizes there, so that each I/O
/// takes one of the few slots that the receive ring has.
#[test]
fn a_call_serves_two_ios_of_rocev2() {
    let link = || UdpLink::bind_free_loopback().unwrap();
    serves(2, World::over(link(), link(), Mode::Roce));
}
