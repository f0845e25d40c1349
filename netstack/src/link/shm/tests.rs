use super::super::conformance::{Host, conforms, packet, receive, tag_of};
use super::super::{Received, Trailer};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An address that no other test offers.
fn target(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 8, host)), ROCE_PORT)
}

/// A target. The name of one that is gone may be taken for a moment more: when another test starts a
/// program, its process has a copy of all sockets until that runs.
fn listen(at: SocketAddr) -> ShmLink {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match ShmLink::listen(at) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::yield_now();
            }
            outcome => return outcome.unwrap(),
        }
    }
}

/// A target and a client that have met.
fn pair(host: u8) -> (ShmLink, ShmLink) {
    let mut near = listen(target(host));
    let client =
        std::thread::spawn(move || ShmLink::connect(target(host), Duration::from_secs(5)).unwrap());
    while near.peers.is_empty() {
        near.look_after();
        std::thread::yield_now();
    }
    (near, client.join().unwrap())
}

fn counter(link: &ShmLink, wanted: &str) -> u64 {
    let mut found = None;
    link.counters(&mut |name, value| {
        if name == wanted {
            found = Some(value);
        }
    });
    found.expect("a counter of this name")
}

/// Sends one packet from `link`.
fn send(link: &mut ShmLink, host: &Host, tag: u8, to: SocketAddr, bytes: u32) -> usize {
    let mut batch = TxBatch::new(1);
    batch.push(packet(to, tag, &[host.sge(0, bytes)], Trailer::None));
    link.tx_burst(&mut batch, &host.registry).unwrap()
}

/// Goal: the suite, both ways round, with the target and with the client as sender.
#[test]
fn shared_memory_conforms() {
    let (near, far) = pair(11);
    conforms(near, far);
    let (near, far) = pair(12);
    conforms(far, near);
}

/// Goal: a large native packet is handled where it lies, its header from a private copy that the
/// peer cannot change any more; RoCEv2 and small packets are copied whole.
#[test]
fn payload_is_lent_and_headers_are_not() {
    let (mut near, mut far) = pair(13);
    let host = Host::new();
    let mut batch = TxBatch::new(3);
    for (tag, bytes, trailer) in
        [(1, 4096, Trailer::None), (2, 4096, Trailer::Icrc), (3, 64, Trailer::None)]
    {
        batch.push(packet(target(13), tag, &[host.sge(0, bytes)], trailer));
    }
    assert_eq!(far.tx_burst(&mut batch, &host.registry).unwrap(), 3);
    let mut ring = RxRing::new(2, 1 << 16);
    assert_eq!(near.rx_burst(&mut ring).unwrap(), 3);
    let parts = |packet: &Received| {
        let (head, apart) = ring.parts(packet);
        (head.len(), apart.len())
    };
    let sizes: Vec<_> = ring.packets().iter().map(parts).collect();
    assert_eq!(sizes, [(12, 4096), (12 + 4096 + 4, 0), (12 + 64, 0)]);
    let everything = vec![0xee; peer::MAPPING_BYTES];
    far.peers[0].shared().write(0, &everything);
    let (head, apart) = ring.parts(&ring.packets()[0]);
    assert_eq!((tag_of(head), apart[0]), (1, 0xee), "the payload is the peer's, the header ours");
}

/// Goal: a target keeps its peers apart, and one that is unknown gets nothing.
#[test]
fn many_peers_are_kept_apart() {
    let mut near = ShmLink::listen(target(14)).unwrap();
    let dial =
        || std::thread::spawn(|| ShmLink::connect(target(14), Duration::from_secs(5)).unwrap());
    let clients: Vec<_> = (0..5).map(|_| dial()).collect();
    while near.peers.len() < 5 {
        near.look_after();
    }
    let mut clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let host = Host::new();
    let mut batch = TxBatch::new(16);
    for (tag, client) in (0..).zip(&clients) {
        batch.push(packet(client.caps().local, tag, &[host.sge(0, 700)], Trailer::None));
        batch.push(packet(client.caps().local, tag, &[], Trailer::None));
    }
    batch.push(packet(target(99), 9, &[], Trailer::None));
    assert_eq!(near.tx_burst(&mut batch, &host.registry).unwrap(), 10);
    for (tag, client) in (0..).zip(&mut clients) {
        let got = receive(client, &mut RxRing::new(2, 1 << 16), 2);
        assert!(got.len() == 2 && got.iter().all(|octets| tag_of(octets) == tag));
        assert_eq!(send(client, &host, tag, target(14), 512), 1);
    }
    let got = receive(&mut near, &mut RxRing::new(2, 1 << 16), 5);
    let mut tags: Vec<_> = got.iter().map(|octets| tag_of(octets)).collect();
    tags.sort_unstable();
    assert_eq!(tags, [0, 1, 2, 3, 4]);
}

