//! Over real sockets, on loopback addresses of this test's own; every loop is bounded.

use super::world::{config, params};
use crate::fabric::{
    ConnectParams, DisconnectReason, Fabric, FabricEvent, Gather, Landed, QpHandle, Work, WorkOp,
};
use crate::nvme_tcp::{TcpConfig, TcpFabric};
use memory::{Access, DmaBuf, Mr, Region, Sge};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use wire::cm::{NvmeRejStatus, NvmeRejectPrivate, NvmeRequestPrivate};
use wire::fabrics::{ConnectCmd, ConnectFault};
use wire::nvme::{Cid, Cqe, Nsid, QueueId, Sgl, Sqe, Status, ZeroBased};
use wire::nvme_tcp::{CommonHeader, Framing, IcReq, Pdu, PduKind, TermReq, field};

/// Turns of both sides that a step may take.
const TURNS_MAX: u32 = 200_000;

pub(super) struct End {
    pub(super) fabric: TcpFabric,
    pub(super) region: Region,
    pub(super) mr: Mr,
    pub(super) events: Vec<FabricEvent>,
    pub(super) now: Instant,
}

impl End {
    pub(super) fn new(config: TcpConfig) -> End {
        let mut fabric = TcpFabric::new(config).unwrap();
        let region = Region::allocate(1 << 20).unwrap();
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&region, access).unwrap();
        End { fabric, region, mr, events: Vec::new(), now: Instant::now() }
    }
    pub(super) fn turn(&mut self) {
        self.fabric.poll(self.now, &mut self.events);
        self.fabric.flush(self.now);
    }
    pub(super) fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    pub(super) fn post(&mut self, qp: QpHandle, token: u64, op: WorkOp, local: Sge) {
        let work = Work { token, op, local: Gather::one(local), signaled: true };
        self.fabric.post(qp, work).unwrap();
    }
    pub(super) fn requests(&self) -> Vec<QpHandle> {
        let request = |event: &FabricEvent| {
            if let FabricEvent::ConnectRequest { qp, .. } = event { Some(*qp) } else { None }
        };
        self.events.iter().filter_map(request).collect()
    }
}

