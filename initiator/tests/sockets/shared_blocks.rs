//! One namespace, three ways to it at once: RoCEv2, the native mode and NVMe/TCP.

use crate::target_thread::{Target, exporting};
use dpa::nic::Nic;
use flexblk_initiator::TargetSpec;
use flexblk_initiator::edge::{self, AnySession, Settings};
use netstack::endpoint::EndpointConfig;
use netstack::link::{Link, UdpLink};
use netstack::nvme_tcp::{Beside, TcpConfig, TcpFabric};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use target::{Port, Reactor, TransportKind};

const NQN: &str = "nqn.2026-11.io.flexblk:shared";
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 80, 1));
/// Where the counter is, in octets, and the block around it.
const AT: u64 = 8192;
const BLOCK: usize = 4096;
/// Steps of each host.
const STEPS: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(60);

fn target() -> Reactor<Beside<Nic<UdpLink>>> {
    let link = UdpLink::bind(SocketAddr::new(LOCAL, 4791)).unwrap();
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let nic =
        Nic::new(link, EndpointConfig { seed: 80, path_mtu_bytes, ..EndpointConfig::default() });
    let tcp = TcpFabric::new(TcpConfig::controller(LOCAL)).unwrap();
    let fabric = Beside::new(nic, tcp).unwrap();
    let mut reactor = exporting(fabric, Some(path_mtu_bytes), NQN, "mem:1MiB");
    let address = SocketAddr::new(LOCAL, 4420);
    for (id, transport) in [(1, TransportKind::Rdma), (2, TransportKind::Tcp)] {
        reactor.open_port(Port { id, transport, address }).unwrap();
    }
    reactor
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
    let _target = Target::start(target);
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
}
