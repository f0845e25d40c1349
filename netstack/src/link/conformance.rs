//! What every link must do, run over each implementation (tests only).

use super::{Link, RxRing, Trailer, Transmit, TxBatch};
use memory::{Access, Lkey, Mr, Region, Registry, Sge};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use verbs::SgeList;
use wire::roce::native::NativeAck;
use wire::roce::{Header, Opcode, Psn, QpNum};

/// A host: registered memory with a pattern in it.
pub(crate) struct Host {
    pub(crate) registry: Registry,
    pub(crate) mr: Mr,
}

impl Host {
    pub(crate) fn new() -> Host {
        let region = Region::allocate(1 << 20).unwrap();
        let pattern: Vec<u8> = (0..1_u32 << 20).map(|i| ((i * 31) >> 3).to_le_bytes()[0]).collect();
        region.write(0, &pattern);
        let mut registry = Registry::new(8, 7);
        let mr = registry.register(&region, Access::LOCAL_WRITE).unwrap();
        Host { registry, mr }
    }
    pub(crate) fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    fn octets(&self, sge: Sge) -> Vec<u8> {
        let mut out = vec![0; sge.length as usize];
        self.registry.local(sge, Access::LOCAL_READ).unwrap().read(&mut out);
        out
    }
}

/// A packet that carries `tag` in its destination queue pair.
pub(crate) fn packet(to: SocketAddr, tag: u8, payload: &[Sge], trailer: Trailer) -> Transmit {
    let len: u32 = payload.iter().map(|sge| sge.length).sum();
    let pad = u8::try_from(len.wrapping_neg() & 3).unwrap();
    let header =
        Header::new(Opcode::SendOnly, QpNum::new(u32::from(tag)), Psn::ZERO).emit(len as usize);
    Transmit { to, header, payload: SgeList::from_slice(payload), pad, trailer }
}

/// A native packet without payload that carries `tag`, with its CRC.
pub(crate) fn native_packet(to: SocketAddr, tag: u8) -> Transmit {
    let header = NativeAck::new(QpNum::new(u32::from(tag)), Psn::ZERO, Psn::ZERO).emit();
    Transmit { to, header, payload: SgeList::new(), pad: 0, trailer: Trailer::NativeCrc }
}

/// ECN bits of the next packet.
pub(crate) fn receive_ecn<L: Link>(link: &mut L) -> u8 {
    let mut ring = RxRing::new(1, 1 << 16);
    let until = Instant::now() + Duration::from_secs(1);
    while link.rx_burst(&mut ring).unwrap() == 0 {
        assert!(Instant::now() < until, "nothing arrived");
    }
    ring.packets()[0].ecn
}

/// The tag of a received packet.
pub(crate) fn tag_of(octets: &[u8]) -> u8 {
    octets[7]
}

/// Receives until `count` packets came or a second passed; returns their octets.
pub(crate) fn receive<L: Link + ?Sized>(
    link: &mut L,
    ring: &mut RxRing,
    count: usize,
) -> Vec<Vec<u8>> {
    let until = Instant::now() + Duration::from_secs(1);
    let mut out = Vec::new();
    while out.len() < count && Instant::now() < until {
        link.rx_burst(ring).unwrap();
        out.extend(ring.packets().iter().map(|p| ring.octets(p).to_vec()));
        ring.recycle();
    }
    out
}

/// The suite. `a` and `b` reach each other.
pub(crate) fn conforms<L: Link>(mut a: L, mut b: L) {
    arrives_whole_and_in_order(&mut a, &mut b);
    arrives_whole_and_in_order(&mut b, &mut a);
    the_longest_packet_arrives(&mut a, &mut b);
    a_bad_key_drops_only_its_packet(&mut a, &mut b);
    a_full_ring_keeps_the_rest(&mut a, &mut b);
    names_the_sender(&mut a, &mut b);
}

/// What a packet's octets must be up to its CRC.
fn expected(host: &Host, packet: &Transmit) -> Vec<u8> {
    let mut out = packet.header.as_slice().to_vec();
    packet.payload.iter().for_each(|sge| out.extend(host.octets(*sge)));
    out.resize(out.len() + usize::from(packet.pad), 0);
    out
}

/// What follows a packet that has nothing to prove. A link that verifies passes nothing else.
fn bare<L: Link>(link: &L) -> Trailer {
    if link.caps().verifies_icrc { Trailer::Icrc } else { Trailer::None }
}

fn native<L: Link>(link: &L) -> Trailer {
    if link.caps().verifies_icrc { Trailer::Icrc } else { Trailer::NativeCrc }
}

