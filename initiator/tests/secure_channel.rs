//! A host that proves itself and goes on with TLS, with a key that both sides made (secure channel
//! concatenation), over real sockets: the target in a thread of its own.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping, helpers included")]

use auth::{Credentials, DhGroup, HashId, HostKeys, Secret};
use flexblk_initiator::{HostOptions, PollMode, Session, SessionError, Timers, Waiter};
use netstack::fabric::{Fabric, Security};
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use target::{Config, Counters, Port, Reactor, SpinBudget, TransportKind};

const NQN: &str = "nqn.2026-11.io.flexblk:channel";
const HOST: &str = "nqn.2026-11.io.flexblk:channel-host";
const PORT: u16 = 4420;

fn secret(octet: u8) -> Secret {
    Secret::generate(&[octet; 32], None, "").unwrap()
}

/// A target in a thread of its own, until it is stopped: then it is gone without a goodbye.
struct Target {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Counters, BTreeMap<&'static str, u64>)>,
}

impl Target {
    fn start(local: IpAddr, security: Security, hash: Option<HashId>) -> Target {
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let mut fabric = TcpFabric::new(TcpConfig::controller(local)).unwrap();
        fabric.try_listen(PORT).unwrap();
        let thread = std::thread::spawn(move || {
            let config = Config { path_mtu_bytes: None, ..Config::default() };
            let mut reactor = Reactor::new(fabric, config);
            reactor.add_subsystem(NQN).unwrap();
            let disk = storage::open(&"mem:16MiB".parse().unwrap()).unwrap();
            reactor.add_namespace(NQN, Some(1), "mem:16MiB", disk).unwrap();
            let address = SocketAddr::new(local, PORT);
            let port = Port { id: 1, transport: TransportKind::Tcp, address };
            reactor.listen(port.clone());
            reactor.secure_port(&port, security).unwrap();
            let group = Some(DhGroup::Ffdhe2048);
            let controller = Some(secret(2));
            let credentials =
                Credentials { controller, hash, group, ..Credentials::new(secret(1)) };
            reactor.set_credentials(NQN, HOST, Some(credentials)).unwrap();
            let mut budget = SpinBudget::adaptive(Duration::from_micros(50));
            while !stops.load(Ordering::Relaxed) {
                let now = Instant::now();
                let turn = reactor.turn(now);
                if budget.handle_turn(now, turn.did_work) {
                    reactor.wait(now, Some(now + Duration::from_millis(20))).unwrap();
                }
            }
            let mut counts = BTreeMap::new();
            reactor.report(&mut |name, count| *counts.entry(name).or_default() += count);
            (reactor.counters(), counts)
        });
        Target { stop, thread }
    }
    fn stop(self) -> (Counters, BTreeMap<&'static str, u64>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn connect(to: IpAddr, keys: HostKeys) -> Result<Session<TcpFabric>, SessionError> {
    let options = HostOptions {
        target: SocketAddr::new(to, PORT),
        subnqn: NQN.into(),
        hostnqn: HOST.into(),
        hostid: [7; 16],
        keys: Some(Arc::new(keys)),
        concatenate: true,
        io_queues: 2,
        queue_depth: 16,
        timers: Timers { reconnect_delay: Duration::from_millis(50), ..Timers::default() },
    };
    let fabric = TcpFabric::new(TcpConfig::host(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).unwrap();
    Session::connect(fabric, options, Waiter::new(PollMode::Adaptive))
}
fn keys(host: u8, controller: Option<u8>) -> HostKeys {
    HostKeys { host: secret(host), controller: controller.map(secret) }
}
fn count(session: &mut Session<TcpFabric>, wanted: &str) -> u64 {
    let mut found = 0;
    let fabric = session.host().fabric();
    fabric.counters(&mut |name, count| found += if name == wanted { count } else { 0 });
    found
}

/// Goal: with both hashes, one-sided and in both directions, every queue but the first admin queue speaks
/// TLS, nobody has to prove anything twice, and data is right.
#[test]
fn hosts_go_on_with_tls() {
    for (number, hash, proof) in
        [(1, HashId::Sha256, None), (2, HashId::Sha384, None), (3, HashId::Sha256, Some(2))]
    {
        let local = IpAddr::V4(Ipv4Addr::new(127, 0, 82, number));
        let target = Target::start(local, Security::Optional, Some(hash));
        let mut session = connect(local, keys(1, proof)).unwrap();
        let ns = session.namespace(1).unwrap();
        let content: Vec<u8> = (0..64_u32 << 10).map(|at| at.to_le_bytes()[0] ^ number).collect();
        session.write_at(&ns, 4096, &content).unwrap();
        let mut back = vec![0; content.len()];
        session.read_at(&ns, 4096, &mut back).unwrap();
        assert!(back == content);
        assert!(count(&mut session, "tls.copied_bytes") > 2 * content.len() as u64, "it is TLS");
        session.close();
        let (counters, counts) = target.stop();
        assert_eq!((counters.authenticated, counters.tls_generated), (1, 1));
        assert_eq!((counts["tls.handshakes"], counts["tls.failures"]), (3, 0));
    }
}

/// Goal: after the target was away, the host proves itself again and has another key made; what was
/// outstanding is answered.
#[test]
fn keys_are_made_again() {
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 82, 4));
    let first = Target::start(local, Security::Optional, None);
    let mut session = connect(local, keys(1, Some(2))).unwrap();
    let ns = session.namespace(1).unwrap();
    session.write_at(&ns, 0, &[1; 4096]).unwrap();
    first.stop();
    let second = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        Target::start(local, Security::Optional, None)
    });
    session.write_at(&ns, 0, &[2; 4096]).unwrap();
    let mut back = [0; 4096];
    session.read_at(&ns, 0, &mut back).unwrap();
    assert_eq!(back, [2; 4096]);
    session.close();
    let (counters, counts) = second.join().unwrap().stop();
    assert_eq!((counters.tls_generated, counts["tls.failures"]), (1, 0));
}

/// Goal: where no TLS is spoken, where there is none with the hash that is demanded, and with a wrong
/// secret there is no connection, and no going on without TLS.
#[test]
fn there_is_no_going_on_without() {
    for (number, security, hash, host, why) in [
        (5, Security::None, None, 1, "concatenation mismatch"),
        (6, Security::Optional, Some(HashId::Sha512), 1, "hash function not usable"),
        (7, Security::Optional, None, 9, "authentication failed"),
    ] {
        let local = IpAddr::V4(Ipv4Addr::new(127, 0, 82, number));
        let target = Target::start(local, security, hash);
        let refused = connect(local, keys(host, None)).err().expect("refused").to_string();
        assert!(refused.contains(why), "{refused}");
        let (counters, counts) = target.stop();
        let made = (counters.authenticated, counters.tls_generated, counts["tls.handshakes"]);
        assert_eq!(made, (0, 0, 0), "{why}");
    }
}
