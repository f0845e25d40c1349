use super::*;
use crate::conformance::{self, DISK_BYTES_MIN, Keeps, Rig};
use crate::test_path::TempPath;
use crate::{BlockRange, Durability, Op, Purpose};

fn options(block_bytes: u32) -> FileOptions {
    FileOptions { block_bytes, direct: Direct::Auto, create: Some(DISK_BYTES_MIN), depth: 256 }
}

/// Goal: a mapped file keeps the contract, in both block sizes.
#[test]
fn mapped_files_conform() {
    for block_bytes in [4096, 512] {
        let path = TempPath::new(&format!("mmap-{block_bytes}"));
        let make = || -> Box<dyn Backend> {
            Box::new(Mmap::open(path.path(), options(block_bytes)).unwrap())
        };
        conformance::check(&make, Keeps::Data);
    }
}

/// Goal: no SIGBUS later: every block has its place before the first access.
#[test]
fn blocks_are_allocated_at_open() {
    use std::os::unix::fs::MetadataExt;
    let path = TempPath::new("mmap-allocated");
    let disk = Mmap::open(path.path(), options(4096)).unwrap();
    assert!(std::fs::metadata(path.path()).unwrap().blocks() * 512 >= DISK_BYTES_MIN);
    drop(disk);
}

/// Goal: without io_uring (forbidden in many containers) Flush and FUA work all the same.
#[test]
fn syncs_without_io_uring() {
    let path = TempPath::new("mmap-blocking");
    let make = || -> Box<dyn Backend> {
        let mut disk = Mmap::open(path.path(), options(4096)).unwrap();
        disk.syncer = Syncer::Blocking(disk.medium.file.try_clone().unwrap());
        Box::new(disk)
    };
    conformance::check(&make, Keeps::Data);
}

/// Goal: one sync serves all that wait for it.
#[test]
fn flushes_share_a_sync() {
    let path = TempPath::new("mmap-group");
    let mut rig = Rig::new(Box::new(Mmap::open(path.path(), options(4096)).unwrap()));
    let range = BlockRange { start: 1, count: 1 };
    rig.write(range, &[3; 4096], Purpose::Write, Durability::Cached);
    let tags: Vec<_> = (0..32).map(|_| rig.submit(Op::Flush, None)).collect();
    rig.poll_until(conformance::Until::Count(32));
    let done = rig.take_done();
    assert!(tags.iter().all(|tag| done.iter().any(|d| d.tag == *tag)));
    assert!(done.iter().all(|d| d.status == DiskStatus::Good));
}