fn arrives_whole_and_in_order<L: Link>(a: &mut L, b: &mut L) {
    let host = Host::new();
    let to = b.caps().local;
    let mut packets = Vec::new();
    for at in 0..20_u8 {
        let offset = u64::from(at) * 4096;
        packets.push(packet(to, at, &[host.sge(offset, 4096)], bare(a)));
    }
    packets.push(packet(to, 20, &[host.sge(5, 13), host.sge(9000, 700)], native(a)));
    packets.push(packet(to, 21, &[], Trailer::Icrc));
    packets.push(packet(to, 22, &[host.sge(0, 3)], Trailer::Icrc));
    packets.push(packet(to, 23, &[], bare(a)));
    let mut batch = TxBatch::new(64);
    packets.iter().for_each(|p| batch.push(p.clone()));
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), packets.len());
    assert!(batch.packets().is_empty(), "a batch is emptied");

    let mut ring = RxRing::new(4, 1 << 16);
    let got = receive(b, &mut ring, packets.len());
    assert_eq!(got.len(), packets.len());
    for (packet, octets) in packets.iter().zip(&got) {
        assert_eq!(octets.len(), packet.wire_len());
        assert!(octets.starts_with(&expected(&host, packet)));
    }
    assert_eq!(b.rx_burst(&mut ring).unwrap(), 0, "nothing else arrives");
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 0, "an empty batch is fine");
}

/// The longest that the native mode sends: a command with a block beside it, and a CRC.
fn the_longest_packet_arrives<L: Link>(a: &mut L, b: &mut L) {
    let host = Host::new();
    let mut batch = TxBatch::new(1);
    let payload = a.caps().native_mtu_bytes.min(b.caps().native_mtu_bytes) + 64;
    let sent = packet(b.caps().local, 1, &[host.sge(64, payload)], native(a));
    let octets = expected(&host, &sent);
    batch.push(sent);
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 1);
    let got = receive(b, &mut RxRing::new(2, 1 << 16), 1);
    assert_eq!(got.len(), 1, "it was dropped");
    assert_eq!((&got[0][..octets.len()], got[0].len()), (&octets[..], octets.len() + 4));
}

fn a_bad_key_drops_only_its_packet<L: Link>(a: &mut L, b: &mut L) {
    let host = Host::new();
    let to = b.caps().local;
    let bad = Sge { lkey: Lkey(host.mr.lkey.0 ^ 1), ..host.sge(0, 64) };
    let mut batch = TxBatch::new(3);
    batch.push(packet(to, 1, &[host.sge(0, 64)], bare(a)));
    batch.push(packet(to, 2, &[bad], bare(a)));
    batch.push(packet(to, 3, &[host.sge(0, 64)], bare(a)));
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), 2);
    let got = receive(b, &mut RxRing::new(4, 1 << 16), 2);
    assert_eq!(got.iter().map(|octets| tag_of(octets)).collect::<Vec<_>>(), [1, 3]);
}

fn a_full_ring_keeps_the_rest<L: Link>(a: &mut L, b: &mut L) {
    let host = Host::new();
    let mut batch = TxBatch::new(8);
    for at in 0..8_u8 {
        // Growing sizes: each a message of its own.
        let payload = host.sge(0, 100 + u32::from(at));
        batch.push(packet(b.caps().local, at, &[payload], bare(a)));
    }
    a.tx_burst(&mut batch, &host.registry).unwrap();
    let mut ring = RxRing::new(2, 1 << 16);
    let until = Instant::now() + Duration::from_secs(1);
    // A link that lends packets may have them all in one slot.
    while ring.free_slots() > 0 && ring.packets().len() < 8 && Instant::now() < until {
        b.rx_burst(&mut ring).unwrap();
    }
    assert_eq!(b.rx_burst(&mut ring).unwrap(), 0, "a full ring takes nothing");
    let held: Vec<u8> = ring.packets().iter().map(|p| tag_of(ring.octets(p))).collect();
    ring.recycle();
    let mut all = held;
    let rest = 8 - all.len();
    all.extend(receive(b, &mut ring, rest).iter().map(|octets| tag_of(octets)));
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
}

fn names_the_sender<L: Link>(a: &mut L, b: &mut L) {
    let host = Host::new();
    // Queue pair 1 is connection management's; native packets are answered where they came from.
    let to = b.caps().local;
    let roce = [1, 2, 3, 4, 5, 4, 3, 2, 1].map(|tag| packet(to, tag, &[], Trailer::Icrc));
    let sent = roce.into_iter().chain([native_packet(to, 9)]);
    let mut expected = Vec::new();
    let mut batch = TxBatch::new(16);
    for packet in sent {
        let tag = tag_of(packet.header.as_slice());
        let source = a.caps().source(&packet);
        assert!(source == a.caps().local || (2..9).contains(&tag), "{tag} from {source}");
        expected.push((tag, source));
        batch.push(packet);
    }
    assert_eq!(a.tx_burst(&mut batch, &host.registry).unwrap(), expected.len());
    assert_eq!(receive_sources(b, expected.len()), expected);
}

/// Tags of the next packets, in order, and where each came from.
pub(crate) fn receive_sources<L: Link>(link: &mut L, count: usize) -> Vec<(u8, SocketAddr)> {
    let mut ring = RxRing::new(4, 1 << 16);
    let until = Instant::now() + Duration::from_secs(1);
    let mut got = Vec::new();
    while got.len() < count && Instant::now() < until {
        link.rx_burst(&mut ring).unwrap();
        got.extend(ring.packets().iter().map(|p| (tag_of(ring.octets(p)), p.from)));
        ring.recycle();
    }
    got
}