fn local(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 78, host)
}
pub(super) fn target(host: u8) -> (End, SocketAddr) {
    let config = TcpConfig { local: IpAddr::V4(local(host)), ..config() };
    let mut end = End::new(config);
    end.fabric.try_listen(4420).unwrap();
    (end, SocketAddr::from((local(host), 4420)))
}
pub(super) fn host() -> End {
    End::new(TcpConfig::host(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// Turns all until `until` holds. Panics when it never does.
pub(super) fn run(ends: &mut [&mut End], mut until: impl FnMut(&[&mut End]) -> bool) {
    for _ in 0..TURNS_MAX {
        if until(ends) {
            return;
        }
        ends.iter_mut().for_each(|end| end.turn());
    }
    let events: Vec<_> = ends.iter().map(|end| &end.events).collect();
    panic!("it never happened: {events:?}");
}

pub(super) fn connect_command(qid: u16, last_entry: u16) -> Sqe {
    let sq_size = ZeroBased::<u16>::from_raw(last_entry);
    let queue = QueueId(qid);
    ConnectCmd { record_format: 0, queue, sq_size, attributes: 0, keep_alive_ms: 0 }.command(Cid(7))
}
/// The host connects, and sends a Connect command of queue `qid`.
pub(super) fn dial(host: &mut End, to: SocketAddr, qid: u16) -> QpHandle {
    let qp = host.fabric.connect(host.now, to, params());
    let sge = host.sge(4096 + u64::from(qp.0 & 0xff) * 64, 16);
    host.post(qp, u64::from(qid), WorkOp::Recv, sge);
    qp
}
pub(super) fn send_connect(host: &mut End, qp: QpHandle, qid: u16, last_entry: u16) {
    host.region.write(64 * usize::from(qid), connect_command(qid, last_entry).as_octets());
    let sge = host.sge(64 * u64::from(qid), 64);
    host.post(qp, 1000 + u64::from(qid), WorkOp::Send { invalidate: None }, sge);
}
pub(super) fn accept(target: &mut End, qp: QpHandle) {
    let params = ConnectParams { recv_depth: 32, ..params() };
    let sge = target.sge(u64::from(qp.0 & 0xff) * 64, 64);
    target.post(qp, 5, WorkOp::Recv, sge);
    target.fabric.accept(target.now, qp, params);
}
/// The host's admin queue is connected, and the target has accepted it. Returns its name at the target
/// and at the host.
pub(super) fn connected(target: &mut End, host: &mut End, to: SocketAddr) -> (QpHandle, QpHandle) {
    let qp = dial(host, to, 0);
    run(&mut [&mut *target, &mut *host], |ends| !ends[1].events.is_empty());
    send_connect(host, qp, 0, 31);
    run(&mut [&mut *target, &mut *host], |ends| !ends[0].requests().is_empty());
    let at = target.requests()[0];
    accept(target, at);
    (at, qp)
}

/// Goal: listeners come and go at several addresses while connections are made; a connection knows
/// the address that it came to, and outlives its listener.
#[test]
fn listeners_come_and_go() {
    let (mut target, first) = target(90);
    let second = SocketAddr::from((local(91), 4420));
    for _ in 0..2 {
        target.fabric.open_listener("tcp", second).unwrap();
    }
    let refused = target.fabric.open_listener("rdma", second).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
    let mut host = host();
    let all = [(1, first), (2, second)].map(|(qid, to)| (qid, dial(&mut host, to, qid)));
    let established = |end: &End, all: &[QpHandle]| {
        let is_it = |event: &FabricEvent, it: &QpHandle| matches!(event, FabricEvent::Established { qp, .. } if qp == it);
        all.iter().all(|it| end.events.iter().any(|event| is_it(event, it)))
    };
    run(&mut [&mut target, &mut host], |ends| established(ends[1], &all.map(|(_, qp)| qp)));
    all.iter().for_each(|(qid, qp)| send_connect(&mut host, *qp, *qid, 15));
    run(&mut [&mut target, &mut host], |ends| ends[0].requests().len() == 2);
    let mut paths: Vec<_> = target.requests().iter().map(|qp| target.fabric.path_of(*qp)).collect();
    paths.sort_unstable();
    assert_eq!(paths, [("tcp", Some(first.ip())), ("tcp", Some(second.ip()))]);

    target.fabric.close_listener("tcp", second).unwrap();
    let late = dial(&mut host, second, 3);
    run(&mut [&mut target, &mut host], |ends| {
        let mut events = ends[1].events.iter();
        events.any(|event| matches!(event, FabricEvent::Rejected { qp, .. } if *qp == late))
    });
    let again = dial(&mut host, first, 4);
    run(&mut [&mut target, &mut host], |ends| established(ends[1], &[again]));
    let mut all = target.events.iter().chain(&host.events);
    assert!(!all.any(|event| matches!(event, FabricEvent::Disconnected { .. })));
    target.fabric.open_listener("tcp", second).unwrap();
    let anew = dial(&mut host, second, 5);
    run(&mut [&mut target, &mut host], |ends| established(ends[1], &[anew]));
}

/// Goal: 256 hosts' connections at once, each with its own queue, are asked for with the queue and
/// sizes of their Connect commands; nothing is left when they end.
#[test]
fn many_connect_and_leave() {
    const COUNT: u16 = 256;
    let (mut target, to) = target(1);
    let mut host = host();
    let all: Vec<QpHandle> = (1..=COUNT).map(|qid| dial(&mut host, to, qid)).collect();
    let established = |end: &End| {
        end.events.iter().filter(|e| matches!(e, FabricEvent::Established { .. })).count()
    };
    run(&mut [&mut target, &mut host], |ends| established(ends[1]) == usize::from(COUNT));
    for (qid, qp) in (1..).zip(&all) {
        send_connect(&mut host, *qp, qid, 15 + qid);
    }
    run(&mut [&mut target, &mut host], |ends| ends[0].requests().len() == usize::from(COUNT));
    let mut seen: Vec<(u16, u16, u16)> = Vec::new();
    for event in std::mem::take(&mut target.events) {
        let FabricEvent::ConnectRequest { qp, private, port: 4420, .. } = event else {
            panic!("{event:?}")
        };
        let private = NvmeRequestPrivate::decode(&private).unwrap();
        let (send, receive) = (private.host_send_queue_size(), private.host_receive_queue_size());
        seen.push((private.queue_id(), send, receive));
        accept(&mut target, qp);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=COUNT).map(|qid| (qid, 15 + qid, 16 + qid)).collect::<Vec<_>>());
    let received =
        |end: &End| end.events.iter().filter(|e| matches!(e, FabricEvent::Recv { .. })).count();
    run(&mut [&mut target, &mut host], |ends| received(ends[0]) == usize::from(COUNT));
    for qp in all {
        host.fabric.disconnect(host.now, qp);
    }
    let gone = |end: &End| {
        end.events.iter().filter(|e| matches!(e, FabricEvent::Disconnected { .. })).count()
    };
    run(&mut [&mut target, &mut host], |ends| {
        ends.iter().all(|end| gone(end) == usize::from(COUNT))
    });
    let empty = |end: &End| end.fabric.connections.is_empty() && end.fabric.lingerers.is_empty();
    run(&mut [&mut target, &mut host], |ends| ends.iter().all(|end| empty(end)));
}

/// Goal: in-capsule data is copied once, from where it arrived, while it is still there; otherwise from
/// the receive that it was for.
#[test]
fn in_capsule_data_is_copied_once() {
    let (mut target, to) = target(8);
    let mut host = host();
    let landing = Region::allocate(8192).unwrap();
    let mr = target.fabric.register(&landing, Access::LOCAL_WRITE).unwrap();
    target.fabric.hold_back(&mr);
    let (at, qp) = connected(&mut target, &mut host, to);
    for (token, seed) in [(20_u64, 1_u8), (21, 2)] {
        let held = (token - 20) * 4096;
        let capsule = target.sge(512 + held / 64, 64);
        let data = Sge { addr: mr.addr + held, length: 4096, lkey: mr.lkey };
        let local = Gather::two(capsule, data);
        target.fabric.post(at, Work { token, op: WorkOp::Recv, local, signaled: true }).unwrap();
        let content: Vec<u8> = (0..4096_usize).map(|at| (at % 251) as u8 ^ seed).collect();
        host.region.write(64 << 10, &content);
        let mut sqe = Sqe::new(1, Cid(token as u16), Nsid(1));
        sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 4096 });
        host.region.write(32 << 10, sqe.as_octets());
        let local = Gather::two(host.sge(32 << 10, 64), host.sge(64 << 10, 4096));
        let op = WorkOp::Send { invalidate: None };
        host.fabric.post(qp, Work { token, op, local, signaled: false }).unwrap();
        let landed = FabricEvent::Recv { qp: at, token, len: 64 + 4096, invalidated: None };
        run(&mut [&mut target, &mut host], |ends| ends[0].events.contains(&landed));
        let is_late = token == 21;
        if is_late {
            target.turn();
        }
        let disk = Region::allocate(4096).unwrap();
        let mut block = DmaBuf::new(&disk, 0, 0, 4096);
        let from = Landed { region: &landing, offset: held as usize, len: 4096 };
        let copied_again = target.fabric.copy_landed(&from, &mut block);
        assert_eq!(copied_again, if is_late { 4096 } else { 0 });
        assert!(block.bytes() == content, "late: {is_late}");
    }
}

