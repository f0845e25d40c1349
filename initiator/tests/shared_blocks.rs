//! One namespace, three ways to it at once: RoCEv2, the native mode and NVMe/TCP.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping, helpers included")]

use dpa::nic::Nic;
use flexblk_initiator::TargetSpec;
use flexblk_initiator::edge::{self, AnySession, Settings};
use netstack::endpoint::EndpointConfig;
use netstack::link::{Link, UdpLink};
use netstack::nvme_tcp::{Beside, TcpConfig, TcpFabric};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, SpinBudget, TransportKind};

const NQN: &str = "nqn.2026-11.io.flexblk:shared";
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 80, 1));
/// Where the counter is, in octets, and the block around it.
const AT: u64 = 8192;
const BLOCK: usize = 4096;
/// Steps of each host.
const STEPS: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(60);

fn serve(stop: &AtomicBool, listens: &Sender<()>) {
    let link = UdpLink::bind(SocketAddr::new(LOCAL, 4791)).unwrap();
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let nic =
        Nic::new(link, EndpointConfig { seed: 80, path_mtu_bytes, ..EndpointConfig::default() });
    let tcp = TcpFabric::new(TcpConfig::controller(LOCAL)).unwrap();
    let config = Config { path_mtu_bytes: Some(path_mtu_bytes), ..Config::default() };
    let mut reactor = Reactor::new(Beside::new(nic, tcp).unwrap(), config);
    reactor.add_subsystem(NQN).unwrap();
    let disk = storage::open(&"mem:1MiB".parse().unwrap()).unwrap();
    reactor.add_namespace(NQN, Some(1), "mem:1MiB", disk).unwrap();
    let address = SocketAddr::new(LOCAL, 4420);
    for (id, transport) in [(1, TransportKind::Rdma), (2, TransportKind::Tcp)] {
        reactor.open_port(Port { id, transport, address }).unwrap();
    }
    listens.send(()).unwrap();
    let mut budget = SpinBudget::adaptive(Duration::from_micros(50));
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let turn = reactor.turn(now);
        if budget.handle_turn(now, turn.did_work) {
            reactor.wait(now, Some(now + Duration::from_millis(5))).unwrap();
        }
    }
}

fn connect(way: &str) -> AnySession {
    let spec = format!("traddr={LOCAL} subnqn={NQN} ns=1 {way}").parse::<TargetSpec>().unwrap();
    edge::connect(&spec, &Settings::default()).unwrap()
}

fn value(block: &[u8]) -> u64 {
    u64::from_le_bytes(block[..8].try_into().unwrap())
}

/// Adds one to the counter `STEPS` times; how often somebody else had been faster.
fn count(way: &str, together: &Barrier) -> u64 {
    let mut session = connect(way);
    together.wait();
    let ns = session.namespace(1).unwrap();
    let (mut done, mut beaten, until) = (0, 0, Instant::now() + PATIENCE);
    while done < STEPS {
        assert!(Instant::now() < until, "{way}: {done} steps");
        let mut found = [0; BLOCK];
        session.read_at(&ns, AT, &mut found).unwrap();
        let mut next = found;
        next[..8].copy_from_slice(&(value(&found) + 1).to_le_bytes());
        if session.compare_and_write(&ns, AT, &found, &next).unwrap() {
            done += 1;
        } else {
            beaten += 1;
        }
    }
    session.close();
    beaten
}

/// Goal: Compare and Write is one step for hosts of every fabric: no step of a counter that three
/// hosts share is lost, though they do get into each other's way.
#[test]
fn a_counter_loses_no_step() {
    let stop = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stop);
    let (tell, listens) = channel();
    let target = std::thread::spawn(move || serve(&stops, &tell));
    listens.recv().unwrap();
    let ways = ["trtype=rdma link=udp", "trtype=rdma link=udp mode=roce", "trtype=tcp"];
    let mut session = connect(ways[2]);
    let together = Arc::new(Barrier::new(ways.len()));
    let hosts = ways.map(|way| {
        let together = Arc::clone(&together);
        std::thread::spawn(move || count(way, &together))
    });
    let beaten: u64 = hosts.into_iter().map(|host| host.join().unwrap()).sum();
    let ns = session.namespace(1).unwrap();
    let mut found = [0; BLOCK];
    session.read_at(&ns, AT, &mut found).unwrap();
    assert_eq!(value(&found), STEPS * ways.len() as u64);
    assert!(beaten > 0, "they never met: nothing was shown");

    // What is longer than one step of the disk, and halves of different length, are refused.
    let long = vec![0; 256 << 10];
    assert!(session.compare_and_write(&ns, 0, &long, &long).is_err());
    assert!(session.compare_and_write(&ns, 0, &long[..BLOCK], &long[..2 * BLOCK]).is_err());
    session.read_at(&ns, AT, &mut found).unwrap();
    session.close();
    stop.store(true, Ordering::Relaxed);
    target.join().unwrap();
}
