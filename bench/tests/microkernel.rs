//! The microkernel baseline whole: two applications, an engine for each, NVMe over Fabrics above.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use dpa::pipe::PipeFabric;
use flexblk_bench::load::{self, Load, Workload};
use flexblk_bench::micro::{app, engine};
use flexblk_bench::stack::{NicSpec, PipeSpec};
use initiator::{HostOptions, PollMode, Session, Timers, Waiter};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, TransportKind};

const TARGET: &str = "127.0.9.1:4791";
const HOST: &str = "127.0.9.2:0";
type Engine = std::thread::JoinHandle<std::io::Result<()>>;
/// I/Os of each kind at least, and how long they may take: a bound for a machine that is busy otherwise.
const IOS: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(60);
const NQN: &str = "nqn.2026-11.io.flexblk:micro";

/// An application's fabric, and its engine, which is a thread here (its memory is mapped a second time
/// all the same) and keeps its address until it has ended.
fn fabric(local: &str, staged_tx: bool) -> (PipeFabric, Engine) {
    let (near, far) = seqpacket();
    let engine = std::thread::spawn(move || engine::run(far));
    (app::connect(near, None, &hello(local, staged_tx)).unwrap(), engine)
}

fn hello(local: &str, staged_tx: bool) -> engine::Hello {
    let nic = NicSpec {
        local: local.parse().unwrap(),
        rx_pool: Some(16),
        rx_burst: 2,
        staged_tx,
        shm: None,
    };
    let pipe = PipeSpec {
        depth: 256,
        spin_us: Some(50),
        yields: true,
        hands_over: true,
        batch: 16,
        rings_always: false,
    };
    engine::Hello { nic, pipe, cpu: None }
}

fn seqpacket() -> (OwnedFd, OwnedFd) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn serve(stop: &AtomicBool, staged_tx: bool) {
    let (fabric, engine) = fabric(TARGET, staged_tx);
    let mut reactor = Reactor::new(fabric, Config::default());
    reactor.add_subsystem(NQN).unwrap();
    let disk = storage::open(&"mem:8MiB".parse().unwrap()).unwrap();
    reactor.add_namespace(NQN, None, "mem:8MiB", disk).unwrap();
    let address: SocketAddr = TARGET.parse().unwrap();
    reactor.listen(Port {
        id: 1,
        transport: TransportKind::Rdma,
        address: SocketAddr::new(address.ip(), 4420),
    });
    while !stop.load(Ordering::Relaxed) {
        if !reactor.turn(Instant::now()).did_work {
            std::thread::yield_now();
        }
    }
    drop(reactor);
    engine.join().unwrap().unwrap();
}

/// Goal: blocks that were written through two engines read back as they were written, with memory
/// that each engine maps for itself, payload gathered from it or copied first; nothing fails.
#[test]
fn blocks_survive_two_engines() {
    memory::share_all();
    for staged_tx in [false, true] {
        let stop = Arc::new(AtomicBool::new(false));
        let server = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || serve(&stop, staged_tx))
        };
        let address: SocketAddr = TARGET.parse().unwrap();
        let options = HostOptions {
            target: SocketAddr::new(address.ip(), 4420),
            subnqn: NQN.into(),
            hostnqn: "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000009".into(),
            hostid: [9; 16],
            io_queues: 1,
            queue_depth: 32,
            keys: None,
            concatenate: false,
            timers: Timers::default(),
        };
        let waiter = Waiter::new(PollMode::Adaptive);
        let until = Instant::now() + PATIENCE;
        let (mut session, engine) = loop {
            // The server's thread may not listen yet.
            let (fabric, engine) = fabric(HOST, staged_tx);
            match Session::connect(fabric, options.clone(), waiter) {
                Ok(session) => break (session, engine),
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        };
        let ns = session.namespace(1).unwrap();
        for (io_bytes, depth) in [(4096, 16), (131_072, 4)] {
            let load = Load {
                workload: Workload::RandRw { read_percent: 50 },
                io_bytes,
                depth,
                time: Duration::from_millis(100),
                ramp: Duration::ZERO,
                verify: true,
                start: 0,
                span: 8 << 20,
                seed: 1,
            };
            // A number of I/Os, not a time: the processors may be somebody else's for a while.
            let (until, mut ios, mut staged) = (Instant::now() + PATIENCE, 0, 0);
            while ios < IOS {
                assert!(Instant::now() < until, "{ios} I/Os");
                let report = load::run(session.host(), ns, load, waiter, &mut |_, _| ()).unwrap();
                let why = report.first_error;
                assert_eq!((report.errors, report.mismatches), (0, 0), "{why:?}");
                ios += report.ios;
                staged += report.counters.get("link.tx_staged_bytes").copied().unwrap_or(0);
            }
            // Zero-copy out of the application's memory, unless the variant copies.
            assert_eq!(staged > 0, staged_tx);
        }
        session.close();
        engine.join().unwrap().unwrap();
        stop.store(true, Ordering::Relaxed);
        server.join().unwrap();
    }
}

/// Goal: an engine that cannot have its address says so; a stranger that talks nonsense ends it.
#[test]
fn engines_that_cannot_run_say_why() {
    let (near, far) = seqpacket();
    let engine = std::thread::spawn(move || engine::run(far));
    let error = app::connect(near, None, &hello("192.0.2.1:4791", false)).err().unwrap();
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    engine.join().unwrap().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let engine = std::thread::spawn(move || engine::run(far.into()));
    std::io::Write::write_all(&mut &near, b"nonsense").unwrap();
    assert!(engine.join().unwrap().is_err());
}

/// Goal: an engine that dies before it answers is told, and not waited for, also while its command lives on.
#[test]
fn engines_that_die_early_are_told() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut program = std::process::Command::new("true");
        tell.send(app::start(&mut program, &hello(HOST, false)).is_err()).unwrap();
    });
    assert!(
        told.recv_timeout(PATIENCE).expect("it waits"),
        "a dead engine was taken for one that runs"
    );
}
