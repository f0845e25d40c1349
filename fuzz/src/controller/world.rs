//! A target over the loopback fabric, hosts that do anything, and one that is honest.

use super::disk::{Disk, Watch};
use super::host::Host;
use auth::InlineHelper;
use flexblk_target::{
    Config, Credentials, HostList, NewNamespace, Port, RateLimit, Reactor, TransportKind,
};
use netstack::fabric::loopback::Loopback;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use wire::fabrics::{ConnectCmd, ConnectData, Nqn, PropertySetCmd, PropertySize};
use wire::nvme::{Cid, ControllerId, Cqe, IoOpcode, Lba, Nsid, QueueId, Rw, Sgl, Sqe, ZeroBased};

/// Subsystems of the target. Host 2 must prove who it is before it uses the second.
pub(crate) const NQNS: [&str; 2] = ["nqn.2026-01.io.flexblk:a", "nqn.2026-01.io.flexblk:b"];
pub(crate) const SECRET: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
/// Of the honest host alone, in the first subsystem, in a group whose state stays as it is.
const HONEST_NSID: u32 = 3;
const HONEST_BLOCKS: u32 = 2;
const HONEST_BYTES: u32 = HONEST_BLOCKS * 512;
pub(crate) const HONEST_NQN: &str = "nqn.2026-01.io.flexblk:host9";
/// Rounds after which the target must be at rest.
const ROUNDS_MAX: u32 = 10_000;

pub(crate) struct World {
    pub(crate) reactor: Reactor<Loopback>,
    pub(crate) now: Instant,
    /// Those that do anything.
    pub(crate) hosts: [Host; 2],
    honest: Host,
    pub(crate) watch: Rc<Watch>,
    /// What the honest host wrote last.
    written: u8,
}

impl World {
    /// `whole`: the fabric lands whole packets, so that disks are written without staging.
    pub(crate) fn new(now: Instant, whole: bool) -> World {
        let address = SocketAddr::from(([127, 0, 0, 1], 4420));
        let hub = Loopback::bounded(address, 128);
        let config = Config {
            max_transfer_bytes: 16 << 10,
            path_mtu_bytes: whole.then_some(4096),
            connections_max: 9,
            ..Config::default()
        };
        let mut reactor = Reactor::new(hub.join(address), config);
        let mut count = 0_u8;
        reactor.set_auth_helper(Box::new(InlineHelper::new(move |octets: &mut [u8]| {
            count = count.wrapping_add(1);
            octets.fill(count);
        })));
        reactor.listen(Port { id: 1, transport: TransportKind::Rdma, address });
        let host = |id: u8| {
            let from = SocketAddr::from(([127, 0, 1, id], 4791));
            Host::new(id, hub.join(from), address)
        };
        let hosts = [host(1), host(2)];
        let honest = host(9);
        let watch: Rc<Watch> = Rc::default();
        let mut world = World { reactor, now, hosts, honest, watch, written: 0 };
        world.export();
        world.greet();
        world
    }
    fn export(&mut self) {
        for nqn in NQNS {
            self.reactor.add_subsystem(nqn).expect("a good name");
            self.add_namespace(nqn, 1, 512, 64);
        }
        self.add_namespace(NQNS[0], 2, 4096, 8);
        let disk = Box::new(Disk::new(512, 16, &self.watch, true));
        let staged = self.reactor.stage_disk(disk).expect("a good disk");
        let only = HostList::only([HONEST_NQN]);
        let new = NewNamespace { ana_group: 5, hosts: only, ..NewNamespace::new(3, "mem:honest") };
        self.reactor.export(NQNS[0], new, staged).expect("a free number");
        let credentials = Credentials::new(SECRET.parse().expect("a secret"));
        let host = self.hosts[1].nqn();
        self.reactor.set_credentials(NQNS[1], &host, Some(credentials)).expect("it exists");
    }
    pub(crate) fn add_namespace(&mut self, nqn: &str, nsid: u32, block_bytes: u32, blocks: u64) {
        let disk = Box::new(Disk::new(block_bytes, blocks, &self.watch, false));
        // It may be there already.
        let _ = self.reactor.add_namespace(nqn, Some(nsid), &format!("mem:{nqn}{nsid}"), disk);
    }

