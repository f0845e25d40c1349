//! Peers that begin something and do not finish it.

use super::sockets::{
    End, accept, connect_command, dial, host, ic_req, is_closed, next_pdu, raw, run, send_connect,
    target,
};
use super::tls::{IDENTITY, psk, pump, secured, with_keys};
use super::world::{World, config};
use crate::fabric::{DisconnectReason, Fabric, FabricEvent, PskHash, QpHandle, Security};
use crate::nvme_tcp::Stop;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use wire::nvme::{Cid, IoOpcode};
use wire::nvme_tcp::{Framing, Pdu, PduFault, PduKind, TermReq, field};

/// Goal: in every part of a PDU, one that stays unfinished is overdue at the second look; one that
/// goes on to the next PDU, or stands between two, never is.
#[test]
fn only_what_stays_unfinished_is_overdue() {
    let mut world = World::connected(config(), config(), true);
    world.command(1, world.keyed(IoOpcode::Flush, 4, 0), None);
    let octets = world.host.sent();
    assert_eq!(octets.len(), 76, "a command and its digest");
    for cut in 1..octets.len() {
        let mut world = World::connected(config(), config(), true);
        let end = &mut world.controller;
        let (first, rest) = octets.split_at(cut);
        assert_eq!(end.machine.handle_patience(), Ok(()), "nothing has begun");
        end.take(first).unwrap();
        assert_eq!(end.machine.handle_patience(), Ok(()), "the first look");
        // The rest, and as much of the next.
        end.take(rest).unwrap();
        assert_eq!(
            (end.machine.handle_patience(), end.machine.handle_patience()),
            (Ok(()), Ok(()))
        );
        end.take(first).unwrap();
        assert_eq!(end.machine.handle_patience(), Ok(()), "another PDU");
        assert_eq!(end.machine.handle_patience(), Err(Stop::Overdue), "cut at {cut}");
    }
}

/// A host with an I/O queue; it puts its octets together itself.
fn admitted(target: &mut End, to: SocketAddr) -> (TcpStream, QpHandle) {
    let mut peer = raw(to);
    let mut octets = ic_req();
    Pdu::CapsuleCmd(connect_command(1, 31)).encode(&Framing::PLAIN, 0, &mut octets);
    peer.write_all(&octets).unwrap();
    assert_eq!(next_pdu(&mut peer, target)[0], PduKind::IcResp.octet());
    run(&mut [target], |ends| !ends[0].requests().is_empty());
    let qp = target.requests()[0];
    target.events.clear();
    accept(target, qp);
    for slot in 0..4 {
        let sge = target.sge(4096 + slot * 64, 64);
        target.post(qp, slot, crate::fabric::WorkOp::Recv, sge);
    }
    (peer, qp)
}
fn flush_capsule(cid: u16) -> Vec<u8> {
    let sqe = wire::nvme::Sqe::new(IoOpcode::Flush.octet(), Cid(cid), wire::nvme::Nsid(1));
    let mut octets = Vec::new();
    Pdu::CapsuleCmd(sqe).encode(&Framing::PLAIN, 0, &mut octets);
    octets
}
fn overdue(target: &End) -> u64 {
    let mut found = 0;
    target
        .fabric
        .counters(&mut |name, count| found += if name == "tcp.overdue" { count } else { 0 });
    found
}

/// Goal: a peer that sends an octet now and then, and never a whole PDU, is told and ends within twice the
/// time, also when nothing else wakes the target; others, idle or slow but whole, go on.
#[test]
fn peers_that_trickle_end() {
    let (mut target, to) = target(140);
    let patience = target.fabric.shared.config.patience;
    let (mut bad, bad_qp) = admitted(&mut target, to);
    let (_idle, _) = admitted(&mut target, to);
    let (mut slow, _) = admitted(&mut target, to);
    let (octets, start) = (flush_capsule(9), target.now);
    let mut sent = 0;
    let gone = FabricEvent::Disconnected { qp: bad_qp, reason: DisconnectReason::Timeout };
    while !target.events.contains(&gone) {
        assert!(target.now < start + 2 * patience + Duration::from_secs(10), "it stays for ever");
        let _ = bad.write_all(&octets[sent..=sent]);
        sent = (sent + 1).min(octets.len() - 2);
        slow.write_all(&flush_capsule(1)).unwrap();
        let timeout = target.fabric.poll_timeout().unwrap();
        assert!(timeout <= target.now + patience, "a sleep must end in time");
        target.now += Duration::from_secs(5);
        (0..200).for_each(|_| target.turn());
    }
    assert!(target.now >= start + patience, "it had its time");
    let told = next_pdu(&mut bad, &mut target);
    let fault = PduFault::field(field::PLEN);
    let said = TermReq { status: u16::from(fault.status.octet()), information: fault.information };
    assert_eq!(Pdu::decode(PduKind::C2hTermReq, &told), Some(Pdu::C2hTermReq(said)));
    assert!(is_closed(&mut bad, &mut target));
    assert_eq!((overdue(&target), target.fabric.connections.len()), (1, 2));
}

