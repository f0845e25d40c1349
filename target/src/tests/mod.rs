//! The whole target over the loopback fabric, driven by a small host that can misbehave.

mod access;
mod admin;
mod authentication;
mod bad_input;
mod channel;
mod connect;
mod copy;
mod discovery;
mod events;
mod exports;
mod fused;
mod host;
mod identify;
mod io;
mod limits;
mod live;
mod persistent_discovery;
mod probe;
mod random;
mod reservations;
mod rivals;
mod scale;
mod support;
mod teardown;
mod watched;

use crate::{Config, Port, Reactor, TransportKind};
use host::Host;
use netstack::fabric::loopback::Loopback;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use storage::{Backend, Memory};
use watched::{Watch, Watched};

/// The subsystem that tests use.
const NQN: &str = "nqn.2026-01.io.flexblk:test";
/// Blocks of namespace 1 (512 octets) and 2 (4,096 octets).
const BLOCKS: u64 = 4096;

/// A target and its clock.
struct World {
    reactor: Reactor<Watched>,
    watch: Rc<Watch>,
    hub: Loopback,
    now: Instant,
    hosts: u8,
}

impl World {
    /// A target with namespace 1 of 512-octet blocks and 2 of 4,096-octet blocks, all random.
    fn new() -> World {
        World::with_config(Config::default())
    }
    fn with_config(config: Config) -> World {
        let mut world = World::empty(config);
        for (nsid, block_bytes) in [(1, 512), (2, 4096)] {
            let mut disk = Memory::new(block_bytes, BLOCKS, 256).unwrap();
            disk.fill_random(u64::from(nsid));
            world.add(nsid, Box::new(disk));
        }
        world
    }
    /// A target with a subsystem and no namespaces.
    fn empty(config: Config) -> World {
        let address: SocketAddr = "127.0.0.1:4420".parse().unwrap();
        let hub = Loopback::new(address);
        let watch: Rc<Watch> = Rc::default();
        let fabric = Watched::new(hub.join(address), Rc::clone(&watch));
        let mut reactor = Reactor::new(fabric, config);
        reactor.listen(Port { id: 1, transport: TransportKind::Rdma, address });
        reactor.add_subsystem(NQN).unwrap();
        World { reactor, watch, hub, now: crate::test_clock(), hosts: 0 }
    }
    fn add(&mut self, nsid: u32, disk: Box<dyn Backend>) {
        self.reactor.add_namespace(NQN, Some(nsid), &format!("mem:{nsid}"), disk).unwrap();
    }
    /// Another host, not connected.
    fn host(&mut self) -> Host {
        self.hosts += 1;
        let address = SocketAddr::from(([127, 0, 1, self.hosts], 4791));
        Host::new(self.hub.join(address), self.hosts)
    }
    /// A host with a controller that is ready and `queues` I/O queues of `depth`.
    fn connected(&mut self, queues: u16, depth: u16) -> Host {
        let mut host = self.host();
        host.connect_admin(self, NQN);
        host.enable(self);
        for qid in 1..=queues {
            host.connect_io(self, qid, depth);
        }
        host
    }
    /// Turns until nothing more happens.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.reactor.turn(self.now).did_work {
                return;
            }
        }
        panic!("the target never comes to rest");
    }
    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.settle();
    }
}

impl World {
    /// Turns a while, with a disk that may be held up.
    fn settle_held(&mut self) {
        for _ in 0..50 {
            self.reactor.turn(self.now);
        }
    }
}
