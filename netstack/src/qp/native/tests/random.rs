//! Random operations in both directions under loss, reordering and duplication.

use super::*;
use crate::qp::testing::{Random, address};
use proptest::prelude::*;
use verbs::{WcOpcode, WcStatus};

/// What both sides do, and what must hold afterwards, as a function of the seed.
struct Model {
    random: Random,
    /// Receives completed at each side must be these (id, octets), in this order.
    messages: [Vec<(u64, Vec<u8>)>; 2],
    /// Contents of each side's write area.
    written: [Vec<u8>; 2],
    additions: [u64; 2],
    next: [u64; 2],
}

const SOURCE: u32 = 0;
const SOURCE_LEN: u32 = 60_000;
const WRITES: u32 = 100_000;
const WRITES_LEN: u32 = 40_000;
const READS: u32 = 200_000;
const CELL: u32 = 300_000;
const RECEIVES: u32 = 400_000;
const RECEIVE_LEN: u32 = 8_000;

impl Model {
    fn len(&mut self) -> u32 {
        let small = self.random.chance(400);
        self.random.below(if small { 20 } else { 7000 }) as u32
    }

    /// Posts one operation of side `from`, with the receive that it needs.
    fn post(&mut self, w: &mut Native, from: usize) {
        let (len, to, id) = (self.len(), from ^ 1, self.next[from]);
        self.next[from] += 1;
        let at = SOURCE + self.random.below(u64::from(SOURCE_LEN - len)) as u32;
        let octets = w.sides[from].octets(at, len);
        let place = self.random.below(u64::from(WRITES_LEN - len)) as u32;
        let remote = w.sides[to].remote(WRITES + place);
        let span = place as usize..(place + len) as usize;
        match self.random.below(6) {
            0 => self.send(w, from, id, SendOp::Send, at, octets),
            1 => self.send(w, from, id, SendOp::SendWithImm(id as u32), at, octets),
            2 => {
                self.written[to][span].copy_from_slice(&octets);
                w.sides[from].post(id, SendOp::RdmaWrite(remote), at, len);
            }
            3 => {
                self.written[to][span].copy_from_slice(&octets);
                self.receive(w, to, Vec::new());
                w.sides[from].post(id, SendOp::RdmaWriteWithImm(remote, id as u32), at, len);
            }
            4 => {
                let source = w.sides[to].remote(at);
                w.sides[from].post(id, SendOp::RdmaRead(source), READS, len);
            }
            _ => {
                self.additions[to] = self.additions[to].wrapping_add(id + 1);
                let remote = w.sides[to].remote(CELL);
                w.sides[from].post(id, SendOp::FetchAdd { remote, add: id + 1 }, READS + 8000, 8);
            }
        }
    }

    fn send(&mut self, w: &mut Native, from: usize, id: u64, op: SendOp, at: u32, octets: Vec<u8>) {
        let len = octets.len() as u32;
        self.receive(w, from ^ 1, octets);
        w.sides[from].post(id, op, at, len);
    }

    fn receive(&mut self, w: &mut Native, to: usize, octets: Vec<u8>) {
        let id = 1_000_000 + self.messages[to].len() as u64;
        let slot = (self.messages[to].len() % 60) as u32;
        w.sides[to].post_recv(id, RECEIVES + RECEIVE_LEN * slot, RECEIVE_LEN);
        self.messages[to].push((id, octets));
    }
}

fn run(seed: u64, loss: u64, ops: u64, mtu: u32) {
    let faults = Faults {
        loss_permille: loss,
        duplicate_permille: loss / 2,
        reorder_permille: 2 * loss,
        ..Faults::default()
    };
    let mut w: Native = World::new(&Setup {
        mtu,
        seed,
        faults,
        timeout: 14,
        window_bytes: 64 << 10,
        psn: [0xff_ffe0, 77],
        ..Setup::default()
    });
    w.tracing = false;
    for side in 0..2 {
        w.sides[side].paint(SOURCE, SOURCE_LEN, seed + side as u64);
    }
    let mut model = Model {
        random: Random(seed ^ 0x5555),
        messages: [Vec::new(), Vec::new()],
        written: [vec![0; WRITES_LEN as usize], vec![0; WRITES_LEN as usize]],
        additions: [0; 2],
        next: [0; 2],
    };
    let mut seen = [Vec::new(), Vec::new()];
    for batch in 0..ops / 5 {
        for _ in 0..5 {
            let from = model.random.below(2) as usize;
            model.post(&mut w, from);
        }
        if batch % 3 == 0 {
            // Every message that may lie in a slot was looked at before the slot is used again.
            assert!(w.drive(Duration::from_secs(30)), "comes to rest");
            check_messages(&mut w, &model, &mut seen);
        } else {
            w.drive(Duration::from_micros(model.random.below(200)));
        }
    }
    assert!(w.drive(Duration::from_secs(30)), "comes to rest");
    check_messages(&mut w, &model, &mut seen);
    for (side, seen) in seen.iter().enumerate() {
        assert!(w.sides[side].machine.is_idle());
        let (sends, receives): (Vec<u64>, Vec<u64>) = seen.iter().partition(|&&id| id < 1_000_000);
        assert_eq!(sends, (0..model.next[side]).collect::<Vec<_>>(), "posting order, once each");
        let expected: Vec<_> = model.messages[side].iter().map(|m| m.0).collect();
        assert_eq!(receives, expected, "receives in order, once each");
        assert_eq!(w.sides[side].octets(WRITES, WRITES_LEN), model.written[side]);
        assert_eq!(w.sides[side].octets(CELL, 8), model.additions[side].to_ne_bytes());
    }
}

/// All completions so far succeeded, and each message lies where its receive said.
fn check_messages(w: &mut Native, model: &Model, seen: &mut [Vec<u64>; 2]) {
    for (side, seen) in seen.iter_mut().enumerate() {
        let wcs = std::mem::take(&mut w.sides[side].wcs);
        for wc in wcs {
            assert_eq!(wc.status, WcStatus::Success, "{wc:?}, towards {}", address(side));
            seen.push(wc.wr_id);
            if wc.opcode == WcOpcode::Recv {
                let index = (wc.wr_id - 1_000_000) as usize;
                let octets = &model.messages[side][index].1;
                assert_eq!(wc.byte_len as usize, octets.len());
                let slot = RECEIVES + RECEIVE_LEN * (index % 60) as u32;
                assert_eq!(&w.sides[side].octets(slot, wc.byte_len), octets);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// 10 % loss, 5 % duplicates, 20 % reordering: exactly once, in order, every octet in place.
    #[test]
    fn random_operations_under_faults(seed in any::<u64>(), mtu in prop::sample::select(vec![256u32, 1024, 4096])) {
        run(seed >> 1, 100, 150, mtu);
    }
    /// The same without faults.
    #[test]
    fn random_operations(seed in any::<u64>()) {
        run(seed >> 1, 0, 150, 1024);
    }
}
