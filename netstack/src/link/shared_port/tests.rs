use super::super::conformance::{Host, conforms, packet, receive, receive_ecn, tag_of};
use super::super::{ROCE_PORT, Trailer};
use super::*;
use memory::{Access, Region, Sge};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use wire::cm::{CmBody, CmMessage, MAD_LEN, Rep, Req};
use wire::roce::{Deth, Header, Opcode, Psn, QKey, QpNum};

fn addr(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 8, host)), ROCE_PORT)
}

fn ring() -> RxRing {
    RxRing::new(4, 1 << 16)
}

/// Sends a message of connection management.
fn say(link: &mut impl Link, to: SocketAddr, body: impl Into<CmBody>) {
    let region = Region::allocate(4096).unwrap();
    region.write(0, &CmMessage::new(7, body).encode());
    let mut registry = Registry::new(2, 1);
    let mr = registry.register(&region, Access::LOCAL_WRITE).unwrap();
    let sge = Sge { addr: mr.addr, length: 256, lkey: mr.lkey };
    let mut header = Header::new(Opcode::UdSendOnly, QpNum::GSI, Psn::ZERO);
    header.ext.deth = Some(Deth { qkey: QKey::GSI, reserved: 0, source_qp: QpNum::GSI });
    let mut batch = TxBatch::new(1);
    let mut message = packet(to, 1, &[sge], Trailer::Icrc);
    message.header = header.emit(MAD_LEN);
    batch.push(message);
    assert_eq!(link.tx_burst(&mut batch, &registry).unwrap(), 1);
}

/// Tells a peer of a queue pair and a connection.
fn introduce(link: &mut SharedPort, to: SocketAddr, qpn: u32, id: u32) {
    let mut req = Req::zeroed();
    req.set_local_qpn(qpn).set_local_comm_id(id);
    say(link, to, req);
}

fn send(link: &mut impl Link, host: &Host, to: SocketAddr, tags: impl IntoIterator<Item = u8>) {
    let mut batch = TxBatch::new(64);
    for tag in tags {
        batch.push(packet(to, tag, &[host.sge(u64::from(tag), 100)], Trailer::None));
    }
    link.tx_burst(&mut batch, &host.registry).unwrap();
}

fn tags(link: &mut SharedPort, count: usize) -> Vec<u8> {
    receive(link, &mut ring(), count).iter().map(|octets| tag_of(octets)).collect()
}

/// Two threads' links on one port, a peer that knows a queue pair of each: 10 and 20.
fn trio(host: u8) -> (SharedPort, SharedPort, UdpLink) {
    let (at, peer) = (addr(host), addr(host + 100));
    let mut far = UdpLink::bind(peer).unwrap();
    let (mut one, mut other) = (SharedPort::join(at).unwrap(), SharedPort::join(at).unwrap());
    introduce(&mut one, peer, 10, 1000);
    introduce(&mut other, peer, 20, 2000);
    assert_eq!(receive(&mut far, &mut ring(), 2).len(), 2);
    (one, other, far)
}

/// Goal: alone on its port, it is a UDP link.
#[test]
fn it_conforms() {
    let links: [Box<dyn Link>; 2] =
        [Box::new(SharedPort::join(addr(1)).unwrap()), Box::new(UdpLink::bind(addr(101)).unwrap())];
    let [near, far] = links;
    conforms(near, far);
}

/// Goal: whoever looks, each gets its own packets whole and in order, also what came before it looked.
#[test]
fn each_gets_its_own_in_order() {
    let (mut one, mut other, mut far) = trio(2);
    let host = Host::new();
    send(&mut far, &host, one.caps().local, [10, 20, 20, 10, 20, 10, 10, 20]);
    assert_eq!(tags(&mut one, 4), [10; 4]);
    // What is in the inbox comes first, then what the socket has.
    send(&mut far, &host, one.caps().local, [20, 10]);
    assert_eq!(tags(&mut other, 5), [20; 5]);
    assert_eq!(tags(&mut one, 1), [10]);
    let mut counted = 0;
    other.counters(&mut |name, count| {
        counted += if name == "link.inbox_dropped" { count } else { 0 }
    });
    assert_eq!((one.handed_over, other.taken, other.handed_over, counted), (4, 4, 1, 0));
}

