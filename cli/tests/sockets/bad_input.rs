//! What breaks NVMe/TCP is told with the status and the place that the standard defines, ends that
//! connection, and no other.
//!
//! Source: NVMe TCP Transport Specification 1.0, "Error Handling Model", "Host To Controller Terminate
//! Connection Request (H2CTermReq)", "Controller To Host Terminate Connection Request".

use crate::peer::{Came, Peer, connect, encoded, ic_req, rw};
use crate::server::Server;
use std::time::{Duration, Instant};
use wire::nvme::{Cqe, IoOpcode};
use wire::nvme_tcp::{Data, IcReq, Pdu, PduFault, TermReq, field};

/// How far the peer is when it breaks the protocol.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Greeting,
    Greeted,
    /// An I/O queue, with a write of two blocks whose data was asked for.
    Asked,
}

/// Sends `octets` and takes what the target says of them.
fn told(server: &Server, stage: Stage, octets: &dyn Fn(u16) -> Vec<u8>) -> TermReq {
    let mut admin = None;
    let (mut peer, ttag) = match stage {
        Stage::Greeting => (Peer::dial(server), 0),
        Stage::Greeted => (Peer::greeted(server), 0),
        Stage::Asked => {
            let (queue, controller) = Peer::admin(server, 0);
            admin = Some(queue);
            let mut io = Peer::io(server, 1, controller);
            io.send(&rw(IoOpcode::Write, 4, 0, 2));
            let ttag = io.r2t().ttag;
            (io, ttag)
        }
    };
    let octets = octets(ttag);
    peer.send(&octets);
    let Came { pdu: Pdu::C2hTermReq(term), data } = peer.next().unwrap() else {
        panic!("{stage:?}: no termination request")
    };
    assert!(octets.starts_with(&data), "it repeats the header that was wrong");
    assert!(!data.is_empty() && peer.is_closed());
    drop(admin);
    term
}

type Case = (&'static str, Stage, Box<dyn Fn(u16) -> Vec<u8>>, PduFault);

fn case(
    name: &'static str,
    stage: Stage,
    octets: impl Fn(u16) -> Vec<u8> + 'static,
    fault: PduFault,
) -> Case {
    (name, stage, Box::new(octets), fault)
}
/// H2CData for the write of [`Stage::Asked`], with a change.
fn data(name: &'static str, change: fn(&mut Data), bytes: usize, fault: PduFault) -> Case {
    let octets = move |ttag| {
        let mut data = Data { cid: 4, ttag, offset: 0, length: 512, last: false, success: false };
        change(&mut data);
        encoded(Pdu::H2cData(data), &vec![1; bytes])
    };
    case(name, Stage::Asked, octets, fault)
}

fn cases() -> Vec<Case> {
    use Stage::{Asked, Greeted, Greeting};
    let request = |request: IcReq| move |_| encoded(Pdu::IcReq(request), &[]);
    let octets = |octets: [u8; 8]| move |_| octets.to_vec();
    vec![
        case(
            "version",
            Greeting,
            request(IcReq { pfv: 7, ..ic_req() }),
            PduFault::unsupported(field::PFV),
        ),
        case(
            "alignment",
            Greeting,
            request(IcReq { hpda: 32, ..ic_req() }),
            PduFault::field(field::PDA),
        ),
        case("command first", Greeting, |_| connect(0, 0xffff, 0), PduFault::SEQUENCE),
        case(
            "long request",
            Greeting,
            octets([0, 0, 128, 0, 132, 0, 0, 0]),
            PduFault::field(field::PLEN),
        ),
        case("greeted twice", Greeted, request(ic_req()), PduFault::SEQUENCE),
        case("no such PDU", Greeted, octets([8; 8]), PduFault::field(field::TYPE)),
        case(
            "a controller's",
            Greeted,
            |_| encoded(Pdu::CapsuleResp(Cqe::zeroed()), &[]),
            PduFault::field(field::TYPE),
        ),
        case("flags", Greeted, octets([4, 1, 72, 0, 72, 0, 0, 0]), PduFault::field(field::FLAGS)),
        case(
            "header length",
            Greeted,
            octets([4, 0, 70, 0, 72, 0, 0, 0]),
            PduFault::field(field::HLEN),
        ),
        case(
            "data offset",
            Greeted,
            octets([4, 0, 72, 71, 80, 0, 0, 0]),
            PduFault::field(field::PDO),
        ),
        case("length", Greeted, octets([4, 0, 72, 0, 71, 0, 0, 0]), PduFault::field(field::PLEN)),
        case(
            "endless",
            Asked,
            octets([4, 0, 72, 72, 255, 255, 255, 255]),
            PduFault::LIMIT_EXCEEDED,
        ),
        data("tag", |data| data.ttag ^= 0xff, 512, PduFault::field(field::TTAG)),
        data("command", |data| data.cid = 5, 512, PduFault::field(field::CCCID)),
        data("data length", |data| data.length = 511, 512, PduFault::field(field::LENGTH)),
        data("a gap", |data| data.offset = 4, 512, PduFault::OUT_OF_RANGE),
        data("wraps", |data| data.offset = u32::MAX, 512, PduFault::OUT_OF_RANGE),
        data("too much", |data| data.length = 8196, 8196, PduFault::OUT_OF_RANGE),
        data("last too early", |data| data.last = true, 512, PduFault::field(field::FLAGS)),
    ]
}

/// Goal: each class of malformed PDU is told with its status and place, and the connection closed; a
/// host beside it goes on, and the target keeps nothing.
#[test]
fn each_breach_is_told_and_ends_that_connection_only() {
    let server = Server::start("127.0.98.1");
    let base = server.holds();
    let (admin, controller) = Peer::admin(&server, 0);
    let mut witness = Peer::io(&server, 1, controller);
    for (at, (name, stage, octets, fault)) in cases().into_iter().enumerate() {
        let term = told(&server, stage, &octets);
        let (status, information) = (u16::from(fault.status.octet()), fault.information);
        assert_eq!(term, TermReq { status, information }, "{name}");
        witness.check(100 + at as u64, at as u8);
    }
    drop((admin, witness));
    server.await_none(base);
}

/// Goal: a host that asks for much and reads nothing costs the target a bounded amount, and ends when
/// its keep-alive time has passed; another host goes on meanwhile.
#[test]
fn hosts_that_never_read_are_bounded_and_end() {
    let server = Server::start("127.0.98.2");
    let base = server.holds();
    let (witness_admin, controller) = Peer::admin(&server, 0);
    let mut witness = Peer::io(&server, 1, controller);
    let (_deaf_admin, controller) = Peer::admin(&server, 1000);
    let mut deaf = Peer::io(&server, 1, controller);
    // 32 commands of 1 MiB: more than the kernel's buffers take.
    (0..31).for_each(|cid| deaf.send(&rw(IoOpcode::Read, cid, 0, 256)));
    witness.check(200, 3);
    let busy = server.holds();
    assert!(busy.resident_kib < base.resident_kib + (24 << 10), "{busy:?}, {base:?} before");
    let start = Instant::now();
    while server.holds().descriptors > base.descriptors + 2 {
        assert!(start.elapsed() < Duration::from_secs(30), "it is still served");
        witness.check(201, 4);
        std::thread::sleep(Duration::from_millis(50));
    }
    drop((witness_admin, witness));
    server.await_none(base);
}
