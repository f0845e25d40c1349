use super::super::conformance::{Host, conforms, packet, receive, receive_ecn};
use super::super::trailer::{Path, trailer};
use super::super::{Link, RxRing, Trailer, TxBatch};
use super::*;
use std::io::Read;
use std::time::{Duration, Instant};

fn pair(a: &str, b: &str) -> (UdpLink, UdpLink) {
    (UdpLink::bind(a.parse().unwrap()).unwrap(), UdpLink::bind(b.parse().unwrap()).unwrap())
}

/// Goal: the suite, over IPv4 and IPv6 sockets.
#[test]
fn udp_conforms() {
    let (a, b) = pair("127.0.0.2:0", "127.0.0.1:0");
    conforms(a, b);
    let (a, b) = pair("[::1]:0", "[::1]:0");
    conforms(a, b);
}

/// Goal: FlexiNS' header-only TX holds: a burst of equal packets is one GSO message in one system
/// call, arrives as one GRO run, and no payload octet was copied in user space.
#[test]
fn a_burst_is_one_call_and_no_copy() {
    let (mut a, mut b) = pair("127.0.0.2:0", "127.0.0.1:0");
    let host = Host::new();
    let mut batch = TxBatch::new(15);
    for at in 0..15_u8 {
        let sge = host.sge(u64::from(at) * 8192, 4096);
        batch.push(packet(b.caps().local, at, &[sge], Trailer::NativeCrc));
    }
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 15);
    let sent = a.totals();
    assert_eq!((sent.tx_syscalls, sent.tx_messages, sent.tx_gso_messages), (1, 1, 1));
    assert_eq!((sent.tx_packets, sent.tx_bytes), (15, 15 * (12 + 4096 + 4)));
    assert_eq!(sent.tx_copied_bytes, 0);
    let mut ring = RxRing::new(4, 1 << 16);
    assert_eq!(receive(&mut b, &mut ring, 15).len(), 15);
    assert_eq!(b.totals().rx_messages, 1);
}

/// Goal: the ICRC of every packet of a GSO run is right for the IP identification that the kernel
/// gives it (its index in the run), which is what a stock RoCEv2 peer checks.
#[test]
fn icrc_counts_the_segments() {
    let (mut a, mut b) = pair("127.0.0.2:0", "127.0.0.1:0");
    let host = Host::new();
    let mut batch = TxBatch::new(4);
    for at in 0..4_u8 {
        batch.push(packet(b.caps().local, at, &[host.sge(0, 256)], Trailer::Icrc));
    }
    let packets = batch.packets().to_vec();
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let got = receive(&mut b, &mut RxRing::new(4, 1 << 16), 4);
    for (id, (packet, octets)) in (0..).zip(packets.iter().zip(&got)) {
        let path = Path { from: a.caps().local, to: packet.to, ip_id: id };
        let tail = trailer(packet, path, std::iter::once(&octets[12..268]));
        assert_eq!(&octets[268..], tail.as_slice(), "packet {id}");
    }
}

/// Goal: a message leaves the socket with DF set and IP identification 0, from which software GSO
/// counts on (a raw socket sees a run before it is cut). Seen where the test may open one.
#[test]
fn identification_starts_at_zero_with_df() {
    let Ok(mut raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) else { return };
    raw.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    raw.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut a, b) = pair("127.0.0.7:0", "127.0.0.1:0");
    let host = Host::new();
    let mut batch = TxBatch::new(4);
    for len in [256, 256, 200, 300] {
        batch.push(packet(b.caps().local, 0, &[host.sge(0, len)], Trailer::None));
    }
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let mut seen = Vec::new();
    let until = Instant::now() + Duration::from_secs(1);
    while seen.len() < 2 && Instant::now() < until {
        let mut ip = [0; 2048];
        if raw.read(&mut ip).is_ok() && ip[12..16] == [127, 0, 0, 7] {
            seen.push((u16::from_be_bytes([ip[4], ip[5]]), ip[6] & 0x40 != 0));
        }
    }
    assert_eq!(seen, [(0, true), (0, true)]);
}

/// Goal: a peer that is not there (ICMP port unreachable) harms neither the call nor later sends.
#[test]
fn icmp_does_not_poison() {
    let (mut a, mut b) = pair("127.0.0.2:0", "127.0.0.1:0");
    let host = Host::new();
    let gone = UdpLink::bind("127.0.0.3:0".parse().unwrap()).unwrap().caps().local;
    for _ in 0..3 {
        let mut batch = TxBatch::new(1);
        batch.push(packet(gone, 1, &[], Trailer::None));
        assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 1);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(a.rx_burst(&mut RxRing::new(1, 1 << 16)).unwrap(), 0);
    }
    let mut batch = TxBatch::new(1);
    batch.push(packet(b.caps().local, 5, &[], Trailer::None));
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 1);
    assert_eq!(receive(&mut b, &mut RxRing::new(1, 1 << 16), 1)[0][7], 5);
}

