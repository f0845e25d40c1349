//! Keys to memory: the table of registrations of one NIC.
//!
//! Source: IBTA 1.4, "Memory Management"; the key octet rule follows what Linux drivers do at each
//! fast registration (the low octet of the key increments).

mod registrations;

use crate::cache::{self, Stage};
use crate::{Access, Lkey, Region, Rkey, Unguessable};

/// One scatter/gather element: `length` octets from `addr`, reachable through `lkey`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sge {
    /// Address as registered (process virtual address, or the chosen iova).
    pub addr: u64,
    /// Octets.
    pub length: u32,
    /// Local key of the registration that covers them.
    pub lkey: Lkey,
}

impl Sge {
    /// The part of `self` that starts `skip` octets in and is at most `take` octets long.
    /// Panics if `skip > length`.
    #[must_use]
    pub fn slice(self, skip: u32, take: u32) -> Sge {
        assert!(skip <= self.length, "skip {skip} beyond element of {}", self.length);
        Sge {
            addr: self.addr + u64::from(skip),
            length: take.min(self.length - skip),
            lkey: self.lkey,
        }
    }
}

/// A registration: what `ibv_reg_mr` returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mr {
    /// Key for local work requests.
    pub lkey: Lkey,
    /// Key for peers.
    pub rkey: Rkey,
    /// First octet, as work requests name it.
    pub addr: u64,
    /// Octets.
    pub length: u64,
    /// Rights.
    pub access: Access,
}

/// Why a key does not open a span. All are the presenter's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccessError {
    /// The key names no registration, or one that was invalidated or deregistered.
    #[error("unknown or invalidated key")]
    BadKey,
    /// The span is not inside the registration.
    #[error("outside the registered span")]
    OutOfBounds,
    /// The registration does not grant this right.
    #[error("access right not granted")]
    Denied,
    /// An atomic on an address that is not a multiple of 8.
    #[error("atomic on a misaligned address")]
    Misaligned,
}

/// The table has no free slot (capacity is fixed when it is made).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all {0} registrations are in use")]
pub struct RegistryFull(pub usize);

/// Memory that a key was found to open, borrowed from the table so that it cannot be unmapped.
#[derive(Clone, Copy)]
pub struct Span<'r> {
    ptr: *mut u8,
    len: usize,
    streaming: bool,
    held_back: bool,
    /// Where it was named.
    addr: u64,
    key: u32,
    _table: std::marker::PhantomData<&'r Registry>,
}

impl Span<'_> {
    /// First octet, for system calls and prefetch.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.ptr
    }
    /// Octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }
    /// No octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The element that names this span, if octets for it may stay in the receive ring for a while
    /// (see [`Registry::hold_back`]).
    #[must_use]
    pub fn held_back(&self) -> Option<Sge> {
        let length = u32::try_from(self.len).unwrap_or(u32::MAX);
        self.held_back.then_some(Sge { addr: self.addr, length, lkey: Lkey(self.key) })
    }
    /// Copies `from` into the span's start. Panics if longer than the span. In a streaming region
    /// others see it after [`crate::settle`].
    pub fn write(&self, from: &[u8]) {
        assert!(from.len() <= self.len, "{} octets into a span of {}", from.len(), self.len);
        if self.streaming {
            // SAFETY: as below.
            return unsafe { cache::copy(from.as_ptr(), self.ptr, from.len()) };
        }
        // SAFETY: the span was checked against a live registration whose region the table holds.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.ptr, from.len()) };
    }
    /// Copies the span's start out. Panics if `into` is longer than the span.
    pub fn read(&self, into: &mut [u8]) {
        assert!(into.len() <= self.len, "{} octets from a span of {}", into.len(), self.len);
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(self.ptr, into.as_mut_ptr(), into.len()) };
    }
    /// Copies the span to `at` of a region. Panics if it does not fit there. The two must not overlap.
    pub fn copy_to(&self, into: &Region, at: usize) {
        into.check(at, self.len);
        // SAFETY: both inside live mappings, the span's checked against its registration; that they do
        // not overlap is the caller's claim, and octets are octets if it is wrong.
        unsafe { std::ptr::copy(self.ptr, into.as_ptr(at), self.len) };
    }
    /// Asks the cache for the span's first lines, so that the hardware's own prefetching takes over
    /// the rest: asking for all of a 4-KiB block waits for the 10 to 16 fills that a core can have
    /// under way (measured: 9 % less throughput of 4-KiB reads).
    pub fn prefetch(&self) {
        const BYTES: usize = 8 * 64;
        cache::prefetch(self.ptr, self.len.min(BYTES));
    }
    /// Asks the cache for the lines whose turn it is, of a block that was [`Stage::Granted`].
    #[inline]
    pub fn prefetch_stage(&self, stage: Stage) {
        cache::prefetch_stage(self.ptr, self.len, stage);
    }
}

