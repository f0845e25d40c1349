//! Peers that know nothing of FlexBlk: what Linux sends and expects.

use super::super::{ConnEvent, Mode};
use super::hostile::{mad, req};
use super::world::{Fate, World, addr, params};
use std::net::SocketAddr;
use std::time::Duration;
use verbs::SendOp;
use wire::cm::{CmBody, CmMessage, Rep, Rtu};

/// CM messages of the capture (stock Linux 6.12: nvme-rdma to nvmet, then rping), with the
/// attribute asked for: UDP payload, without Ethernet, IP and UDP headers.
fn captured(attribute: u16) -> Vec<Vec<u8>> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/vectors/nvme-rdma-rxe-6.12.pcap");
    let file = std::fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut found = Vec::new();
    while let Some((record, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
        let (frame, next) = after.split_at(len);
        rest = next;
        let is_ip = frame[12..14] == [8, 0] && frame.len() > 42;
        let is_roce = is_ip && frame[23] == 17 && frame[36..38] == 4791u16.to_be_bytes();
        let to = addr(1, 4791);
        let octets = frame.get(42..).unwrap_or_default().to_vec();
        let datagram = super::world::Datagram { from: to, to, octets };
        if is_roce && datagram.attribute() == Some(attribute) {
            found.push(datagram.octets);
        }
    }
    found
}

fn linux_req() -> CmMessage {
    CmMessage::decode(&captured(0x10)[0][20..]).unwrap()
}

/// Source port of rxe's queue pair 1.
const RXE_PORT: u16 = 55_410;

fn as_rep(octets: &[u8]) -> (u64, Rep) {
    let message = CmMessage::decode(&octets[20..]).unwrap();
    let CmBody::Rep(rep) = message.body else { panic!("a REP") };
    (message.header.transaction_id(), rep)
}

/// The captured REQ gets a REP that Linux takes: sent to port 4791, its transaction and ids, the
/// values that nvmet gives, NVMe's answer first in the private data and nothing of FlexBlk in it.
#[test]
fn linux_req_gets_a_rep_as_from_nvmet() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 60);
        world.fly(Duration::ZERO, mad(addr(1, RXE_PORT), &linux_req()));
        world.settle();
        let events = world.hosts[1].events();
        let [ConnEvent::ConnectRequest { qp, from, port, private, read_depth }] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((*from, *port, *read_depth), (addr(1, 4791), 4420, 128));
        assert_eq!(private[..8], [0, 0, 0, 0, 32, 0, 31, 0], "recfmt, qid, hrqsize, hsqsize");
        assert_eq!(private.len(), 56);
        let mut answer = params(&[0, 0, 32, 0]);
        answer.read_depth = 128;
        world.hosts[1].endpoint.accept(world.now, *qp, answer);
        world.settle();
        let sent = &world.trace[0];
        assert_eq!((sent.attribute(), sent.to), (Some(0x13), addr(1, 4791)));
        let (transaction, rep) = as_rep(&sent.octets);
        assert_eq!((transaction, rep.remote_comm_id()), (0x0000_0002_8e31_759d, 0x9d75_318e));
        assert_eq!(rep.local_qpn(), qp.get());
        assert_eq!((rep.responder_resources(), rep.initiator_depth()), (0, 128));
        assert_eq!((rep.target_ack_delay(), rep.flow_control()), (15, true));
        assert_eq!((rep.rnr_retry_count(), rep.srq(), rep.failover_accepted()), (7, false, 0));
        assert_eq!(rep.local_qkey(), 0);
        let mut private = [0; 196];
        private[2] = 32;
        assert_eq!(rep.private_data(), private);
        let attr = world.hosts[1].endpoint.qp_attr(*qp).unwrap();
        assert_eq!((attr.sq_psn, attr.dest_qp.get()), (0x0088_9474, 0x11));
        assert_eq!((attr.path_mtu_bytes, attr.timeout, attr.retry_cnt), (4096, 17, 7));
        assert_eq!((attr.dest, attr.rnr_retry), (addr(1, 4791), 7));
        ready(&mut world, &rep);
    }
}

