//! A host that proves itself and goes on with TLS, with a key that both sides made (secure channel
//! concatenation), over real sockets: the target in a thread of its own.

use crate::target_thread::{Target, over_tcp, tcp_port};
use auth::{Credentials, DhGroup, HashId, HostKeys, Secret};
use flexblk_initiator::{HostOptions, PollMode, Session, SessionError, Timers, Waiter};
use netstack::fabric::{Fabric, Security};
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use target::Counters;

const NQN: &str = "nqn.2026-11.io.flexblk:channel";
const HOST: &str = "nqn.2026-11.io.flexblk:channel-host";
const PORT: u16 = 4420;

fn secret(octet: u8) -> Secret {
    Secret::generate(&[octet; 32], None, "").unwrap()
}

fn start(local: IpAddr, security: Security, hash: Option<HashId>) -> Target<TcpFabric> {
    Target::start(move || {
        let address = SocketAddr::new(local, PORT);
        let mut reactor = over_tcp(&[address], NQN, "mem:16MiB");
        reactor.secure_port(&tcp_port(1, address), security).unwrap();
        let group = Some(DhGroup::Ffdhe2048);
        let controller = Some(secret(2));
        let credentials = Credentials { controller, hash, group, ..Credentials::new(secret(1)) };
        reactor.set_credentials(NQN, HOST, Some(credentials)).unwrap();
        reactor
    })
}
/// What it counted until now, its end.
fn stop(target: Target<TcpFabric>) -> (Counters, BTreeMap<&'static str, u64>) {
    let counted = target.ask(|reactor| {
        let mut counts = BTreeMap::new();
        reactor.report(&mut |name, count| *counts.entry(name).or_default() += count);
        (reactor.counters(), counts)
    });
    drop(target);
    counted
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
        let target = start(local, Security::Optional, Some(hash));
        let mut session = connect(local, keys(1, proof)).unwrap();
        let ns = session.namespace(1).unwrap();
        let content: Vec<u8> = (0..64_u32 << 10).map(|at| at.to_le_bytes()[0] ^ number).collect();
        session.write_at(&ns, 4096, &content).unwrap();
        let mut back = vec![0; content.len()];
        session.read_at(&ns, 4096, &mut back).unwrap();
        assert!(back == content);
        assert!(count(&mut session, "tls.copied_bytes") > 2 * content.len() as u64, "it is TLS");
        session.close();
        let (counters, counts) = stop(target);
        assert_eq!((counters.authenticated, counters.tls_generated), (1, 1));
        assert_eq!((counts["tls.handshakes"], counts["tls.failures"]), (3, 0));
    }
}

/// Goal: after the target was away, the host proves itself again and has another key made; what was
/// outstanding is answered.
#[test]
fn keys_are_made_again() {
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 82, 4));
    let first = start(local, Security::Optional, None);
    let mut session = connect(local, keys(1, Some(2))).unwrap();
    let ns = session.namespace(1).unwrap();
    session.write_at(&ns, 0, &[1; 4096]).unwrap();
    drop(first);
    let second = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        start(local, Security::Optional, None)
    });
    session.write_at(&ns, 0, &[2; 4096]).unwrap();
    let mut back = [0; 4096];
    session.read_at(&ns, 0, &mut back).unwrap();
    assert_eq!(back, [2; 4096]);
    session.close();
    let (counters, counts) = stop(second.join().unwrap());
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
        let target = start(local, security, hash);
        let refused = connect(local, keys(host, None)).err().expect("refused").to_string();
        assert!(refused.contains(why), "{refused}");
        let (counters, counts) = stop(target);
        let made = (counters.authenticated, counters.tls_generated, counts["tls.handshakes"]);
        assert_eq!(made, (0, 0, 0), "{why}");
    }
}