/// Goal: nobody there, or a target that refuses: the host hears which, and why.
#[test]
fn refusals_are_told() {
    let (mut target, to) = target(2);
    let mut host = host();
    let nowhere = SocketAddr::from((local(2), 4421));
    let qp = host.fabric.connect(host.now, nowhere, params());
    let rejected = FabricEvent::Rejected { qp, reason: 8, private: Vec::new() };
    run(&mut [&mut host], |ends| ends[0].events.contains(&rejected));

    host.events.clear();
    let qp = dial(&mut host, to, 3);
    run(&mut [&mut target, &mut host], |ends| !ends[1].events.is_empty());
    send_connect(&mut host, qp, 3, 31);
    run(&mut [&mut target, &mut host], |ends| !ends[0].requests().is_empty());
    let mut private = NvmeRejectPrivate::zeroed();
    private.set_status_code(NvmeRejStatus::INVALID_QUEUE_ID.0);
    let at = target.requests()[0];
    target.fabric.reject(target.now, at, private.as_octets());
    let is_gone = |event: &FabricEvent| matches!(event, FabricEvent::Disconnected { .. });
    run(&mut [&mut target, &mut host], |ends| ends[1].events.iter().any(is_gone));
    let answered = FabricEvent::Recv { qp, token: 3, len: 16, invalidated: None };
    assert!(host.events.contains(&answered), "{:?}", host.events);
    let mut octets = [0; 16];
    host.region.read(4096 + (qp.0 as usize & 0xff) * 64, &mut octets);
    let cqe = Cqe::from_octets(octets);
    assert_eq!((cqe.cid(), cqe.status()), (Cid(7), Status::CONNECT_INVALID_PARAMETERS));
    assert_eq!(ConnectFault::from_dword(cqe.dw0()), ConnectFault::QUEUE_ID);
}