/// Goal: after a pause of the target nobody is blamed for what the target did not read.
#[test]
fn a_pause_of_this_side_is_nobodys_fault() {
    let (mut target, to) = target(141);
    let patience = target.fabric.shared.config.patience;
    let (mut peer, _) = admitted(&mut target, to);
    let octets = flush_capsule(3);
    peer.write_all(&octets[..40]).unwrap();
    (0..200).for_each(|_| target.turn());
    target.now += patience;
    (0..200).for_each(|_| target.turn());
    // Noted; then the target is away for long, and the rest comes only after its first turns.
    target.now += 3 * patience;
    (0..200).for_each(|_| target.turn());
    assert_eq!(overdue(&target), 0);
    peer.write_all(&octets[40..]).unwrap();
    (0..200).for_each(|_| target.turn());
    target.now += patience;
    (0..200).for_each(|_| target.turn());
    assert_eq!((overdue(&target), target.fabric.connections.len()), (0, 1));
}

/// Goal: a host does not wait for a target that stops in the middle of a response.
#[test]
fn hosts_end_connections_that_stop_midway() {
    let silent = std::net::TcpListener::bind("127.0.78.142:4420").unwrap();
    let mut host = host();
    let qp = dial(&mut host, silent.local_addr().unwrap(), 1);
    let (mut peer, _) = silent.accept().unwrap();
    let response = wire::nvme_tcp::IcResp {
        pfv: 0,
        cpda: 0,
        header_digest: false,
        data_digest: false,
        max_h2c_data: 4096,
    };
    let mut octets = Vec::new();
    Pdu::IcResp(response).encode(&Framing::PLAIN, 0, &mut octets);
    peer.write_all(&octets).unwrap();
    run(&mut [&mut host], |ends| !ends[0].events.is_empty());
    send_connect(&mut host, qp, 1, 31);
    peer.write_all(&[5, 0, 24, 0]).unwrap();
    let gone = FabricEvent::Disconnected { qp, reason: DisconnectReason::Timeout };
    for _ in 0..20 {
        (0..200).for_each(|_| host.turn());
        host.now += Duration::from_secs(5);
    }
    assert!(host.events.contains(&gone), "{:?}", host.events);
}

/// Goal: a record of TLS of which the last octet never comes is overdue as a PDU is.
#[test]
fn records_of_tls_are_to_be_finished() {
    let (mut target, to) = secured(143, Security::Required);
    let middle = std::net::TcpListener::bind("127.0.78.144:0").unwrap();
    let mut host = with_keys(vec![psk(IDENTITY, 1, PskHash::Sha256)]);
    let qp = dial(&mut host, middle.local_addr().unwrap(), 1);
    let (mut left, _) = middle.accept().unwrap();
    let mut right = raw(to);
    left.set_nonblocking(true).unwrap();
    right.set_nonblocking(true).unwrap();
    let established = |event: &FabricEvent| matches!(event, FabricEvent::Established { .. });
    for _ in 0..200_000 {
        host.turn();
        target.turn();
        pump(&mut left, &mut right, false);
        pump(&mut right, &mut left, false);
        if host.events.iter().any(established) {
            break;
        }
    }
    send_connect(&mut host, qp, 1, 31);
    (0..200).for_each(|_| host.turn());
    let mut octets = [0; 512];
    let count = std::io::Read::read(&mut left, &mut octets).unwrap();
    // The first record whole, so that the host is known, and half of another.
    right.write_all(&octets[..count]).unwrap();
    run(&mut [&mut target], |ends| !ends[0].requests().is_empty());
    let at = target.requests()[0];
    accept(&mut target, at);
    right.write_all(&[23, 3, 3, 1, 0, 7, 7]).unwrap();
    for _ in 0..3 {
        (0..200).for_each(|_| target.turn());
        assert_eq!(overdue(&target), 0);
        target.now += target.fabric.shared.config.patience / 2;
    }
    for _ in 0..3 {
        target.now += target.fabric.shared.config.patience / 2;
        (0..200).for_each(|_| target.turn());
    }
    assert_eq!((overdue(&target), target.fabric.connections.len()), (1, 0));
}
