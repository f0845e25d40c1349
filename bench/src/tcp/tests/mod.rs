//! Two fabrics in one thread, over real sockets.

mod hostile;
mod traffic;

use super::TcpFabric;
use memory::{Access, Mr, Region, Sge};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, Gather, QpHandle, Work, WorkOp};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::{Remote, WcStatus};

/// One end: a fabric, memory that is registered with it, and what it told.
struct End {
    fabric: TcpFabric,
    region: Region,
    mr: Mr,
    told: Vec<FabricEvent>,
}

fn params(private: &[u8]) -> ConnectParams {
    ConnectParams { private: private.to_vec(), send_depth: 64, recv_depth: 64, read_depth: 4 }
}

impl End {
    fn new(ip: &str, octets: usize) -> End {
        let mut fabric = TcpFabric::new(ip.parse().unwrap()).unwrap();
        let region = Region::allocate(octets).unwrap();
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&region, access).unwrap();
        End { fabric, region, mr, told: Vec::new() }
    }
    fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    fn remote(&self, offset: u64) -> Remote {
        Remote { addr: self.mr.addr + offset, rkey: self.mr.rkey }
    }
    fn post(&mut self, qp: QpHandle, token: u64, op: WorkOp, (offset, length): (u64, u32)) {
        let local = Gather::one(self.sge(offset, length));
        self.fabric.post(qp, Work { token, op, local, signaled: true }).unwrap();
    }
    fn turn(&mut self) {
        self.fabric.flush(Instant::now());
        self.fabric.poll(Instant::now(), &mut self.told);
    }
    fn take(&mut self) -> Vec<FabricEvent> {
        std::mem::take(&mut self.told)
    }
    /// The tokens of what was done, with their outcomes.
    fn done(&self) -> Vec<(u64, WcStatus)> {
        let done = |event: &FabricEvent| {
            let FabricEvent::Done { token, status, .. } = event else { return None };
            Some((*token, *status))
        };
        self.told.iter().filter_map(done).collect()
    }
    fn is_over(&self) -> bool {
        self.told.iter().any(|event| matches!(event, FabricEvent::Disconnected { .. }))
    }
}

/// Runs both until it is so.
fn run_until(a: &mut End, b: &mut End, so: impl Fn(&End, &End) -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !so(a, b) {
        a.turn();
        b.turn();
        assert!(Instant::now() < until, "told {:?} and {:?}", a.told, b.told);
    }
}

/// A target that listens, and a host.
fn ends(number: u8, octets: usize) -> (End, End, SocketAddr) {
    let ip = format!("127.0.20.{number}");
    let mut target = End::new(&ip, octets);
    target.fabric.listen(4420);
    let to = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 4420);
    (target, End::new(&ip, octets), to)
}

/// The same, connected: the handles of both.
fn connected(number: u8, octets: usize) -> (End, End, QpHandle, QpHandle) {
    let (mut target, mut host, to) = ends(number, octets);
    let at_host = host.fabric.connect(Instant::now(), to, params(b"hello"));
    run_until(&mut target, &mut host, |target, _| !target.told.is_empty());
    let FabricEvent::ConnectRequest { qp, .. } = target.told[0] else {
        panic!("{:?}", target.told)
    };
    target.fabric.accept(Instant::now(), qp, params(b"welcome"));
    run_until(&mut target, &mut host, |_, host| !host.told.is_empty());
    target.told.clear();
    host.told.clear();
    (target, host, qp, at_host)
}

const SEND: WorkOp = WorkOp::Send { invalidate: None };
