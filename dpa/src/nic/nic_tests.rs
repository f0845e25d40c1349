use super::*;
use crate::engine::Crc32c;
use crate::pipe::{PipeFabric, PipeOptions};
use memory::{Access, Mr, Region, Sge};
use netstack::endpoint::{CrcPolicy, Mode};
use netstack::fabric::{
    ConnectParams, DisconnectReason, Fabric, Full, Gather, QpHandle, Work, WorkOp,
};
use netstack::link::{Faults, FaultyLink, LoopbackLink, PcapLink, UdpLink};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use verbs::{Remote, WcStatus};

const MODES: [Mode; 2] = [Mode::Roce, Mode::Native];

fn config(seed: u64, mode: Mode) -> EndpointConfig {
    EndpointConfig { seed, mode, ..EndpointConfig::default() }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn params() -> ConnectParams {
    ConnectParams { private: vec![7; 20], send_depth: 64, recv_depth: 64, read_depth: 16 }
}

/// One side: a fabric, a region of a MiB registered with it, and what it heard.
struct Side<F> {
    fabric: F,
    region: Region,
    mr: Mr,
    heard: Vec<FabricEvent>,
}

impl<F: Fabric> Side<F> {
    fn new(mut fabric: F) -> Side<F> {
        let region = Region::allocate(1 << 20).unwrap();
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&region, access).unwrap();
        Side { fabric, region, mr, heard: Vec::new() }
    }
    fn turn(&mut self) {
        let now = Instant::now();
        self.fabric.poll(now, &mut self.heard);
        self.fabric.flush(now);
    }
    fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    fn remote(&self, offset: u64) -> Remote {
        Remote { addr: self.mr.addr + offset, rkey: self.mr.rkey }
    }
    fn post(&mut self, qp: QpHandle, token: u64, op: WorkOp, sge: Sge) {
        let mut work = Work { token, op, local: Gather::one(sge), signaled: true };
        let until = Instant::now() + Duration::from_secs(10);
        while let Err(Full(back)) = self.fabric.post(qp, work) {
            assert!(Instant::now() < until, "no room for {work:?}");
            work = back;
            self.turn();
        }
    }
    fn done(&self, token: u64) -> Option<WcStatus> {
        self.heard.iter().find_map(|event| {
            let FabricEvent::Done { token: done, status, .. } = event else { return None };
            (*done == token).then_some(*status)
        })
    }
    fn received(&self) -> usize {
        self.heard.iter().filter(|event| matches!(event, FabricEvent::Recv { .. })).count()
    }
    fn counters(&self) -> HashMap<&'static str, u64> {
        let mut all = HashMap::new();
        self.fabric.counters(&mut |name, value| {
            all.insert(name, value);
        });
        all
    }
}

/// Turns both until `until` holds.
fn run<A: Fabric, B: Fabric>(
    a: &mut Side<A>,
    b: &mut Side<B>,
    until: impl Fn(&Side<A>, &Side<B>) -> bool,
) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !until(a, b) {
        a.turn();
        b.turn();
        assert!(Instant::now() < limit, "a heard {:?}\nb heard {:?}", a.heard, b.heard);
    }
}

/// Connects `host` to port 4420 of `target`; the queue pairs of both.
fn connect<A: Fabric, B: Fabric>(
    host: &mut Side<A>,
    target: &mut Side<B>,
    at: SocketAddr,
) -> (QpHandle, QpHandle) {
    target.fabric.listen(4420);
    let to = SocketAddr::new(at.ip(), 4420);
    let near = host.fabric.connect(Instant::now(), to, params());
    run(host, target, |_, target| !target.heard.is_empty());
    let FabricEvent::ConnectRequest { qp: far, ref private, .. } = target.heard[0] else {
        panic!("{:?}", target.heard)
    };
    assert!(private.starts_with(&[7; 20]));
    for token in 0..32 {
        target.post(far, token, WorkOp::Recv, target.sge(token * 64, 64));
    }
    target.fabric.accept(Instant::now(), far, params());
    let open = |heard: &[FabricEvent]| {
        heard.iter().any(|event| matches!(event, FabricEvent::Established { .. }))
    };
    run(host, target, |host, target| open(&host.heard) && open(&target.heard));
    (near, far)
}

