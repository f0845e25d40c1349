//! What is read is what was written.

use super::Rig;
use crate::random::SplitMix64;
use crate::{BlockRange, DiskStatus, Durability, Op, Purpose};

fn pattern(seed: u64, octets: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    (0..octets.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).take(octets).collect()
}

/// Goal: one block, several, the largest transfer, first and last block, each way to write.
pub(super) fn reads_return_what_was_written(rig: &mut Rig) {
    let last = rig.geometry().block_count;
    let large = rig.blocks(rig.geometry().max_transfer_bytes);
    let places = [(0, 1), (1, 3), (8, large), (last - 1, 1), (last - u64::from(large), large)];
    for (seed, (start, count)) in (1..).zip(places) {
        let range = BlockRange { start, count };
        let purpose = if seed % 2 == 0 { Purpose::Write } else { Purpose::StagedWrite };
        for (salt, durability) in [(0, Durability::Cached), (100, Durability::Fua)] {
            let data = pattern(seed + salt, rig.octets(range));
            assert_eq!(rig.write(range, &data, purpose, durability), DiskStatus::Good);
            assert!(rig.read(range) == data, "{range:?} differs after {purpose:?}");
        }
        assert_eq!(rig.outcome(Op::Verify(range)), DiskStatus::Good);
    }
    assert_eq!(rig.outcome(Op::Flush), DiskStatus::Good);
    let all = BlockRange { start: 0, count: u32::try_from(last).unwrap_or(u32::MAX) };
    assert_eq!(rig.outcome(Op::Verify(all)), DiskStatus::Good);
    rig.check_idle();
}

/// Goal: zeroed and deallocated blocks read as zeroes, their neighbours stay, long ranges too.
pub(super) fn zeroed_and_deallocated_blocks_read_as_zeroes(rig: &mut Rig) {
    let geometry = rig.geometry();
    let long = rig.blocks(5 << 20);
    let zeroing =
        |deallocate, durability| move |range| Op::WriteZeroes { range, deallocate, durability };
    let ops: [&dyn Fn(BlockRange) -> Op; 4] = [
        &zeroing(false, Durability::Cached),
        &zeroing(true, Durability::Cached),
        &zeroing(false, Durability::Fua),
        &Op::Deallocate,
    ];
    for op in ops {
        for count in [1, 7, long] {
            let range = BlockRange { start: 9, count };
            let kind = op(range);
            let edges = [8, 9, 8 + u64::from(count), 9 + u64::from(count)];
            for start in edges {
                let block = BlockRange { start, count: 1 };
                let data = vec![0x5a; rig.octets(block)];
                rig.write(block, &data, Purpose::StagedWrite, Durability::Cached);
            }
            assert_eq!(rig.outcome(kind), DiskStatus::Good, "{kind:?}");
            let holds_zeroes = geometry.deallocate || !matches!(kind, Op::Deallocate(_));
            for (start, kept) in
                [(edges[0], true), (edges[1], false), (edges[2], false), (edges[3], true)]
            {
                let data = rig.read(BlockRange { start, count: 1 });
                let wanted = if kept { 0x5a } else { 0 };
                let right = data.iter().all(|octet| *octet == wanted);
                assert!(right || !(kept || holds_zeroes), "block {start} after {kind:?}");
            }
        }
    }
    rig.check_idle();
}

/// Goal: Compare is Good on equal data, CompareFailed if one octet (also the last) differs.
pub(super) fn compare_tells_equal_from_different(rig: &mut Rig) {
    for count in [1, 5, rig.blocks(rig.geometry().max_transfer_bytes)] {
        let range = BlockRange { start: 3, count };
        let mut data = pattern(7, rig.octets(range));
        rig.write(range, &data, Purpose::Write, Durability::Cached);
        let compare = |rig: &mut Rig, data: &[u8]| {
            let mut buffer = rig.prepare(range, Purpose::Compare);
            buffer.write(0, data);
            rig.run(Op::Compare(range), Some(buffer)).status
        };
        assert_eq!(compare(rig, &data), DiskStatus::Good);
        if let Some(last) = data.last_mut() {
            *last ^= 1;
        }
        assert_eq!(compare(rig, &data), DiskStatus::CompareFailed);
        if let (Some(last), range) = (data.last_mut(), range) {
            *last ^= 1;
            assert!(rig.read(range) == data, "compare changed the blocks");
        }
    }
    rig.check_idle();
}

/// Goal: any sequence of operations leaves what the same sequence leaves in an array.
pub(super) fn behaves_like_an_array(rig: &mut Rig, seed: u64) {
    const BLOCKS: u64 = 200;
    let block = u64::from(rig.geometry().block_bytes);
    let mut random = SplitMix64::new(seed);
    let mut model = vec![0u8; usize::try_from(BLOCKS * block).expect("small")];
    let all = BlockRange { start: 0, count: 200 };
    assert_eq!(rig.write(all, &model, Purpose::Write, Durability::Cached), DiskStatus::Good);
    for step in 0..300 {
        let start = random.below(BLOCKS);
        let count = 1 + random.below((BLOCKS - start).min(40));
        let range = BlockRange { start, count: u32::try_from(count).expect("small") };
        let span = usize::try_from(start * block).expect("small")
            ..usize::try_from((start + count) * block).expect("small");
        let data = pattern(random.next_u64(), span.len());
        let durability = if random.below(8) == 0 { Durability::Fua } else { Durability::Cached };
        let status = match random.below(8) {
            0..=1 => {
                model[span].copy_from_slice(&data);
                rig.write(range, &data, Purpose::Write, durability)
            }
            2..=3 => {
                model[span].copy_from_slice(&data);
                rig.write(range, &data, Purpose::StagedWrite, durability)
            }
            4 => {
                model[span].fill(0);
                let deallocate = random.below(2) == 0;
                rig.outcome(Op::WriteZeroes { range, deallocate, durability })
            }
            5 => {
                let mut buffer = rig.prepare(range, Purpose::Compare);
                buffer.write(0, &model[span]);
                rig.run(Op::Compare(range), Some(buffer)).status
            }
            6 => rig.outcome(Op::Flush),
            _ => {
                assert!(rig.read(range) == model[span], "seed {seed}, step {step}, {range:?}");
                DiskStatus::Good
            }
        };
        assert_eq!(status, DiskStatus::Good, "seed {seed}, step {step}");
    }
    assert!(rig.read(all) == model, "seed {seed}, at the end");
    rig.check_idle();
}

/// Goal: a disk that keeps nothing reads as zeroes before and after writes, and compares as such.
pub(super) fn reads_return_zeroes(rig: &mut Rig) {
    let range = BlockRange { start: 1, count: rig.blocks(256 << 10) };
    let zeroes = vec![0; rig.octets(range)];
    assert!(rig.read(range) == zeroes);
    let data = pattern(1, zeroes.len());
    assert_eq!(rig.write(range, &data, Purpose::Write, Durability::Fua), DiskStatus::Good);
    assert!(rig.read(range) == zeroes);
    let mut buffer = rig.prepare(range, Purpose::Compare);
    buffer.write(0, &data);
    let status = rig.run(Op::Compare(range), Some(buffer)).status;
    assert_eq!(status, DiskStatus::CompareFailed);
    rig.check_idle();
}
