use super::super::conformance::{Host, conforms, packet, receive_ecn, tag_of};
use super::super::{LoopbackLink, UdpLink};
use super::*;
use std::time::Duration;

fn links() -> (LoopbackLink, LoopbackLink) {
    let (a, b) = ("10.0.0.1:4791".parse().unwrap(), "10.0.0.2:4791".parse().unwrap());
    LoopbackLink::pair(a, b, 1024, 1024)
}

fn rules(text: &[&str]) -> Vec<Rule> {
    text.iter().map(|rule| rule.parse().unwrap()).collect()
}

/// Sends tags 0 to 5 from an injecting link to another, three in a burst; returns what arrives,
/// whole packets.
fn exchange(text: &[&str]) -> Vec<Vec<u8>> {
    let host = Host::new();
    let (a, b) = links();
    let mut a = InjectLink::new(a, &rules(text), 1, Instant::now);
    let mut b = InjectLink::new(b, &rules(text), 1, Instant::now);
    let mut octets = Vec::new();
    let mut ring = RxRing::new(16, 2048);
    for burst in 0..2 {
        let mut batch = TxBatch::new(8);
        for tag in 0..3 {
            let payload = [host.sge(0, 64)];
            batch.push(packet(b.caps().local, 3 * burst + tag, &payload, Trailer::Icrc));
        }
        a.tx_burst(&mut batch, &host.registry).unwrap();
        b.rx_burst(&mut ring).unwrap();
        octets.extend(ring.packets().iter().map(|p| ring.octets(p).to_vec()));
        ring.recycle();
    }
    octets
}

fn tags(text: &[&str]) -> Vec<u8> {
    exchange(text).iter().map(|octets| tag_of(octets)).collect()
}

/// Goal: without rules it is just a link, over any link.
#[test]
fn ruleless_conforms() {
    let (a, b) = links();
    let wrap = |link| InjectLink::new(link, &[], 1, Instant::now);
    conforms(wrap(a), wrap(b));
    let udp = |host| UdpLink::bind(SocketAddr::from(([127, 0, 3, host], 0))).unwrap();
    let wrap = |link| InjectLink::new(link, &[], 1, Instant::now);
    conforms(wrap(udp(1)), wrap(udp(2)));
}

/// Goal: each fault does what it says to the packet that it names and to no other, on either side.
#[test]
fn faults_hit_their_packet() {
    for side in ["tx", "rx"] {
        let tags = |fault: &str, which: &str| tags(&[&format!("{fault}:send-only:{which}:{side}")]);
        assert_eq!(tags("drop", "2"), [0, 2, 3, 4, 5], "{side}");
        assert_eq!(tags("drop", "1+2"), [1, 3, 5], "{side}");
        assert_eq!(tags("duplicate", "2"), [0, 1, 1, 2, 3, 4, 5], "{side}");
        assert_eq!(
            tags("reorder", "3"),
            [0, 1, 3, 2, 4, 5],
            "{side}: behind the next burst's first"
        );
        assert_eq!(tags("reorder", "6"), [0, 1, 2, 3, 4], "{side}: nothing came behind it");
        assert_eq!(tags("delay=0us", "1"), [1, 2, 0, 3, 4, 5], "{side}");
    }
}

/// Goal: a spoiled packet differs from the right one in its CRC alone; what nobody would verify on
/// arrival does not arrive.
#[test]
fn corrupted_packets_have_a_wrong_crc() {
    let (right, spoiled) = (exchange(&[]), exchange(&["corrupt:any:2:tx"]));
    assert_eq!(right.len(), spoiled.len());
    for (at, (right, spoiled)) in right.iter().zip(&spoiled).enumerate() {
        let body = right.len() - 4;
        assert_eq!(right[..body], spoiled[..body]);
        assert_eq!(right[body..] == spoiled[body..], at != 1, "packet {at}");
    }
    assert_eq!(tags(&["corrupt:any:2:rx"]), [0, 2, 3, 4, 5]);
}

/// Goal: a delayed packet comes when its time has come and somebody looks, and until then nobody
/// may sleep on the link.
#[test]
fn delays_end() {
    let host = Host::new();
    let (a, b) = links();
    let mut a = InjectLink::new(a, &[], 1, Instant::now);
    let mut b = InjectLink::new(b, &rules(&["delay=20ms:any:1:rx"]), 1, Instant::now);
    let mut batch = TxBatch::new(1);
    batch.push(packet(b.caps().local, 7, &[], Trailer::None));
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let sent = Instant::now();
    let mut ring = RxRing::new(2, 256);
    assert_eq!(b.rx_burst(&mut ring).unwrap(), 0);
    assert!(b.fd().is_none());
    while b.rx_burst(&mut ring).unwrap() == 0 {
        assert!(sent.elapsed() < Duration::from_secs(5));
    }
    assert!(sent.elapsed() >= Duration::from_millis(19));
    assert_eq!(b.injected(), Hits { delayed: 1, ..Hits::default() });
}

/// Goal: the link inside hears whether packets may be marked: it was never told.
#[test]
fn marks_are_asked_for() {
    let bind = || UdpLink::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (mut near, mut far) = (InjectLink::new(bind(), &[], 1, Instant::now), bind());
    let (host, to) = (Host::new(), far.caps().local);
    for (capable, ecn) in [(true, 2), (false, 0)] {
        near.set_ecn_capable(capable);
        let mut batch = TxBatch::new(1);
        batch.push(packet(to, 7, &[], Trailer::Icrc));
        near.tx_burst(&mut batch, &host.registry).unwrap();
        assert_eq!(receive_ecn(&mut far), ecn);
    }
}
