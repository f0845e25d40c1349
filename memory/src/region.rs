//! A contiguous piece of memory that stays mapped as long as anybody holds it.

use crate::cache;
use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;

/// A contiguous span of process memory, shared by reference count: it is unmapped when the last
/// clone goes (registrations and [`crate::DmaBuf`]s each hold one).
///
/// A region is *device memory*: the NIC, the disk and the application reach it concurrently, as
/// real hardware does, so it never hands out `&mut [u8]`. Ordering between them comes from
/// completions (invariant 3 of ARCHITECTURE.md), not from Rust references.
#[derive(Clone)]
pub struct Region {
    inner: Arc<Inner>,
}

struct Inner {
    base: NonNull<u8>,
    len: usize,
    backing: Backing,
    /// Nobody reads soon what is written: writes go past the cache.
    streaming: bool,
    /// Address of the first octet in work requests, if it is not the mapping's own.
    iova: Option<u64>,
}

pub(crate) enum Backing {
    /// Anonymous private mapping of our own; unmapped on drop.
    Anonymous,
    /// A memfd that other processes may map; unmapped on drop.
    Shared(OwnedFd),
    /// Somebody else's memory, kept alive by its owner.
    Owner(#[allow(dead_code, reason = "held for its Drop")] Box<dyn Any + Send + Sync>),
}

// SAFETY: the span is valid and stays mapped until drop; all access goes through raw pointers
// with the bounds checked here or in `Registry`, never through references that assert exclusivity.
unsafe impl Send for Inner {}
// SAFETY: as above; concurrent octet access is what device memory is for.
unsafe impl Sync for Inner {}

impl Region {
    /// Maps `len` zeroed octets (rounded up to 4,096), with transparent huge pages asked for where
    /// the region is large enough for one.
    ///
    /// A process that called [`crate::share_all`] gets memory that others can map.
    ///
    /// Errors: what `mmap` says (`ENOMEM`), or `InvalidInput` for a length of zero.
    pub fn allocate(len: usize) -> io::Result<Region> {
        if crate::shared::shares_all() {
            return Region::allocate_shared(len);
        }
        let rounded = len
            .checked_next_multiple_of(4096)
            .filter(|&n| n > 0)
            .ok_or(io::ErrorKind::InvalidInput)?;
        // Reserve one huge page more, then cut to alignment: khugepaged and the fault handler only
        // use huge pages on 2-MiB boundaries.
        const HUGE: usize = 2 << 20;
        let align = if rounded >= HUGE { HUGE } else { 4096 };
        let reserve = rounded.checked_add(align).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: an anonymous private mapping at an address that the kernel chooses.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                reserve,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = raw as usize;
        let base = start.next_multiple_of(align);
        trim(start, base - start);
        trim(base + rounded, start + reserve - (base + rounded));
        if align == HUGE {
            // SAFETY: the span was just mapped by us. Advice only: failure costs speed.
            unsafe { libc::madvise(base as *mut libc::c_void, rounded, libc::MADV_HUGEPAGE) };
        }
        let base = NonNull::new(base as *mut u8).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Region { inner: Arc::new(Inner::new(base, rounded, Backing::Anonymous)) })
    }

    /// Wraps memory that `owner` keeps mapped, readable and writable (a mapped file, a memfd, the
    /// application's own buffers).
    ///
    /// # Safety
    /// `base..base+len` must be mapped, readable and writable until `owner` is dropped, and nobody
    /// may hold Rust references that assert exclusive access to it while the NIC uses it.
    #[must_use]
    pub unsafe fn from_owner(
        base: NonNull<u8>,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Region {
        Region { inner: Arc::new(Inner::new(base, len, Backing::Owner(owner))) }
    }

    /// The same memory, declared large and seldom read soon after it is written (the blocks of a
    /// disk): the NIC and `write` then place octets past the cache, without fetching the lines.
    /// Panics when the region is shared already.
    #[must_use]
    pub fn streaming(mut self) -> Region {
        let inner = Arc::get_mut(&mut self.inner).expect("declared before it is shared");
        inner.streaming = true;
        self
    }

    /// Length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len
    }
    /// No octets at all (only possible for foreign memory).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }
    /// The same memory, whose first octet work requests call `iova`: the address at which another
    /// process, whose requests these are, has it mapped. Panics when the region is shared already.
    #[must_use]
    pub fn named(mut self, iova: u64) -> Region {
        let inner = Arc::get_mut(&mut self.inner).expect("named before it is shared");
        inner.iova = Some(iova);
        self
    }
    /// Address of the first octet, as work requests carry it.
    #[must_use]
    pub fn addr(&self) -> u64 {
        self.inner.iova.unwrap_or(self.inner.base.as_ptr() as u64)
    }
    /// The same mapping (not equal contents).
    #[must_use]
    pub fn is_same(&self, other: &Region) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
    /// Pointer to `offset`, for system calls and intrinsics. Dereferencing it is the caller's claim.
    ///
    /// Panics if `offset > len()`.
    #[must_use]
    pub fn as_ptr(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len(), "offset {offset} beyond region of {}", self.len());
        // SAFETY: within the mapping, checked above.
        unsafe { self.inner.base.as_ptr().add(offset) }
    }
    /// Copies octets out, from `offset`. Panics if out of bounds.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        // SAFETY: bounds checked; `into` cannot overlap device memory that is never a Rust slice.
        unsafe {
            std::ptr::copy_nonoverlapping(self.as_ptr(offset), into.as_mut_ptr(), into.len());
        }
    }
    /// Copies octets in, at `offset`. Panics if out of bounds.
    pub fn write(&self, offset: usize, from: &[u8]) {
        self.place(offset, from);
        if self.inner.streaming {
            cache::settle();
        }
    }
    /// The same; in a streaming region others see it after [`cache::settle`].
    pub(crate) fn place(&self, offset: usize, from: &[u8]) {
        self.check(offset, from.len());
        let to = self.as_ptr(offset);
        if self.inner.streaming {
            // SAFETY: bounds checked; writable by construction.
            unsafe { cache::copy(from.as_ptr(), to, from.len()) };
        } else {
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        }
    }
    /// Sets `len` octets from `offset` to `value`. Panics if out of bounds.
    pub fn fill(&self, offset: usize, len: usize, value: u8) {
        self.check(offset, len);
        // SAFETY: bounds checked; writable by construction.
        unsafe { std::ptr::write_bytes(self.as_ptr(offset), value, len) };
    }

    pub(crate) fn with_backing(base: NonNull<u8>, len: usize, backing: Backing) -> Region {
        Region { inner: Arc::new(Inner::new(base, len, backing)) }
    }
    pub(crate) fn backing(&self) -> &Backing {
        &self.inner.backing
    }
    /// See [`Region::streaming`].
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.inner.streaming
    }

    pub(crate) fn check(&self, offset: usize, len: usize) {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "{offset}+{len} beyond region of {}",
            self.len()
        );
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({:#x}, {} octets)", self.addr(), self.len())
    }
}

impl Inner {
    fn new(base: NonNull<u8>, len: usize, backing: Backing) -> Inner {
        Inner { base, len, backing, streaming: false, iova: None }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if matches!(self.backing, Backing::Anonymous | Backing::Shared(_)) {
            trim(self.base.as_ptr() as usize, self.len);
        }
    }
}

/// Unmaps a span of a mapping of our own.
pub(crate) fn trim(start: usize, len: usize) {
    if len > 0 {
        // SAFETY: called only on spans of a mapping that this crate made and nobody else holds.
        unsafe { libc::munmap(start as *mut libc::c_void, len) };
    }
}
