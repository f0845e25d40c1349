//! UDP links that send from several ports.

use super::super::conformance::{
    Host, conforms, native_packet, packet, receive, receive_ecn, receive_sources,
};
use super::super::trailer::{Path, trailer};
use super::super::{PcapLink, Trailer, Transmit};
use super::*;
use std::collections::BTreeSet;

/// Two links at RoCEv2's port, the first of which has several ports. (On loopback addresses `bind` opens
/// none.)
fn pair(host: u8) -> (UdpLink, UdpLink) {
    let at = |last| SocketAddr::from(([127, 0, host, last], ROCE_PORT));
    let (mut near, far) = (UdpLink::bind(at(1)).unwrap(), UdpLink::bind(at(2)).unwrap());
    assert!(near.caps().flows.is_empty());
    near.spread();
    assert_eq!(near.caps().flows.ports().len(), 8);
    (near, far)
}

fn send(link: &mut UdpLink, packets: impl IntoIterator<Item = Transmit>) -> usize {
    let (host, mut batch) = (Host::new(), TxBatch::new(BURST_MAX));
    packets.into_iter().for_each(|packet| batch.push(packet));
    link.tx_burst(&mut batch, &host.registry).unwrap()
}

/// Goal: the suite, with several ports on one side, over both families.
#[test]
fn many_ports_conform() {
    let (near, far) = pair(10);
    conforms(near, far);
    let mut near = UdpLink::bind("[::1]:4791".parse().unwrap()).unwrap();
    near.spread();
    conforms(near, UdpLink::bind("[::1]:0".parse().unwrap()).unwrap());
}

/// Goal: the ICRC of each packet of each run covers the port that it arrived from, and counts its place in
/// that run: runs of two queue pairs that take turns do not share a message.
#[test]
fn the_icrc_covers_the_true_port() {
    let (mut near, mut far) = pair(11);
    let (host, to) = (Host::new(), far.caps().local);
    let qps = [2, 3, 4, 5, 6, 7].map(|qp| [packet(to, qp, &[host.sge(0, 256)], Trailer::Icrc); 1]);
    let sent: Vec<Transmit> = (0..3).flat_map(|_| qps.iter().flatten().cloned()).collect();
    let mut batch = TxBatch::new(64);
    sent.iter().flat_map(|packet| [packet, packet]).for_each(|packet| batch.push(packet.clone()));
    assert_eq!(near.tx_burst(&mut batch, &host.registry).unwrap(), 36);
    let (mut ring, mut got) = (RxRing::new(64, 1 << 16), Vec::new());
    while got.len() < 36 && far.rx_burst(&mut ring).unwrap() > 0 {
        got.extend(ring.packets().iter().map(|p| (p.from, ring.octets(p).to_vec())));
        ring.recycle();
    }
    assert_eq!(got.len(), 36);
    let mut ip_id = 0;
    let mut before = None;
    for ((from, octets), packet) in got.iter().zip(sent.iter().flat_map(|packet| [packet, packet]))
    {
        ip_id = if before == Some(*from) { ip_id + 1 } else { 0 };
        before = Some(*from);
        assert_eq!(*from, near.caps().source(packet));
        let path = Path { from: *from, to, ip_id };
        let tail = trailer(packet, path, std::iter::once(&octets[12..268]));
        assert_eq!(&octets[268..], tail.as_slice());
    }
    let ports: BTreeSet<u16> = got.iter().map(|(from, _)| from.port()).collect();
    assert!(ports.len() > 1, "{ports:?}");
}

