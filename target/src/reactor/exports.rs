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
    /// Errors: no such subsystem, number taken, a geometry that hosts cannot use, or a fabric
    /// without room to register the disk's buffers.
    pub fn add_namespace(
        &mut self,
        nqn: &str,
        nsid: Option<u32>,
        uri: &str,
        backend: Box<dyn Backend>,
    ) -> Result<u32, ExportError> {
        let at = self.subsystem_index(nqn).filter(|at| !self.subsystems[*at].is_discovery());
        let at = at.ok_or_else(|| ExportError::NoSuchSubsystem(nqn.to_owned()))?;
        let nsid = nsid.unwrap_or_else(|| self.subsystems[at].free_nsid());
        let disk = DiskIndex(u32::try_from(self.disks.len()).unwrap_or(u32::MAX));
        let geometry = backend.geometry();
        let ids = NamespaceIds::derive(self.config.seed, uri);
        self.subsystems[at].add(Namespace { nsid, disk, geometry, ids })?;
        if let Err(full) = self.attach_disk(backend) {
            self.subsystems[at].remove(nsid);
            return Err(full);
        }
        for (_, controller) in self.controllers.iter_mut() {
            if controller.subsystem == at {
                controller.handle_namespace_change(nsid);
            }
        }
        self.deliver_events();
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
    fn attach_disk(&mut self, backend: Box<dyn Backend>) -> Result<(), ExportError> {
        let register = |region| self.fabric.register(region, Access::LOCAL_WRITE);
        let keys = backend.regions().iter().map(register).map(|mr| mr.map(|mr| mr.lkey));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let geometry = backend.geometry();
        self.disks.push(DiskInfo {
            geometry,
            keys,
            direct_writes: self.config.may_write_directly(geometry.block_bytes),
            stats: DiskStats::default(),
        });
        self.backends.push(Disk::new(backend));
        Ok(())
    }
    pub(super) fn subsystem_index(&self, nqn: &str) -> Option<usize> {
        self.subsystems.iter().position(|subsystem| subsystem.nqn() == nqn)
    }
    /// The discovery log changed.
    fn tell_discovery(&mut self) {
        self.generation += 1;
        for (_, controller) in self.controllers.iter_mut() {
            controller.handle_event(AsyncEvent::DISCOVERY_CHANGED);
        }
        self.deliver_events();
    }
}
