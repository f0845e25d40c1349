//! Datagrams of strangers and of liars: counted, and without effect on others.

use super::super::{ConnEvent, Drop, EndpointConfig, Mode};
use super::world::{Datagram, Host, PORT, World, addr, config};
use std::time::Duration;
use verbs::{SendOp, WcStatus};
use wire::cm::{CmMessage, IpHeader, Req, ServiceId};
use wire::roce::{Deth, Header, Opcode, Psn, QKey, QpNum};

/// A MAD as a datagram from anywhere.
pub(super) fn mad(from: std::net::SocketAddr, message: &CmMessage) -> Datagram {
    let mut header = Header::new(Opcode::UdSendOnly, QpNum::GSI, Psn::ZERO);
    header.ext.deth = Some(Deth { qkey: QKey::GSI, reserved: 0, source_qp: QpNum::GSI });
    let mut octets = header.emit(256).as_slice().to_vec();
    octets.extend(message.encode());
    octets.extend([0; 4]);
    Datagram { from, to: addr(2, 4791), octets }
}

/// A REQ that a stock host might send.
pub(super) fn req(comm_id: u32, qpn: u32) -> CmMessage {
    let mut req = Req::zeroed();
    let mut private = [0; 92];
    let header = IpHeader::new([10, 0, 0, 9].into(), 1, [10, 0, 0, 2].into());
    private[..36].copy_from_slice(header.as_octets());
    req.set_local_comm_id(comm_id)
        .set_service_id(ServiceId::tcp_port(PORT))
        .set_local_qpn(qpn)
        .set_path_mtu_code(5)
        .set_retry_count(7)
        .set_primary_ack_timeout(14)
        .set_private_data(private);
    CmMessage::new(u64::from(comm_id), req)
}

/// An honest exchange goes on while random octets and mangled copies of real packets arrive from
/// strangers and in the honest peers' own names.
#[test]
fn garbage_disturbs_nobody() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 40);
        let (a, b) = world.connect();
        world.settle();
        let remote = world.hosts[1].remote(0);
        world.hosts[1].post_recv(b, 7, 0, 64);
        world.hosts[0].post(a, 7, SendOp::RdmaWrite(remote), 0, 10_000);
        world.hosts[0].post(a, 7, SendOp::Send, 0, 64);
        world.settle();
        let samples = world.trace.clone();
        for host in &mut world.hosts {
            host.told.clear();
        }
        for round in 0..200u64 {
            for _ in 0..50 {
                let mut octets = match world.random.next_u32() % 2 {
                    0 => (0..world.random.next_u32() % 400)
                        .map(|_| world.random.next_u32().to_le_bytes()[2])
                        .collect(),
                    _ => {
                        let index = world.random.next_u32() as usize % samples.len();
                        samples[index].octets.clone()
                    }
                };
                for _ in 0..1 + world.random.next_u32() % 4 {
                    if octets.is_empty() {
                        break;
                    }
                    let at = world.random.next_u32() as usize % octets.len();
                    octets[at] = world.random.next_u32().to_le_bytes()[0];
                }
                octets.truncate(1 + world.random.next_u32() as usize % 400);
                let to = world.hosts[world.random.next_u32() as usize % 2].addr;
                let stranger = world.random.next_u32().is_multiple_of(2);
                let from = addr(if stranger { 77 } else { 1 }, 6000);
                world.fly(Duration::ZERO, Datagram { from, to, octets });
            }
            world.hosts[1].post_recv(b, round, 0, 64);
            world.hosts[0].post(a, round, SendOp::RdmaWrite(remote), 0, 10_000);
            world.hosts[0].post(a, 1000 + round, SendOp::Send, 0, 64);
            world.drive(Duration::from_millis(1));
        }
        assert_eq!(world.hosts[0].wcs().len(), 400, "{mode:?}");
        assert_eq!(world.hosts[1].wcs().len(), 200, "{mode:?}");
        for host in &world.hosts {
            assert!(host.wcs().iter().all(|wc| wc.status == WcStatus::Success));
            let drops = host.endpoint.drops();
            assert!(drops.of(Drop::WrongSource) > 100 && drops.of(Drop::UnknownQp) > 0);
        }
    }
}

/// Mangled packets in the honest peer's own name may end that connection, but nothing else, and
/// never panic.
#[test]
fn a_lying_peer_harms_itself_only() {
    for seed in 0..300 {
        let mode = if seed % 2 == 0 { Mode::Native } else { Mode::Roce };
        let mut world = World::pair(mode, mode, 500 + seed);
        let (a, b) = world.connect();
        world.settle();
        for id in 0..8 {
            world.hosts[1].post_recv(b, id, 0, 8192);
        }
        let remote = world.hosts[1].remote(0);
        world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 20_000);
        world.hosts[0].post(a, 2, SendOp::Send, 0, 5_000);
        world.hosts[0].post(a, 3, SendOp::RdmaRead(remote), 0, 20_000);
        world.settle();
        let samples = world.trace.clone();
        for _ in 0..200 {
            let index = world.random.next_u32() as usize % samples.len();
            let mut sample = samples[index].clone();
            let at = world.random.next_u32() as usize % sample.octets.len().min(96);
            sample.octets[at] ^= 1 << (world.random.next_u32() % 8);
            world.fly(Duration::ZERO, sample);
            world.drive(Duration::from_micros(200));
        }
        world.hosts[0].endpoint.disconnect(world.now, a);
        world.hosts[1].endpoint.disconnect(world.now, b);
        world.drive(Duration::from_secs(120));
        for host in &world.hosts {
            assert_eq!(host.endpoint.qp_count(), 0, "seed {seed}");
        }
    }
}

