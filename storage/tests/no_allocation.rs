//! Nothing on the way of a request allocates, once every path was taken once.
//!
//! Unsafe: a counting allocator cannot be written without; it only forwards.

use flexblk_storage::{
    Backend, BackendSpec, BlockRange, DiskStatus, Done, Durability, Op, Purpose, Request, Tag, open,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(clippy::disallowed_methods, reason = "any moment will do")]
fn now() -> Instant {
    Instant::now()
}

/// Waits for `count` results.
fn finish(disk: &mut dyn Backend, done: &mut Vec<Done>, count: usize, now: Instant) {
    while done.len() < count {
        disk.poll(now, done);
    }
    assert!(done.iter().all(|d| d.status == DiskStatus::Good));
}

/// A mix that takes every path: overlapping users that wait for locks, and staging that runs out.
fn round(disk: &mut dyn Backend, done: &mut Vec<Done>, held: &mut Vec<Done>, now: Instant) {
    let submit = |disk: &mut dyn Backend, tag, op, buffer| {
        assert!(disk.submit(Request { tag: Tag(tag), op, buffer }).is_ok(), "full");
    };
    let one = |start| BlockRange { start, count: 1 };
    for tag in 0..64 {
        submit(disk, tag, Op::Read(one(tag % 48)), None);
    }
    finish(disk, done, 64, now);
    for result in done.drain(..) {
        disk.release(result.buffer.expect("a good read"));
    }
    // More of the largest than there are buffers.
    for tag in 0..20 {
        submit(
            disk,
            tag,
            Op::Prepare(BlockRange { start: 0, count: 256 }, Purpose::StagedWrite),
            None,
        );
    }
    let mut left = 20;
    while left > 0 {
        finish(disk, done, 1, now);
        for result in done.drain(..) {
            disk.release(result.buffer.expect("a grant"));
            left -= 1;
        }
    }
    for tag in 0..32 {
        submit(disk, tag, Op::Prepare(one(tag), Purpose::Write), None);
    }
    finish(disk, done, 32, now);
    held.append(done);
    submit(disk, 99, Op::Read(BlockRange { start: 0, count: 32 }), None);
    for Done { tag, buffer, .. } in held.drain(..) {
        submit(disk, tag.0, Op::Write(one(tag.0), Durability::Cached), buffer);
    }
    submit(disk, 98, Op::Verify(one(3)), None);
    submit(disk, 97, Op::Flush, None);
    submit(
        disk,
        96,
        Op::WriteZeroes { range: one(50), deallocate: false, durability: Durability::Cached },
        None,
    );
    finish(disk, done, 36, now);
    for result in done.drain(..) {
        if let Some(buffer) = result.buffer {
            disk.release(buffer);
        }
    }
}

/// Goal: zero heap allocations a request after warm-up on memory, null, file and mmap disks.
#[test]
fn requests_do_not_allocate() {
    let path = std::env::temp_dir().join(format!("flexblk-{}-no-allocation", std::process::id()));
    let file = path.display();
    for uri in [
        "mem:16MiB".to_owned(),
        "mem:16MiB?stats".to_owned(),
        "null:1TiB".to_owned(),
        format!("file:{file}?create&size=16MiB"),
        format!("mmap:{file}"),
    ] {
        let mut disk = open(&uri.parse::<BackendSpec>().unwrap()).unwrap();
        let (mut done, mut held) = (Vec::with_capacity(256), Vec::with_capacity(256));
        let now = now();
        round(&mut *disk, &mut done, &mut held, now);
        let before = COUNT.with(Cell::get);
        for _ in 0..20 {
            round(&mut *disk, &mut done, &mut held, now);
        }
        let allocations = COUNT.with(Cell::get) - before;
        assert_eq!(allocations, 0, "{uri}");
    }
    std::fs::remove_file(&path).unwrap();
}
