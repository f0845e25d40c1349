use super::*;
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

/// Goal: queue pairs with numbers in a row, and one number at many addresses, use all ports about evenly:
/// of 1,000 in 8 ports each has 125, give or take 45 (four standard deviations), and in 16,384 ports
/// nearly all (970 are expected) have one for themselves.
#[test]
fn queue_pairs_are_spread_evenly() {
    let in_a_row = |at: u32| to_qp(Opcode::SendOnly, 0x11 + at, FAR);
    let by_address =
        |at: u32| to_qp(Opcode::SendOnly, 0x11, &format!("10.0.{}.{}:4791", at >> 8, at & 255));
    let wide = |at: u32| to_qp(Opcode::SendOnly, 0x11, &format!("[fd00::{at:x}]:4791"));
    let subnets = |at: u32| to_qp(Opcode::SendOnly, 0x11, &format!("[fd00:{at:x}::1]:4791"));
    let kinds: [&dyn Fn(u32) -> Transmit; 4] = [&in_a_row, &by_address, &wide, &subnets];
    for (kind, packet) in kinds.into_iter().enumerate() {
        let few = Flows::block(0, 8);
        let mut counts = [0; 8];
        let mut used = std::collections::HashSet::new();
        for at in 0..1000 {
            counts[few.position(port(few, &packet(at))).unwrap()] += 1;
            used.insert(port(Flows::ALL, &packet(at)));
        }
        assert!(counts.iter().all(|count| (80..=170).contains(count)), "{kind}: {counts:?}");
        assert!((930..=1000).contains(&used.len()), "{kind}: {}", used.len());
        assert!(used.iter().all(|port| *port >= FIRST));
    }
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
