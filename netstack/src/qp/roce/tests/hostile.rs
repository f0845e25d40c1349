//! A peer that sends anything: never a panic, never an octet outside, completions at most once.

use super::*;
use crate::qp::testing::{Random, Setup, qpn};
use std::time::Duration;
use wire::roce::{
    Aeth, AtomicEth, ExtHeaders, Header, Ieth, ImmDt, Msn, Psn, Reth, Syndrome, pad_count,
};

fn low32(random: &mut Random) -> u32 {
    u32::try_from(random.next() & 0xffff_ffff).unwrap()
}

/// A packet that is well-formed and otherwise arbitrary, near what the machine expects.
fn arbitrary(world: &RoceWorld, random: &mut Random) -> Vec<u8> {
    let rc: Vec<Opcode> = Opcode::ALL.iter().copied().filter(|o| !o.is_native()).collect();
    let opcode = rc[usize::try_from(random.below(rc.len() as u64)).unwrap()];
    let psn = match random.below(4) {
        0 => low32(random),
        _ => (if opcode.is_response() { 5000 } else { 100 }) + (low32(random) & 15),
    };
    let mr = world.sides[1].mr;
    let rkey = if random.chance(800) { mr.rkey.0 } else { low32(random) };
    let addr = if random.chance(900) { mr.addr + random.below(1 << 19) } else { random.next() };
    let len = if random.chance(900) { low32(random) & 4095 } else { low32(random) };
    let octet = random.next().to_le_bytes()[0];
    let mut header = Header::new(opcode, qpn(1), Psn::new(psn));
    header.bth.ack_req = random.chance(500);
    header.ext = ExtHeaders {
        reth: Some(Reth { addr, rkey, len }),
        atomic: Some(AtomicEth { addr: addr & !7, rkey, swap_add: addr, compare: 0 }),
        aeth: Some(Aeth { syndrome: Syndrome::from_octet(octet), msn: Msn::new(psn) }),
        atomic_ack: Some(addr),
        imm: Some(ImmDt([1, 2, 3, 4])),
        ieth: Some(Ieth(if random.chance(990) { 1 } else { rkey })),
        deth: Some(wire::roce::Deth::default()),
        feth: Some(wire::roce::Feth::default()),
    };
    let payload = match random.below(4) {
        0 => 0,
        1 => 256,
        _ => usize::try_from(random.below(300)).unwrap(),
    };
    let mut octets = header.emit(payload).as_slice().to_vec();
    if opcode.has_payload() {
        octets.resize(octets.len() + payload + usize::from(pad_count(payload)), octet);
    }
    octets
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let setup = Setup { mtu: 256, seed, ..Setup::default() };
    let mut world = RoceWorld::new(&setup);
    world.tracing = false;
    let ids = 12;
    for id in 0..ids {
        world.sides[1].post_recv(100 + id, LANDING, 1000);
        let remote = world.sides[0].remote(LANDING);
        let op = [SendOp::Send, SendOp::RdmaRead(remote), SendOp::RdmaWrite(remote)]
            [usize::try_from(random.below(3)).unwrap()];
        world.sides[1].post(id, op, LANDING, 700);
    }
    for _ in 0..100 {
        let octets = arbitrary(&world, &mut random);
        world.inject(1, &octets);
        if random.chance(300) {
            world.drive(Duration::from_micros(random.below(100)));
        }
    }
    let now = world.now;
    world.sides[1].with(now, |machine, cx| machine.fail(cx, WcStatus::GeneralErr));
    let mut done: Vec<_> = world.sides[1].take_wcs().into_iter().map(|(id, _)| id).collect();
    done.sort_unstable();
    let all: Vec<_> = (0..ids).chain(100..100 + ids).collect();
    assert_eq!(done, all, "seed {seed}: each post completes once");
}

/// Goal: arbitrary packets, near and far from what is expected, break nothing but the connection.
#[test]
fn arbitrary_packets_never_panic() {
    for seed in 0..3000 {
        run(seed);
    }
}
