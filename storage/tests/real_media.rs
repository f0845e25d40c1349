//! Full file systems and block devices. They need root: without it the tests say that they are
//! skipped, and why.

use flexblk_storage::conformance::{self, Keeps, Rig};
use flexblk_storage::{
    Backend, BackendSpec, BlockRange, DiskStatus, Durability, Op, Purpose, open,
};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command; `Err` with what it said.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A file system of 24 MiB in memory, unmounted when dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(name: &str) -> Result<Tiny, String> {
        let folder = std::env::temp_dir().join(format!("flexblk-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let path = folder.display().to_string();
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=24m", "tmpfs", &path]);
        mounted.map(|_| Tiny(folder.clone())).inspect_err(|_| {
            let _ = std::fs::remove_dir(&folder);
        })
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.0.display().to_string()]);
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[expect(clippy::unwrap_used, reason = "a test says where it failed")]
fn disk(uri: &str) -> Box<dyn Backend> {
    open(&uri.parse::<BackendSpec>().unwrap()).unwrap()
}

/// Goal: on a full file system a write fails with CapacityExceeded, in both durabilities; what was
/// acknowledged before stays; the disk works on, and writes again once there is space.
#[test]
fn a_full_file_system_is_capacity_exceeded() {
    let tiny = match Tiny::mount("full") {
        Ok(tiny) => tiny,
        Err(why) => return eprintln!("skipped: no file system can be mounted here: {why}"),
    };
    let path = tiny.0.join("disk.img");
    let mut rig = Rig::new(disk(&format!("file:{}?create&size=64MiB", path.display())));
    let piece = |index: u64| BlockRange { start: index * 256, count: 256 };
    let data = |index: u64| vec![u8::try_from(index).unwrap() + 1; 1 << 20];
    let mut kept = 0;
    let status = loop {
        let how = if kept % 2 == 0 { Durability::Cached } else { Durability::Fua };
        let status = rig.write(piece(kept), &data(kept), Purpose::Write, how);
        if status != DiskStatus::Good {
            break status;
        }
        kept += 1;
        assert!(kept < 64, "the file system never filled");
    };
    assert_eq!(status, DiskStatus::CapacityExceeded);
    assert!(kept >= 16, "full after {kept} MiB");
    for index in 0..kept {
        assert!(rig.read(piece(index)) == data(index), "acknowledged MiB {index} is gone");
    }
    assert_eq!(rig.outcome(Op::Flush), DiskStatus::Good);
    assert_eq!(rig.outcome(Op::Deallocate(piece(0))), DiskStatus::Good);
    let status = rig.write(piece(kept), &data(kept), Purpose::Write, Durability::Fua);
    assert_eq!(status, DiskStatus::Good, "after space was freed");
    rig.check_idle();
}

/// Goal: a mapped file that cannot have all its blocks is refused at open, not by a SIGBUS later.
#[test]
fn a_mapped_file_without_space_is_refused() {
    let tiny = match Tiny::mount("refused") {
        Ok(tiny) => tiny,
        Err(why) => return eprintln!("skipped: no file system can be mounted here: {why}"),
    };
    let uri = format!("mmap:{}?create&size=64MiB", tiny.0.join("disk.img").display());
    let refused = open(&uri.parse::<BackendSpec>().unwrap()).err().unwrap().to_string();
    assert!(refused.contains("free some space"), "{refused}");
}

/// A loop device, detached when dropped.
struct Loop {
    device: String,
    file: PathBuf,
}

impl Loop {
    fn attach(name: &str) -> Result<Loop, String> {
        let file = std::env::temp_dir().join(format!("flexblk-{}-{name}", std::process::id()));
        let made = std::fs::File::create(&file).and_then(|made| made.set_len(32 << 20));
        made.map_err(|e| e.to_string())?;
        match run("losetup", &["--find", "--show", &file.display().to_string()]) {
            Ok(device) => Ok(Loop { device, file }),
            Err(why) => {
                let _ = std::fs::remove_file(&file);
                Err(why)
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", &self.device]);
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Goal: a block device keeps the contract, directly and mapped, and has one owner.
#[test]
fn block_devices_conform() {
    let device = match Loop::attach("loop") {
        Ok(device) => device,
        Err(why) => return eprintln!("skipped: no loop device can be made here: {why}"),
    };
    assert!(Path::new(&device.device).exists());
    for uri in [
        format!("file:{}?block=512", device.device),
        format!("file:{}?direct=off", device.device),
        format!("mmap:{}", device.device),
    ] {
        conformance::check(&|| disk(&uri), Keeps::Data);
        let spec = uri.parse::<BackendSpec>().unwrap();
        let first = open(&spec).unwrap();
        assert!(open(&spec).is_err(), "{uri} opened twice");
        drop(first);
    }
}
