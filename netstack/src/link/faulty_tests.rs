use super::super::conformance::{Host, conforms, packet, tag_of};
use super::super::{LoopbackLink, Trailer};
use super::*;

fn pair(faults: Faults, seed: u64, now: Instant) -> (LoopbackLink, FaultyLink<LoopbackLink>) {
    let (a, b) = ("10.0.0.1:4791".parse().unwrap(), "10.0.0.2:4791".parse().unwrap());
    let (a, b) = LoopbackLink::pair(a, b, 1024, 1024);
    (a, FaultyLink::new(b, faults, seed, now))
}

/// Sends tags 0..200 and returns what arrives at once.
fn deliver(faults: Faults, seed: u64) -> (Vec<u8>, Injected) {
    let host = Host::new();
    let (mut a, mut b) = pair(faults, seed, Instant::now());
    let mut batch = TxBatch::new(200);
    for tag in 0..200 {
        batch.push(packet(b.caps().local, tag, &[], Trailer::None));
    }
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let mut ring = RxRing::new(512, 256);
    b.rx_burst(&mut ring).unwrap();
    let tags = ring.packets().iter().map(|p| tag_of(ring.octets(p))).collect();
    (tags, b.injected())
}

/// Goal: without faults it is just a link.
#[test]
fn faultless_conforms() {
    let now = Instant::now();
    let (a, b) = ("10.0.0.1:4791".parse().unwrap(), "10.0.0.2:4791".parse().unwrap());
    let (a, b) = LoopbackLink::pair(a, b, 1024, 1024);
    let none = Faults::default();
    conforms(FaultyLink::new(a, none, 1, now), FaultyLink::new(b, none, 2, now));
}

/// Goal: a run is a function of its seed, and each fault does what it says.
#[test]
fn faults_follow_the_seed() {
    let drop = Faults { drop_ppm: 100_000, ..Faults::default() };
    let (first, injected) = deliver(drop, 5);
    assert_eq!(first, deliver(drop, 5).0);
    assert_ne!(first, deliver(drop, 6).0);
    assert_eq!(first.len() as u64, 200 - injected.dropped);
    assert!(injected.dropped > 5 && first.is_sorted());

    let (tags, injected) = deliver(Faults { duplicate_ppm: 100_000, ..Faults::default() }, 5);
    assert_eq!(tags.len() as u64, 200 + injected.duplicated);
    let (mut tags, injected) = deliver(Faults { reorder_ppm: 100_000, ..Faults::default() }, 5);
    assert!(injected.reordered > 5 && !tags.is_sorted());
    tags.sort_unstable();
    assert_eq!(tags, (0..200).collect::<Vec<u8>>());
}

/// Goal: a delayed packet arrives when its time has come, not before.
#[test]
fn delay_needs_time() {
    let host = Host::new();
    let now = Instant::now();
    let delay = Duration::from_millis(3);
    let (mut a, mut b) = pair(Faults { delay, ..Faults::default() }, 1, now);
    let mut batch = TxBatch::new(1);
    batch.push(packet(b.caps().local, 1, &[], Trailer::None));
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let mut ring = RxRing::new(2, 256);
    assert_eq!(b.rx_burst(&mut ring).unwrap(), 0);
    assert_eq!(b.next_due(), Some(now + delay));
    b.advance(now + delay);
    assert_eq!(b.rx_burst(&mut ring).unwrap(), 1);
}
