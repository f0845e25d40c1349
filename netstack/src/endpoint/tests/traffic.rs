//! Sends, reads and writes over connections made by CM, in both wire modes.

use super::super::{ConnEvent, Mode};
use super::world::{Told, World};
use crate::fabric::DisconnectReason;
use std::time::Duration;
use verbs::{SendOp, WcOpcode, WcStatus};

/// Everything that NVMe over Fabrics does with a connection: a capsule, a READ of the caller's
/// memory, a WRITE to it, and an answer; octets equal, each completion once.
fn round_trip(world: &mut World) {
    let (a, b) = world.connect();
    world.drive(Duration::from_secs(5));
    world.hosts[0].paint(0, 300_000, 1);
    let (client, server) = (world.hosts[0].octets(0, 300_000), 400_000);
    world.hosts[1].post_recv(b, 50, 900_000, 4096);
    world.hosts[0].post_recv(a, 51, 900_000, 64);
    world.hosts[0].post(a, 1, SendOp::Send, 0, 4096);
    world.drive(Duration::from_secs(5));
    let remote = world.hosts[0].remote(100_000);
    world.hosts[1].post(b, 2, SendOp::RdmaRead(remote), server, 200_000);
    world.drive(Duration::from_secs(5));
    let remote = world.hosts[0].remote(700_000);
    world.hosts[1].post(b, 3, SendOp::RdmaWrite(remote), server, 100_000);
    world.hosts[1].post(b, 4, SendOp::Send, 0, 16);
    world.drive(Duration::from_secs(5));
    assert_eq!(world.hosts[1].octets(900_000, 4096), client[..4096]);
    assert_eq!(world.hosts[1].octets(server, 200_000), client[100_000..]);
    assert_eq!(world.hosts[0].octets(700_000, 100_000), client[100_000..200_000]);
    let outcome = |host: usize| {
        let wcs = world.hosts[host].wcs().into_iter();
        wcs.map(|wc| (wc.wr_id, wc.status, wc.byte_len)).collect::<Vec<_>>()
    };
    let ok = WcStatus::Success;
    assert_eq!(outcome(0).len(), 2, "{:?}", outcome(0));
    assert!(outcome(0).contains(&(51, ok, 16)));
    let ids: Vec<u64> = outcome(1).iter().map(|wc| wc.0).collect();
    assert_eq!(ids, [50, 2, 3, 4]);
    assert!(outcome(1).iter().all(|wc| wc.1 == ok), "{:?}", outcome(1));
    world.hosts[0].endpoint.disconnect(world.now, a);
    world.outlast();
    for host in &world.hosts {
        assert_eq!(host.endpoint.qp_count(), 0);
        assert!(matches!(host.told.last(), Some(Told::Event(ConnEvent::Disconnected { .. }))));
    }
}

#[test]
fn round_trip_in_both_modes() {
    for mode in [Mode::Native, Mode::Roce] {
        round_trip(&mut World::pair(mode, mode, 20));
    }
}

/// The same under loss and reordering.
#[test]
fn round_trip_under_faults() {
    for seed in 0..60 {
        let mode = if seed % 2 == 0 { Mode::Native } else { Mode::Roce };
        let mut world = World::pair(mode, mode, 200 + seed);
        world.loss_permille = 30;
        world.reorder_permille = 50;
        world.tracing = false;
        round_trip(&mut world);
    }
}

/// A peer that falls silent: everything is flushed, then `Disconnected` for want of an answer.
#[test]
fn a_dead_peer_is_noticed() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 21);
        let (a, _) = world.connect();
        world.settle();
        world.hosts[1].is_dead = true;
        world.hosts[0].post_recv(a, 9, 0, 64);
        world.hosts[0].post(a, 1, SendOp::Send, 0, 64);
        world.hosts[0].post(a, 2, SendOp::Send, 0, 64);
        world.outlast();
        let wcs = world.hosts[0].wcs();
        let outcome: Vec<_> = wcs.iter().map(|wc| (wc.wr_id, wc.status)).collect();
        let flushed = WcStatus::WrFlushErr;
        assert_eq!(outcome, [(1, WcStatus::RetryExcErr), (2, flushed), (9, flushed)], "{mode:?}");
        let reason = DisconnectReason::Timeout;
        let last = world.hosts[0].told.last();
        assert_eq!(last, Some(&Told::Event(ConnEvent::Disconnected { qp: a, reason })));
        assert_eq!(world.hosts[0].endpoint.qp_count(), 0);
    }
}

