//! A host with two paths to one subsystem over NVMe/TCP: which it takes, and what happens when one is
//! not usable.

use crate::target_thread::{Target, over_tcp};
use flexblk_initiator::edge::{self, AnySession, Settings};
use flexblk_initiator::{NamespaceInfo, TargetSpec, Timers};
use netstack::nvme_tcp::TcpFabric;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use target::AnaState;

const NQN: &str = "nqn.2026-11.io.flexblk:paths";

/// A target with two ports.
fn start(ports: [SocketAddr; 2]) -> Target<TcpFabric> {
    Target::start(move || over_tcp(&ports, NQN, "mem:4MiB"))
}
/// How well the namespace is reached by port 1 and port 2 from now on.
fn set(target: &Target<TcpFabric>, first: AnaState, second: AnaState) {
    target.ask(move |reactor| {
        reactor.set_ana_state(NQN, 1, Some(1), first).unwrap();
        reactor.set_ana_state(NQN, 1, Some(2), second).unwrap();
    });
}

/// A wire that can be cut: takes connections at `from` and makes them to `to`.
struct Wire {
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    fn lay(from: SocketAddr, to: SocketAddr) -> Wire {
        let listener = TcpListener::bind(from).unwrap();
        listener.set_nonblocking(true).unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let (cut, kept) = (Arc::clone(&is_cut), Arc::clone(&streams));
        let thread = std::thread::spawn(move || {
            while !cut.load(Ordering::Relaxed) {
                let Ok((near, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                near.set_nonblocking(false).unwrap();
                let far = TcpStream::connect(to).unwrap();
                for (mut input, mut output) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || carry(&mut input, &mut output));
                }
                kept.lock().unwrap().extend([near, far]);
            }
        });
        Wire { is_cut, streams, thread: Some(thread) }
    }
}

fn carry(input: &mut TcpStream, output: &mut TcpStream) {
    let mut octets = vec![0; 64 << 10];
    while let Ok(got @ 1..) = input.read(&mut octets) {
        if output.write_all(&octets[..got]).is_err() {
            break;
        }
    }
    let _ = output.shutdown(Shutdown::Both);
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_cut.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn at(host: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 178, host), port).into()
}
fn connect(first: SocketAddr, second: SocketAddr) -> (AnySession, NamespaceInfo) {
    let spec = format!(
        "trtype=tcp traddr={} trsvcid={} path={second} subnqn={NQN}",
        first.ip(),
        first.port()
    );
    let spec: TargetSpec = spec.parse().unwrap();
    let timers = Timers {
        reconnect_delay: Duration::from_millis(50),
        fast_io_fail: Duration::from_secs(10),
        ..Timers::default()
    };
    let mut session = edge::connect(&spec, &Settings { timers, ..Settings::default() }).unwrap();
    let ns = session.namespace(1).unwrap();
    (session, ns)
}
/// Writes and reads back.
fn exchange(session: &mut AnySession, ns: &NamespaceInfo, seed: u8) {
    for kib in [4usize, 32, 256] {
        let content: Vec<u8> =
            (0..kib << 10).map(|at| (at % 251).to_le_bytes()[0] ^ seed).collect();
        session.write_at(ns, 8192, &content).unwrap();
        let mut back = vec![0; content.len()];
        session.read_at(ns, 8192, &mut back).unwrap();
        assert!(back == content, "{kib} KiB, {seed}");
    }
}
fn both_live(session: &mut AnySession) {
    let until = Instant::now() + Duration::from_secs(10);
    while session.host().live_paths() < 2 {
        assert!(Instant::now() < until, "a path does not come back");
        session.turn();
    }
}

/// Goal: commands go by a path that is usable, whatever becomes of it, and no change of its state is
/// seen by the caller.
#[test]
fn inaccessible_paths_are_left() {
    use AnaState::{Inaccessible, NonOptimized, Optimized};
    let ports = [at(1, 4420), at(2, 4420)];
    let target = start(ports);
    let (mut session, ns) = connect(ports[0], ports[1]);
    both_live(&mut session);
    for (seed, (first, second)) in (0..).zip([
        (Optimized, NonOptimized),
        (Inaccessible, NonOptimized),
        (Optimized, Inaccessible),
        (NonOptimized, Optimized),
        (Inaccessible, Optimized),
        (NonOptimized, Inaccessible),
    ]) {
        set(&target, first, second);
        exchange(&mut session, &ns, seed);
    }
    session.close();
}

/// Goal: what a path did not answer when it broke is done by the other one; the path is used again
/// when it is there again.
#[test]
fn a_lost_path_is_left_and_taken_again() {
    use AnaState::{Inaccessible, Optimized};
    let ports = [at(3, 4420), at(4, 4420)];
    let target = start(ports);
    let wire = Wire::lay(at(5, 4420), ports[0]);
    let (mut session, ns) = connect(at(5, 4420), ports[1]);
    both_live(&mut session);
    exchange(&mut session, &ns, 1);
    drop(wire);
    exchange(&mut session, &ns, 2);
    assert_eq!(session.host().live_paths(), 1);
    let wire = Wire::lay(at(5, 4420), ports[0]);
    both_live(&mut session);
    // Only the path that was lost is usable now.
    set(&target, Optimized, Inaccessible);
    exchange(&mut session, &ns, 3);
    session.close();
    drop(wire);
}

/// Goal: a path where nobody is at the start keeps nobody from the other one, and is used when
/// somebody comes.
#[test]
fn a_path_may_be_late() {
    use AnaState::{Inaccessible, Optimized};
    let ports = [at(6, 4420), at(7, 4420)];
    let target = start(ports);
    let (mut session, ns) = connect(at(8, 4420), ports[1]);
    exchange(&mut session, &ns, 4);
    let wire = Wire::lay(at(8, 4420), ports[0]);
    both_live(&mut session);
    set(&target, Optimized, Inaccessible);
    exchange(&mut session, &ns, 5);
    session.close();
    drop(wire);
}