/// Goal: a message that the kernel refuses is counted and told, and the rest of the batch leaves.
#[test]
fn a_refused_message_is_told_and_the_rest_leaves() {
    let (mut a, mut b) = pair("127.0.0.2:0", "127.0.0.1:0");
    let host = Host::new();
    let mut batch = TxBatch::new(3);
    batch.push(packet(b.caps().local, 1, &[], Trailer::None));
    batch.push(packet(b.caps().local, 2, &[host.sge(0, 70_000)], Trailer::None));
    batch.push(packet(b.caps().local, 3, &[], Trailer::None));
    let error = a.tx_burst(&mut batch, &host.registry).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!((a.totals().tx_packets, a.totals().tx_refused_packets), (2, 1));
    assert_eq!(receive(&mut b, &mut RxRing::new(4, 1 << 16), 2).len(), 2);
}

/// Goal: addresses that cannot work are refused with a reason; a client finds a free one.
#[test]
fn bind_says_what_is_wrong() {
    let unspecified = UdpLink::bind("0.0.0.0:0".parse().unwrap()).err().unwrap();
    assert_eq!(unspecified.kind(), io::ErrorKind::InvalidInput);
    assert!(UdpLink::bind("192.0.2.1:0".parse().unwrap()).is_err());
    let first = UdpLink::bind_free_loopback().unwrap();
    let second = UdpLink::bind_free_loopback().unwrap();
    assert_ne!(first.caps().local, second.caps().local);
    assert_eq!(first.caps().local.port(), ROCE_PORT);
    assert_eq!((first.caps().path_mtu_bytes, first.caps().same_host), (4096, true));
}

/// Goal: the path MTU of native packets leaves room for all that is beside it: on a device of 4,200
/// octets a command with a block beside it was never delivered.
#[test]
fn native_packets_fit_the_device() {
    let native = native_bytes(Ipv4Addr::LOCALHOST.into());
    for (device, roce, fits) in
        [(1500, 1024, 1024), (4200, 4096, 2048), (4271, 4096, 2048), (4272, 4096, 4096)]
    {
        assert_eq!(path_mtu(device, HEADER_BYTES_MAX).unwrap(), roce);
        assert_eq!(path_mtu(device, native).unwrap(), fits, "device MTU {device}");
    }
    assert!(path_mtu(335, HEADER_BYTES_MAX).is_err());
}

/// Goal: two threads, each spinning on its own link, move a stream without loss while the receiver
/// keeps up with credits.
#[test]
fn two_threads_move_a_stream_without_loss() {
    const BURSTS: u32 = 2_000;
    let (mut a, mut b) = pair("127.0.0.2:0", "127.0.0.1:0");
    let (to_a, to_b) = (a.caps().local, b.caps().local);
    let receiver = std::thread::spawn(move || {
        let host = Host::new();
        let (mut ring, mut credit) = (RxRing::new(4, 1 << 16), TxBatch::new(1));
        let mut packets = 0;
        let until = Instant::now() + Duration::from_secs(20);
        while packets < 15 * BURSTS as usize && Instant::now() < until {
            let before = packets / 15;
            packets += b.rx_burst(&mut ring).unwrap();
            ring.recycle();
            for _ in before..packets / 15 {
                credit.push(packet(to_a, 1, &[], Trailer::None));
                b.tx_burst(&mut credit, &host.registry).unwrap();
            }
        }
        packets
    });
    let host = Host::new();
    let (mut ring, mut batch) = (RxRing::new(4, 1 << 16), TxBatch::new(15));
    let (mut sent, mut credits) = (0, 8);
    let until = Instant::now() + Duration::from_secs(20);
    while sent < BURSTS && Instant::now() < until {
        credits += a.rx_burst(&mut ring).unwrap();
        ring.recycle();
        if credits > 0 {
            for at in 0..15_u8 {
                let sge = host.sge(u64::from(at) * 4096, 4096);
                batch.push(packet(to_b, at, &[sge], Trailer::None));
            }
            assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 15);
            (sent, credits) = (sent + 1, credits - 1);
        }
    }
    assert_eq!(receiver.join().unwrap(), 15 * BURSTS as usize);
    assert_eq!(a.totals().tx_copied_bytes, 0);
}

/// Goal: ECN on real packets. What is sent is able to be marked only where somebody gives way to marks,
/// and a mark that a router (here: a plain socket) sets is read, over both families.
#[test]
fn marks_are_sent_and_read() {
    for (near, far) in [("127.0.0.2:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
        let (mut a, mut b) = pair(near, far);
        let (host, to) = (Host::new(), b.caps().local);
        for (capable, ecn) in [(false, 0), (true, 2), (false, 0)] {
            a.set_ecn_capable(capable);
            let mut batch = TxBatch::new(1);
            batch.push(packet(to, 1, &[], Trailer::None));
            a.tx_burst(&mut batch, &host.registry).unwrap();
            assert_eq!(receive_ecn(&mut b), ecn);
        }
        let router = Socket::new(Domain::for_address(to), Type::DGRAM, None).unwrap();
        sys::set_class(&router, to.is_ipv4(), 0b1010_1011).unwrap();
        router.send_to(&[0; 16], &to.into()).unwrap();
        assert_eq!(receive_ecn(&mut b), 3, "congestion experienced, whatever the DSCP");
    }
}
