use super::super::conformance::{
    Host, conforms, native_packet, packet, receive, receive_ecn, receive_sources, tag_of,
};
use super::super::{Trailer, UdpLink};
use super::hosts::TwoHosts;
use super::*;
use std::collections::HashSet;
use std::time::Duration;

/// Two links on the loopback device. `None`: the kernel does not let this test have raw sockets.
fn pair(a: &str, b: &str) -> Option<(RawLink, RawLink)> {
    let bind = |addr: &str| match RawLink::bind(addr.parse().unwrap()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: packet sockets need CAP_NET_RAW");
            None
        }
        done => Some(done.unwrap()),
    };
    Some((bind(a)?, bind(b)?))
}

fn counter(link: &RawLink, name: &str) -> u64 {
    let mut value = None;
    link.counters(&mut |n, v| {
        if n == name {
            value = Some(v);
        }
    });
    value.unwrap()
}

/// Both sides know each other's Ethernet address.
fn acquaint(a: &mut RawLink, b: &mut RawLink) {
    let host = Host::new();
    for _ in 0..2 {
        let to = (a.caps().local, b.caps().local);
        send(a, &[packet(to.1, 1, &[], Trailer::Icrc)], &host);
        assert_eq!(receive(b, &mut RxRing::new(2, 1 << 16), 1).len(), 1);
        send(b, &[packet(to.0, 1, &[], Trailer::Icrc)], &host);
        assert_eq!(receive(a, &mut RxRing::new(2, 1 << 16), 1).len(), 1);
    }
}

fn send<L: Link>(link: &mut L, packets: &[Transmit], host: &Host) {
    let mut batch = TxBatch::new(packets.len());
    packets.iter().for_each(|packet| batch.push(packet.clone()));
    assert_eq!(link.tx_burst(&mut batch, &host.registry).unwrap(), packets.len());
}

/// Goal: the suite over the loopback device, where frames are received and the kernel's socket sends;
/// both families.
#[test]
fn raw_conforms() {
    for (a, b) in [("127.0.0.21:0", "127.0.0.22:0"), ("[::1]:0", "[::1]:0")] {
        let Some((near, far)) = pair(a, b) else { return };
        conforms(near, far);
    }
}

/// Goal: the suite between two hosts (network namespaces, a veth pair) of which each has to find the
/// other's Ethernet address; over both families.
#[test]
fn raw_conforms_between_hosts() {
    let Some(hosts) = TwoHosts::new() else { return };
    for family in [0, 1] {
        let open = |host: usize| hosts.within(host, move |addrs| RawLink::bind(addrs[family]));
        let (mut near, mut far) = (open(0).unwrap(), open(1).unwrap());
        assert_eq!((near.caps().path_mtu_bytes, near.caps().native_mtu_bytes), (4096, 4096));
        acquaint(&mut near, &mut far);
        let resolving = [&near, &far].map(|link| counter(link, "link.tx_resolving_packets"));
        assert_eq!(resolving, [1, 1], "the first packets only: then frames");
        conforms(near, far);
    }
}

/// Goal: a UDP link as the peer, which makes its own runs and checks nothing: the ICRCs of a run are
/// right for what the kernel makes of it, both ways.
#[test]
fn raw_and_udp_understand_each_other() {
    let Some(hosts) = TwoHosts::new() else { return };
    for family in [0, 1] {
        let mut raw = hosts.within(0, move |addrs| RawLink::bind(addrs[family])).unwrap();
        let mut udp = hosts.within(1, move |addrs| UdpLink::bind(addrs[family])).unwrap();
        let (to_raw, to_udp) = (raw.caps().local, udp.caps().local);
        let host = Host::new();
        let run = |to| {
            let sge = |at: u8| [host.sge(u64::from(at) * 4096, 4096)];
            // One queue pair: others would leave from other ports.
            (0..15).map(|at| packet(to, 77, &sge(at), Trailer::Icrc)).collect::<Vec<_>>()
        };
        send(&mut raw, &run(to_udp)[..1], &host);
        assert_eq!(receive(&mut udp, &mut RxRing::new(4, 1 << 16), 1).len(), 1);
        send(&mut udp, &run(to_raw), &host);
        let got = receive(&mut raw, &mut RxRing::new(4, 1 << 16), 15);
        assert_eq!(got.len(), 15);
        assert_eq!(counter(&raw, "link.rx_bad_icrc_packets"), 0);
        send(&mut raw, &run(to_udp), &host);
        let back = receive(&mut udp, &mut RxRing::new(4, 1 << 16), 15);
        assert_eq!(back.len(), 15);
        let from = raw.caps().source(&run(to_udp)[0]);
        assert_eq!(
            [from, udp.caps().source(&run(to_raw)[0])].map(|at| at.port() >= 0xc000),
            [true; 2]
        );
        assert!(back == resealed(&got, &run(to_udp), from), "payload or ICRC");
        let totals = raw.totals();
        assert_eq!((totals.tx_syscalls, totals.tx_gso_messages, totals.tx_packets), (1, 1, 15));
        assert_eq!(totals.tx_copied_bytes, 0);
    }
}