/// Goal: all that wait are let in at one look: under load the next is far away, and who waits for a
/// second goes by UDP.
#[test]
fn one_look_lets_in_all_that_wait() {
    let mut near = ShmLink::listen(target(16)).unwrap();
    let dial = || UnixStream::connect_addr(&meet::name(target(16)).unwrap()).unwrap();
    let _waiting: Vec<_> = (0..PEERS_MAX).map(|_| dial()).collect();
    near.look_after();
    assert_eq!(near.peers.len(), PEERS_MAX);
    let _one_more = dial();
    near.look_after();
    assert_eq!(near.peers.len(), PEERS_MAX, "turned away");
}

/// Goal: a connection's packets of some octets share pages, and are no reason to refuse long ones.
#[test]
fn short_packets_have_short_slots() {
    let (mut near, mut far) = pair(17);
    let host = Host::new();
    let mut batch = TxBatch::new(256);
    let mut sent = 0;
    for bytes in [64, 4096] {
        for _ in 0..4 {
            (0..256).for_each(|_| {
                batch.push(packet(target(17), 1, &[host.sge(0, bytes)], Trailer::None));
            });
            sent += far.tx_burst(&mut batch, &host.registry).unwrap();
        }
    }
    assert_eq!(sent, 1024, "short packets take long slots too, once theirs are used");
    let mut ring = RxRing::new(2, 1 << 16);
    let got = receive(&mut near, &mut ring, 1024);
    assert!(got.iter().all(|octets| octets.len() == 12 + 64));
    near.rx_burst(&mut ring).unwrap();
    let sizes = [64, 4096].map(|bytes| send(&mut far, &host, 2, target(17), bytes));
    assert_eq!(sizes, [1, 1]);
}

/// Goal: two threads at full speed, through full rings and many laps: what was taken arrives whole,
/// once and in order.
#[test]
fn two_threads_with_sequence_numbers() {
    const COUNT: u64 = 100_000;
    let (mut near, mut far) = pair(15);
    let sender = std::thread::spawn(move || {
        let region = memory::Region::allocate(1 << 16).unwrap();
        let mut registry = Registry::new(1, 1);
        let mr = registry.register(&region, memory::Access::LOCAL_READ).unwrap();
        let mut number = 0_u64;
        while number < COUNT {
            let bytes = 16 + (number * 97 % 1024) as usize;
            region.write(0, &number.to_le_bytes());
            region.write(bytes - 8, &number.to_le_bytes());
            let length = u32::try_from(bytes).unwrap();
            let sge = memory::Sge { addr: mr.addr, length, lkey: mr.lkey };
            let mut batch = TxBatch::new(1);
            batch.push(packet(target(15), 1, &[sge], Trailer::None));
            number += far.tx_burst(&mut batch, &registry).unwrap() as u64;
        }
        far
    });
    let (mut ring, mut next) = (RxRing::new(2, 1 << 16), 0_u64);
    let until = Instant::now() + Duration::from_secs(60);
    while next < COUNT && Instant::now() < until {
        if near.rx_burst(&mut ring).unwrap() == 0 {
            std::thread::yield_now();
        }
        for packet in ring.packets() {
            let octets = ring.octets(packet);
            let payload = &octets[12..12 + 16 + (next * 97 % 1024) as usize];
            assert_eq!(payload.first_chunk(), Some(&next.to_le_bytes()));
            assert_eq!(payload.last_chunk(), Some(&next.to_le_bytes()));
            next += 1;
        }
        ring.recycle();
    }
    assert_eq!(next, COUNT);
    sender.join().unwrap();
}

