//! Clients that write to one server as fast as they may, over ports of 10 Gbit/s.

use super::super::{CcKind, CrcPolicy, EndpointConfig, Mode};
use super::pipe::{Pipes, Speed};
use super::world::{Host, PORT, World, addr, params};
use std::net::SocketAddr;
use std::time::Duration;
use verbs::{QpNum, SendOp, WcStatus};

/// Octets of one WRITE.
const MESSAGE: u32 = 64 << 10;
/// WRITEs that wait or are on their way, of each client.
const DEPTH: usize = 32;
/// Where the server is among the hosts.
const SERVER: usize = 1;
/// How often completed WRITEs are replaced: `DEPTH` of them last for 1.7 ms at the ports' rate.
const STEP: Duration = Duration::from_micros(200);

struct Client {
    host: usize,
    qp: QpNum,
    /// WRITEs posted and not completed.
    out: usize,
    /// Octets of completed ones.
    written: u64,
}

/// Clients and their server.
pub(super) struct Load {
    pub(super) world: World,
    pub(super) server: SocketAddr,
    clients: Vec<Client>,
    /// A connection failed.
    pub(super) is_broken: bool,
}

impl Load {
    /// `count` clients, connected, before the first WRITE.
    pub(super) fn new(count: usize, mode: Mode, cc: CcKind, speed: Speed, seed: u64) -> Load {
        let mut world = World::new(seed);
        world.tracing = false;
        for at in 0..=u8::try_from(count).unwrap() {
            let native_crc = CrcPolicy::Never;
            let config = EndpointConfig {
                seed: seed * 1000 + u64::from(at),
                mode,
                cc,
                native_crc,
                max_qps: 64,
                ..EndpointConfig::default()
            };
            world.hosts.push(Host::new(addr(at + 1, 4791), config));
        }
        let server = world.hosts[SERVER].addr;
        world.hosts[SERVER].endpoint.listen(PORT);
        world.pipes = Some(Pipes::new(speed));
        let mut clients = Vec::new();
        for at in (0..=count).filter(|&at| at != SERVER) {
            let to = SocketAddr::new(server.ip(), PORT);
            let qp = world.hosts[at].endpoint.connect(world.now, to, params(b"client"));
            let peer = world.await_request();
            world.hosts[SERVER].endpoint.accept(world.now, peer, params(b"server"));
            clients.push(Client { host: at, qp, out: 0, written: 0 });
        }
        world.settle();
        Load { world, server, clients, is_broken: false }
    }

    /// Writes for so long.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end && !self.is_broken {
            self.refill();
            self.world.drive(STEP);
        }
    }

    /// What was measured so far is forgotten.
    pub(super) fn start_measuring(&mut self) {
        self.clients.iter_mut().for_each(|client| client.written = 0);
        self.world.pipes.as_mut().unwrap().start_measuring();
    }

    fn refill(&mut self) {
        let remote = self.world.hosts[SERVER].remote(0);
        for client in &mut self.clients {
            let host = &mut self.world.hosts[client.host];
            let wcs = host.wcs();
            host.told.clear();
            if wcs.iter().any(|wc| wc.status != WcStatus::Success) {
                self.is_broken = true;
                return;
            }
            client.written += wcs.len() as u64 * u64::from(MESSAGE);
            client.out -= wcs.len();
            for _ in client.out..DEPTH {
                host.post(client.qp, 0, SendOp::RdmaWrite(remote), 0, MESSAGE);
            }
            client.out = DEPTH;
        }
    }

    /// Octets that each client wrote.
    pub(super) fn written(&self) -> Vec<u64> {
        self.clients.iter().map(|client| client.written).collect()
    }

    /// The network.
    pub(super) fn pipes(&self) -> &Pipes {
        self.world.pipes.as_ref().expect("made with the load")
    }

    /// Marks that the server saw, notifications that it sent, and those that the clients heard.
    pub(super) fn congestion_counters(&self) -> (u64, u64, u64) {
        let server = &self.world.hosts[SERVER];
        let heard = |client: &Client| self.world.hosts[client.host].counter("qp.cnps_in");
        let heard = self.clients.iter().map(heard).sum();
        (server.counter("qp.ecn_marks_in"), server.counter("qp.cnps_out"), heard)
    }
}
