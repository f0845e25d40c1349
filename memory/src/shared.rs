//! Memory that another process maps too.

use crate::region::{Backing, Region};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const HUGE: usize = 2 << 20;

/// See [`share_all`].
static SHARES_ALL: AtomicBool = AtomicBool::new(false);

/// From here on every region that this process allocates is one that other processes can map: for
/// programs whose network stack is another process.
pub fn share_all() {
    SHARES_ALL.store(true, Ordering::Relaxed);
}

pub(crate) fn shares_all() -> bool {
    SHARES_ALL.load(Ordering::Relaxed)
}

impl Region {
    /// `len` zeroed octets (rounded up to 4,096) of a memfd, which another process can map.
    ///
    /// Errors: what `memfd_create`, `ftruncate` and `mmap` say, or `InvalidInput` for a length of
    /// zero.
    pub fn allocate_shared(len: usize) -> io::Result<Region> {
        let len = len
            .checked_next_multiple_of(4096)
            .filter(|&n| n > 0)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: a name that ends with zero; no other pointers.
        let raw = unsafe { libc::memfd_create(c"flexblk-region".as_ptr(), flags) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else has.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let bytes = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: no pointers.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), bytes) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        // SAFETY: no pointers.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Region::map_shared(fd, len)
    }

    /// Makes all of it resident, on huge pages if the kernel has any, whatever the system's default
    /// for shared memory is. Takes seconds for a gigabyte. Advice only: failure costs speed.
    pub fn settle_on_huge_pages(&self) {
        /// Since Linux 5.14, and 6.1. Pages that are not there cannot be put together.
        const ADVICE: [libc::c_int; 2] = [23, 25];
        for advice in ADVICE {
            // SAFETY: the span of this mapping; neither advice changes what it holds.
            unsafe { libc::madvise(self.as_ptr(0).cast(), self.len() / HUGE * HUGE, advice) };
        }
    }

    /// Maps what another process allocated with [`Region::allocate_shared`].
    ///
    /// Errors: `InvalidData` when it is shorter than `len`, or could become shorter (reaching beyond
    /// the end of a file kills a process); what `mmap` says.
    pub fn map_shared(fd: OwnedFd, len: usize) -> io::Result<Region> {
        // SAFETY: no pointers.
        let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
        let file = std::fs::File::from(fd);
        let is_long = file.metadata()?.len() >= len as u64;
        if len == 0 || !is_long || seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let base = map(file.as_raw_fd(), len)?;
        Ok(Region::with_backing(base, len, Backing::Shared(file.into())))
    }

    /// The descriptor by which another process maps it. `None`: it is not shared.
    #[must_use]
    pub fn shared_fd(&self) -> Option<BorrowedFd<'_>> {
        match self.backing() {
            Backing::Shared(fd) => Some(fd.as_fd()),
            Backing::Anonymous | Backing::Owner(_) => None,
        }
    }

    /// `count` atomic words from `offset` on: for rings and flags between threads or processes.
    /// Panics when misaligned or out of bounds.
    #[must_use]
    #[inline]
    pub fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        self.check(offset, count.saturating_mul(8));
        let start = self.as_ptr(offset).cast::<AtomicU64>();
        assert!(start.is_aligned(), "words at {offset}");
        // SAFETY: inside the mapping, which the borrow keeps, and aligned; any octets are an
        // AtomicU64. Who keeps words in a region reaches them in this way alone.
        unsafe { std::slice::from_raw_parts(start, count) }
    }
}

/// Maps a whole file, on a huge page's boundary if it is long enough for one.
fn map(fd: std::os::fd::RawFd, len: usize) -> io::Result<NonNull<u8>> {
    let spare = if len >= HUGE { HUGE } else { 0 };
    let reserve = len.checked_add(spare).ok_or(io::ErrorKind::InvalidInput)?;
    let mmap = |at: usize, len, rights, flags, fd| {
        // SAFETY: at an address that the kernel chooses, or over a part of what it chose before.
        let raw = unsafe { libc::mmap(at as *mut libc::c_void, len, rights, flags, fd, 0) };
        if raw == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(raw as usize) }
    };
    let hold = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let start = mmap(0, reserve, libc::PROT_NONE, hold, -1)?;
    let base = if spare > 0 { start.next_multiple_of(HUGE) } else { start };
    crate::region::trim(start, base - start);
    crate::region::trim(base + len, start + reserve - (base + len));
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    if let Err(error) = mmap(base, len, rights, libc::MAP_SHARED | libc::MAP_FIXED, fd) {
        crate::region::trim(base, len);
        return Err(error);
    }
    Ok(NonNull::new(base as *mut u8).ok_or(io::ErrorKind::OutOfMemory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(region: &Region, len: usize) -> io::Result<Region> {
        Region::map_shared(region.shared_fd().unwrap().try_clone_to_owned()?, len)
    }

    /// Goal: both mappings are the same memory, octets and words, at any size.
    #[test]
    fn two_mappings_are_one_memory() {
        for len in [1, 8192, 5 << 20] {
            let near = Region::allocate_shared(len).unwrap();
            near.write(0, b"kept");
            near.settle_on_huge_pages();
            let far = second(&near, near.len()).unwrap();
            assert_ne!(near.addr(), far.addr());
            near.write(near.len() - 6, b"octets");
            let mut octets = [0; 6];
            far.read(far.len() - 6, &mut octets);
            assert_eq!(&octets, b"octets");
            far.read(0, &mut octets);
            assert_eq!(&octets[..4], b"kept");
            far.words(8, 2)[1].store(7, Ordering::Release);
            assert_eq!(near.words(16, 1)[0].load(Ordering::Acquire), 7);
        }
    }

    /// Goal: a key opens the memory under the name that its owner's requests use.
    #[test]
    fn named_regions_are_reached_by_their_name() {
        use crate::{Access, Registry, Sge};
        let near = Region::allocate_shared(8192).unwrap();
        near.write(5000, b"octets");
        let far = second(&near, 8192).unwrap().named(near.addr());
        let mut registry = Registry::new(1, 1);
        let mr = registry.register(&far, Access::LOCAL_READ).unwrap();
        let sge = Sge { addr: near.addr() + 5000, length: 6, lkey: mr.lkey };
        let mut octets = [0; 6];
        registry.local(sge, Access::LOCAL_READ).unwrap().read(&mut octets);
        assert_eq!(&octets, b"octets");
    }

    /// Goal: what could be cut short, or is too short, is not mapped.
    #[test]
    fn only_lasting_memory_is_mapped() {
        let region = Region::allocate_shared(4096).unwrap();
        assert!(second(&region, 8192).is_err());
        assert!(second(&region, 0).is_err());
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Region::map_shared(file.into(), 4096).is_err());
        assert!(Region::allocate(4096).unwrap().shared_fd().is_none());
    }

    /// Goal: words beyond the end are a panic, not an access.
    #[test]
    #[should_panic(expected = "beyond")]
    fn words_are_bounded() {
        let _ = Region::allocate_shared(4096).unwrap().words(4088, 2);
    }
}