    /// Lets everybody run until nothing more happens.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut any = self.reactor.turn(self.now).did_work;
            let hosts = self.hosts.iter_mut().chain([&mut self.honest]);
            for host in hosts {
                any |= host.poll(self.now);
            }
            if !any {
                return;
            }
        }
        panic!("the target never comes to rest");
    }
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.settle();
    }

    /// The honest host connects and writes.
    fn greet(&mut self) {
        self.honest.open(self.now, 0, 0, 8);
        self.settle();
        let (sqe, data) = connect_command(&self.honest, 0, NQNS[0], ControllerId::DYNAMIC, 0);
        let cqe = self.execute(0, sqe, data.as_octets());
        self.honest.cntlid = u16::try_from(cqe.dw0() & 0xffff).expect("masked");
        let enable = PropertySetCmd { size: PropertySize::Four, offset: 0x14, value: 0x46_0001 };
        self.execute(0, enable.command(Cid(0)), &[]);
        self.honest.open(self.now, 1, 1, 8);
        self.settle();
        let controller = ControllerId(self.honest.cntlid);
        let (sqe, data) = connect_command(&self.honest, 1, NQNS[0], controller, 0);
        self.execute(1, sqe, data.as_octets());
        self.write();
    }
    fn execute(&mut self, at: usize, sqe: Sqe, data: &[u8]) -> Cqe {
        let cid = self.honest.submit(at, sqe, data).expect("the honest host waits for its answers");
        self.settle();
        let queue = self.honest.queues[at].as_mut().expect("nobody ends its connection");
        let cqe = queue.completions.pop().expect("an answer");
        assert_eq!(cqe.cid(), Cid(cid));
        assert!(cqe.status().is_success(), "the honest host: {}", cqe.status());
        cqe
    }
    fn rw(&self, opcode: IoOpcode) -> Sqe {
        let rw = Rw::new(Lba(0), HONEST_BLOCKS).expect("8 blocks");
        let mut sqe = rw.command(opcode, Cid(0), Nsid(HONEST_NSID));
        sqe.set_sgl(self.honest.sgl(0, HONEST_BYTES));
        sqe
    }
    pub(crate) fn write(&mut self) {
        self.written = self.written.wrapping_add(1);
        self.honest.memory.fill(0, HONEST_BYTES as usize, self.written);
        self.execute(1, self.rw(IoOpcode::Write), &[]);
    }
    /// The honest host reads what it wrote.
    pub(crate) fn read(&mut self) {
        self.honest.memory.fill(0, HONEST_BYTES as usize, !self.written);
        self.execute(1, self.rw(IoOpcode::Read), &[]);
        let mut octets = [0; HONEST_BYTES as usize];
        self.honest.memory.read(0, &mut octets);
        assert!(octets == [self.written; HONEST_BYTES as usize], "another's data");
    }

    /// Everything comes to an end, and nothing is left.
    pub(crate) fn finish(mut self) {
        self.watch.is_held.set(false);
        for (nqn, nsid) in NQNS.into_iter().flat_map(|nqn| [(nqn, 1), (nqn, 2)]) {
            // It may have been removed; then nothing waits there that does not end.
            let _ = self.reactor.set_limit(nqn, nsid, RateLimit::default());
            let host = format!("nqn.2026-01.io.flexblk:host{nsid}");
            let _ = self.reactor.set_host_limit(nqn, &host, RateLimit::default());
        }
        self.settle();
        self.hosts.iter().for_each(Host::check_answered);
        self.read();
        self.honest.check_answered();
        let now = self.now;
        for host in self.hosts.iter_mut().chain([&mut self.honest]) {
            (0..host.queues.len()).for_each(|at| host.close(now, at, false));
        }
        self.settle();
        assert_eq!(self.reactor.connections(), []);
        assert_eq!(self.reactor.connection_count(), 0, "a connection without a host");
        assert_eq!(self.reactor.controller_count(), 0, "a controller without a host");
        assert_eq!(self.watch.buffers_out.get(), 0, "buffers of disks");
        for nqn in NQNS {
            self.reactor.remove_subsystem(nqn).expect("it exists");
        }
        self.advance(Duration::from_secs(200));
        assert_eq!(self.reactor.fabric().registrations(), 0, "memory that is still registered");
    }
}

/// Connect of queue `qid` of a host, with its data in the capsule.
pub(crate) fn connect_command(
    host: &Host,
    qid: u16,
    nqn: &str,
    controller: ControllerId,
    keep_alive_ms: u32,
) -> (Sqe, ConnectData) {
    let command = ConnectCmd {
        record_format: 0,
        queue: QueueId(qid),
        sq_size: ZeroBased::<u16>::from_raw(7),
        attributes: 0,
        keep_alive_ms,
    };
    let subsystem = Nqn::new(nqn).expect("a good name");
    let name = Nqn::new(&host.nqn()).expect("a good name");
    let data = ConnectData::new([host.id; 16], controller, &subsystem, &name);
    let mut sqe = command.command(Cid(0));
    sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 1024 });
    (sqe, data)
}
