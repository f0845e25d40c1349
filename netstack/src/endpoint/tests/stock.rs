//! Peers that know nothing of FlexBlk: what Linux sends and expects.

use super::super::{ConnEvent, Mode};
use super::hostile::mad;
use super::world::{Fate, World, addr, params};
use std::net::SocketAddr;
use std::time::Duration;
use verbs::SendOp;
use wire::cm::{CmBody, CmMessage, Rep, Rtu};

/// The first REQ of the capture `nvme-rdma-rxe-6.12.pcap` (stock Linux 6.12 nvme-rdma to nvmet),
/// from the MAD header on, without the zeros at its end.
const LINUX_REQ: &str = "0107020300000000000000028e31759d0010000000000000\
9d75318e000000000000000001061144505400fffe00000200000000000000000000118000000000000000a1889474a7\
ffff57f0ffffffff00000000000000000000ffff0a00000200000000000000000000ffff0a0000016c01300000400088\
00000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
0040bb510000000000000000000000000a0000020000000000000000000000000a0000010000000020001f00";

fn linux_req() -> CmMessage {
    let digits: Vec<u8> = LINUX_REQ.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = String::from_utf8(digits).unwrap();
    let mut octets: Vec<u8> = (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    octets.resize(256, 0);
    CmMessage::decode(&octets).unwrap()
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
        assert_eq!((attr.sq_psn, attr.dest_qp.get()), (0x00a1_8894 >> 0 & 0xff_ffff, 0x11));
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