/// Goal: who sleeps on the descriptor is woken by a packet, also by one that came just before; who
/// is awake costs its peer no system call.
#[test]
fn sleepers_are_woken() {
    let (mut near, mut far) = pair(16);
    let host = Host::new();
    let sleep = |link: &ShmLink, millis: i64| {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let fd = link.fd().unwrap();
        let timeout = Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
    };
    let mut ring = RxRing::new(2, 1 << 16);
    assert!(!sleep(&near, 1), "nothing came");
    send(&mut far, &host, 1, target(16), 8);
    assert!(sleep(&near, 900), "woken");
    assert_eq!((near.rx_burst(&mut ring).unwrap(), counter(&far, "link.shm_wakes")), (1, 1));
    ring.recycle();
    near.rx_burst(&mut ring).unwrap();
    send(&mut far, &host, 2, target(16), 8);
    assert_eq!(counter(&far, "link.shm_wakes"), 1, "it was awake");
    assert!(sleep(&near, 900), "a packet that waits ends the sleep at once");
    assert_eq!(near.rx_burst(&mut ring).unwrap(), 1);
    ring.recycle();
    near.rx_burst(&mut ring).unwrap();
    assert!(!sleep(&near, 1), "no wake-up is left over");
}

/// Goal: a peer whose process ends is noticed by a sleeper and by a spinner, and its rings go; what
/// it sent before stays readable.
#[test]
fn a_peer_that_is_gone_is_forgotten() {
    let (mut near, mut far) = pair(17);
    let host = Host::new();
    send(&mut far, &host, 5, target(17), 1000);
    let mut ring = RxRing::new(2, 1 << 16);
    assert_eq!(near.rx_burst(&mut ring).unwrap(), 1);
    // A last word, then all that the end of a process does to its sockets and mappings.
    send(&mut far, &host, 6, target(17), 8);
    drop(far);
    near.looks_left = 0;
    assert_eq!(near.rx_burst(&mut ring).unwrap(), 1, "the end is seen, the last word is heard");
    assert_eq!(tag_of(ring.octets(&ring.packets()[1])), 6);
    for _ in 0..=LOOKS {
        near.rx_burst(&mut ring).unwrap();
    }
    assert!(near.peers.is_empty());
    assert_eq!(counter(&near, "link.shm_peers_gone"), 1);
    assert_eq!(tag_of(ring.octets(&ring.packets()[0])), 5);
    assert_eq!(send(&mut near, &host, 1, address(1), 8), 0, "refused and counted");
    let (near, mut far) = pair(18);
    drop(near);
    for _ in 0..=LOOKS {
        far.rx_burst(&mut RxRing::new(1, 4096)).unwrap();
    }
    assert_eq!(send(&mut far, &host, 1, target(18), 8), 0);
}

/// Goal: an address that nobody offers, or that somebody offers already, is an error at once.
#[test]
fn addresses_have_one_owner() {
    assert!(ShmLink::connect(target(19), Duration::from_secs(5)).is_err());
    let _near = ShmLink::listen(target(19)).unwrap();
    assert_eq!(ShmLink::listen(target(19)).err().unwrap().kind(), io::ErrorKind::AddrInUse);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Goal: whatever a peer writes into its rings, the other side neither panics nor hangs nor
    /// reads outside the mapping; it cuts the peer off or takes octets for a packet.
    #[test]
    fn nonsense_in_the_rings_is_harmless(
        words in prop::collection::vec((0_usize..2 * 1040, any::<u64>()), 1..40),
        plausible in prop::collection::vec((0_u64..1024, 0_u64..4400, 0_u64..140), 0..40),
    ) {
        let (mut near, far) = pair(20);
        let host = Host::new();
        let shared = Arc::clone(far.peers[0].shared());
        let half = shared.words(0, 4096 / 8 * 6);
        // Both rings: counts, flags and descriptors anywhere in them.
        let ring_words = peer::RING_WORDS;
        for (at, value) in &words {
            half[at % ring_words + at / ring_words * ring_words].store(*value, Ordering::Relaxed);
        }
        for ((slot, body, head), at) in plausible.iter().zip(0..) {
            let word = 1 << 63 | 1 << 40 | head << 32 | body << 16 | slot;
            half[ring_words + 16 + at].store(word, Ordering::Release);
        }
        let mut ring = RxRing::new(2, 1 << 16);
        for _ in 0..20 {
            near.rx_burst(&mut ring).unwrap();
            for packet in ring.packets() {
                let (head, apart) = ring.parts(packet);
                prop_assert!(head.len() + apart.len() <= peer::SLOT_BYTES);
                prop_assert_eq!(head.len() + apart.len(), ring.octets(packet).len());
            }
            ring.recycle();
            send(&mut near, &host, 1, address(1), 4096);
        }
    }
}