/// Connect, 32 sends, a long write and a long read, disconnect: what NVMe-oF does, both ways.
fn scenario<A: Fabric, B: Fabric>(host: A, target: B, at: SocketAddr) -> (Side<A>, Side<B>) {
    let (mut host, mut target) = (Side::new(host), Side::new(target));
    let pattern: Vec<u8> = (0..1_u32 << 20).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect();
    host.region.write(0, &pattern);
    let (near, far) = connect(&mut host, &mut target, at);
    for token in 100..132 {
        let op = WorkOp::Send { invalidate: None };
        host.post(near, token, op, host.sge((token - 100) * 64, 64));
    }
    run(&mut host, &mut target, |host, target| host.done(131).is_some() && target.received() == 32);
    let (write_to, read_from) = (target.remote(256 << 10), target.remote(256 << 10));
    host.post(near, 200, WorkOp::RdmaWrite(write_to), host.sge(5, 200_001));
    host.post(near, 201, WorkOp::RdmaRead(read_from), host.sge(512 << 10, 200_001));
    run(&mut host, &mut target, |host, _| host.done(200).is_some() && host.done(201).is_some());
    assert_eq!(
        (host.done(200), host.done(201)),
        (Some(WcStatus::Success), Some(WcStatus::Success))
    );
    for (region, offset, from) in
        [(&target.region, 0, 0), (&target.region, 256 << 10, 5), (&host.region, 512 << 10, 5)]
    {
        let mut octets = vec![0; if offset == 0 { 2048 } else { 200_001 }];
        region.read(offset, &mut octets);
        assert_eq!(octets, pattern[from..from + octets.len()], "at {offset}");
    }
    host.fabric.disconnect(Instant::now(), near);
    let over = |heard: &[FabricEvent]| {
        heard.iter().any(|event| matches!(event, FabricEvent::Disconnected { .. }))
    };
    run(&mut host, &mut target, |host, target| over(&host.heard) && over(&target.heard));
    let end = |reason| FabricEvent::Disconnected { qp: far, reason };
    assert_eq!(target.heard.last(), Some(&end(DisconnectReason::Peer)));
    (host, target)
}

/// What was heard, without handles (which differ from run to run).
fn story(heard: &[FabricEvent]) -> Vec<String> {
    let strip = |event: &FabricEvent| match event {
        FabricEvent::Recv { token, len, .. } => format!("recv {token} {len}"),
        FabricEvent::Done { token, status, .. } => format!("done {token} {status:?}"),
        FabricEvent::ConnectRequest { .. } => "request".into(),
        FabricEvent::Established { private, .. } => format!("established {}", private.len()),
        FabricEvent::Rejected { reason, .. } => format!("rejected {reason}"),
        FabricEvent::Disconnected { reason, .. } => format!("disconnected {reason:?}"),
    };
    heard.iter().map(strip).collect()
}

/// Goal: the whole path over the in-process wire, in both wire modes; every payload octet that
/// arrives is copied once.
#[test]
fn over_the_in_process_wire() {
    for mode in MODES {
        let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 4096, 4096);
        let (host, target) = (Nic::new(a, config(1, mode)), Nic::new(b, config(2, mode)));
        let (host, target) = scenario(host, target, addr("10.0.0.2:4791"));
        assert_eq!(target.counters()["dpa.placed_bytes"], 32 * 64 + 200_001, "{mode:?}");
        assert_eq!(host.counters()["dpa.placed_bytes"], 200_001, "{mode:?}");
    }
}

/// Goal: the same over UDP sockets: no payload octet is copied in user space to send, one copy each
/// to receive; and the same story when the target's NIC runs on a thread behind the pipe.
#[test]
fn over_udp_inline_and_threaded() {
    for mode in MODES {
        let link = |ip: &str| UdpLink::bind(addr(ip));
        let at = addr("127.0.1.1:4791");
        let host = Nic::new(link("127.0.1.2:4791").unwrap(), config(1, mode));
        let target = Nic::new(link("127.0.1.1:4791").unwrap(), config(2, mode));
        let (host, target) = scenario(host, target, at);
        let (here, there) = (host.counters(), target.counters());
        assert_eq!((here["link.tx_copied_bytes"], there["link.tx_copied_bytes"]), (0, 0));
        if here["qp.retransmitted_packets"] == 0 {
            assert_eq!(there["dpa.placed_bytes"], 32 * 64 + 200_001);
        }
        let inline = (story(&host.heard), story(&target.heard));
        drop((host, target));

        let host = Nic::new(link("127.0.1.2:4791").unwrap(), config(1, mode));
        let target = PipeFabric::spawn(PipeOptions::default(), move || {
            Ok(Nic::new(UdpLink::bind(addr("127.0.1.1:4791"))?, config(2, mode)))
        });
        let (host, target) = scenario(host, target.unwrap(), at);
        assert_eq!((story(&host.heard), story(&target.heard)), inline, "{mode:?}");
    }
}