/// Linux says that it is ready, from the port that it likes.
fn ready(world: &mut World, rep: &Rep) {
    let mut rtu = Rtu::zeroed();
    rtu.set_local_comm_id(rep.remote_comm_id()).set_remote_comm_id(rep.local_comm_id());
    let message = CmMessage::new(0x0000_0002_8e31_759d, rtu);
    world.fly(Duration::ZERO, mad(addr(1, RXE_PORT + 1), &message));
    world.settle();
    let last = world.hosts[1].events().pop();
    assert!(matches!(last, Some(ConnEvent::Established { is_native: false, .. })), "{last:?}");
}

/// All of nvmet's REPs in the capture: what ours differs in is what it must differ in (ids, number,
/// PSN, adapter).
#[test]
fn our_reps_differ_from_nvmets_in_identity_only() {
    let reqs = captured(0x10);
    for (req, theirs) in reqs.iter().zip(captured(0x13)) {
        let message = CmMessage::decode(&req[20..]).unwrap();
        let CmBody::Req(body) = &message.body else { panic!("a REQ") };
        let Some(port) = body.service_id().port().filter(|port| *port == 4420) else { continue };
        let mut world = World::pair(Mode::Native, Mode::Native, 63);
        world.hosts[1].endpoint.listen(port);
        world.fly(Duration::ZERO, mad(addr(1, RXE_PORT), &message));
        world.settle();
        let events = world.hosts[1].events();
        let [ConnEvent::ConnectRequest { qp, .. }] = &events[..] else { panic!("{events:?}") };
        let (transaction, theirs) = as_rep(&theirs);
        let mut answer = params(&theirs.private_data()[..32]);
        answer.read_depth = 128;
        world.hosts[1].endpoint.accept(world.now, *qp, answer);
        world.settle();
        let (our_transaction, ours) = as_rep(&world.trace[0].octets);
        assert_eq!(our_transaction, transaction);
        let mut expected = theirs;
        expected
            .set_local_comm_id(ours.local_comm_id())
            .set_local_qpn(ours.local_qpn())
            .set_starting_psn(ours.starting_psn())
            .set_local_ca_guid(ours.local_ca_guid());
        assert_eq!(ours.as_octets(), expected.as_octets());
    }
    assert!(reqs.len() >= 4);
}

/// Two FlexBlk endpoints between which all traces of FlexBlk are wiped off: each takes the other
/// for a stock host, answers at port 4791, and RoCEv2 carries data both ways.
#[test]
fn silent_fall_back() {
    let mut world = World::pair(Mode::Native, Mode::Native, 61);
    let config = super::world::config(1, Mode::Native);
    world.hosts[0] = super::world::Host::new(addr(1, 4791), config);
    world.script = Some(Box::new(|datagram| {
        if datagram.attribute().is_some() {
            // The marker is in the last 24 octets of every message, which end before the CRC.
            let end = datagram.octets.len() - 4;
            datagram.octets[end - 24..end].fill(0);
        }
        // A stock host sends from ports of its own choice.
        datagram.from = SocketAddr::new(datagram.from.ip(), 49_152 + datagram.from.port());
        Fate::Deliver
    }));
    let (a, b) = world.connect();
    world.settle();
    for (host, qp) in [(0, a), (1, b)] {
        let attr = world.hosts[host].endpoint.qp_attr(qp).unwrap();
        assert_eq!(attr.dest.port(), 4791);
        let last = world.hosts[host].events().pop();
        assert!(matches!(last, Some(ConnEvent::Established { is_native: false, .. })));
    }
    world.hosts[0].paint(0, 10_000, 9);
    let remote = world.hosts[1].remote(0);
    world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 10_000);
    world.hosts[1].post_recv(b, 2, 20_000, 64);
    world.hosts[0].post(a, 3, SendOp::Send, 0, 64);
    world.settle();
    assert_eq!(world.hosts[1].octets(0, 10_000), world.hosts[0].octets(0, 10_000));
    assert_eq!(world.hosts[1].wcs()[0].byte_len, 64);
    world.hosts[1].endpoint.disconnect(world.now, b);
    world.outlast();
    for host in &world.hosts {
        assert_eq!(host.endpoint.qp_count(), 0);
    }
}

