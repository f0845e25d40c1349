//! Random operations in both directions over a bad wire, against a model of memory.

use super::*;
use crate::qp::testing::{Faults, Random, Setup};
use std::time::Duration;

/// How each side's region is laid out, by offset.
const READ_ONLY: u32 = 128 << 10;
const TARGET: u32 = 256 << 10;
const CELLS: u32 = 320 << 10;
const RECEIVES: u32 = 384 << 10;
const READS: u32 = 640 << 10;
const REGION: usize = 1 << 20;
const LEN_MAX: u64 = 5000;

/// One side's posts and what its and the peer's memory must look like in the end.
struct Model {
    memory: [Vec<u8>; 2],
    posted: [Vec<u64>; 2],
    received: [Vec<(u64, u32)>; 2],
}

impl Model {
    fn new(world: &RoceWorld) -> Model {
        let region = u32::try_from(REGION).unwrap();
        let memory = [0, 1].map(|side| world.sides[side].octets(0, region));
        Model { memory, posted: Default::default(), received: Default::default() }
    }
    fn copy(&mut self, from: (usize, u32), to: (usize, u32), len: u32) {
        let range = |at: u32| at as usize..(at + len) as usize;
        let octets = self.memory[from.0][range(from.1)].to_vec();
        self.memory[to.0][range(to.1)].copy_from_slice(&octets);
    }
    fn add(&mut self, side: usize, cell: u32, add: u64) -> u64 {
        let at = &mut self.memory[side][cell as usize..cell as usize + 8];
        let old = u64::from_ne_bytes(at.try_into().unwrap());
        at.copy_from_slice(&old.wrapping_add(add).to_ne_bytes());
        old
    }
}

/// Posts one random operation of `side`, and applies it to the model.
fn post_random(world: &mut RoceWorld, model: &mut Model, side: usize, random: &mut Random) {
    let peer = side ^ 1;
    let id = model.posted[side].len() as u64;
    let slot = u32::try_from(id).unwrap() * 5000;
    let len = u32::try_from(random.below(LEN_MAX)).unwrap();
    let source = u32::try_from(random.below(100_000)).unwrap();
    let target = TARGET + u32::try_from(random.below(50_000)).unwrap();
    let remote = |offset| world.sides[peer].remote(offset);
    let (op, offset, len) = match random.below(6) {
        0 => (SendOp::Send, source, len),
        1 => (SendOp::SendWithImm(5), source, len),
        2 => (SendOp::RdmaWrite(remote(target)), source, len),
        3 => (SendOp::RdmaWriteWithImm(remote(target), 6), source, len),
        4 => (SendOp::RdmaRead(remote(READ_ONLY + source)), READS + slot, len),
        _ => (SendOp::FetchAdd { remote: remote(CELLS), add: id + 1 }, READS + slot, 8),
    };
    let takes = matches!(op, SendOp::Send | SendOp::SendWithImm(_) | SendOp::RdmaWriteWithImm(..));
    let receive = model.received[peer].len() as u64;
    let landing = RECEIVES + u32::try_from(receive).unwrap() * 5000;
    match op {
        SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..) => {
            model.copy((side, source), (peer, target), len);
        }
        SendOp::RdmaRead(_) => model.copy((peer, READ_ONLY + source), (side, READS + slot), len),
        SendOp::FetchAdd { add, .. } => {
            let old = model.add(peer, CELLS, add);
            let at = (READS + slot) as usize;
            model.memory[side][at..at + 8].copy_from_slice(&old.to_ne_bytes());
        }
        SendOp::Send | SendOp::SendWithImm(_) => {
            model.copy((side, source), (peer, landing), len);
        }
        SendOp::SendWithInv(_) | SendOp::CompareSwap { .. } | SendOp::LocalInv(_) => {
            unreachable!("not drawn")
        }
    }
    if takes {
        model.received[peer].push((receive, len));
    }
    model.posted[side].push(id);
    world.sides[side].post(id, op, offset, len);
}

/// Some operations of both sides; receives come late, so that RNR NAKs mix with the rest.
fn run(seed: u64) {
    let mut random = Random(seed);
    let setup = Setup {
        mtu: [256, 1024, 4096][usize::try_from(random.below(3)).unwrap()],
        psn: [0xff_ffe0, 0xff_fff0],
        max_rd_atomic: 1 + u8::try_from(random.below(4)).unwrap(),
        retry_cnt: 7,
        rnr_retry: 7,
        window_bytes: 1 << (9 + random.below(10)),
        region_bytes: REGION,
        seed,
        faults: Faults {
            loss_permille: random.below(60),
            duplicate_permille: random.below(60),
            reorder_permille: random.below(60),
            ..Faults::default()
        },
        ..Setup::default()
    };
    let mut world = world(&setup);
    world.tracing = false;
    let mut model = Model::new(&world);
    let mut given = [0, 0];
    for _ in 0..random.below(50) {
        let side = usize::from(random.chance(500));
        post_random(&mut world, &mut model, side, &mut random);
        if random.chance(300) {
            world.drive(Duration::from_micros(random.below(200)));
        }
        for (side, given) in given.iter_mut().enumerate() {
            while *given < model.received[side].len() && random.chance(700) {
                give(&mut world, side, given);
            }
        }
    }
    for (side, given) in given.iter_mut().enumerate() {
        while *given < model.received[side].len() {
            give(&mut world, side, given);
        }
    }
    assert!(world.drive(Duration::from_secs(60)), "seed {seed}: never rests");
    check(&world, &model, seed);
}

fn give(world: &mut RoceWorld, side: usize, given: &mut usize) {
    let landing = RECEIVES + u32::try_from(*given).unwrap() * 5000;
    world.sides[side].post_recv(*given as u64, landing, 5000);
    *given += 1;
}

fn check(world: &RoceWorld, model: &Model, seed: u64) {
    for (index, side) in world.sides.iter().enumerate() {
        let is_receive = |wc: &&verbs::Wc| wc.opcode as u8 >= 128;
        assert!(side.wcs.iter().all(|wc| wc.status == OK), "seed {seed}: {:?}", side.wcs);
        let sends: Vec<_> =
            side.wcs.iter().filter(|wc| !is_receive(wc)).map(|wc| wc.wr_id).collect();
        assert_eq!(sends, model.posted[index], "seed {seed}: sends, once and in order");
        let receives: Vec<_> =
            side.wcs.iter().filter(is_receive).map(|wc| (wc.wr_id, wc.byte_len)).collect();
        assert_eq!(receives, model.received[index], "seed {seed}: receives, once and in order");
        let memory = side.octets(0, u32::try_from(REGION).unwrap());
        let wrong = memory.iter().zip(&model.memory[index]).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "seed {seed}: side {index} differs from the model at");
        assert!(side.machine.is_idle());
    }
}

/// Goal: over loss, duplication and reordering, every operation completes once and in order, and
/// memory is the model's to the octet: nothing is missing, nothing is outside.
#[test]
fn random_operations_match_the_model() {
    for seed in 0..400 {
        run(seed);
    }
}