/// Goal: the answer of connection management reaches who asked, before it has a packet of its own.
#[test]
fn answers_of_cm_find_who_asked() {
    let (mut one, mut other, mut far) = trio(3);
    let mut rep = Rep::zeroed();
    rep.set_remote_comm_id(2000);
    let at = one.caps().local;
    say(&mut far, at, rep);
    let mut found = None;
    for _ in 0..100 {
        let mut ring = ring();
        assert_eq!(one.rx_burst(&mut ring).unwrap(), 0, "it is the other's");
        if other.rx_burst(&mut ring).unwrap() == 1 {
            found = Some(ring.octets(&ring.packets()[0])[20..].to_vec());
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mad = found.expect("the answer");
    assert_eq!(CmMessage::decode(&mad[..MAD_LEN]).unwrap().body.attribute().as_str(), "rep");
}

/// Goal: who sleeps is woken when another thread has taken its packets from the socket, whether it slept
/// before or lay down after they came.
#[test]
fn sleepers_are_woken() {
    let (mut one, mut other, mut far) = trio(4);
    let host = Host::new();
    for sleeps_first in [true, false] {
        if sleeps_first {
            other.fd().unwrap();
        }
        send(&mut far, &host, one.caps().local, [20, 10]);
        assert_eq!(tags(&mut one, 1), [10]);
        let fd = other.fd().unwrap();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&second)).unwrap(), 1, "{sleeps_first}");
        assert_eq!(tags(&mut other, 1), [20]);
        // And then it sleeps well.
        let fd = other.fd().unwrap();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let moment = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        assert_eq!(poll(&mut fds, Some(&moment)).unwrap(), 0, "{sleeps_first}");
    }
}

/// Goal: a name that another thread has stays its own; who leaves gives its names and its place back,
/// and the port is free when all have left.
#[test]
fn names_are_nobodys_when_their_owner_leaves() {
    let (mut one, mut other, mut far) = trio(5);
    let (at, peer) = (one.caps().local, far.caps().local);
    let host = Host::new();
    introduce(&mut one, peer, 20, 3000);
    send(&mut far, &host, at, [20]);
    assert_eq!(tags(&mut other, 1), [20]);
    drop(other);
    send(&mut far, &host, at, [20, 10]);
    assert_eq!(tags(&mut one, 2), [20, 10], "nobody's: told to who looks, and refused there");
    drop(one);
    // At once, but for a moment in which another test starts a program: its process has a copy of all
    // sockets until that runs.
    let until = Instant::now() + Duration::from_secs(5);
    while let Err(error) = UdpLink::bind(at) {
        assert!(error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until, "{error}");
        std::thread::yield_now();
    }
}

/// Goal: a full inbox drops and counts; it does not grow.
#[test]
fn an_inbox_is_bounded() {
    let (mut one, other, mut far) = trio(6);
    let host = Host::new();
    let mut ring = ring();
    for _ in 0..200 {
        send(&mut far, &host, one.caps().local, [20; 64]);
        for _ in 0..4 {
            one.rx_burst(&mut ring).unwrap();
            assert!(ring.packets().is_empty());
            ring.recycle();
        }
    }
    assert!(other.inbox.dropped() > 1000, "{}", other.inbox.dropped());
}

/// Goal: packets may be marked while all threads on the port give way to marks, and only then.
#[test]
fn marks_are_asked_for_by_all() {
    let (mut one, mut other, mut far) = trio(9);
    let (host, to) = (Host::new(), far.caps().local);
    for (first, second, ecn) in
        [(true, false, 0), (true, true, 2), (false, true, 0), (false, false, 0), (true, true, 2)]
    {
        one.set_ecn_capable(first);
        other.set_ecn_capable(second);
        send(&mut one, &host, to, [7]);
        assert_eq!(receive_ecn(&mut far), ecn, "{first} {second}");
    }
    // Who leaves has no say any more.
    one.set_ecn_capable(true);
    other.set_ecn_capable(false);
    drop(other);
    send(&mut one, &host, to, [7]);
    assert_eq!(receive_ecn(&mut far), 2);
}

/// Goal: another process's port is told as before.
#[test]
fn a_taken_port_is_told() {
    let _taken = UdpLink::bind(addr(7)).unwrap();
    let refused = SharedPort::join(addr(7)).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
}
