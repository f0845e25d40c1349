//! Memory of a tool: one region, registered once.

use super::Fault;
use memory::{Access, Mr, Region, Sge};
use netstack::endpoint::Endpoint;
use verbs::Remote;

/// A registered region, zeroed.
pub(crate) struct Memory {
    region: Region,
    mr: Mr,
}

impl Memory {
    /// Allocates and registers `len` octets, open to peers as `access` says.
    ///
    /// Errors: no memory.
    pub(crate) fn new(verbs: &mut Endpoint, len: usize, access: Access) -> Result<Memory, Fault> {
        let no_memory = |why: String| Fault::Misuse(format!("{len} octets of memory: {why}"));
        let region = Region::allocate(len).map_err(|error| no_memory(error.to_string()))?;
        let mr = verbs.memory().register(&region, Access::LOCAL_WRITE | access);
        let mr = mr.map_err(|error| no_memory(error.to_string()))?;
        Ok(Memory { region, mr })
    }
    /// The octets from `offset` on, for a work request.
    pub(crate) fn sge(&self, offset: usize, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset as u64, length, lkey: self.mr.lkey }
    }
    /// The same as a peer names them.
    pub(crate) fn remote(&self, offset: usize) -> Remote {
        Remote { addr: self.mr.addr + offset as u64, rkey: self.mr.rkey }
    }
    /// Copies octets in.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        self.region.write(offset, from);
    }
    /// Copies octets out.
    pub(crate) fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        self.region.read(offset, &mut octets);
        octets
    }
}
