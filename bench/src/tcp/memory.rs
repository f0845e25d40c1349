//! Registered memory: keys to octets that a system call gathers, and places for what arrives.

use memory::{Access, AccessError, DmaBuf, Mr, Region, Registry, RegistryFull, Rkey, Sge};
use netstack::fabric::Gather;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use verbs::Remote;

/// Registrations at once.
const REGISTRATIONS_MAX: usize = 1 << 14;

/// The registry, and the memory behind each key: a system call is given slices, and what borrows
/// a piece of a region safely is a `DmaBuf`.
pub(super) struct Table {
    registry: Registry,
    regions: HashMap<u32, Region>,
}

impl Table {
    pub(super) fn new() -> Table {
        let seed = RandomState::new().hash_one(std::process::id());
        Table { registry: Registry::new(REGISTRATIONS_MAX, seed), regions: HashMap::new() }
    }
    pub(super) fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        let mr = self.registry.register(region, access)?;
        self.regions.insert(mr.lkey.0, region.clone());
        Ok(mr)
    }
    /// Unknown keys are ignored.
    pub(super) fn deregister(&mut self, mr: &Mr) {
        if self.registry.deregister(mr.lkey).is_ok() {
            self.regions.remove(&mr.lkey.0);
        }
    }
    pub(super) fn invalidate(&mut self, key: u32) -> Result<(), AccessError> {
        self.registry.invalidate(Rkey(key))
    }

    /// Octets that a peer's READ may have.
    pub(super) fn readable(&self, from: Remote, length: u32) -> Result<DmaBuf, AccessError> {
        self.registry.remote(from.rkey, from.addr, length, Access::REMOTE_READ)?;
        self.piece(from.rkey.0, from.addr, length)
    }
    /// Whether a peer's WRITE may go there.
    pub(super) fn check_writable(&self, to: Remote, length: u32) -> Result<(), AccessError> {
        self.registry.remote(to.rkey, to.addr, length, Access::REMOTE_WRITE).map(|_| ())
    }
    /// Appends the pieces of local memory that are to be sent. Those before a bad one stay.
    pub(super) fn gather(
        &self,
        local: &Gather,
        pieces: &mut Vec<DmaBuf>,
    ) -> Result<(), AccessError> {
        for sge in local.iter() {
            self.registry.local(sge, Access::LOCAL_READ)?;
            pieces.push(self.piece(sge.lkey.0, sge.addr, sge.length)?);
        }
        Ok(())
    }
    fn piece(&self, key: u32, addr: u64, length: u32) -> Result<DmaBuf, AccessError> {
        let region = self.regions.get(&key).ok_or(AccessError::BadKey)?;
        let offset = addr.checked_sub(region.addr()).ok_or(AccessError::OutOfBounds)?;
        let offset = usize::try_from(offset).map_err(|_| AccessError::OutOfBounds)?;
        // In bounds: the registry has found it inside the registration, which is all of the region.
        Ok(DmaBuf::new(region, 0, offset, length as usize))
    }

    /// Copies octets of a peer's WRITE to their place, `at` octets in.
    pub(super) fn place_remote(
        &self,
        to: Remote,
        at: u32,
        octets: &[u8],
    ) -> Result<(), AccessError> {
        let length = u32::try_from(octets.len()).map_err(|_| AccessError::OutOfBounds)?;
        let addr = to.addr.checked_add(u64::from(at)).ok_or(AccessError::OutOfBounds)?;
        self.registry.remote(to.rkey, addr, length, Access::REMOTE_WRITE)?.write(octets);
        Ok(())
    }
    /// Copies octets into local memory, `at` octets in. What is beyond it is the caller's fault.
    pub(super) fn place_local(
        &self,
        local: &Gather,
        at: u32,
        mut octets: &[u8],
    ) -> Result<(), AccessError> {
        let mut skip = at;
        for sge in local.iter() {
            if skip >= sge.length {
                skip -= sge.length;
                continue;
            }
            let room = octets.len().min((sge.length - skip) as usize);
            let (now, later) = octets.split_at(room);
            #[expect(clippy::cast_possible_truncation, reason = "at most the element's length")]
            let part: Sge = sge.slice(skip, now.len() as u32);
            self.registry.local(part, Access::LOCAL_WRITE)?.write(now);
            (octets, skip) = (later, 0);
            if octets.is_empty() {
                return Ok(());
            }
        }
        if octets.is_empty() { Ok(()) } else { Err(AccessError::OutOfBounds) }
    }
}
