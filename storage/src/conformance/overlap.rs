//! Users of the same blocks at the same time.

use super::{Rig, Until};
use crate::random::SplitMix64;
use crate::{BlockRange, DiskStatus, Done, Durability, Op, Purpose, Tag};
use memory::DmaBuf;
use std::collections::HashMap;

/// Blocks that everybody fights for.
const ARENA_BLOCKS: u64 = 48;
const STEPS: usize = 3000;
const OPEN_MAX: usize = 40;

struct Fight {
    random: SplitMix64,
    open: HashMap<Tag, Op>,
    /// Reads not yet released, with their content when they finished.
    reading: Vec<(DmaBuf, Vec<u8>)>,
    /// Prepared, not yet written.
    prepared: Vec<(BlockRange, DmaBuf)>,
}

/// Goal: while reads, in-place and staged writes and zeroings of the same blocks overlap, every
/// block that is read is of one write, and does not change until its buffer is released.
pub(super) fn no_block_is_torn(rig: &mut Rig, seed: u64) {
    let mut fight = Fight {
        random: SplitMix64::new(seed),
        open: HashMap::new(),
        reading: Vec::new(),
        prepared: Vec::new(),
    };
    let arena = BlockRange { start: 0, count: 48 };
    let zeroes = vec![0; rig.octets(arena)];
    rig.write(arena, &zeroes, Purpose::Write, Durability::Cached);
    for step in 0..STEPS {
        fight.step(rig, step < STEPS - 500);
    }
    while !(fight.open.is_empty() && fight.reading.is_empty() && fight.prepared.is_empty()) {
        fight.step(rig, false);
        if fight.reading.is_empty() && fight.prepared.is_empty() && !fight.open.is_empty() {
            rig.poll_until(Until::Count(1));
        }
    }
    rig.check_idle();
}

impl Fight {
    fn step(&mut self, rig: &mut Rig, start_more: bool) {
        if start_more && self.open.len() + self.reading.len() + self.prepared.len() < OPEN_MAX {
            self.start(rig);
        }
        if self.random.below(3) == 0 {
            rig.poll();
        }
        for done in rig.take_done() {
            self.finished(rig, done);
        }
        if self.random.below(2) == 0 && !self.reading.is_empty() {
            let pick =
                usize::try_from(self.random.below(self.reading.len() as u64)).expect("small");
            let (buffer, content) = self.reading.swap_remove(pick);
            assert!(buffer.bytes() == content, "a read changed before it was released");
            rig.backend.release(buffer);
        }
        if self.random.below(2) == 0 && !self.prepared.is_empty() {
            let pick =
                usize::try_from(self.random.below(self.prepared.len() as u64)).expect("small");
            let (range, buffer) = self.prepared.swap_remove(pick);
            self.fill_and_write(rig, range, buffer);
        }
    }

    fn start(&mut self, rig: &mut Rig) {
        let start = self.random.below(ARENA_BLOCKS);
        let count = 1 + self.random.below((ARENA_BLOCKS - start).min(12));
        let range = BlockRange { start, count: u32::try_from(count).expect("small") };
        let op = match self.random.below(10) {
            0..=4 => Op::Read(range),
            5..=6 => Op::Prepare(range, Purpose::Write),
            7..=8 => Op::Prepare(range, Purpose::StagedWrite),
            _ => {
                let deallocate = self.random.below(2) == 0;
                Op::WriteZeroes { range, deallocate, durability: Durability::Cached }
            }
        };
        let tag = rig.submit(op, None);
        self.open.insert(tag, op);
    }

    fn fill_and_write(&mut self, rig: &mut Rig, range: BlockRange, mut buffer: DmaBuf) {
        let word = self.random.next_u64().to_le_bytes();
        let data: Vec<u8> = word.iter().copied().cycle().take(buffer.len()).collect();
        buffer.write(0, &data);
        let op = Op::Write(range, Durability::Cached);
        let tag = rig.submit(op, Some(buffer));
        self.open.insert(tag, op);
    }

    fn finished(&mut self, rig: &Rig, done: Done) {
        let op = self.open.remove(&done.tag).expect("finished twice, or never started");
        assert_eq!(done.status, DiskStatus::Good, "{op:?}");
        match (op, done.buffer) {
            (Op::Read(_), Some(buffer)) => {
                let block = rig.geometry().block_bytes as usize;
                for (index, octets) in buffer.bytes().chunks(block).enumerate() {
                    let whole = octets.chunks(8).all(|word| word == &octets[..8]);
                    assert!(whole, "block {index} of {op:?} is torn");
                }
                let content = buffer.bytes().to_vec();
                self.reading.push((buffer, content));
            }
            (Op::Prepare(range, _), Some(buffer)) => self.prepared.push((range, buffer)),
            (op, buffer) => assert!(
                buffer.is_none() && matches!(op, Op::Write(..) | Op::WriteZeroes { .. }),
                "{op:?} with {buffer:?}"
            ),
        }
    }
}