/// A write through a key that does not open the memory: the writer hears what it did wrong, the
/// other side that the connection is over; both in order after their completions.
#[test]
fn access_errors_end_both_sides() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 22);
        let (a, b) = world.connect();
        world.settle();
        world.hosts[1].post_recv(b, 8, 0, 64);
        let mut remote = world.hosts[1].remote(0);
        remote.rkey.0 ^= 0x100;
        world.hosts[0].post(a, 1, SendOp::RdmaWrite(remote), 0, 64);
        world.settle();
        let wcs = world.hosts[0].wcs();
        assert_eq!(wcs[0].status, WcStatus::RemAccessErr, "{mode:?}");
        let last = world.hosts[0].told.last();
        let reason = DisconnectReason::Error(WcStatus::RemAccessErr);
        assert_eq!(last, Some(&Told::Event(ConnEvent::Disconnected { qp: a, reason })));
        let told = &world.hosts[1].told;
        assert!(matches!(told[told.len() - 2], Told::Wc(wc) if wc.wr_id == 8), "{told:?}");
        let last = told.last().unwrap();
        assert!(
            matches!(last, Told::Event(ConnEvent::Disconnected { qp, .. }) if *qp == b),
            "{last:?}"
        );
    }
}

/// Work posted to a connection that is ending is flushed before `Disconnected`; after it, refused.
#[test]
fn late_work_is_flushed() {
    let mut world = World::pair(Mode::Native, Mode::Native, 23);
    let (a, _) = world.connect();
    world.settle();
    world.hosts[0].endpoint.disconnect(world.now, a);
    world.hosts[0].post(a, 1, SendOp::Send, 0, 64);
    world.hosts[0].post_recv(a, 2, 0, 64);
    world.settle();
    let wcs = world.hosts[0].wcs();
    assert_eq!(wcs.iter().map(|wc| wc.wr_id).collect::<Vec<_>>(), [1, 2]);
    assert!(wcs.iter().all(|wc| wc.status == WcStatus::WrFlushErr));
    assert_eq!((wcs[0].opcode, wcs[1].opcode), (WcOpcode::Send, WcOpcode::Recv));
    assert!(matches!(world.hosts[0].told.last(), Some(Told::Event(_))));
    let wr = verbs::RecvWr::default();
    let refused = world.hosts[0].endpoint.post_recv(a, wr);
    assert_eq!(refused, Err(verbs::PostError::NoSuchQp));
}

/// Marked packets: a RoCEv2 receiver notifies the sender, at most once per interval; native
/// acknowledgements carry the marks without packets of their own.
#[test]
fn congestion_marks_reach_the_sender() {
    for mode in [Mode::Native, Mode::Roce] {
        let mut world = World::pair(mode, mode, 24);
        let (a, _) = world.connect();
        world.settle();
        world.ecn = 3;
        let remote = world.hosts[1].remote(0);
        for id in 0..8 {
            world.hosts[0].post(a, id, SendOp::RdmaWrite(remote), 0, 64 << 10);
        }
        world.trace.clear();
        world.drive(Duration::from_millis(1));
        let cnps = world.trace.iter().filter(|d| d.octets[0] == 0x81).count();
        let heard = world.hosts[0].counter("qp.cnps_in");
        match mode {
            Mode::Native => assert_eq!((cnps, heard), (0, 0)),
            Mode::Roce => {
                assert!((1..=20).contains(&cnps), "{cnps} in a millisecond");
                let all = world.trace.iter().filter(|d| d.octets[0] == 0x81);
                let port = world.hosts[0].addr;
                assert_eq!(all.filter(|d| d.to == port).count(), cnps, "not where it sent from");
                assert!(heard > 0);
                let cnp = world.trace.iter().find(|d| d.octets[0] == 0x81).unwrap();
                assert_eq!((cnp.octets.len(), cnp.octets[4] & 0x40), (32, 0x40));
                assert_eq!(cnp.octets[12..28], [0; 16]);
            }
        }
        assert!(world.hosts[1].counter("qp.ecn_marks_in") > 0);
    }
}
