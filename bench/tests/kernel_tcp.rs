//! The baseline over kernel TCP whole: NVMe over Fabrics above it, and the block server.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use flexblk_bench::block_server::{self, Index, Pacing, Server, Work};
use flexblk_bench::load::{self, Load, Observer, Workload};
use flexblk_bench::tcp::TcpFabric;
use initiator::{HostOptions, PollMode, Session, Timers, Waiter};
use memory::Region;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, TransportKind};

const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 21, 1));
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 21, 2));
const NQN: &str = "nqn.2026-11.io.flexblk:tcp";

fn serve(stop: &AtomicBool) {
    let mut reactor = Reactor::new(TcpFabric::new(TARGET).unwrap(), Config::default());
    reactor.add_subsystem(NQN).unwrap();
    let disk = storage::open(&"mem:8MiB".parse().unwrap()).unwrap();
    reactor.add_namespace(NQN, None, "mem:8MiB", disk).unwrap();
    reactor.listen(Port {
        id: 1,
        transport: TransportKind::Rdma,
        address: SocketAddr::new(TARGET, 4420),
    });
    while !stop.load(Ordering::Relaxed) {
        if !reactor.turn(Instant::now()).did_work {
            std::thread::yield_now();
        }
    }
}

fn options() -> HostOptions {
    HostOptions {
        target: SocketAddr::new(TARGET, 4420),
        subnqn: NQN.into(),
        hostnqn: "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000a".into(),
        hostid: [10; 16],
        io_queues: 1,
        queue_depth: 32,
        keys: None,
        concatenate: false,
        timers: Timers::default(),
    }
}

fn session(waiter: Waiter) -> Session<TcpFabric> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        // The server's thread may not listen yet.
        match Session::connect(TcpFabric::new(HOST).unwrap(), options(), waiter) {
            Ok(session) => return session,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

/// Goal: blocks that were written over TCP read back as they were written, small and large, whether
/// the host spins or sleeps; nothing fails.
#[test]
fn blocks_survive_tcp() {
    let stop = Arc::new(AtomicBool::new(false));
    let server = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || serve(&stop))
    };
    for mode in [PollMode::Busy, PollMode::Adaptive] {
        let waiter = Waiter::new(mode);
        let mut session = session(waiter);
        let ns = session.namespace(1).unwrap();
        for (io_bytes, depth) in [(4096, 16), (131_072, 4), (1 << 20, 2)] {
            let load = Load {
                workload: Workload::RandRw { read_percent: 50 },
                io_bytes,
                depth,
                time: Duration::from_millis(200),
                ramp: Duration::ZERO,
                verify: true,
                start: 0,
                span: 8 << 20,
                seed: 1,
            };
            let report = load::run(session.host(), ns, load, waiter, &mut |_, _| ()).unwrap();
            let why = report.first_error;
            assert_eq!((report.errors, report.mismatches), (0, 0), "{why:?}");
            assert!(report.ios > 10, "{} I/Os", report.ios);
            assert_eq!(report.counters["link.tx_copied_bytes"], 0);
        }
        session.close();
    }
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap();
}

struct Deaf;
impl Observer for Deaf {}

/// Goal: the block server stores every block over TCP, over one connection and over many.
#[test]
fn the_block_server_serves_over_tcp() {
    for connections in [1, 20] {
        let (block_bytes, landing_blocks, serves) = (4096, 64, true);
        let work =
            Work { block_bytes, connections, depth: 16, recv_depth: 8, serves, landing_blocks };
        let stop = Arc::new(AtomicBool::new(false));
        let server = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let store = Region::allocate(4 << 20).unwrap();
                let index = Some(Index::build(Region::allocate(1 << 20).unwrap()));
                let fabric = TcpFabric::new(TARGET).unwrap();
                let mut server = Server::new(fabric, work, store, index, None).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    server.turn(Instant::now());
                }
                server.served()
            })
        };
        let to = SocketAddr::new(TARGET, block_server::PORT);
        let until = Instant::now() + Duration::from_secs(5);
        let mut client = loop {
            match block_server::Client::connect(TcpFabric::new(HOST).unwrap(), work, to) {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        };
        let (ramp, time) = (Duration::from_millis(20), Duration::from_millis(200));
        let pacing = Pacing { ramp, time, waiter: Waiter::new(PollMode::Busy).yielding() };
        let outcome = client.run(pacing, &mut Deaf).unwrap();
        stop.store(true, Ordering::Relaxed);
        let (served, bad) = server.join().unwrap();
        assert!(outcome.blocks > 10 && served >= outcome.blocks);
        assert_eq!((bad, outcome.refused), (0, 0));
    }
}
