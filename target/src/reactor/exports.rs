//! What is exported, and where.

use super::Reactor;
use super::disks::Disk;
use crate::disk::{DiskInfo, DiskStats};
use crate::identity::NamespaceIds;
use crate::subsystem::{DiskIndex, ExportError, Namespace, Port, Subsystem};
use memory::Access;
use netstack::fabric::Fabric;
use storage::Backend;
use wire::nvme::AsyncEvent;

impl<F: Fabric> Reactor<F> {
    /// Accepts hosts at `port`: it is listened on, and told in the discovery log.
    pub fn listen(&mut self, port: Port) {
        self.fabric.listen(port.address.port());
        self.ports.push(port);
        self.tell_discovery();
    }
    /// Exports a subsystem without namespaces. Errors: the name.
    pub fn add_subsystem(&mut self, nqn: &str) -> Result<(), ExportError> {
        let subsystem = Subsystem::new(nqn, self.config.seed)?;
        if self.subsystem_index(nqn).is_some() {
            return Err(ExportError::DuplicateNqn(nqn.to_owned()));
        }
        self.subsystems.push(subsystem);
        self.tell_discovery();
        Ok(())
    }
    /// Exports a disk as a namespace of subsystem `nqn`, as `nsid` or the first number that is
    /// free. `uri` is what its identifiers are derived from. Returns the namespace's number.
    ///
    /// Errors: no such subsystem, number taken, a geometry that hosts cannot use, reservations that
    /// cannot be read, or a fabric without room to register the disk's buffers.
    pub fn add_namespace(
        &mut self,
        nqn: &str,
        nsid: Option<u32>,
        uri: &str,
        backend: Box<dyn Backend>,
    ) -> Result<u32, ExportError> {
        let at = self.export_index(nqn)?;
        let nsid = nsid.unwrap_or_else(|| self.subsystems[at].free_nsid());
        let end = DiskIndex(u32::try_from(self.disks.len()).unwrap_or(u32::MAX));
        let disk = self.free_disks.last().copied().unwrap_or(end);
        let geometry = backend.geometry();
        let ids = NamespaceIds::derive(self.config.seed, uri);
        let reservations = self.load_reservations(ids.uuid)?;
        let namespace = Namespace::new(nsid, disk, geometry, ids).with_reservations(reservations);
        self.subsystems[at].add(namespace)?;
        if let Err(full) = self.attach_disk(disk, backend) {
            self.subsystems[at].remove(nsid);
            return Err(full);
        }
        self.subsystems[at].ana_mut().note_members(1);
        self.refresh_access(at);
        Ok(nsid)
    }
    /// What a disk did. Panics if there is none.
    #[must_use]
    pub fn disk_stats(&self, disk: DiskIndex) -> DiskStats {
        self.disks[disk.0 as usize].stats
    }
    /// The subsystems, the discovery service first.
    #[must_use]
    pub fn subsystems(&self) -> &[Subsystem] {
        &self.subsystems
    }

    /// Registers the disk's regions, for data that lands in them and leaves from them.
    fn attach_disk(&mut self, at: DiskIndex, backend: Box<dyn Backend>) -> Result<(), ExportError> {
        let mut regions = Vec::new();
        for region in backend.regions() {
            match self.fabric.register(region, Access::LOCAL_WRITE) {
                Ok(mr) => regions.push(mr),
                Err(full) => {
                    regions.iter().for_each(|mr| self.fabric.deregister(mr));
                    return Err(full.into());
                }
            }
        }
        let geometry = backend.geometry();
        let info = DiskInfo {
            geometry,
            keys: regions.iter().map(|mr| mr.lkey).collect(),
            direct_writes: self.config.may_write_directly(geometry.block_bytes),
            stats: DiskStats::default(),
        };
        let disk = Disk::new(backend, regions);
        match self.free_disks.pop_if(|free| *free == at) {
            Some(_) => {
                self.disks[at.0 as usize] = info;
                self.backends[at.0 as usize] = disk;
            }
            None => {
                self.disks.push(info);
                self.backends.push(disk);
            }
        }
        Ok(())
    }
    pub(super) fn subsystem_index(&self, nqn: &str) -> Option<usize> {
        self.subsystems.iter().position(|subsystem| subsystem.nqn() == nqn)
    }
    /// The discovery log changed.
    pub(super) fn tell_discovery(&mut self) {
        self.generation += 1;
        for (_, controller) in self.controllers.iter_mut() {
            controller.handle_event(AsyncEvent::DISCOVERY_CHANGED);
        }
        self.deliver_events();
    }
}
