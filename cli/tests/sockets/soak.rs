//! Many connections, one after another and at once: nothing is left of them.
//!
//! `FLEXBLK_SOAK_CYCLES` sets the number of the first (2,000 by default).

use crate::peer::{Peer, connect, encoded, ic_req, rw};
use crate::server::{Holds, Server};
use initiator::edge::{self, Settings};
use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};
use wire::nvme::IoOpcode;
use wire::nvme_tcp::{Data, Pdu};

/// Cycles before memory is looked at: buffers of the allocator and of the kernel have grown by then.
const WARM_UP: u32 = 500;
/// What memory may grow by in a round that leaks nothing.
const GROWTH_KIB: u64 = 256;
/// Rounds of which one may not grow: the most that lived at once grows memory, too, but not in each.
const ROUNDS: usize = 5;
/// Connections at once.
const MANY: usize = 256;

fn cycles() -> u32 {
    std::env::var("FLEXBLK_SOAK_CYCLES").map_or(2000, |count| count.parse().unwrap())
}

/// Runs `round` until memory stays as it was. What leaks grows in every round.
fn leaves_nothing(server: &Server, base: Holds, mut round: impl FnMut()) {
    for _ in 0..ROUNDS {
        let before = server.holds();
        round();
        server.await_none(base);
        let after = server.holds();
        println!("{before:?} before, {after:?} after");
        assert!(after.mappings <= before.mappings + 8, "{after:?}, {before:?} before");
        if after.resident_kib <= before.resident_kib + GROWTH_KIB {
            return;
        }
    }
    panic!("memory grows from round to round, now {:?}", server.holds());
}

/// Connects, and goes away in a stage that `cycle` chooses.
fn visit(server: &Server, cycle: u32) {
    match cycle % 10 {
        // Before, in the middle of and after the handshake.
        0 => drop(Peer::dial(server)),
        1 => Peer::dial(server).send(&encoded(Pdu::IcReq(ic_req()), &[])[..40]),
        2 => drop(Peer::greeted(server)),
        // In the middle of the first command, in that of its data, and before its answer.
        3 => Peer::greeted(server).send(&connect(0, 0xffff, 0)[..50]),
        4 => Peer::greeted(server).send(&connect(0, 0xffff, 0)[..600]),
        5 => Peer::greeted(server).send(&connect(0, 0xffff, 0)),
        // With a controller, at rest.
        6 => drop(Peer::admin(server, 15_000)),
        // With an answer on its way that nobody reads: the kernel resets the connection.
        7 => {
            let (_admin, controller) = Peer::admin(server, 0);
            Peer::io(server, 1, controller).send(&rw(IoOpcode::Read, 9, 0, 64));
        }
        // In the middle of a write's data.
        8 => {
            let (_admin, controller) = Peer::admin(server, 0);
            let mut io = Peer::io(server, 1, controller);
            io.send(&rw(IoOpcode::Write, 9, 0, 8));
            let r2t = io.r2t();
            let (cid, ttag, offset, length) = (r2t.cid, r2t.ttag, r2t.offset, r2t.length);
            let data = Data { cid, ttag, offset, length, last: true, success: false };
            let octets = encoded(Pdu::H2cData(data), &vec![1; length as usize]);
            io.send(&octets[..octets.len() / 2]);
        }
        // In good order, after work.
        _ => {
            let (admin, controller) = Peer::admin(server, 0);
            let mut io = Peer::io(server, 1, controller);
            io.check(u64::from(cycle % 512), cycle as u8);
            io.stream.shutdown(Shutdown::Both).unwrap();
            drop(admin);
        }
    }
}

/// Goal: thousands of hosts that come and go in every stage leave no memory, mapping, descriptor or
/// controller behind.
#[test]
fn hosts_that_come_and_go_leave_nothing() {
    let server = Server::start("127.0.97.1");
    let base = server.holds();
    (0..WARM_UP).for_each(|cycle| visit(&server, cycle));
    server.await_none(base);
    let start = Instant::now();
    leaves_nothing(&server, base, || (0..cycles()).for_each(|cycle| visit(&server, cycle)));
    println!("rounds of {} cycles, {:?}", cycles(), start.elapsed());
    let (_admin, controller) = Peer::admin(&server, 0);
    Peer::io(&server, 1, controller).check(1, 0x5a);
}

/// Goal: the same over RDMA, with hosts that leave in good order.
#[test]
fn rdma_hosts_leave_nothing() {
    let server = Server::start("127.0.97.2");
    let text = format!("trtype=rdma traddr={} subnqn={}", server.address, crate::server::NQN);
    let spec = text.parse().unwrap();
    let settings = Settings { queue_depth: 8, ..Settings::default() };
    let base = server.holds();
    let visit = || {
        let mut session = edge::connect(&spec, &settings).unwrap();
        session.namespace(1).unwrap();
    };
    (0..WARM_UP).for_each(|_| visit());
    server.await_none(base);
    leaves_nothing(&server, base, || (0..cycles() / 10).for_each(|_| visit()));
}

/// Goal: 256 connections work at the same time, and take with them what they had.
#[test]
fn many_connections_work_at_once() {
    let server = Server::start("127.0.97.3");
    let base = server.holds();
    let hosts: Vec<_> = (0..MANY / 2).map(|_| Peer::admin(&server, 0)).collect();
    let mut queues: Vec<Peer> = hosts.iter().map(|(_, id)| Peer::io(&server, 1, *id)).collect();
    server.await_descriptors(base, MANY);
    let mut ids: Vec<u16> = hosts.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MANY / 2, "each controller has an identifier of its own");
    for round in 0..8_u8 {
        thread::scope(|scope| {
            for (part, queues) in queues.chunks_mut(MANY / 8).enumerate() {
                scope.spawn(move || {
                    for (at, queue) in queues.iter_mut().enumerate() {
                        let block = part * MANY / 8 + at;
                        queue.check(block as u64, block as u8 ^ round);
                    }
                });
            }
        });
    }
    let busy = server.holds();
    drop((hosts, queues));
    server.await_none(base);
    println!("{MANY} connections: {base:?}, {busy:?} busy, {:?} after", server.holds());
}

/// Goal: one octet a second (here: faster than that, and for as long) does not keep a connection that
/// has no controller.
#[test]
fn trickling_peers_are_let_go() {
    let server = Server::start("127.0.97.4");
    let base = server.holds();
    let mut slow: Vec<Peer> = (0..32).map(|_| Peer::dial(&server)).collect();
    server.await_descriptors(base, 32);
    let octets = encoded(Pdu::IcReq(ic_req()), &[]);
    let start = Instant::now();
    let mut at = 0;
    // The handshake has 10 seconds.
    while server.holds().descriptors > base.descriptors {
        assert!(start.elapsed() < Duration::from_secs(20), "they are still there");
        for peer in &mut slow {
            // It fails once the target has let go.
            let _ = peer.stream.write_all(&octets[at % 100..=at % 100]);
        }
        at += 1;
        thread::sleep(Duration::from_millis(1000));
    }
    assert!(start.elapsed() > Duration::from_secs(5), "the handshake has its time");
    server.await_none(base);
}
