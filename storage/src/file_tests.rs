#![expect(clippy::disallowed_methods, reason = "tests look at the clock")]
use super::*;
use crate::conformance::{self, DISK_BYTES_MIN, Keeps, Rig};
use crate::test_path::TempPath;
use crate::{Direct, Durability, Purpose};

fn options(block_bytes: u32, direct: Direct) -> FileOptions {
    FileOptions { block_bytes, direct, create: Some(DISK_BYTES_MIN), depth: 256 }
}

/// Goal: a file keeps the contract, around the page cache and through it, in both block sizes.
#[test]
fn files_conform() {
    for (block_bytes, direct) in
        [(4096, Direct::Auto), (4096, Direct::Off), (512, Direct::Auto), (512, Direct::Off)]
    {
        let path = TempPath::new(&format!("conform-{block_bytes}-{direct:?}"));
        let make = || -> Box<dyn Backend> {
            Box::new(FileDisk::open(path.path(), options(block_bytes, direct)).unwrap())
        };
        conformance::check(&make, Keeps::Data);
    }
}

/// Goal: two targets cannot have one file; the refusal says who is in the way and what to do.
#[test]
fn a_file_has_one_owner() {
    let path = TempPath::new("owner");
    let first = FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap();
    let refused = FileDisk::open(path.path(), options(4096, Direct::Auto)).err().unwrap();
    assert!(refused.to_string().contains("another target"), "{refused}");
    drop(first);
    FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap();
}

/// Goal: what cannot be opened is refused in words that name the cure.
#[test]
fn refusals_say_what_to_do() {
    let path = TempPath::new("refusals");
    let open = |create, block_bytes| {
        let options = FileOptions { block_bytes, direct: Direct::Auto, create, depth: 8 };
        FileDisk::open(path.path(), options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(open(None, 4096).contains("create&size"));
    std::fs::write(path.path(), vec![0; 4096 + 512]).unwrap();
    assert!(open(None, 4096).contains("block=512"));
    assert_eq!(open(None, 512), "");
    assert!(open(Some(1 << 20), 512).contains("exists with 4608"));
    let folder = FileDisk::open(&std::env::temp_dir(), options(4096, Direct::Auto)).err().unwrap();
    assert!(folder.to_string().contains("directory"));
}

/// Goal: data that was flushed is in the file after the disk was closed.
#[test]
fn flushed_data_is_in_the_file() {
    let path = TempPath::new("flushed");
    let disk = FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap();
    let mut rig = Rig::new(Box::new(disk));
    let range = BlockRange { start: 7, count: 2 };
    rig.write(range, &[0xab; 8192], Purpose::Write, Durability::Cached);
    assert_eq!(rig.outcome(Op::Flush), DiskStatus::Good);
    drop(rig);
    let octets = std::fs::read(path.path()).unwrap();
    assert!(octets[7 * 4096..9 * 4096].iter().all(|octet| *octet == 0xab));
    assert!(octets[9 * 4096..].iter().all(|octet| *octet == 0));
}

/// Goal: deallocated blocks give their space back to the file system.
#[test]
fn deallocate_frees_space() {
    use std::os::unix::fs::MetadataExt;
    let path = TempPath::new("holes");
    let mut rig =
        Rig::new(Box::new(FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap()));
    if !rig.geometry().deallocate {
        eprintln!("skipped: this file system cannot punch holes");
        return;
    }
    let range = BlockRange { start: 0, count: 256 };
    rig.write(range, &vec![1; 1 << 20], Purpose::Write, Durability::Fua);
    let used = || std::fs::metadata(path.path()).unwrap().blocks() * 512;
    assert!(used() >= 1 << 20);
    assert_eq!(rig.outcome(Op::Deallocate(range)), DiskStatus::Good);
    assert!(used() < 1 << 20, "{} octets still used", used());
}

/// Goal: a disk that is dropped with reads in flight does not let the kernel write to memory that
/// is gone: the drop waits.
#[test]
fn drop_waits_for_the_kernel() {
    let path = TempPath::new("drop");
    for _ in 0..20 {
        let mut disk = FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap();
        for index in 0..64 {
            let op = Op::Read(BlockRange { start: index * 8, count: 8 });
            disk.submit(Request { tag: Tag(index), op, buffer: None }).unwrap();
        }
        disk.poll(Instant::now(), &mut Vec::new());
    }
}

/// Goal: a batch of requests costs one system call to start, not one each.
#[test]
fn a_batch_is_one_system_call() {
    let path = TempPath::new("batch");
    let mut disk = FileDisk::open(path.path(), options(4096, Direct::Auto)).unwrap();
    for index in 0..64 {
        let op = Op::Read(BlockRange { start: index, count: 1 });
        disk.submit(Request { tag: Tag(index), op, buffer: None }).unwrap();
    }
    let before = disk.ring.enter_count();
    disk.poll(Instant::now(), &mut Vec::new());
    assert!(disk.ring.enter_count() - before <= 2);
}