/// Two FlexBlk endpoints that speak RoCEv2 at its port: their links choose a source port for each queue
/// pair, and all that connects, answers and disconnects goes on, to port 4791. Native packets keep
/// the port that they are known by.
#[test]
fn source_ports_may_vary() {
    for mode in [Mode::Roce, Mode::Native] {
        let mut world = World::pair(mode, mode, 65);
        world.hosts[0] = super::world::Host::new(addr(1, 4791), super::world::config(131, mode));
        let mut sent = 0;
        world.script = Some(Box::new(move |datagram| {
            let is_management = datagram.octets[5..8] == [0, 0, 1];
            if !is_management && !datagram.is_native() {
                sent = (sent + 1) % 0x4000;
                datagram.from.set_port(0xc000 + sent);
            }
            Fate::Deliver
        }));
        let (a, b) = world.connect();
        world.settle();
        world.hosts[0].paint(0, 50_000, 9);
        let remote = world.hosts[1].remote(0);
        world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 50_000);
        world.hosts[1].post_recv(b, 2, 60_000, 64);
        world.hosts[0].post(a, 3, SendOp::Send, 0, 64);
        world.settle();
        let painted = world.hosts[0].octets(0, 50_000);
        assert!(world.hosts[1].octets(0, 50_000) == painted, "{mode:?}: written");
        let remote = world.hosts[0].remote(0);
        world.hosts[1].post(b, 4, SendOp::RdmaRead(remote), 100_000, 50_000);
        world.settle();
        assert!(world.hosts[1].octets(100_000, 50_000) == painted, "{mode:?}: read");
        for (host, qp) in [(0, a), (1, b)] {
            assert_eq!(world.hosts[host].endpoint.qp_attr(qp).unwrap().dest.port(), 4791);
            assert_eq!(
                world.hosts[host].endpoint.drops().of(crate::endpoint::Drop::WrongSource),
                0
            );
        }
        world.hosts[1].endpoint.disconnect(world.now, b);
        world.outlast();
        assert_eq!([0, 1].map(|host: usize| world.hosts[host].endpoint.qp_count()), [0, 0]);
    }
}

/// A host that restarted calls from the queue pair of a connection that it has forgotten: the old
/// one ends, the new one is asked for, and each event names its own.
#[test]
fn a_restarted_host_replaces_its_connections() {
    let mut world = World::pair(Mode::Native, Mode::Native, 64);
    world.fly(Duration::ZERO, mad(addr(1, RXE_PORT), &req(1, 0x11)));
    world.settle();
    let ConnEvent::ConnectRequest { qp: old, .. } = world.hosts[1].events()[0] else { panic!() };
    world.hosts[1].endpoint.accept(world.now, old, params(b""));
    world.settle();
    let (_, rep) = as_rep(&world.trace[0].octets);
    ready(&mut world, &rep);
    world.fly(Duration::ZERO, mad(addr(1, RXE_PORT), &req(2, 0x11)));
    world.settle();
    let events = world.hosts[1].events();
    let reason = crate::fabric::DisconnectReason::Peer;
    assert!(events.contains(&ConnEvent::Disconnected { qp: old, reason }), "{events:?}");
    let asked = |event: &&ConnEvent| matches!(event, ConnEvent::ConnectRequest { .. });
    assert_eq!(events.iter().filter(asked).count(), 2);
    assert_eq!(world.hosts[1].counter("cm.superseded"), 1);
    assert_eq!(world.hosts[1].endpoint.qp_count(), 1);
}

/// Two processes of one host, told apart by their UDP ports, in both modes.
#[test]
fn processes_share_an_address() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 62);
        let config = super::world::config(99, mode);
        world.hosts.push(super::world::Host::new(addr(1, 50_001), config));
        let to = addr(2, super::world::PORT);
        let clients = [0, 2].map(|host: usize| {
            let qp = world.hosts[host].endpoint.connect(world.now, to, params(b""));
            let server = world.await_request();
            world.hosts[1].endpoint.accept(world.now, server, params(b""));
            world.settle();
            world.hosts[1].post_recv(server, host as u64, 0, 64);
            (host, qp)
        });
        for (host, qp) in clients {
            world.hosts[host].post(qp, 1, SendOp::Send, 0, 64);
            world.settle();
            assert_eq!(world.hosts[host].wcs().len(), 1, "{mode:?}");
        }
        assert_eq!(world.hosts[1].wcs().iter().map(|wc| wc.wr_id).collect::<Vec<_>>(), [0, 2]);
    }
}