pub(super) fn raw(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
pub(super) fn ic_req() -> Vec<u8> {
    let asked = IcReq { pfv: 0, hpda: 0, header_digest: false, data_digest: false, maxr2t: 0 };
    let mut octets = Vec::new();
    Pdu::IcReq(asked).encode(&Framing::PLAIN, 0, &mut octets);
    octets
}
/// The next PDU's octets; the fabric turns meanwhile.
pub(super) fn next_pdu(stream: &mut TcpStream, target: &mut End) -> Vec<u8> {
    let mut octets = vec![0; 8];
    stream.set_nonblocking(true).unwrap();
    let mut have = 0;
    for _ in 0..TURNS_MAX {
        target.turn();
        match stream.read(&mut octets[have..]) {
            Ok(0) => panic!("closed after {have} octets"),
            Ok(count) => have += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if have == 8 && octets.len() == 8 {
            let common = CommonHeader::decode(octets.first_chunk().unwrap());
            octets.resize(common.plen as usize, 0);
        }
        if have == octets.len() {
            stream.set_nonblocking(false).unwrap();
            return octets;
        }
    }
    panic!("no PDU came");
}
pub(super) fn is_closed(stream: &mut TcpStream, target: &mut End) -> bool {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..TURNS_MAX {
        target.turn();
        match stream.read(&mut [0; 512]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
    }
    false
}

/// Goal: one that breaks the protocol is told, and disconnected; another beside it goes on.
#[test]
fn a_breach_leaves_others_untouched() {
    let (mut target, to) = target(3);
    let mut host = host();
    let qp = dial(&mut host, to, 1);
    run(&mut [&mut target, &mut host], |ends| !ends[1].events.is_empty());
    let mut bad = raw(to);
    bad.write_all(&ic_req()).unwrap();
    assert_eq!(next_pdu(&mut bad, &mut target)[0], PduKind::IcResp.octet());
    // A header length that no PDU has.
    bad.write_all(&[4, 0, 71, 0, 72, 0, 0, 0]).unwrap();
    let octets = next_pdu(&mut bad, &mut target);
    let said = Pdu::C2hTermReq(TermReq { status: 1, information: field::HLEN });
    assert_eq!(Pdu::decode(PduKind::C2hTermReq, &octets), Some(said));
    assert!(is_closed(&mut bad, &mut target));
    send_connect(&mut host, qp, 1, 31);
    run(&mut [&mut target, &mut host], |ends| !ends[0].requests().is_empty());
    assert_eq!(target.events.len(), 1, "the consumer never heard of the other");
}

/// Goal: an octet at a time is as good as all at once.
#[test]
fn slow_senders_are_understood() {
    let (mut target, to) = target(4);
    let mut slow = raw(to);
    let mut octets = ic_req();
    Pdu::CapsuleCmd(connect_command(0, 31)).encode(&Framing::PLAIN, 0, &mut octets);
    for octet in octets {
        slow.write_all(&[octet]).unwrap();
        target.turn();
    }
    run(&mut [&mut target], |ends| ends[0].requests().len() == 1);
}

/// Goal: one that says nothing, half a handshake, or no command, is gone after the handshake's time,
/// and a host does not wait longer for a target that says nothing.
#[test]
fn half_open_peers_are_let_go() {
    let (mut target, to) = target(5);
    let mut peers = [raw(to), raw(to), raw(to)];
    peers[1].write_all(&ic_req()[..40]).unwrap();
    peers[2].write_all(&ic_req()).unwrap();
    next_pdu(&mut peers[2], &mut target);
    run(&mut [&mut target], |ends| ends[0].fabric.connections.len() == 3);
    let timeout = target.fabric.poll_timeout().unwrap();
    assert!(timeout <= target.now + Duration::from_secs(10));
    target.now += Duration::from_secs(11);
    for peer in &mut peers {
        assert!(is_closed(peer, &mut target));
    }
    assert!(target.fabric.connections.is_empty() && target.events.is_empty());

    let silent = std::net::TcpListener::bind((local(6), 4420)).unwrap();
    let mut host = host();
    let qp = dial(&mut host, silent.local_addr().unwrap(), 1);
    (0..100).for_each(|_| host.turn());
    host.now += Duration::from_secs(11);
    let reason = DisconnectReason::Timeout;
    let gone = FabricEvent::Disconnected { qp, reason };
    run(&mut [&mut host], |ends| ends[0].events.contains(&gone));
}

/// Goal: a peer that is gone in any phase is heard of, and nothing stays.
#[test]
fn peers_that_vanish_are_heard_of() {
    let (mut target, to) = target(7);
    let mut peer = raw(to);
    peer.write_all(&ic_req()[..100]).unwrap();
    run(&mut [&mut target], |ends| ends[0].fabric.connections.len() == 1);
    drop(peer);
    run(&mut [&mut target], |ends| ends[0].fabric.connections.is_empty());
    let mut peer = raw(to);
    let mut octets = ic_req();
    Pdu::CapsuleCmd(connect_command(0, 31)).encode(&Framing::PLAIN, 0, &mut octets);
    peer.write_all(&octets).unwrap();
    run(&mut [&mut target], |ends| ends[0].requests().len() == 1);
    let qp = target.requests()[0];
    drop(peer);
    let reason = DisconnectReason::Peer;
    let gone = FabricEvent::Disconnected { qp, reason };
    run(&mut [&mut target], |ends| ends[0].events.contains(&gone));
    assert!(target.fabric.connections.is_empty());
}
