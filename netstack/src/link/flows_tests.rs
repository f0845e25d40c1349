use super::*;
use std::collections::HashSet;
use verbs::SgeList;
use wire::roce::native::NativeAck;
use wire::roce::{Aeth, Header, Msn, Psn, Syndrome};

const LOCAL: &str = "10.0.0.1:4791";
const FAR: &str = "10.0.0.2:4791";

fn to_qp(opcode: Opcode, qp: u32, to: &str) -> Transmit {
    let mut header = Header::new(opcode, QpNum::new(qp), Psn::ZERO);
    if opcode == Opcode::Acknowledge {
        header.ext.aeth = Some(Aeth { syndrome: Syndrome::ACK, msn: Msn::ZERO });
    }
    let header = header.emit(0);
    let (payload, trailer) = (SgeList::new(), Trailer::Icrc);
    Transmit { to: to.parse().unwrap(), header, payload, pad: 0, trailer }
}

fn port(flows: Flows, packet: &Transmit) -> u16 {
    let local: SocketAddr = LOCAL.parse().unwrap();
    let source = flows.source(local, packet);
    assert_eq!(source.ip(), local.ip());
    source.port()
}

/// Goal: a queue pair's packets, acknowledgements and congestion notifications of that direction leave
/// from one port, whatever they are: on several paths they would overtake each other.
#[test]
fn a_queue_pair_keeps_its_port() {
    for flows in [Flows::ALL, Flows::block(7, 8)] {
        let write = port(flows, &to_qp(Opcode::SendFirst, 0x1234, FAR));
        assert!(flows.position(write).is_some());
        for opcode in [Opcode::SendLast, Opcode::WriteMiddle, Opcode::Acknowledge, Opcode::Cnp] {
            let mut packet = to_qp(opcode, 0x1234, FAR);
            packet.pad = 3;
            assert_eq!(port(flows, &packet), write, "{opcode:?}");
        }
    }
}

/// Goal: connection management, the native mode, packets without ICRC and links at other ports keep the
/// link's own port: their receivers answer to where they came from.
#[test]
fn others_keep_the_links_port() {
    let all = Flows::ALL;
    let packet = to_qp(Opcode::SendOnly, 0x1234, FAR);
    for qp in [0, 1] {
        assert_eq!(port(all, &to_qp(Opcode::SendOnly, qp, FAR)), ROCE_PORT);
    }
    for trailer in [Trailer::None, Trailer::NativeCrc] {
        assert_eq!(port(all, &Transmit { trailer, ..packet.clone() }), ROCE_PORT);
    }
    let header = NativeAck::new(QpNum::new(0x1234), Psn::ZERO, Psn::ZERO).emit();
    // With an ICRC, as one that is damaged on purpose has.
    assert_eq!(port(all, &Transmit { header, ..packet.clone() }), ROCE_PORT);
    let other = "10.0.0.1:50000".parse().unwrap();
    assert_eq!(all.source(other, &packet), other);
    assert_eq!(port(Flows::NONE, &packet), ROCE_PORT);
    assert_eq!(port(Flows::default(), &packet), ROCE_PORT);
}

/// Goal: queue pairs that are numbered in a row, as Linux does, or in a row below bits at random, as FlexBlk
/// does, share no port as long as there are others: a host has few connections, and a hash alone put four
/// of them on one port.
#[test]
fn a_few_queue_pairs_share_no_port() {
    let random = [0x6d9, 0x929, 0xb1b, 0xc3c, 0x7f9, 0, 1, 0xfff];
    for to in ["10.90.0.11:4791", "10.0.0.2:4791", "[fd00::2]:4791"] {
        for first in [0, 8, 0x10, 0x48, 0xff8] {
            let ports = |high: [u32; 8]| -> HashSet<u16> {
                let qps = (first..).zip(high).map(|(at, high)| high << 12 | at);
                let qps = qps.filter(|qp| *qp > 1);
                qps.map(|qp| port(Flows::block(3, 8), &to_qp(Opcode::SendOnly, qp, to))).collect()
            };
            let kept = if first == 0 { 6 } else { 8 };
            assert_eq!(ports([0; 8]).len(), kept, "{first:#x} {to}");
            assert!(ports(random).len() >= kept, "{first:#x} {to}");
        }
        let all = (2..4096).map(|qp| port(Flows::ALL, &to_qp(Opcode::SendOnly, qp, to)));
        assert_eq!(all.collect::<HashSet<u16>>().len(), 4094);
    }
}

/// Goal: whatever tells 1,000 queue pairs apart, they use 8 ports about evenly: each has 125, give or take 45
/// (four standard deviations).
#[test]
fn queue_pairs_are_spread_evenly() {
    let step = |at: u32, step: u32| to_qp(Opcode::SendOnly, 0x11 + at * step, FAR);
    let address = |to: String| to_qp(Opcode::SendOnly, 0x11, &to);
    let kinds: [&dyn Fn(u32) -> Transmit; 6] = [
        &|at| step(at, 1),
        &|at| step(at, 2),
        &|at| step(at, 8),
        &|at| address(format!("10.0.{}.{}:4791", at >> 8, at & 255)),
        &|at| address(format!("[fd00::{at:x}]:4791")),
        &|at| address(format!("[fd00:{at:x}::1]:4791")),
    ];
    for (kind, packet) in kinds.into_iter().enumerate() {
        let few = Flows::block(0, 8);
        let mut counts = [0; 8];
        for at in 0..1000 {
            counts[few.position(port(few, &packet(at))).unwrap()] += 1;
            assert!(port(Flows::ALL, &packet(at)) >= FIRST);
        }
        assert!(counts.iter().all(|count| (80..=170).contains(count)), "{kind}: {counts:?}");
    }
    // At one queue pair of many addresses, nearly all of 16,384 ports are one's own: 970 are expected.
    let one = (0..1000).map(|at| port(Flows::ALL, &kinds[3](at))).collect::<HashSet<u16>>();
    assert!((930..=1000).contains(&one.len()), "{}", one.len());
}

/// Goal: blocks lie side by side within the range, the last one ends at port 65,535, and numbers go round.
#[test]
fn blocks_lie_in_the_range() {
    let ports = |number| Flows::block(number, 8).ports().collect::<Vec<_>>();
    assert_eq!(ports(0), (0xc000..0xc008).collect::<Vec<_>>());
    assert_eq!(ports(2047), (0xfff8..=0xffff).collect::<Vec<_>>());
    assert_eq!(ports(2048), ports(0));
    let block = Flows::block(2047, 8);
    assert_eq!([0xfff7, 0xfff8, 0xffff].map(|port| block.position(port)), [None, Some(0), Some(7)]);
    assert_eq!((Flows::NONE.position(0), Flows::NONE.ports().count()), (None, 0));
}

/// Goal: a link-local address stays one of its device: without it no socket can be had there.
#[test]
fn a_link_local_address_keeps_its_device() {
    let local = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), ROCE_PORT, 0, 3);
    let source = Flows::ALL.source(local.into(), &to_qp(Opcode::SendOnly, 5, "[fe80::2]:4791"));
    let SocketAddr::V6(source) = source else { panic!("{source}") };
    assert_eq!((*source.ip(), source.scope_id()), (*local.ip(), 3));
    assert!(source.port() >= FIRST);
}
