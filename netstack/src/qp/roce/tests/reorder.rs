//! Packets that overtake each other: what was given up is still under way after going back.

use super::loss::Paced;
use super::*;
use crate::qp::testing::{Fate, Setup, config};
use std::time::Duration;

const PACKETS: u32 = 100;
const LATE: Fate = Fate::Delay(Duration::from_nanos(3500));

/// Side 0 knows the round trip (20 µs) from a WRITE of one packet, PSN 100, and has posted `op` of
/// 100 packets, PSNs 101 to 200. Both sides send one packet per microsecond. `fate` decides over
/// those of `op`'s stream: by PSN, and how often that was sent.
fn paced(op: fn(&RoceWorld) -> SendOp, fate: fn(u32, u32) -> Fate) -> RoceWorld {
    let setup = Setup { mtu: 256, ..Setup::default() };
    let mut world = world(&setup);
    for side in 0..2 {
        let mut config = config(side, &setup);
        config.cc = Box::new(Paced(None));
        world.sides[side].machine = RoceMachine::new(config);
    }
    world.sides[0].post(0, write(&world), SOURCE, 8);
    world.settle();
    world.trace.clear();
    let op = op(&world);
    let is_read = matches!(op, SendOp::RdmaRead(_));
    world.sides[0].post(1, op, if is_read { LANDING } else { SOURCE }, 256 * PACKETS);
    let mut sent_times = [0; PACKETS as usize];
    world.script = Some(Box::new(move |sent| {
        if sent.from != usize::from(is_read) {
            return Fate::Deliver;
        }
        let psn = packet(sent).bth.psn.get();
        let times = &mut sent_times[psn as usize - 101];
        *times += 1;
        fate(psn, *times)
    }));
    world
}

fn read(world: &RoceWorld) -> SendOp {
    SendOp::RdmaRead(world.sides[1].remote(SOURCE))
}

fn write(world: &RoceWorld) -> SendOp {
    SendOp::RdmaWrite(world.sides[1].remote(LANDING))
}

/// Everything is done and no timer was needed.
fn check(world: &mut RoceWorld) {
    world.settle();
    assert_eq!(world.sides[0].take_wcs(), [(0, OK), (1, OK)]);
    assert_eq!(world.sides[0].counters.timeouts, 0);
}

/// PSNs of the READ requests.
fn requests(world: &RoceWorld) -> Vec<u32> {
    let requests = world.trace.iter().filter(|sent| sent.from == 0);
    requests.map(|sent| packet(sent).bth.psn.get()).collect()
}

/// Goal: one late packet of a READ's response is one gap: what is still under way of the response
/// that was given up does not look like another.
#[test]
fn a_late_response_is_one_gap() {
    let mut world =
        paced(read, |psn, times| if (psn, times) == (110, 1) { LATE } else { Fate::Deliver });
    check(&mut world);
    assert_eq!(world.sides[0].octets(LANDING, 25_600), world.sides[1].octets(SOURCE, 25_600));
    assert_eq!(requests(&world), [101, 110], "the READ, and the rest of it once");
}

/// Goal: a packet that is lost, and another that is lost of the response that was asked for
/// again, cost one request each and no timeout.
#[test]
fn a_loss_after_going_back_is_recovered() {
    let mut world = paced(read, |psn, times| {
        if matches!((psn, times), (110, 1) | (112, 2)) { Fate::Drop } else { Fate::Deliver }
    });
    check(&mut world);
    assert_eq!(world.sides[0].octets(LANDING, 25_600), world.sides[1].octets(SOURCE, 25_600));
    assert_eq!(requests(&world), [101, 110, 112]);
}

/// Goal: a refusal that comes too early to be about what was sent again is remembered: when that
/// is lost as well, the responder is silent, and the retransmission timer must not be needed.
#[test]
fn a_refusal_within_the_round_trip_is_not_forgotten() {
    let mut world = paced(write, |psn, times| match (psn, times) {
        (110, 1) => LATE,
        (111, 2) => Fate::Drop,
        _ => Fate::Deliver,
    });
    check(&mut world);
    assert_eq!(world.sides[0].octets(SOURCE, 25_600), world.sides[1].octets(LANDING, 25_600));
    assert_eq!(world.sides[0].counters.naks_in, 2);
    let times = world.trace.iter().filter(|sent| packet(sent).bth.psn.get() == 111);
    assert_eq!(times.filter(|sent| sent.from == 0).count(), 3);
}