/// Goal: what a tap records is what left: ports and ICRCs.
#[test]
fn a_tap_sees_the_true_ports() {
    let (near, mut far) = pair(12);
    let (host, to) = (Host::new(), far.caps().local);
    let mut file = Vec::new();
    let mut tap = PcapLink::new(near, &mut file).unwrap();
    let mut batch = TxBatch::new(64);
    for qp in [1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9] {
        batch.push(packet(to, qp, &[host.sge(0, 64)], Trailer::Icrc));
    }
    tap.tx_burst(&mut batch, &host.registry).unwrap();
    drop(tap);
    let (mut ring, mut got) = (RxRing::new(64, 1 << 16), Vec::new());
    while got.len() < 11 && far.rx_burst(&mut ring).unwrap() > 0 {
        for packet in ring.packets() {
            got.push([&packet.from.port().to_be_bytes()[..], ring.octets(packet)].concat());
        }
        ring.recycle();
    }
    // Behind the file's header: records of 16 octets, Ethernet, IPv4 and UDP headers, and 80 octets each.
    let record = |octets: &[u8]| [&octets[50..52], &octets[58..]].concat();
    let recorded: Vec<Vec<u8>> = file[24..].chunks(16 + 14 + 20 + 8 + 80).map(record).collect();
    assert_eq!(got.len(), 11);
    assert!(recorded == got, "recorded otherwise than sent");
}

/// Goal: a batch of one queue pair is one call, as before; of eight queue pairs it is at most one for each,
/// and those that share a port share a call when they follow each other.
#[test]
fn calls_are_counted() {
    let (mut near, far) = pair(13);
    let to = far.caps().local;
    let mut calls = |packets: &[u8]| {
        let before = near.totals();
        let packets = packets.iter().map(|qp| packet(to, *qp, &[], Trailer::Icrc));
        let changes = packets.clone().map(|packet| near.caps().source(&packet).port());
        let changes = changes.collect::<Vec<_>>().chunk_by(|a, b| a == b).count() as u64;
        let count = send(&mut near, packets.collect::<Vec<_>>()) as u64;
        let after = near.totals();
        assert_eq!(after.tx_packets - before.tx_packets, count);
        let calls = after.tx_syscalls - before.tx_syscalls;
        assert_eq!((calls, after.tx_messages - before.tx_messages), (changes, changes));
        calls
    };
    assert_eq!(calls(&[2; 64]), 1);
    assert_eq!(calls(&[1; 64]), 1);
    let eight = calls(&[2, 3, 4, 5, 6, 7, 8, 9]);
    assert!((2..=8).contains(&eight), "{eight}");
}

/// Goal: links on one port share its sockets: no descriptor more, and the same ports.
#[test]
fn a_shared_port_has_its_sockets_once() {
    let (near, mut far) = pair(14);
    let mut other = UdpLink::of(&near.share().unwrap()).unwrap();
    assert_eq!(other.caps(), near.caps());
    assert!(Arc::ptr_eq(&other.port.sources, &near.port.sources));
    let own = near.caps().local;
    drop(near);
    let to = far.caps().local;
    let packets: Vec<Transmit> = (1..40).map(|qp| packet(to, qp, &[], Trailer::Icrc)).collect();
    let sources = packets.iter().map(|packet| other.caps().source(packet));
    let expected: Vec<_> = (1..40).zip(sources).collect();
    send(&mut other, packets);
    assert_eq!(receive_sources(&mut far, 39), expected);
    assert_eq!(expected[0].1, own);
}

/// Goal: what leaves from other ports is able to be marked, or not, as what leaves from the link's own.
#[test]
fn all_ports_are_marked() {
    let (mut near, mut far) = pair(15);
    let to = far.caps().local;
    for (capable, ecn) in [(false, 0), (true, 2), (false, 0)] {
        near.set_ecn_capable(capable);
        for qp in 1..40 {
            send(&mut near, [packet(to, qp, &[], Trailer::Icrc)]);
            assert_eq!(receive_ecn(&mut far), ecn, "queue pair {qp}");
        }
        send(&mut near, [native_packet(to, 2)]);
        assert_eq!(receive_ecn(&mut far), ecn);
    }
}

/// Goal: answers to port 4791 arrive, whichever port the question came from; what comes to the other ports is
/// not heard.
#[test]
fn only_the_links_port_is_heard() {
    let (mut near, mut far) = pair(16);
    let to = near.caps().local;
    for port in near.caps().flows.ports() {
        send(&mut far, [packet(SocketAddr::new(to.ip(), port), 2, &[], Trailer::Icrc)]);
    }
    send(&mut far, [packet(to, 7, &[], Trailer::Icrc)]);
    let got = receive(&mut near, &mut RxRing::new(16, 1 << 16), 2);
    assert_eq!(got.iter().map(|octets| octets[7]).collect::<Vec<_>>(), [7]);
}
