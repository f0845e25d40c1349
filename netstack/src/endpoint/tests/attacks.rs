//! Peers and strangers that know the protocol and mean harm, beside an honest connection.
//!
//! Answers: IBTA 1.4, "Responder: Detecting Requester Errors" (NAK by code, silence for what is not
//! of this connection); "Communication Management" (messages of unknown ids are let pass).

use super::super::{Drop, Mode};
use super::hostile::mad;
use super::world::{Datagram, Host, World, addr, config, params};
use memory::Access;
use std::net::SocketAddr;
use std::time::Duration;
use verbs::{QpNum, Remote, Rkey, SendOp, WcStatus};
use wire::cm::{CmMessage, Drep, Dreq, Mra, Rej, Rep, Rtu};
use wire::roce::Icrc;

/// Octets at the server that the honest peer writes; nothing else of its memory may change.
const HONEST: u32 = 40_000;
const MODES: [Mode; 2] = [Mode::Native, Mode::Roce];

/// An honest host (0), a server (1) and a host that means harm (2).
struct Scene {
    world: World,
    honest: QpNum,
    before: Vec<u8>,
    rounds: u64,
}

impl Scene {
    fn new(mode: Mode, seed: u64) -> Scene {
        let mut world = World::pair(mode, mode, seed);
        world.hosts.push(Host::new(addr(3, 50_001), config(seed + 1000, mode)));
        world.hosts[1].paint(0, 1 << 20, 5);
        let (honest, _) = world.connect();
        world.settle();
        let before = world.hosts[1].octets(HONEST, (1 << 20) - HONEST);
        Scene { world, honest, before, rounds: 0 }
    }
    /// Connects the host that means harm.
    fn attacker(&mut self) -> QpNum {
        let world = &mut self.world;
        let to = SocketAddr::new(world.hosts[1].addr.ip(), super::world::PORT);
        let qp = world.hosts[2].endpoint.connect(world.now, to, params(b"harm"));
        let server = world.await_request();
        world.hosts[1].endpoint.accept(world.now, server, params(b"server"));
        world.settle();
        qp
    }
    /// The honest peer writes, reads back and finds what it wrote; the rest is as it was.
    fn check(&mut self, what: &str) {
        self.rounds += 1;
        let (world, rounds) = (&mut self.world, self.rounds);
        world.hosts[0].told.clear();
        world.hosts[0].paint(0, HONEST, rounds);
        let remote = world.hosts[1].remote(0);
        world.hosts[0].post(self.honest, 1, SendOp::RdmaWrite(remote), 0, HONEST);
        world.hosts[0].post(self.honest, 2, SendOp::RdmaRead(remote), 500_000, HONEST);
        world.drive(Duration::from_secs(2));
        let done: Vec<_> = world.hosts[0].wcs().iter().map(|wc| (wc.wr_id, wc.status)).collect();
        assert_eq!(done, [(1, WcStatus::Success), (2, WcStatus::Success)], "{what}");
        assert_eq!(world.hosts[0].octets(500_000, HONEST), world.hosts[0].octets(0, HONEST));
        assert!(self.world.hosts[1].octets(HONEST, (1 << 20) - HONEST) == self.before, "{what}");
    }
    fn counter(&self, name: &str) -> u64 {
        self.world.hosts[1].counter(name)
    }
}

/// Guessed keys, spans that leave the memory, atomics without the right or out of place: each gets
/// the standard's NAK, is counted, and ends the connection of the one who asked, no other.
#[test]
fn requests_for_what_is_not_theirs() {
    for mode in MODES {
        let mut scene = Scene::new(mode, 60);
        let Remote { addr: at, rkey } = scene.world.hosts[1].remote(0);
        let server = &mut scene.world.hosts[1];
        let region = server.region.clone();
        let few = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let plain = server.endpoint.memory().register(&region, few).unwrap();
        let plain = Remote { addr: plain.addr + 50_000, rkey: plain.rkey };
        let key = |mask: u32| Remote { addr: at + 50_000, rkey: Rkey(rkey.0 ^ mask) };
        let place = |offset: u64| Remote { addr: at.wrapping_add(offset), rkey };
        let (access, invalid) = (WcStatus::RemAccessErr, WcStatus::RemInvReqErr);
        let deeds = [
            (SendOp::RdmaWrite(key(1)), 100, access),
            (SendOp::RdmaWrite(key(0x100)), 20_000, access),
            (SendOp::RdmaRead(key(0x8000_0000)), 20_000, access),
            (SendOp::RdmaRead(Remote { addr: at, rkey: Rkey(0) }), 100, access),
            (SendOp::RdmaWrite(place((1 << 20) - 50)), 51, access),
            (SendOp::RdmaWrite(place(u64::MAX)), 2, access),
            (SendOp::RdmaRead(place((1 << 20) - 5000)), 9000, access),
            (SendOp::RdmaRead(Remote { addr: u64::MAX - 7, rkey }), 100, access),
            // This registration does not grant atomics.
            (SendOp::FetchAdd { remote: plain, add: 1 }, 8, access),
            (SendOp::FetchAdd { remote: place(1 << 20), add: 1 }, 8, access),
            (SendOp::FetchAdd { remote: place(50_004), add: 1 }, 8, invalid),
        ];
        for (op, length, expected) in deeds {
            let what = format!("{mode:?} {op:?}");
            let name =
                if expected == access { "qp.access_errors_in" } else { "qp.invalid_requests_in" };
            let before = scene.counter(name);
            let qp = scene.attacker();
            scene.world.hosts[2].told.clear();
            scene.world.hosts[2].post(qp, 9, op, 0, length);
            scene.check(&what);
            let done = scene.world.hosts[2].wcs();
            assert_eq!((done.len(), done[0].status), (1, expected), "{what}");
            assert_eq!(scene.counter(name), before + 1, "{what}");
            scene.world.hosts[2].endpoint.disconnect(scene.world.now, qp);
            scene.world.outlast();
        }
    }
}

