//! Memory that another process maps too, and may write at any time.

use rustix::fs::{MemfdFlags, SealFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// The file cannot be made shorter or longer any more: no access to it ever faults.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A mapped memfd. Whatever the other side writes there, octets are octets: nothing here trusts
/// them, and every access is inside the mapping.
pub(crate) struct Shared {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping stays until drop; it is reached through atomics and raw copies only.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// `len` zeroed octets and the descriptor by which another process maps them.
    ///
    /// Errors: what `memfd_create`, `ftruncate` and `mmap` say.
    pub(crate) fn create(len: usize) -> io::Result<(OwnedFd, Shared)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("flexblk-shm", flags)?;
        rustix::fs::ftruncate(&fd, len as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SEALS)?;
        let shared = Shared::open(fd.as_fd(), len)?;
        Ok((fd, shared))
    }

    /// Maps what another process made.
    ///
    /// Errors: `InvalidData` when it is not of `len` octets or its length could still change.
    pub(crate) fn open(fd: BorrowedFd<'_>, len: usize) -> io::Result<Shared> {
        let is_sealed = rustix::fs::fcntl_get_seals(fd)?.contains(SEALS);
        let is_long = u64::try_from(rustix::fs::fstat(fd)?.st_size) == Ok(len as u64);
        if !is_sealed || !is_long || len == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, of a file that is long
        // enough and stays so (sealed).
        let raw = unsafe {
            libc::mmap(std::ptr::null_mut(), len, rights, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(raw.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Shared { base, len })
    }

    /// `count` atomic words from `at` on. Panics when misaligned or out of bounds.
    pub(crate) fn words(&self, at: usize, count: usize) -> &[AtomicU64] {
        assert!(at.is_multiple_of(8), "words at {at}");
        let start = self.at(at, count * 8).cast::<AtomicU64>();
        // SAFETY: inside the mapping and aligned (a mapping begins at a page); any octets are an
        // AtomicU64, and every access to this part of it in this process is atomic.
        unsafe { std::slice::from_raw_parts(start, count) }
    }

    /// Copies octets in. Panics when out of bounds.
    pub(crate) fn write(&self, at: usize, from: &[u8]) {
        let to = self.at(at, from.len());
        // SAFETY: inside the mapping; `from` is memory of this process alone or registered memory,
        // never this mapping.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    /// Copies octets out. Panics when out of bounds.
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) {
        let from = self.at(at, into.len());
        // SAFETY: inside the mapping, and `into` is elsewhere: a Rust slice.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    /// Octets where they lie. Panics when out of bounds.
    pub(crate) fn octets(&self, at: usize, len: usize) -> &[u8] {
        let start = self.at(at, len);
        // SAFETY: inside the mapping, which the borrow keeps. An honest peer leaves them alone until
        // they are released. One that does not may change them: only payload is read so, by one
        // copy to its place or by a CRC, and no value in it decides anything (headers are read from
        // copies, `RxRing::parts`).
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    fn at(&self, at: usize, len: usize) -> *mut u8 {
        let end = at.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len), "{at}+{len} beyond {}", self.len);
        // SAFETY: inside the mapping, checked above.
        unsafe { self.base.as_ptr().add(at) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made, unmapped once; borrows of it have ended.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({} octets)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: both mappings are the same memory; a file that could still be cut short, or of another
    /// length, is refused (access beyond its end would kill the process).
    #[test]
    fn only_sealed_memory_is_mapped() {
        let (fd, near) = Shared::create(8192).unwrap();
        let far = Shared::open(fd.as_fd(), 8192).unwrap();
        near.write(5000, b"octets");
        assert_eq!(far.octets(5000, 6), b"octets");
        assert!(rustix::fs::ftruncate(&fd, 4096).is_err(), "sealed");
        assert!(Shared::open(fd.as_fd(), 4096).is_err());
        let loose = rustix::fs::memfd_create("loose", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&loose, 8192).unwrap();
        assert!(Shared::open(loose.as_fd(), 8192).is_err());
    }

    /// Goal: an access that reaches over the end is a panic, not a read.
    #[test]
    #[should_panic(expected = "beyond")]
    fn bounds_are_checked() {
        let (_fd, shared) = Shared::create(4096).unwrap();
        shared.octets(4090, 7);
    }
}
