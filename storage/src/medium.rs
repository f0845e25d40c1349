//! Opening a file or block device for one owner: size, lock, direct I/O, what it can do.

use crate::uring::{Io, Ring};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Whether to go around the page cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direct {
    /// Where the file allows it.
    #[default]
    Auto,
    /// Or refuse to open.
    On,
    /// Through the page cache.
    Off,
}

/// How to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileOptions {
    /// Octets of a logical block: 512 or 4,096.
    pub block_bytes: u32,
    /// O_DIRECT or not.
    pub direct: Direct,
    /// Makes the file, with this many octets, if it does not exist.
    pub create: Option<u64>,
    /// Requests in flight.
    pub depth: u32,
}

/// An open file that nobody else has.
pub(crate) struct Medium {
    pub(crate) file: File,
    /// Has the lock. It is opened for itself: io_uring lets go of files some
    /// time after its ring is closed, and the lock with them.
    guard: File,
    pub(crate) octets: u64,
    pub(crate) is_direct: bool,
    is_device: bool,
}

impl Medium {
    /// Opens `path`. Errors in words for a person: what is wrong, and what to do.
    pub(crate) fn open(path: &Path, options: FileOptions) -> io::Result<Medium> {
        let kind = std::fs::metadata(path).map(|found| found.file_type()).ok();
        let is_device = kind.is_some_and(|kind| kind.is_block_device());
        if kind.is_some_and(|kind| !kind.is_block_device() && !kind.is_file()) {
            return Err(other(path, "is neither a file nor a block device: name one of them"));
        }
        let (guard, is_new) = open_or_create(path, options)?;
        lock(path, &guard)?;
        if let (true, Some(octets)) = (is_new, options.create) {
            guard.set_len(octets).map_err(|e| {
                // Half a disk would only be in the way of the next attempt.
                let _ = std::fs::remove_file(path);
                explain(path, &e, "cannot be given its size")
            })?;
        }
        let octets =
            (&guard).seek(SeekFrom::End(0)).map_err(|e| explain(path, &e, "has no size"))?;
        check_size(path, octets, options)?;
        let direct = match options.direct {
            Direct::Off => None,
            Direct::Auto | Direct::On => open_direct(path, is_device, options.block_bytes)?,
        };
        let is_direct = direct.is_some();
        if !is_direct && options.direct == Direct::On {
            let block = options.block_bytes;
            let what = format!("cannot be read directly in blocks of {block} octets");
            return Err(other(path, &format!("{what}: use block=4096, or direct=off")));
        }
        let file = match direct {
            Some(file) => file,
            None => open_for_use(path, is_device, 0)?,
        };
        Ok(Medium { file, guard, octets, is_direct, is_device })
    }

    /// Makes room for `octets`. A file is made longer, never shorter: what lies behind a smaller disk
    /// stays, for requests that are still on their way and for the day when it grows again.
    ///
    /// Errors: `InvalidInput` for a device that is not as large; what the file system says.
    pub(crate) fn grow(&mut self, octets: u64) -> io::Result<()> {
        let has = (&self.guard).seek(SeekFrom::End(0))?;
        if octets > has && self.is_device {
            let why = format!("the device has {has} octets, not {octets}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        if octets > has {
            self.file.set_len(octets)?;
        }
        self.octets = octets.max(has);
        Ok(())
    }

    /// A block device, not a file.
    pub(crate) fn is_device(&self) -> bool {
        self.is_device
    }

    /// Deallocated blocks become free (and zero).
    pub(crate) fn can_deallocate(&self, ring: &mut Ring) -> bool {
        if self.is_device {
            return self.discard_max_bytes().is_some_and(|octets| octets > 0);
        }
        // Beyond the end of the file, a hole changes nothing.
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let offset = self.octets.next_multiple_of(4096);
        ring.push(0, Io::Allocate { offset, len: 4096, mode }, None);
        while ring.wait().is_ok() {
            if let Some(done) = ring.pop() {
                return done.result.is_ok();
            }
        }
        false
    }

    fn discard_max_bytes(&self) -> Option<u64> {
        let device = self.file.metadata().ok()?.rdev();
        let folder = format!("/sys/dev/block/{}:{}", libc::major(device), libc::minor(device));
        let of = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).ok();
        // A partition has no queue of its own.
        let text = of("queue/discard_max_bytes").or_else(|| of("../queue/discard_max_bytes"))?;
        text.trim().parse().ok()
    }
}

/// The descriptor that data goes through. A block device is claimed by it: that is refused while
/// a file system on it is mounted, and without it the device cannot be zeroed.
///
/// A target that was killed lets go of its claim a moment after it is gone: tried for a second.
fn open_for_use(path: &Path, is_device: bool, flags: i32) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).custom_flags(if is_device { flags | libc::O_EXCL } else { flags });
    let mut tries = 0;
    loop {
        match how.open(path) {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                tries += 1;
                if tries > 50 {
                    return Err(explain(path, &e, "is in use: unmount it first"));
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

fn open_or_create(path: &Path, options: FileOptions) -> io::Result<(File, bool)> {
    let mut how = OpenOptions::new();
    how.read(true).write(true);
    match (how.open(path), options.create) {
        (Ok(file), _) => Ok((file, false)),
        (Err(e), Some(_)) if e.kind() == io::ErrorKind::NotFound => how
            .create_new(true)
            .open(path)
            .map(|file| (file, true))
            .map_err(|e| explain(path, &e, "cannot be created")),
        (Err(e), None) if e.kind() == io::ErrorKind::NotFound => {
            Err(other(path, "does not exist: add create&size=1GiB to make it"))
        }
        (Err(e), _) if e.kind() == io::ErrorKind::PermissionDenied => {
            Err(explain(path, &e, "may not be read and written: check its owner and mode"))
        }
        (Err(e), _) => Err(explain(path, &e, "cannot be opened")),
    }
}

fn lock(path: &Path, file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{} is in use by another target: stop that one first", path.display()),
        )),
        Err(TryLockError::Error(e)) => Err(explain(path, &e, "cannot be locked")),
    }
}

fn check_size(path: &Path, octets: u64, options: FileOptions) -> io::Result<()> {
    let block = u64::from(options.block_bytes);
    if octets == 0 {
        return Err(other(path, "is empty: remove it and add create&size=1GiB to make it anew"));
    }
    if !octets.is_multiple_of(block) {
        let advice = if octets.is_multiple_of(512) { "use block=512" } else { "make it longer" };
        let what = format!("has {octets} octets, no multiple of {block}: {advice}");
        return Err(other(path, &what));
    }
    match options.create {
        Some(wanted) if wanted != octets => {
            let what = format!("exists with {octets} octets, not {wanted}: leave out create&size");
            Err(other(path, &what))
        }
        Some(_) | None => Ok(()),
    }
}

/// The file with O_DIRECT, if blocks can be read that way at any block's offset.
fn open_direct(path: &Path, is_device: bool, block_bytes: u32) -> io::Result<Option<File>> {
    let file = match open_for_use(path, is_device, libc::O_DIRECT) {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
        outcome => outcome?,
    };
    let block = block_bytes as usize;
    let mut memory = vec![0u8; 4096 + 2 * block];
    let skip = memory.as_ptr().align_offset(4096);
    // The second block at the second block's place: what needs 4,096 fails with 512.
    let start = skip + block % 4096;
    let probe = file.read_at(&mut memory[start..start + block], u64::from(block_bytes));
    Ok(probe.is_ok().then_some(file))
}

fn other(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {what}", path.display()))
}

fn explain(path: &Path, error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{} {what}: {error}", path.display()))
}
