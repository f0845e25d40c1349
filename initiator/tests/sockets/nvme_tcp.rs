//! A host and a target over NVMe/TCP, in two threads: data, digests, and a target that comes back.

use crate::target_thread::{Target, over_tcp};
use flexblk_initiator::{HostError, HostOptions, PollMode, Session, Timers, Waiter};
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const NQN: &str = "nqn.2026-11.io.flexblk:tcp";
const PORT: u16 = 4420;

fn start(local: IpAddr) -> Target<TcpFabric> {
    Target::start(move || over_tcp(&[SocketAddr::new(local, PORT)], NQN, "mem:16MiB"))
}

fn options(target: SocketAddr) -> HostOptions {
    HostOptions {
        target,
        subnqn: NQN.into(),
        hostnqn: "nqn.2026-11.io.flexblk:host".into(),
        hostid: [7; 16],
        keys: None,
        concatenate: false,
        io_queues: 1,
        queue_depth: 16,
        timers: Timers { reconnect_delay: Duration::from_millis(50), ..Timers::default() },
    }
}

fn connect(to: IpAddr, header_digest: bool, data_digest: bool) -> Session<TcpFabric> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let config = TcpConfig { header_digest, data_digest, ..TcpConfig::host(any) };
    let waiter = Waiter::new(PollMode::Adaptive);
    Session::connect(TcpFabric::new(config).unwrap(), options(SocketAddr::new(to, PORT)), waiter)
        .unwrap()
}

fn pattern(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 253).to_le_bytes()[0].wrapping_mul(7) ^ seed).collect()
}

/// Goal: in-capsule writes, fetched writes and reads of all sizes, with every setting of digests.
#[test]
fn data_survives_with_every_digest() {
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 79, 1));
    let _target = start(local);
    for (seed, (header, data)) in
        (0..).zip([(false, false), (true, false), (false, true), (true, true)])
    {
        let mut session = connect(local, header, data);
        let ns = session.namespace(1).unwrap();
        for (number, kib) in (0..).zip([4, 16, 20, 128, 1024]) {
            let content = pattern(seed * 16 + number, kib << 10);
            session.write_at(&ns, 4096, &content).unwrap();
            let mut back = vec![0; content.len()];
            session.read_at(&ns, 4096, &mut back).unwrap();
            assert!(back == content, "{kib} KiB, digests {header} {data}");
        }
        session.close();
    }
}

/// Goal: a command that is outstanding when the target goes is answered by the one that comes back.
#[test]
fn hosts_survive_a_target_that_comes_back() {
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 79, 2));
    let first = start(local);
    let mut session = connect(local, true, true);
    let ns = session.namespace(1).unwrap();
    session.write_at(&ns, 0, &pattern(1, 4096)).unwrap();
    drop(first);
    let second = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        start(local)
    });
    session.write_at(&ns, 0, &pattern(2, 32 << 10)).unwrap();
    let mut back = vec![0; 32 << 10];
    session.read_at(&ns, 0, &mut back).unwrap();
    assert!(back == pattern(2, 32 << 10));
    session.close();
    drop(second.join().unwrap());
}

/// Goal: a target where nothing listens is told as that.
#[test]
fn nobody_there_is_told() {
    let to = SocketAddr::from(([127, 0, 79, 3], PORT));
    let fabric = TcpFabric::new(TcpConfig::host(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).unwrap();
    let refused = Session::connect(fabric, options(to), Waiter::new(PollMode::Adaptive)).err();
    let why = refused.expect("nothing listens").to_string();
    assert_eq!(why, HostError::NoListener(to).to_string());
}
