use super::super::conformance::{Host, conforms, packet, receive, tag_of};
use super::super::{DialLink, ROCE_PORT, Trailer, Ways};
use super::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address that no other test uses.
fn ip(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 9, host))
}

fn udp(host: u8) -> UdpLink {
    UdpLink::bind(SocketAddr::new(ip(host), ROCE_PORT)).unwrap()
}

pub(in crate::link) fn offer(host: u8) -> HostLink {
    let shm = ShmLink::listen(SocketAddr::new(ip(host), ROCE_PORT)).unwrap();
    HostLink::new(udp(host), shm).unwrap()
}

/// A target, and a client that reaches it by shared memory.
pub(in crate::link) fn pair(host: u8) -> (HostLink, DialLink) {
    let mut near = offer(host);
    let socket = udp(host + 100);
    let client = std::thread::spawn(move || DialLink::new(socket, ip(host), Ways::Any));
    let mut ring = RxRing::new(1, 4096);
    while !client.is_finished() {
        near.rx_burst(&mut ring).unwrap();
        // Not `yield_now`: a caller looks for clients once in 1,024 looks, and beside other programs each
        // of those would wait for its turn.
        std::hint::spin_loop();
    }
    let client = client.join().unwrap().unwrap();
    assert!(client.is_near());
    (near, client)
}

pub(in crate::link) fn send<L: Link>(link: &mut L, host: &Host, tag: u8, to: SocketAddr) -> usize {
    let mut batch = TxBatch::new(1);
    batch.push(packet(to, tag, &[host.sge(0, 1000)], Trailer::None));
    link.tx_burst(&mut batch, &host.registry).unwrap()
}

fn counter(link: &dyn Link, wanted: &str) -> u64 {
    let mut found = 0;
    link.counters(&mut |name, count| found += if name == wanted { count } else { 0 });
    found
}

/// Goal: to a network, a target that also offers shared memory is a UDP link.
#[test]
fn it_conforms_by_udp() {
    let links: [Box<dyn Link>; 2] = [Box::new(offer(1)), Box::new(udp(101))];
    let [near, far] = links;
    conforms(near, far);
}

/// Goal: packets of both kinds of peers come into one ring, each answer goes back by its peer's way,
/// in order also out of one batch, and counters are those of both.
#[test]
fn answers_go_where_requests_came_from() {
    let (mut near, mut by_shm) = pair(2);
    let mut by_udp = udp(202);
    let host = Host::new();
    let to = near.caps().local;
    assert_eq!(send(&mut by_shm, &host, 1, to) + send(&mut by_udp, &host, 2, to), 2);
    let (mut ring, mut froms) = (RxRing::new(4, 1 << 16), [None; 3]);
    while froms[1].is_none() || froms[2].is_none() {
        near.rx_burst(&mut ring).unwrap();
        for packet in ring.packets() {
            froms[usize::from(tag_of(ring.octets(packet)))] = Some(packet.from);
        }
        ring.recycle();
    }
    let [_, Some(shm_addr), Some(udp_addr)] = froms else { panic!("{froms:?}") };
    assert!(is_near(shm_addr) && udp_addr == by_udp.caps().local);
    let mut batch = TxBatch::new(16);
    for tag in 0..8 {
        for to in [udp_addr, shm_addr] {
            batch.push(packet(to, tag, &[host.sge(0, 700)], Trailer::None));
        }
    }
    assert_eq!(near.tx_burst(&mut batch, &host.registry).unwrap(), 16);
    assert!(batch.packets().is_empty());
    let links: [&mut dyn Link; 2] = [&mut by_udp, &mut by_shm];
    for link in links {
        let got = receive(link, &mut RxRing::new(4, 1 << 16), 8);
        let tags: Vec<_> = got.iter().map(|octets| tag_of(octets)).collect();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
    assert_eq!(counter(&near, "link.tx_packets"), 16);
    assert_eq!(counter(&near, "link.shm_tx_packets"), 8);
    assert_eq!(counter(&near, "link.rx_packets"), 2);
}

/// Goal: slots in shared memory go back to their owner while the ring holds packets of the socket:
/// a busy socket does not starve a peer of slots.
#[test]
fn slots_go_back_beside_packets_of_the_socket() {
    let (mut near, mut by_shm) = pair(3);
    let mut by_udp = udp(203);
    let (host, to) = (Host::new(), near.caps().local);
    let mut ring = RxRing::new(4, 1 << 16);
    for round in 0..1500 {
        ring.recycle();
        send(&mut by_udp, &host, 2, to);
        while near.rx_dear(&mut ring).unwrap() == 0 {}
        assert_eq!(send(&mut by_shm, &host, 1, to), 1, "round {round}");
        assert_eq!(near.rx_cheap(&mut ring).unwrap(), 1);
    }
}

/// Goal: who sleeps on the descriptor is woken by the socket, by a peer that sends, and by a process
/// that wants to be a peer.
#[test]
fn sleepers_are_woken_by_either() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let sleep = |link: &HostLink, millis: i64| {
        let fd = link.fd().unwrap();
        let timeout = Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
    };
    let (mut near, mut by_shm) = pair(4);
    let mut by_udp = udp(204);
    let (host, to) = (Host::new(), near.caps().local);
    let mut ring = RxRing::new(4, 1 << 16);
    for round in 0..3 {
        assert!(!sleep(&near, 1), "round {round}: nothing came");
        send(&mut by_udp, &host, 1, to);
        assert!(sleep(&near, 900), "round {round}: by UDP");
        assert_eq!(near.rx_burst(&mut ring).unwrap(), 1);
        assert!(!sleep(&near, 1), "round {round}: all was taken");
        send(&mut by_shm, &host, 1, to);
        assert!(sleep(&near, 900), "round {round}: by shared memory");
        assert_eq!(near.rx_burst(&mut ring).unwrap(), 1);
        ring.recycle();
        near.rx_burst(&mut ring).unwrap();
    }
    let socket = udp(205);
    let client = std::thread::spawn(move || DialLink::new(socket, ip(4), Ways::ShmOnly));
    assert!(sleep(&near, 900), "a process called");
    near.rx_burst(&mut ring).unwrap();
    assert!(client.join().unwrap().unwrap().is_near());
}