struct Slot {
    region: Option<Region>,
    ptr: *mut u8,
    iova: u64,
    len: u64,
    streaming: bool,
    held_back: bool,
    access: Access,
    key: u32,
    valid: bool,
}

// SAFETY: `ptr` points into `region`, which is Send and kept by the slot.
unsafe impl Send for Slot {}

/// The registrations of one NIC. Owned by the thread that polls it: no locks.
///
/// Capacity is fixed (a power of two up to 65,536). A key is `nonce | slot index | key octet`;
/// nonce and octet come from the seed, so keys do not tell one another ([`Unguessable`]).
pub struct Registry {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index_bits: u32,
    random: Unguessable,
}

impl Registry {
    /// A table for up to `capacity` registrations (rounded up to a power of two, at most 65,536).
    /// `seed` makes the keys; take it from the operating system outside tests.
    #[must_use]
    pub fn new(capacity: usize, seed: u64) -> Registry {
        let capacity = capacity.clamp(1, 1 << 16).next_power_of_two();
        let slots = (0..capacity).map(|_| Slot::empty()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "at most 65,536")]
        let free = (0..capacity as u32).rev().collect();
        Registry {
            slots,
            free,
            index_bits: capacity.trailing_zeros(),
            random: Unguessable::new(seed),
        }
    }

    /// The memory of `sge`, if its key covers it (a gather, or a landing place with `access`
    /// [`Access::LOCAL_WRITE`]).
    pub fn local(&self, sge: Sge, access: Access) -> Result<Span<'_>, AccessError> {
        self.span(sge.lkey.0, sge.addr, u64::from(sge.length), access)
    }

    /// The memory that a peer names by `rkey`, if the key covers it and grants `access`.
    pub fn remote(
        &self,
        rkey: Rkey,
        addr: u64,
        length: u32,
        access: Access,
    ) -> Result<Span<'_>, AccessError> {
        self.span(rkey.0, addr, u64::from(length), access)
    }

    /// Atomic on eight octets named by a peer: `f(old) -> new`; returns old.
    ///
    /// Errors: `Misaligned`, `BadKey`, `OutOfBounds`, `Denied`.
    pub fn atomic(
        &mut self,
        rkey: Rkey,
        addr: u64,
        f: impl FnOnce(u64) -> u64,
    ) -> Result<u64, AccessError> {
        if !addr.is_multiple_of(8) {
            return Err(AccessError::Misaligned);
        }
        let span = self.span(rkey.0, addr, 8, Access::REMOTE_ATOMIC)?;
        if !(span.ptr as usize).is_multiple_of(8) {
            return Err(AccessError::Misaligned);
        }
        // SAFETY: eight aligned octets inside a live registration. An AtomicU64 keeps concurrent
        // host access defined; atomicity between NICs of one process is per NIC, as
        // IBV_ATOMIC_HCA promises, because one thread owns this table.
        let cell = unsafe { std::sync::atomic::AtomicU64::from_ptr(span.ptr.cast()) };
        let old = cell.load(std::sync::atomic::Ordering::Acquire);
        cell.store(f(old), std::sync::atomic::Ordering::Release);
        Ok(old)
    }

    #[inline]
    fn span(&self, key: u32, addr: u64, len: u64, access: Access) -> Result<Span<'_>, AccessError> {
        let slot = &self.slots[self.index_of(key)];
        if slot.key != key || !slot.valid {
            return Err(AccessError::BadKey);
        }
        if !slot.access.contains(access) {
            return Err(AccessError::Denied);
        }
        let offset = addr.wrapping_sub(slot.iova);
        if offset > slot.len || len > slot.len - offset {
            return Err(AccessError::OutOfBounds);
        }
        #[expect(clippy::cast_possible_truncation, reason = "within a mapped region")]
        // SAFETY: `offset` is inside the registered span, checked above.
        let ptr = unsafe { slot.ptr.add(offset as usize) };
        #[expect(clippy::cast_possible_truncation, reason = "within a mapped region")]
        let len = len as usize;
        let (streaming, held_back) = (slot.streaming, slot.held_back);
        Ok(Span { ptr, len, streaming, held_back, addr, key, _table: std::marker::PhantomData })
    }

    #[inline]
    fn index_of(&self, key: u32) -> usize {
        ((key >> 8) & ((1 << self.index_bits) - 1)) as usize
    }
}

impl Slot {
    fn empty() -> Slot {
        Slot {
            region: None,
            ptr: std::ptr::null_mut(),
            iova: 0,
            len: 0,
            streaming: false,
            held_back: false,
            access: Access::LOCAL_READ,
            key: 0,
            valid: false,
        }
    }
    fn mr(&self) -> Mr {
        Mr {
            lkey: Lkey(self.key),
            rkey: Rkey(self.key),
            addr: self.iova,
            length: self.len,
            access: self.access,
        }
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