/// Goal: losses, duplicates, reordering, turned bits and marks on the way change nothing but time.
/// (RoCEv2's ICRC is not checked by a UDP link, so its payload bits stay as they are.)
#[test]
fn over_a_faulty_wire() {
    for mode in MODES {
        let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 4096, 1024);
        let faults = Faults {
            drop_ppm: 10_000,
            duplicate_ppm: 10_000,
            reorder_ppm: 10_000,
            mark_ppm: 10_000,
            corrupt_ppm: if mode == Mode::Native { 10_000 } else { 0 },
            ..Faults::default()
        };
        let config = |seed| EndpointConfig { native_crc: CrcPolicy::Always, ..config(seed, mode) };
        let now = Instant::now();
        let (a, b) = (FaultyLink::new(a, faults, 3, now), FaultyLink::new(b, faults, 4, now));
        let (host, target) = (Nic::new(a, config(1)), Nic::new(b, config(2)));
        scenario(host, target, addr("10.0.0.2:4791"));
    }
}

/// Goal: a tap sees every packet that either side counts, and changes nothing.
#[test]
fn under_a_tap() {
    let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 4096, 1024);
    let a = PcapLink::new(a, std::io::sink()).unwrap();
    let (host, target) = (Nic::new(a, config(1, Mode::Roce)), Nic::new(b, config(2, Mode::Roce)));
    let (host, _) = scenario(host, target, addr("10.0.0.2:4791"));
    let counters = host.counters();
    assert_eq!(counters["pcap.records"], counters["link.tx_packets"] + counters["link.rx_packets"]);
}

/// Goal: the first handler works in place: CRC-32C of what an RDMA READ brought, without a second
/// pass over it.
#[test]
fn a_read_is_summed_while_it_is_placed() {
    for mode in MODES {
        let (a, b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 4096, 1024);
        let placer = Placer::new(Crc32c::new(16), Vec::new());
        let mut host = Side::new(Nic::with_placer(a, config(1, mode), placer));
        let mut target = Side::new(Nic::new(b, config(2, mode)));
        let pattern: Vec<u8> = (0..60_000_u32).map(|i| (i * 13).to_le_bytes()[1]).collect();
        target.region.write(4096, &pattern);
        let (near, _) = connect(&mut host, &mut target, addr("10.0.0.2:4791"));
        let landing = host.sge(8192, 60_000);
        let watch = host.fabric.placer_mut().offload_mut().watch(landing.addr, 60_000).unwrap();
        host.post(near, 1, WorkOp::RdmaRead(target.remote(4096)), landing);
        run(&mut host, &mut target, |host, _| host.done(1).is_some());
        let sum = host.fabric.placer_mut().offload_mut().take(watch);
        assert_eq!(sum, Some(crc32c::crc32c(&pattern)), "{mode:?}");
    }
}

/// Goal: work that makes no sense is answered on the connection, not lost and not a panic.
#[test]
fn senseless_work_is_answered() {
    let (a, _b) = LoopbackLink::pair(addr("10.0.0.1:4791"), addr("10.0.0.2:4791"), 64, 1024);
    let mut host = Side::new(Nic::new(a, config(1, Mode::Native)));
    let qp = host.fabric.connect(Instant::now(), addr("10.0.0.2:4420"), params());
    let early = WorkOp::Send { invalidate: None };
    host.post(qp, 5, early, host.sge(0, 64));
    host.turn();
    assert_eq!(host.done(5), Some(WcStatus::LocQpOpErr));
    host.post(QpHandle(0xabcdef), 6, early, host.sge(0, 64));
    host.turn();
    assert_eq!(host.done(6), None, "an unknown connection takes work silently");
}

#[path = "congestion_tests.rs"]
mod congestion;
#[path = "held_tests.rs"]
mod held;
#[path = "shared_port_tests.rs"]
mod shared_port;
