//! A host and a target on one thread, which take turns in a time of their own, so that nothing seems lost because the thread had
//! to wait for its processor.

use dpa::nic::Nic;
use flexblk_initiator::{Completion, Host, HostOptions, HostState, IoOp, NamespaceInfo, Timers};
use memory::{Mr, Region};
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::fabric::Fabric;
use netstack::link::Link;
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, TransportKind};

const NQN: &str = "nqn.2026-11.io.flexblk:one-thread";
const DISK_BYTES: u64 = 64 << 20;
/// I/Os that a queue holds.
pub(crate) const DEPTH_MAX: u16 = 64;
/// The longest I/O.
pub(crate) const LARGE: u32 = 128 << 10;
/// How long a turn of both takes: less than it does.
const TURN: Duration = Duration::from_micros(1);
/// For a machine that is busy with other tests, in its time.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World<F: Fabric> {
    pub(crate) host: Host<F>,
    pub(crate) reactor: Reactor<F>,
    now: Instant,
    ns: NamespaceInfo,
    mr: Mr,
    _memory: Region,
    done: Vec<Completion>,
    random: u64,
}

impl<L: Link> World<Nic<L>> {
    /// Over two links of the FlexiNS fabric.
    pub(crate) fn over(at_host: L, at_target: L, mode: Mode) -> World<Nic<L>> {
        let path_mtu_bytes = at_target.caps().path_mtu_bytes;
        let address = SocketAddr::new(at_target.caps().local.ip(), 4420);
        let endpoint = |seed| EndpointConfig { seed, mode, path_mtu_bytes, ..Default::default() };
        let config = Config { path_mtu_bytes: Some(path_mtu_bytes), ..Config::default() };
        let mut reactor = Reactor::new(Nic::new(at_target, endpoint(1)), config);
        reactor.listen(Port { id: 1, transport: TransportKind::Rdma, address });
        World::new(Nic::new(at_host, endpoint(2)), reactor, address)
    }
}

impl World<TcpFabric> {
    /// Over NVMe/TCP, the target at this address.
    pub(crate) fn over_tcp(address: SocketAddr) -> World<TcpFabric> {
        let fabric = TcpFabric::new(TcpConfig::controller(address.ip())).unwrap();
        let mut reactor = Reactor::new(fabric, Config::default());
        reactor.open_port(Port { id: 1, transport: TransportKind::Tcp, address }).unwrap();
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        World::new(TcpFabric::new(TcpConfig::host(any)).unwrap(), reactor, address)
    }
}

impl<F: Fabric> World<F> {
    fn new(at_host: F, mut reactor: Reactor<F>, target: SocketAddr) -> World<F> {
        let now = Instant::now();
        reactor.add_subsystem(NQN).unwrap();
        let uri = format!("mem:{DISK_BYTES}");
        let disk = storage::open(&uri.parse().unwrap()).unwrap();
        reactor.add_namespace(NQN, Some(1), &uri, disk).unwrap();
        let options = HostOptions {
            target,
            subnqn: NQN.into(),
            hostnqn: "nqn.2026-11.io.flexblk:host".into(),
            hostid: [7; 16],
            io_queues: 1,
            queue_depth: DEPTH_MAX,
            keys: None,
            concatenate: false,
            timers: Timers::default(),
        };
        let mut host = Host::new(at_host, options, now).unwrap();
        let memory = Region::allocate(usize::from(DEPTH_MAX) * LARGE as usize).unwrap();
        let mr = host.register(&memory).unwrap();
        let (block_bytes, block_count) = (4096, DISK_BYTES / 4096);
        let ns = NamespaceInfo { nsid: 1, block_bytes, block_count, max_transfer_bytes: 1 << 20 };
        let done = Vec::with_capacity(1024);
        let mut world = World { host, reactor, now, ns, mr, _memory: memory, done, random: 1 };
        let until = Instant::now() + PATIENCE;
        while world.host.state() != HostState::Live {
            assert!(Instant::now() < until, "not connected: {:?}", world.host.error());
            world.turn();
        }
        world
    }

    fn turn(&mut self) {
        self.now += TURN;
        self.host.turn(self.now);
        self.reactor.turn(self.now);
        self.host.poll_done(&mut self.done);
    }

    /// `count` I/Os of `length` octets at random places, `depth` at a time.
    pub(crate) fn load(&mut self, op: IoOp, length: u32, depth: u16, count: u32) {
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
        self.host.submit(self.now, 0, command).expect("as many as the queue holds");
    }
}