/// Goal: packets of many queue pairs, each from a port of its own, over frames and over sockets: the link
/// that verifies finds each ICRC right for the port that it came from, also of packets that
/// the kernel's socket sends while the way to the peer is looked for.
#[test]
fn source_ports_are_what_the_icrc_covers() {
    let Some(hosts) = TwoHosts::new() else { return };
    for family in [0, 1] {
        let mut raw = hosts.within(0, move |addrs| RawLink::bind(addrs[family])).unwrap();
        let mut other = hosts.within(1, move |addrs| RawLink::bind(addrs[family])).unwrap();
        let host = Host::new();
        let many = |to| (2..130).map(move |tag| packet(to, tag, &[], Trailer::Icrc));
        let to = other.caps().local;
        let packets: Vec<Transmit> = many(to).collect();
        let tags = |got: &[(u8, SocketAddr)]| got.iter().map(|(tag, _)| *tag).collect::<Vec<_>>();
        send(&mut raw, &packets, &host);
        let unresolved = receive_sources(&mut other, packets.len());
        assert_eq!(tags(&unresolved), (2..130).collect::<Vec<_>>());
        assert!(unresolved.iter().all(|(_, from)| *from == raw.caps().local));
        acquaint(&mut raw, &mut other);
        send(&mut raw, &packets, &host);
        let sources: Vec<_> =
            packets.iter().map(|p| (tag_of(p.header.as_slice()), raw.caps().source(p))).collect();
        assert_eq!(receive_sources(&mut other, packets.len()), sources);
        drop(other);
        let mut udp = hosts.within(1, move |addrs| UdpLink::bind(addrs[family])).unwrap();
        let to = raw.caps().local;
        let packets: Vec<Transmit> = many(to).collect();
        send(&mut udp, &packets, &host);
        let got = receive_sources(&mut raw, packets.len());
        let sources: Vec<_> =
            packets.iter().map(|p| (tag_of(p.header.as_slice()), udp.caps().source(p))).collect();
        assert_eq!(got, sources);
        let ports: HashSet<u16> = got.iter().map(|(_, from)| from.port()).collect();
        assert_eq!((ports.len(), counter(&raw, "link.rx_bad_icrc_packets")), (8, 0));
    }
}

/// The same payloads with the ICRCs that the other way wants.
fn resealed(got: &[Vec<u8>], packets: &[Transmit], from: SocketAddr) -> Vec<Vec<u8>> {
    use super::super::trailer::{Path, trailer};
    let seal = |(ip_id, (octets, packet)): (u16, (&Vec<u8>, &Transmit))| {
        let body = &octets[..octets.len() - 4];
        let path = Path { from, to: packet.to, ip_id };
        let tail = trailer(packet, path, std::iter::once(&body[12..]));
        [body, tail.as_slice()].concat()
    };
    (0..).zip(got.iter().zip(packets)).map(seal).collect()
}

/// Goal: a packet with a wrong ICRC is dropped and counted, its neighbours in the run are not; native
/// packets, which have none, pass.
#[test]
fn wrong_icrcs_are_dropped() {
    let Some((mut raw, other)) = pair("127.0.0.25:0", "127.0.0.26:0") else { return };
    let from = other.caps().local;
    drop(other);
    let mut udp = UdpLink::bind(SocketAddr::new(from.ip(), 0)).unwrap();
    let host = Host::new();
    let to = raw.caps().local;
    let sge = [host.sge(0, 256)];
    // In the place of the ICRC: the native mode's CRC, which covers less.
    let bad = packet(to, 2, &sge, Trailer::NativeCrc);
    let native = native_packet(to, 3);
    let good = |tag| packet(to, tag, &sge, Trailer::Icrc);
    send(&mut udp, &[good(1), bad, good(4), native], &host);
    let got = receive(&mut raw, &mut RxRing::new(4, 1 << 16), 3);
    assert_eq!(got.iter().map(|octets| tag_of(octets)).collect::<Vec<_>>(), [1, 4, 3]);
    assert_eq!(counter(&raw, "link.rx_bad_icrc_packets"), 1);
}

/// Goal: the kernel, whose socket has the port and hears nothing, sends no "port unreachable".
#[test]
fn nobody_is_told_that_the_port_is_closed() {
    let Some((raw, other)) = pair("127.0.0.27:0", "127.0.0.28:0") else { return };
    let socket = std::net::UdpSocket::bind((other.caps().local.ip(), 0)).unwrap();
    socket.connect(raw.caps().local).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    for _ in 0..3 {
        socket.send(&[0; 40]).unwrap();
    }
    let answer = socket.recv(&mut [0; 64]).unwrap_err();
    assert!(
        matches!(answer.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        "{answer}"
    );
    drop(raw);
    // A process that another test is just starting may hold the socket open for a moment.
    let refused = (0..100).any(|_| {
        let _ = socket.send(&[0; 40]);
        let answer = socket.recv(&mut [0; 64]).unwrap_err();
        answer.kind() == io::ErrorKind::ConnectionRefused
    });
    assert!(refused, "this test can fail");
}

/// Goal: frames leave as they are told (able to be marked, or not), and their marks are read.
#[test]
fn marks_are_sent_and_read() {
    let Some(hosts) = TwoHosts::new() else { return };
    for family in [0, 1] {
        let open = |host: usize| hosts.within(host, move |addrs| RawLink::bind(addrs[family]));
        let (mut raw, mut other) = (open(0).unwrap(), open(1).unwrap());
        acquaint(&mut raw, &mut other);
        let (host, to) = (Host::new(), other.caps().local);
        for (capable, ecn) in [(false, 0), (true, 2), (false, 0)] {
            raw.set_ecn_capable(capable);
            send(&mut raw, &[packet(to, 1, &[], Trailer::Icrc)], &host);
            assert_eq!(receive_ecn(&mut other), ecn);
        }
    }
}
