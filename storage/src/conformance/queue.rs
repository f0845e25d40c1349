//! Many requests at once.

use super::{Rig, Until};
use crate::{BlockRange, DiskStatus, Op, Purpose, Request, Tag};
use std::collections::HashSet;

fn release_all(rig: &mut Rig, wanted: usize) {
    let mut seen: HashSet<Tag> = HashSet::new();
    while seen.len() < wanted {
        rig.poll_until(Until::Count(1));
        for done in rig.take_done() {
            assert!(seen.insert(done.tag), "{:?} finished twice", done.tag);
            assert_eq!(done.status, DiskStatus::Good);
            if let Some(buffer) = done.buffer {
                rig.backend.release(buffer);
            }
        }
    }
}

/// Goal: a full backend says so by giving the very request back, and works on afterwards.
pub(super) fn a_full_queue_returns_the_request(rig: &mut Rig) {
    let mut count = 0;
    let refused = loop {
        let range = BlockRange { start: count % 1000, count: 1 };
        match rig.try_submit(Op::Read(range), None) {
            Ok(_) => count += 1,
            Err(full) => break full.0,
        }
        assert!(count < 1 << 20, "never full");
    };
    assert!(count >= 8, "full after {count}");
    assert_eq!(rig.backend.in_flight() as u64, count);
    let Request { op, buffer, .. } = refused;
    assert!(buffer.is_none() && matches!(op, Op::Read(range) if range.start == count % 1000));
    release_all(rig, usize::try_from(count).expect("small"));
    let again = rig.submit(op, None);
    rig.poll_until(Until::Done(again));
    release_all(rig, 1);
    rig.check_idle();
}

/// Goal: 1,024 requests of one block each finish once each, in whatever order.
pub(super) fn a_thousand_requests_finish_once_each(rig: &mut Rig) {
    let stride = rig.geometry().block_count / 1024;
    for index in 0..1024 {
        let range = BlockRange { start: index * stride, count: 1 };
        rig.submit(Op::Read(range), None);
    }
    release_all(rig, 1024);
    rig.check_idle();
}

/// Goal: far more of the largest requests than staging buffers wait their turn and finish; data
/// prepared meanwhile still finds its way to the blocks.
pub(super) fn more_large_requests_than_buffers_all_finish(rig: &mut Rig) {
    let count = rig.blocks(rig.geometry().max_transfer_bytes);
    let range = |index: u64| BlockRange { start: index % 8 * u64::from(count), count };
    for index in 0..40 {
        let op = if index % 2 == 0 {
            Op::Read(range(index))
        } else {
            Op::Prepare(range(index), Purpose::StagedWrite)
        };
        rig.submit(op, None);
    }
    release_all(rig, 40);
    rig.check_idle();
}

/// Goal: a disk that can be resized is as large as was asked for, keeps what it holds, and finishes
/// what was on its way behind its new end; one that cannot is as before.
pub(super) fn resizing_keeps_what_is_there(rig: &mut Rig) {
    let before = rig.geometry().block_count;
    let last = BlockRange { start: before - 1, count: 1 };
    let data = vec![0x3c; rig.octets(last)];
    rig.write(last, &data, Purpose::StagedWrite, crate::Durability::Cached);
    let content = rig.read(last);
    let reading = rig.submit(Op::Read(last), None);
    let resized = rig.backend.resize(before / 2);
    let done = rig.wait(reading);
    assert_eq!(done.status, crate::DiskStatus::Good, "on its way behind the new end");
    rig.backend.release(done.buffer.expect("a good read has a buffer"));
    match resized {
        Ok(()) => {
            assert_eq!(rig.geometry().block_count, before / 2);
            rig.backend.resize(before).expect("as large as it was");
        }
        Err(why) => assert_eq!(why.kind(), std::io::ErrorKind::Unsupported),
    }
    assert_eq!(rig.geometry().block_count, before);
    assert!(rig.read(last) == content, "lost by resizing");
    rig.check_idle();
}
