//! A session over real sockets: the target in a thread of its own.

use super::*;
use crate::contract::Timers;
use crate::wait::PollMode;
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use target::{Config, Port, Reactor, TransportKind};

const NQN: &str = "nqn.2026-11.io.flexblk:session";
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 1));

fn serve(stop: &AtomicBool) {
    let mut fabric = TcpFabric::new(TcpConfig::controller(LOCAL)).unwrap();
    fabric.try_listen(4420).unwrap();
    let mut reactor = Reactor::new(fabric, Config { path_mtu_bytes: None, ..Config::default() });
    reactor.add_subsystem(NQN).unwrap();
    let disk = storage::open(&"mem:1MiB".parse().unwrap()).unwrap();
    reactor.add_namespace(NQN, Some(1), "mem:1MiB", disk).unwrap();
    let address = SocketAddr::new(LOCAL, 4420);
    reactor.listen(Port { id: 1, transport: TransportKind::Tcp, address });
    while !stop.load(Ordering::Relaxed) {
        reactor.turn(Instant::now());
        std::thread::yield_now();
    }
}

/// Goal: the turn that makes a session live is not followed by a sleep: each verb of the program took
/// up to a second longer.
#[test]
fn what_is_waited_for_is_not_slept_after() {
    let stop = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stop);
    let target = std::thread::spawn(move || serve(&stops));
    let options = HostOptions {
        target: SocketAddr::new(LOCAL, 4420),
        subnqn: NQN.into(),
        hostnqn: "nqn.2026-11.io.flexblk:host".into(),
        hostid: [7; 16],
        keys: None,
        concatenate: false,
        io_queues: 1,
        queue_depth: 4,
        timers: Timers { connect_timeout: Duration::from_secs(30), ..Timers::default() },
    };
    // It may listen a moment later: then nobody is there, and that is told.
    let session = (0..200).find_map(|_| {
        let fabric = TcpFabric::new(TcpConfig::host(Ipv4Addr::UNSPECIFIED.into())).unwrap();
        let waiter = Waiter::new(PollMode::Adaptive);
        let session = Session::connect(fabric, options.clone(), waiter);
        std::thread::sleep(Duration::from_millis(10));
        session.ok()
    });
    let mut session = session.expect("a target that listens");
    assert!(session.waiter.is_fresh(), "it slept though it was live");
    let ns = session.namespace(1).unwrap();
    assert!(session.waiter.is_fresh(), "it slept though the answer was there");
    session.flush(&ns).unwrap();
    session.close();
    stop.store(true, Ordering::Relaxed);
    target.join().unwrap();
}
