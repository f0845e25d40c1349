//! Nothing on the way of an I/O allocates, at the host or at the target, once every path was taken.
//!
//! Unsafe: a counting allocator cannot be written without; it only forwards.

#![allow(clippy::unwrap_used, reason = "a test")]

use dpa::nic::Nic;
use flexblk_initiator::{Completion, Host, HostOptions, HostState, IoOp, NamespaceInfo, Timers};
use memory::{Mr, Region};
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::link::{Link, LoopbackLink, UdpLink};
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, TransportKind};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// The next allocation tells where it comes from.
    static TELL: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        if TELL.replace(false) {
            let count = COUNT.get();
            eprintln!("first allocation:\n{}", Backtrace::force_capture());
            COUNT.set(count);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NQN: &str = "nqn.2026-11.io.flexblk:no-allocation";
const DISK_BYTES: u64 = 64 << 20;
/// I/Os outstanding while it is counted, and before: queues that grow with the load (the wire in
/// the process, timers) reach a size that the measured load does not need.
const DEPTH: u16 = 32;
const DEPTH_BEFORE: u16 = 64;
const LARGE: u32 = 128 << 10;
/// I/Os of 4 KiB of each kind, and four times as many as of 128 KiB: enough that every slot, ring
/// and timer was used, most of them often.
const WARM_UP: u32 = 8_000;
const MEASURED: u32 = 8_000;
/// A bitmap each for both directions of two queue pairs, and one round more.
const ROUNDS_MAX: u32 = 5;
/// For a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Host and target on one thread, so that the counter of this thread sees both.
struct World<L: Link> {
    host: Host<Nic<L>>,
    reactor: Reactor<Nic<L>>,
    ns: NamespaceInfo,
    mr: Mr,
    _memory: Region,
    done: Vec<Completion>,
    random: u64,
}

impl<L: Link> World<L> {
    fn new(at_host: L, at_target: L, mode: Mode) -> World<L> {
        let path_mtu_bytes = at_target.caps().path_mtu_bytes;
        let address = SocketAddr::new(at_target.caps().local.ip(), 4420);
        let endpoint = |seed| EndpointConfig { seed, mode, path_mtu_bytes, ..Default::default() };
        let config = Config { path_mtu_bytes: Some(path_mtu_bytes), ..Config::default() };
        let mut reactor = Reactor::new(Nic::new(at_target, endpoint(1)), config);
        reactor.add_subsystem(NQN).unwrap();
        let uri = format!("mem:{DISK_BYTES}");
        let disk = storage::open(&uri.parse().unwrap()).unwrap();
        reactor.add_namespace(NQN, Some(1), &uri, disk).unwrap();
        reactor.listen(Port { id: 1, transport: TransportKind::Rdma, address });
        let options = HostOptions {
            target: address,
            subnqn: NQN.into(),
            hostnqn: "nqn.2026-11.io.flexblk:host".into(),
            hostid: [7; 16],
            io_queues: 1,
            queue_depth: DEPTH_BEFORE,
            keys: None,
            concatenate: false,
            timers: Timers::default(),
        };
        let mut host = Host::new(Nic::new(at_host, endpoint(2)), options, Instant::now()).unwrap();
        let memory = Region::allocate(usize::from(DEPTH_BEFORE) * LARGE as usize).unwrap();
        let mr = host.register(&memory).unwrap();
        let (block_bytes, block_count) = (4096, DISK_BYTES / 4096);
        let ns = NamespaceInfo { nsid: 1, block_bytes, block_count, max_transfer_bytes: 1 << 20 };
        let done = Vec::with_capacity(1024);
        let mut world = World { host, reactor, ns, mr, _memory: memory, done, random: 1 };
        let until = Instant::now() + PATIENCE;
        while world.host.state() != HostState::Live {
            assert!(Instant::now() < until, "not connected: {:?}", world.host.error());
            world.turn();
        }
        world
    }

    fn turn(&mut self) {
        self.host.turn(Instant::now());
        self.reactor.turn(Instant::now());
        self.host.poll_done(&mut self.done);
    }

    /// `count` I/Os of `length` octets at random places, `depth` at a time.
    fn load(&mut self, op: IoOp, length: u32, depth: u16, count: u32) {
        let until = Instant::now() + PATIENCE;
        for tag in 0..u64::from(depth) {
            self.start(tag, op, length);
        }
        let (mut started, mut finished) = (u32::from(depth), 0);
        while finished < count {
            assert!(Instant::now() < until, "{op:?} of {length}: {finished} of {count}");
            self.turn();
            while let Some(completion) = self.done.pop() {
                assert!(completion.status.is_success(), "{op:?}: {}", completion.status);
                finished += 1;
                if started < count {
                    self.start(completion.tag, op, length);
                    started += 1;
                }
            }
        }
    }

    fn start(&mut self, tag: u64, op: IoOp, length: u32) {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let places = DISK_BYTES / u64::from(length);
        let offset = (self.random >> 33) % places * u64::from(length);
        let addr = self.mr.addr + tag * u64::from(LARGE);
        let command = self.ns.command(tag, op, offset, length, &self.mr, addr).unwrap();
        self.host.submit(Instant::now(), 0, command).expect("as many as the queue holds");
    }

    fn every_kind(&mut self, depth: u16, count: u32) {
        for op in [IoOp::Read, IoOp::Write] {
            self.load(op, 4096, depth, count);
            self.load(op, LARGE, depth, count / 4);
        }
    }

    /// The fewest of some rounds: on a busy machine a packet may seem lost, and the first loss of a
    /// direction makes its bitmap.
    fn allocations(mut self) -> u64 {
        self.every_kind(DEPTH_BEFORE, WARM_UP);
        let mut fewest = u64::MAX;
        for _ in 0..ROUNDS_MAX {
            let before = COUNT.get();
            TELL.set(true);
            self.every_kind(DEPTH, MEASURED);
            TELL.set(false);
            fewest = fewest.min(COUNT.get() - before);
            if fewest == 0 {
                break;
            }
        }
        fewest
    }
}

/// Goal: zero heap allocations an I/O after warm-up, host and target together, over UDP.
#[test]
fn no_allocation_over_udp() {
    for mode in [Mode::Native, Mode::Roce] {
        let link = || UdpLink::bind_free_loopback().unwrap();
        assert_eq!(World::new(link(), link(), mode).allocations(), 0, "{mode:?}");
    }
}

/// Goal: the same over the link inside the process, where no datagram is ever lost.
#[test]
fn no_allocation_in_process() {
    for mode in [Mode::Native, Mode::Roce] {
        let at = |host| SocketAddr::new(IpAddr::from([10, 0, 0, host]), 4791);
        let (a, b) = LoopbackLink::pair(at(1), at(2), 8192, 4096);
        assert_eq!(World::new(a, b, mode).allocations(), 0, "{mode:?}");
    }
}
