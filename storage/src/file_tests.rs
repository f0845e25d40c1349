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

/// Goal: where the file system cannot zero without data (tmpfs: no FALLOC_FL_ZERO_RANGE), zeroes
/// are written.
#[test]
fn a_file_system_that_cannot_zero_conforms() {
    let folder = std::path::Path::new("/dev/shm");
    if !folder.is_dir() {
        eprintln!("skipped: there is no /dev/shm");
        return;
    }
    let path = TempPath::in_folder(folder, "tmpfs");
    for block_bytes in [4096, 512] {
        let make = || -> Box<dyn Backend> {
            Box::new(FileDisk::open(path.path(), options(block_bytes, Direct::Auto)).unwrap())
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
    for place in [std::env::temp_dir(), "/dev/null".into()] {
        let refused = FileDisk::open(&place, options(4096, Direct::Auto)).err().unwrap();
        assert!(refused.to_string().contains("neither a file"), "{refused}");
    }
    drop(path);
    let path = TempPath::new("refusals-large");
    let huge = FileOptions { create: Some(u64::MAX / 4096 * 4096), ..options(4096, Direct::Auto) };
    assert!(FileDisk::open(path.path(), huge).is_err());
    assert!(!path.path().exists(), "half a disk is left");
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

/// Goal: a thread that sleeps on the descriptor is woken by what finishes, and needs no polling.
#[test]
fn the_descriptor_wakes_a_sleeper() {
    for direct in [Direct::Auto, Direct::Off] {
        let path = TempPath::new(&format!("wake-{direct:?}"));
        let mut disk = FileDisk::open(path.path(), options(4096, direct)).unwrap();
        let mut done = Vec::new();
        for tag in 0..50 {
            let op = if tag % 5 == 4 {
                Op::Flush
            } else {
                Op::Read(BlockRange { start: tag * 37, count: 1 + u32::try_from(tag).unwrap() })
            };
            disk.submit(Request { tag: Tag(tag), op, buffer: None }).unwrap();
            disk.poll(Instant::now(), &mut done);
            while disk.in_flight() > 0 {
                assert!(disk.poll_timeout().is_none(), "sleep is allowed while the device works");
                assert!(crate::uring::sleep_on(disk.fd().unwrap(), 10_000), "never woken");
                disk.poll(Instant::now(), &mut done);
            }
            assert_eq!(done.len(), 1);
            done.drain(..).filter_map(|d| d.buffer).for_each(|buffer| disk.release(buffer));
        }
    }
}

/// Goal: a file that somebody shortens in spite of the lock is a read error, neither a hang nor
/// old data; the rest of it can still be read.
#[test]
fn a_shortened_file_is_a_read_error() {
    for direct in [Direct::Auto, Direct::Off] {
        let path = TempPath::new(&format!("short-{direct:?}"));
        let disk = FileDisk::open(path.path(), options(4096, direct)).unwrap();
        let mut rig = Rig::new(Box::new(disk));
        let file = std::fs::OpenOptions::new().write(true).open(path.path()).unwrap();
        file.set_len(10 * 4096).unwrap();
        let beyond = BlockRange { start: 8, count: 4 };
        assert_eq!(rig.outcome(Op::Read(beyond)), DiskStatus::ReadError);
        assert_eq!(rig.outcome(Op::Verify(beyond)), DiskStatus::ReadError);
        assert_eq!(rig.read(BlockRange { start: 8, count: 2 }), [0; 8192]);
        rig.check_idle();
    }
}

/// Goal: 512-octet blocks that share a page are written at the same time without harm.
#[test]
fn neighbours_in_a_page_do_not_disturb_each_other() {
    let path = TempPath::new("neighbours");
    let mut rig =
        Rig::new(Box::new(FileDisk::open(path.path(), options(512, Direct::Auto)).unwrap()));
    let range = |start| BlockRange { start, count: 1 };
    let mut tags = Vec::new();
    for start in 0..64u8 {
        let mut buffer = rig.prepare(range(start.into()), Purpose::Write);
        buffer.fill(start);
        let op = Op::Write(range(start.into()), Durability::Cached);
        tags.push(rig.submit(op, Some(buffer)));
    }
    for tag in tags {
        assert_eq!(rig.wait(tag).status, DiskStatus::Good);
    }
    for start in 0..64u8 {
        assert_eq!(rig.read(range(start.into())), [start; 512]);
    }
}