/// Ten thousand connect requests that nobody answers: bounded, the rest refused, and an honest
/// caller gets through once they have gone.
#[test]
fn floods_are_refused_in_order() {
    let mut world = World::new(41);
    let server = EndpointConfig { max_qps: 512, max_pending: 100, ..config(2, Mode::Native) };
    world.hosts.push(Host::new(addr(1, 50_000), config(1, Mode::Native)));
    world.hosts.push(Host::new(addr(2, 4791), server));
    world.hosts[1].endpoint.listen(PORT);
    world.tracing = true;
    for id in 1..=10_000 {
        world.fly(Duration::ZERO, mad(addr(9, 4791), &req(id, 0x100 + id)));
    }
    world.settle();
    assert_eq!(world.hosts[1].events().len(), 100);
    assert_eq!(world.hosts[1].endpoint.qp_count(), 100);
    assert_eq!(world.hosts[1].counter("cm.refused"), 9_900);
    let answered = world.hosts[1].counter("cm.sent");
    assert!(answered <= 10_000 && answered + world.hosts[1].counter("cm.dropped_full") == 9_900);
    world.outlast();
    assert_eq!(world.hosts[1].endpoint.qp_count(), 0);
    let (a, _) = world.connect();
    world.settle();
    let last = world.hosts[0].events().pop();
    assert!(matches!(last, Some(ConnEvent::Established { qp, .. }) if qp == a), "{last:?}");
}

/// REQs that the standard lets us refuse: the right reason each, and no queue pair.
#[test]
fn impossible_requests_are_refused_with_reasons() {
    type Edit = fn(&mut Req);
    let edit = |f: Edit| {
        let CmMessage { body: wire::cm::CmBody::Req(mut body), .. } = req(7, 0x11) else {
            panic!("a REQ")
        };
        f(&mut body);
        CmMessage::new(7, body)
    };
    let cases: [(Edit, u16); 7] = [
        (|r| _ = r.set_service_id(ServiceId::tcp_port(9)), 8),
        (|r| _ = r.set_service_id_raw(0x0000_0000_013f_1144), 8),
        (|r| _ = r.set_transport_code(1), 9),
        (|r| _ = r.set_local_qpn(1), 5),
        (|r| _ = r.set_path_mtu_code(0), 26),
        (|r| _ = r.set_path_mtu_code(9), 26),
        (
            |r| {
                let mut private = r.private_data();
                private[0] = 3;
                r.set_private_data(private);
            },
            5,
        ),
    ];
    for (index, (f, reason)) in cases.into_iter().enumerate() {
        let mut world = World::pair(Mode::Native, Mode::Native, 42);
        world.fly(Duration::ZERO, mad(addr(1, 4791), &edit(f)));
        world.settle();
        let rej = &world.trace[0];
        assert_eq!((rej.attribute(), rej.to), (Some(0x12), addr(1, 4791)), "case {index}");
        assert_eq!(u16::from_be_bytes([rej.octets[54], rej.octets[55]]), reason, "case {index}");
        assert_eq!(world.hosts[1].endpoint.qp_count(), 0);
    }
}

/// Each reason to drop, by a packet that has just that fault.
#[test]
fn drops_are_counted_by_reason() {
    let mut world = World::pair(Mode::Roce, Mode::Roce, 43);
    let (a, _) = world.connect();
    world.settle();
    world.trace.clear();
    let remote = world.hosts[1].remote(0);
    world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 64);
    world.settle();
    let good = world.trace.iter().find(|d| d.octets[0] == 0x0a).unwrap().clone();
    let with = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad.octets[at] = value;
        bad
    };
    let mut short = good.clone();
    short.octets.truncate(11);
    let mut stranger = good.clone();
    stranger.from = addr(66, 4791);
    let mut native = with(0, 0xc1);
    native.octets.resize(200, 0);
    let mut datagram = good.clone();
    datagram.octets[5..8].copy_from_slice(&[0, 0, 1]);
    for (bad, reason) in [
        (short, Drop::Truncated),
        (with(0, 0x20), Drop::UnknownOpcode),
        (with(1, 0x01), Drop::Malformed),
        (with(2, 0x00), Drop::PKey),
        (with(7, good.octets[7] ^ 1), Drop::UnknownQp),
        (stranger, Drop::WrongSource),
        (native, Drop::WrongMode),
        (datagram, Drop::BadDatagram),
    ] {
        let before = world.hosts[1].endpoint.drops().of(reason);
        world.fly(Duration::ZERO, bad);
        world.settle();
        assert_eq!(world.hosts[1].endpoint.drops().of(reason), before + 1, "{reason:?}");
    }
}

/// A native packet whose octets changed on the way is dropped and recovered, when a CRC was agreed.
#[test]
fn native_crc_finds_changed_octets() {
    let mut world = World::pair(Mode::Native, Mode::Native, 44);
    let (a, _) = world.connect();
    world.settle();
    let mut left = 5;
    world.script = Some(Box::new(move |datagram| {
        if datagram.octets.len() > 1000 && left > 0 {
            left -= 1;
            datagram.octets[500] ^= 1;
        }
        super::world::Fate::Deliver
    }));
    world.hosts[0].paint(0, 50_000, 3);
    let remote = world.hosts[1].remote(100_000);
    world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 50_000);
    world.drive(Duration::from_secs(2));
    assert_eq!(world.hosts[0].wcs()[0].status, WcStatus::Success);
    assert_eq!(world.hosts[1].octets(100_000, 50_000), world.hosts[0].octets(0, 50_000));
    assert_eq!(world.hosts[1].endpoint.drops().of(Drop::BadCrc), 5);
}
