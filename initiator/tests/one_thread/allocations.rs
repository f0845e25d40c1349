//! Nothing on the way of an I/O allocates, at the host or at the target, once every path was taken.

use crate::world::{DEPTH_MAX, LARGE, World};
use crate::{COUNT, TELL};
use flexblk_initiator::IoOp;
use netstack::endpoint::Mode;
use netstack::fabric::Fabric;
use netstack::link::{LoopbackLink, UdpLink};
use std::net::{IpAddr, SocketAddr};

/// I/Os outstanding while it is counted. Before, it is as many as a queue holds: queues that grow
/// with the load (the wire in the process, timers) reach a size that the measured load does not need.
const DEPTH: u16 = 32;
/// I/Os of 4 KiB of each kind, and four times as many as of 128 KiB: enough that every slot, ring
/// and timer was used, most of them often.
const WARM_UP: u32 = 8_000;
const MEASURED: u32 = 8_000;
/// A bitmap each for both directions of two queue pairs, and one round more.
const ROUNDS_MAX: u32 = 5;

fn every_kind<F: Fabric>(world: &mut World<F>, depth: u16, count: u32) {
    for op in [IoOp::Read, IoOp::Write] {
        world.load(op, 4096, depth, count);
        world.load(op, LARGE, depth, count / 4);
    }
}

/// The fewest of some rounds: where the kernel delivers late, a packet may seem lost, and the first
/// loss of a direction makes its bitmap.
fn allocations<F: Fabric>(mut world: World<F>) -> u64 {
    every_kind(&mut world, DEPTH_MAX, WARM_UP);
    let mut fewest = u64::MAX;
    for _ in 0..ROUNDS_MAX {
        let before = COUNT.get();
        TELL.set(true);
        every_kind(&mut world, DEPTH, MEASURED);
        TELL.set(false);
        fewest = fewest.min(COUNT.get() - before);
        if fewest == 0 {
            break;
        }
    }
    fewest
}

/// Goal: zero heap allocations an I/O after warm-up, host and target together, over UDP.
#[test]
fn no_allocation_over_udp() {
    for mode in [Mode::Native, Mode::Roce] {
        let link = || UdpLink::bind_free_loopback().unwrap();
        assert_eq!(allocations(World::over(link(), link(), mode)), 0, "{mode:?}");
    }
}

/// Goal: the same over the link inside the process, where no datagram is ever lost.
#[test]
fn no_allocation_in_process() {
    for mode in [Mode::Native, Mode::Roce] {
        let at = |host| SocketAddr::new(IpAddr::from([10, 0, 0, host]), 4791);
        let (a, b) = LoopbackLink::pair(at(1), at(2), 8192, 4096);
        assert_eq!(allocations(World::over(a, b, mode)), 0, "{mode:?}");
    }
}

/// Goal: the same over NVMe/TCP.
#[test]
fn no_allocation_over_tcp() {
    let world = World::over_tcp("127.0.79.5:4420".parse().unwrap());
    assert_eq!(allocations(world), 0);
}
