//! Registrations come, are renewed, and go: which keys open what.

use super::{AccessError, Mr, Registry, RegistryFull, Slot};
use crate::{Access, Lkey, Region, Rkey};

impl Registry {
    /// Registrations that were made and not ended.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Registers the whole of `region` at its own address.
    ///
    /// Errors: [`RegistryFull`]. Panics if the rights contradict each other (see
    /// [`Access::is_consistent`]).
    pub fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.register_at(region, 0, region.len(), region.addr(), access)
    }

    /// Registers `len` octets of `region` from `offset`, to be named from `iova` on.
    ///
    /// Errors: [`RegistryFull`]. Panics if out of the region's bounds or on contradicting rights.
    pub fn register_at(
        &mut self,
        region: &Region,
        offset: usize,
        len: usize,
        iova: u64,
        access: Access,
    ) -> Result<Mr, RegistryFull> {
        assert!(access.is_consistent(), "remote write or atomic without local write");
        region.check(offset, len);
        let index = self.free.pop().ok_or(RegistryFull(self.slots.len()))?;
        let key = self.fresh_key(index);
        let slot = &mut self.slots[index as usize];
        // A slot's first octet is as random as the nonce; then it moves on.
        let octet = if slot.key == 0 { key } else { slot.key.wrapping_add(1) };
        *slot = Slot {
            region: Some(region.clone()),
            ptr: region.as_ptr(offset),
            iova,
            len: len as u64,
            streaming: region.is_streaming(),
            held_back: false,
            access,
            key: (key & !0xff) | (octet & 0xff),
            valid: true,
        };
        Ok(slot.mr())
    }

    /// Knows `mr`, a registration of all of `region` that another table of at most this capacity made,
    /// under the same keys: so that work may name them to either. A table that adopts makes no
    /// registrations of its own. What was adopted there before, and is known to the other no more, is
    /// forgotten.
    ///
    /// Panics if the registration is not of all of `region`.
    pub fn adopt(&mut self, region: &Region, mr: &Mr) {
        assert!(mr.addr == region.addr() && mr.length == region.len() as u64, "not all of it");
        let index = self.index_of(mr.lkey.0);
        self.slots[index] = Slot {
            region: Some(region.clone()),
            ptr: region.as_ptr(0),
            iova: mr.addr,
            len: mr.length,
            streaming: region.is_streaming(),
            held_back: false,
            access: mr.access,
            key: mr.lkey.0,
            valid: true,
        };
    }
    /// Forgets what was adopted under this key. Unknown keys are ignored.
    pub fn release(&mut self, lkey: Lkey) {
        let index = self.index_of(lkey.0);
        if self.slots[index].key == lkey.0 {
            self.slots[index] = Slot::empty();
        }
    }

    /// Ends a registration. Errors: `BadKey` if it is not one. In-flight work that names it fails.
    pub fn deregister(&mut self, lkey: Lkey) -> Result<(), AccessError> {
        let index = self.index_of(lkey.0);
        let slot = &mut self.slots[index];
        if slot.region.is_none() || slot.key != lkey.0 {
            return Err(AccessError::BadKey);
        }
        *slot = Slot { key: slot.key, ..Slot::empty() };
        #[expect(clippy::cast_possible_truncation, reason = "below capacity, at most 65,536")]
        self.free.push(index as u32);
        Ok(())
    }

    /// Octets that land in this registration may stay in the receive ring until somebody says where
    /// they finally belong: its user reads them through the NIC only.
    ///
    /// Errors: `BadKey` if it is not one.
    pub fn hold_back(&mut self, lkey: Lkey) -> Result<(), AccessError> {
        let index = self.index_of(lkey.0);
        let slot = &mut self.slots[index];
        if slot.region.is_none() || slot.key != lkey.0 {
            return Err(AccessError::BadKey);
        }
        slot.held_back = true;
        Ok(())
    }

    /// Makes a key useless until [`Registry::renew`] (LOCAL_INV, or a peer's SEND with invalidate).
    ///
    /// Errors: `BadKey` if it is not valid now: whose fault that is depends on who asked.
    pub fn invalidate(&mut self, rkey: Rkey) -> Result<(), AccessError> {
        let index = self.index_of(rkey.0);
        let slot = &mut self.slots[index];
        if !slot.valid || slot.key != rkey.0 {
            return Err(AccessError::BadKey);
        }
        slot.valid = false;
        Ok(())
    }

    /// Fast registration: the same memory or a part of it, under a key whose low octet moved on.
    /// `lkey` is the newest key of the registration, valid or not.
    ///
    /// Errors: `BadKey` if `lkey` is not a registration; `OutOfBounds` beyond the first one's span.
    pub fn renew(&mut self, lkey: Lkey, addr: u64, len: u64) -> Result<Mr, AccessError> {
        let index = self.index_of(lkey.0);
        let slot = &mut self.slots[index];
        let Some(region) = slot.region.as_ref() else { return Err(AccessError::BadKey) };
        if slot.key != lkey.0 {
            return Err(AccessError::BadKey);
        }
        let offset = addr.checked_sub(region.addr()).ok_or(AccessError::OutOfBounds)?;
        let end = offset.checked_add(len).ok_or(AccessError::OutOfBounds)?;
        if end > region.len() as u64 {
            return Err(AccessError::OutOfBounds);
        }
        #[expect(clippy::cast_possible_truncation, reason = "within the region, checked above")]
        {
            slot.ptr = region.as_ptr(offset as usize);
        }
        slot.iova = addr;
        slot.len = len;
        slot.key = (slot.key & !0xff) | (slot.key.wrapping_add(1) & 0xff);
        slot.valid = true;
        Ok(slot.mr())
    }

    fn fresh_key(&mut self, index: u32) -> u32 {
        let nonce = self.random.next_u32();
        (nonce >> 8 << self.index_bits | index) << 8 | nonce & 0xff
    }
}
