use super::*;
use crate::conformance::{self, Keeps, Rig};
use crate::{Backend, BlockRange, DiskStatus, Durability, Null, Op, Purpose};

/// Goal: the memory disk keeps the contract, with both block sizes.
#[test]
fn memory_conforms() {
    conformance::check(&|| Box::new(Memory::new(4096, 8192, 1024).unwrap()), Keeps::Data);
    conformance::check(&|| Box::new(Memory::new(512, 65_536, 64).unwrap()), Keeps::Data);
}

/// Goal: the null disk keeps the part of the contract that does not need memory.
#[test]
fn null_conforms() {
    conformance::check(&|| Box::new(Null::new(4096, 1 << 28, 1024).unwrap()), Keeps::Zeroes);
}

/// Goal: reads and in-place writes use the blocks' own memory; staged data never does.
#[test]
fn grants_are_the_blocks_themselves() {
    let mut rig = Rig::new(Box::new(Memory::new(4096, 8192, 16).unwrap()));
    let range = BlockRange { start: 3, count: 2 };
    let own = rig.prepare(range, Purpose::Write);
    assert_eq!((own.region_index(), own.offset(), own.len()), (0, 3 * 4096, 2 * 4096));
    let staged = rig.prepare(range, Purpose::StagedWrite);
    assert_ne!(staged.region_index(), 0);
    rig.backend.release(staged);
    assert_eq!(rig.run(Op::Write(range, Durability::Cached), Some(own)).status, DiskStatus::Good);
    let done = rig.run(Op::Read(range), None);
    let read = done.buffer.unwrap();
    assert_eq!((read.region_index(), read.offset()), (0, 3 * 4096));
    rig.backend.release(read);
    rig.check_idle();
}

/// Goal: nobody reads blocks between the grant of their memory and its write.
#[test]
fn reads_wait_for_a_write_in_place() {
    let mut rig = Rig::new(Box::new(Memory::new(4096, 8192, 16).unwrap()));
    let range = BlockRange { start: 0, count: 4 };
    let mut own = rig.prepare(range, Purpose::Write);
    let inner = BlockRange { start: 3, count: 1 };
    let waiting = rig.submit(Op::Read(inner), None);
    own.fill(7);
    rig.poll();
    assert!(rig.take_done().is_empty(), "read in the middle of a write");
    rig.run(Op::Write(range, Durability::Cached), Some(own));
    let done = rig.wait(waiting);
    assert!(done.buffer.as_ref().unwrap().bytes().iter().all(|octet| *octet == 7));
    rig.backend.release(done.buffer.unwrap());
}

/// Goal: the same seed fills a disk with the same data, another with other data.
#[test]
fn random_fill_is_a_function_of_its_seed() {
    let filled = |seed| {
        let mut disk = Memory::new(512, 65_536, 16).unwrap();
        disk.fill_random(seed);
        Rig::new(Box::new(disk)).read(BlockRange { start: 1000, count: 1000 })
    };
    assert!(filled(1) == filled(1));
    assert!(filled(1) != filled(2));
    assert!(!filled(1).iter().all(|octet| *octet == 0));
}

/// Goal: whoever sleeps when the disk says so does not leave a long zeroing half done.
#[test]
fn a_long_zeroing_asks_to_be_polled() {
    let mut disk = Memory::new(4096, 8192, 16).unwrap();
    let range = BlockRange { start: 0, count: 8192 };
    let op = Op::WriteZeroes { range, deallocate: false, durability: Durability::Cached };
    let request = Request { tag: crate::Tag(1), op, buffer: None };
    disk.submit(request).unwrap();
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    let now = Instant::now();
    let (mut done, mut polls) = (Vec::new(), 0);
    disk.poll(now, &mut done);
    while disk.poll_timeout().is_some_and(|when| when <= now) {
        disk.poll(now, &mut done);
        polls += 1;
    }
    assert!(polls > 4, "all in one poll: others would have waited");
    assert_eq!((done.len(), disk.in_flight()), (1, 0));
}