/// Goal: a prepared buffer that is given back unwritten leaves its blocks readable and writable.
pub(super) fn a_released_grant_unlocks_its_blocks(rig: &mut Rig) {
    let range = BlockRange { start: 5, count: 4 };
    let before = rig.read(range);
    for purpose in [Purpose::Write, Purpose::StagedWrite, Purpose::Compare] {
        let buffer = rig.prepare(range, purpose);
        let waiting = rig.submit(Op::Read(range), None);
        rig.poll();
        rig.backend.release(buffer);
        let done = rig.wait(waiting);
        let buffer = done.buffer.expect("a good read has a buffer");
        assert!(buffer.bytes() == before, "changed by a write that never was");
        rig.backend.release(buffer);
    }
    let zeroes = vec![0; rig.octets(range)];
    let status = rig.write(range, &zeroes, Purpose::Write, Durability::Cached);
    assert_eq!(status, DiskStatus::Good);
    rig.check_idle();
}

/// Goal: a writer gets its turn although readers of the same block never leave it free: each new
/// one is there before the former is released.
pub(super) fn a_writer_is_not_starved_by_readers(rig: &mut Rig) {
    let range = BlockRange { start: 2, count: 1 };
    let mut buffer = rig.prepare(range, Purpose::StagedWrite);
    buffer.fill(0x11);
    let mut reader = rig.submit(Op::Read(range), None);
    let writer = rig.submit(Op::Write(range, Durability::Cached), Some(buffer));
    for _ in 0..4 {
        let next = rig.submit(Op::Read(range), None);
        let done = rig.wait(reader);
        rig.backend.release(done.buffer.expect("a good read has a buffer"));
        reader = next;
    }
    let done = rig.wait(reader);
    rig.backend.release(done.buffer.expect("a good read has a buffer"));
    assert_eq!(rig.wait(writer).status, DiskStatus::Good);
    rig.check_idle();
}

/// Goal: Compare and Write writes what it is given where blocks are as expected, and nothing where
/// one octet differs; of many that expect the same, one wins.
pub(super) fn compare_and_write_is_one_step(rig: &mut Rig) {
    const RIVALS: u8 = 12;
    for count in [1, rig.blocks(rig.geometry().max_transfer_bytes / 2)] {
        let range = BlockRange { start: 7, count };
        let (len, first) = (rig.octets(range), 0xf0);
        rig.write(range, &vec![first; len], Purpose::StagedWrite, Durability::Cached);
        let prepare = |rig: &mut Rig, expected: u8, new: u8| {
            let done = rig.run(Op::Prepare(range, Purpose::CompareAndWrite), None);
            let mut both = done.buffer.expect("a good prepare has a buffer");
            assert_eq!(both.len(), 2 * len);
            both.write(0, &vec![expected; len]);
            both.write(len, &vec![new; len]);
            both
        };
        let mut almost = prepare(rig, first, 0x11);
        almost.write(len - 1, &[first ^ 1]);
        let outcome = rig.run(Op::CompareAndWrite(range, Durability::Cached), Some(almost));
        assert_eq!(outcome.status, DiskStatus::CompareFailed);
        assert!(rig.read(range) == vec![first; len], "written although different");
        let rivals = if count == 1 { RIVALS } else { 3 };
        let both: Vec<_> = (0..rivals).map(|new| prepare(rig, first, new)).collect();
        let op = Op::CompareAndWrite(range, Durability::Fua);
        let tags: Vec<_> = both.into_iter().map(|both| rig.submit(op, Some(both))).collect();
        let outcomes: Vec<_> = tags.into_iter().map(|tag| rig.wait(tag).status).collect();
        let winners: Vec<u8> = (0..rivals)
            .zip(&outcomes)
            .filter(|(_, status)| **status == DiskStatus::Good)
            .map(|(new, _)| new)
            .collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert!(
            outcomes.iter().filter(|s| **s == DiskStatus::CompareFailed).count() + 1
                == outcomes.len()
        );
        assert!(rig.read(range) == vec![winners[0]; len], "not what the winner wrote");
    }
    rig.check_idle();
}