/// A packet of the honest peer's that carries other octets, as somebody would forge it who knows all
/// but the PSN.
fn forged(sample: &Datagram, mode: Mode, psn_off: u32) -> Datagram {
    let mut forged = sample.clone();
    let octets = &mut forged.octets;
    let psn = u32::from_be_bytes([0, octets[9], octets[10], octets[11]]);
    let psn = psn.wrapping_add(psn_off) & 0x00ff_ffff;
    octets[9..12].copy_from_slice(&psn.to_be_bytes()[1..]);
    let end = octets.len() - 4;
    octets[end - 64..end].fill(0xee);
    if mode == Mode::Native {
        let mut crc = Icrc::native(&octets[..48]);
        crc.update(&octets[48..end]);
        octets[end..].copy_from_slice(&crc.finish());
    }
    forged
}

/// Forged packets whose PSN lies outside of what is expected, in the honest peer's own name: none is
/// placed, none ends the connection; the same from another address finds nobody.
#[test]
fn forged_packets_out_of_the_window() {
    for mode in MODES {
        let mut scene = Scene::new(mode, 61);
        scene.check("before");
        let is_write =
            |datagram: &&Datagram| datagram.from == addr(1, 50_000) && datagram.octets.len() > 1000;
        let sample = scene.world.trace.iter().find(is_write).unwrap().clone();
        for psn_off in [1 << 12, 1 << 20, 1 << 22, 1 << 23, (1 << 23) + 1, 0x00f0_0000] {
            scene.world.fly(Duration::ZERO, forged(&sample, mode, psn_off));
            scene.check(&format!("{mode:?} PSN + {psn_off:#x}"));
            let forgery = scene.world.hosts[1].endpoint.drops().of(Drop::BadCrc);
            assert_eq!(forgery, 0, "the forgery is a good one");
        }
        let strangers = scene.world.hosts[1].endpoint.drops().of(Drop::WrongSource);
        let stranger = Datagram { from: addr(66, 50_000), ..forged(&sample, mode, 0) };
        scene.world.fly(Duration::ZERO, stranger);
        scene.check("a stranger's");
        let told = scene.world.hosts[1].endpoint.drops().of(Drop::WrongSource);
        assert_eq!(told, strangers + 1, "{mode:?}");
    }
}

/// Messages of the connection manager with ids that are nobody's, or that are somebody else's: they
/// are counted, and the connection that they are about goes on.
#[test]
fn messages_of_stale_and_strange_ids() {
    for mode in MODES {
        let mut scene = Scene::new(mode, 62);
        let (honest, stranger) = (addr(1, 50_000), addr(66, 4791));
        let is_rep = |datagram: &&Datagram| datagram.attribute() == Some(0x13);
        let rep = scene.world.trace.iter().find(is_rep).unwrap().clone();
        let id_at = |at: usize| u32::from_be_bytes(rep.octets[at..at + 4].try_into().unwrap());
        // MAD header of 24 octets behind BTH and DETH: the REP's ids come first in its data.
        let (server_id, client_id) = (id_at(44), id_at(48));
        for (from, local, remote) in [
            (honest, client_id, server_id ^ 1),
            (honest, client_id ^ 1, server_id),
            (honest, 0, 0),
            (stranger, client_id, server_id),
        ] {
            for message in everything(local, remote) {
                scene.world.fly(Duration::ZERO, mad(from, &message));
            }
            scene.check(&format!("{mode:?} from {from}: {local:#x}, {remote:#x}"));
        }
        let refused = scene.counter("cm.unknown_id") + scene.counter("cm.late");
        assert!(refused >= 12, "{mode:?}: {refused} of 24 are told as unknown or late");
        assert_eq!(scene.world.hosts[1].endpoint.qp_count(), 1, "{mode:?}");
    }
}

fn everything(local: u32, remote: u32) -> Vec<CmMessage> {
    let (mut rtu, mut dreq, mut drep) = (Rtu::zeroed(), Dreq::zeroed(), Drep::zeroed());
    let (mut rep, mut rej, mut mra) = (Rep::zeroed(), Rej::zeroed(), Mra::zeroed());
    rtu.set_local_comm_id(local).set_remote_comm_id(remote);
    dreq.set_local_comm_id(local).set_remote_comm_id(remote);
    drep.set_local_comm_id(local).set_remote_comm_id(remote);
    rep.set_local_comm_id(local).set_remote_comm_id(remote).set_local_qpn(0x77);
    rej.set_local_comm_id(local).set_remote_comm_id(remote).set_reason_code(4);
    mra.set_local_comm_id(local).set_remote_comm_id(remote);
    vec![
        CmMessage::new(1, rtu),
        CmMessage::new(2, dreq),
        CmMessage::new(3, drep),
        CmMessage::new(4, rep),
        CmMessage::new(5, rej),
        CmMessage::new(6, mra),
    ]
}
