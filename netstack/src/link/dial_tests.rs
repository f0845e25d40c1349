use super::super::conformance::{Host, packet, receive, tag_of};
use super::super::host::tests::{offer, pair, send};
use super::super::{HostLink, Trailer};
use super::*;
use std::net::Ipv4Addr;

fn ip(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 9, host))
}

fn udp(host: u8) -> UdpLink {
    UdpLink::bind(SocketAddr::new(ip(host), ROCE_PORT)).unwrap()
}

/// Looks until the target's end is seen.
fn see_the_end(link: &mut DialLink) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut ring = RxRing::new(1, 4096);
    while link.is_near() && Instant::now() < until {
        link.rx_burst(&mut ring).unwrap();
        ring.recycle();
    }
    assert!(!link.is_near(), "the end is seen");
}

/// Sends with `near` turning, since a call wants an answer.
fn send_while(near: &mut HostLink, link: &mut DialLink, tag: u8) -> Vec<u8> {
    let to = near.caps().local;
    let (mut ring, mut tags) = (RxRing::new(2, 1 << 16), Vec::new());
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(link, &Host::new(), tag, to));
        let until = Instant::now() + Duration::from_secs(5);
        while tags.is_empty() && Instant::now() < until {
            near.rx_burst(&mut ring).unwrap();
            tags.extend(ring.packets().iter().map(|packet| tag_of(ring.octets(packet))));
            ring.recycle();
        }
        assert_eq!(sender.join().unwrap(), 1);
    });
    tags
}

/// Goal: without an offer a client goes by UDP without a word, or says why when it may not.
#[test]
fn without_an_offer_it_is_udp() {
    let mut near = udp(20);
    let mut far = DialLink::new(udp(120), ip(20), Ways::Any).unwrap();
    assert_eq!(far.name(), "udp");
    send(&mut far, &Host::new(), 1, near.caps().local);
    assert_eq!(receive(&mut near, &mut RxRing::new(1, 1 << 16), 1).len(), 1);
    send(&mut near, &Host::new(), 2, far.caps().local);
    assert_eq!(receive(&mut far, &mut RxRing::new(1, 1 << 16), 1).len(), 1);
    drop(far);
    let refused = DialLink::new(udp(120), ip(20), Ways::ShmOnly).err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Goal: when the target's process ended and another came, the next packet of connection management
/// goes by shared memory again, and none before it does.
#[test]
fn a_target_that_came_back_is_found() {
    let (near, mut far) = pair(21);
    drop(near);
    see_the_end(&mut far);
    let mut near = offer(21);
    assert_eq!(send_while(&mut near, &mut far, 7), [7]);
    assert_eq!(far.name(), "udp", "a packet to another queue pair changes nothing");
    // Tag 1 is queue pair 1.
    assert_eq!(send_while(&mut near, &mut far, 1), [1]);
    assert_eq!(far.name(), "shm");
    let mut sum = 0;
    far.counters(&mut |name, count| sum += if name == "link.shm_peers" { count } else { 0 });
    assert_eq!(sum, 2, "counters of the link that ended are kept");
}

/// Goal: a client that must not use UDP sends nothing while there is no shared memory.
#[test]
fn shared_memory_alone_means_alone() {
    let (near, mut far) = pair(22);
    far.ways = Ways::ShmOnly;
    drop(near);
    see_the_end(&mut far);
    assert_eq!(send(&mut far, &Host::new(), 1, SocketAddr::new(ip(22), ROCE_PORT)), 0);
}

/// Goal: UDP that answered is not left for shared memory: a connection lives there.
#[test]
fn a_way_that_answers_is_kept() {
    let mut plain = udp(23);
    let mut far = DialLink::new(udp(123), ip(23), Ways::Any).unwrap();
    let host = Host::new();
    send(&mut plain, &host, 3, far.caps().local);
    assert_eq!(receive(&mut far, &mut RxRing::new(1, 1 << 16), 1).len(), 1);
    drop(plain);
    let _near = offer(23);
    let mut batch = TxBatch::new(1);
    batch.push(packet(SocketAddr::new(ip(23), ROCE_PORT), 1, &[host.sge(0, 64)], Trailer::None));
    assert_eq!(far.tx_burst(&mut batch, &host.registry).unwrap(), 1);
    assert_eq!(far.name(), "udp");
}

/// Goal: addresses of this machine are known as such, others are not.
#[test]
fn own_addresses_are_known() {
    assert!(is_local(ip(77)).unwrap());
    assert!(is_local("::1".parse().unwrap()).unwrap());
    assert!(!is_local("192.0.2.1".parse().unwrap()).unwrap(), "TEST-NET-1");
}
