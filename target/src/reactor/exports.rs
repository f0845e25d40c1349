//! What is exported, and where.

use super::Reactor;
use super::ana::check_group;
use super::discovery::no_port;
use super::disks::Disk;
use crate::access::HostList;
use crate::disk::{DiskInfo, DiskStats};
use crate::identity::{ChosenIds, NamespaceIds};
use crate::subsystem::{
    DiskIndex, ExportError, Namespace, Port, Protection, Subsystem, check_geometry,
};
use memory::Access;
use netstack::fabric::Fabric;
use std::io;
use storage::Backend;

/// A namespace to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewNamespace<'n> {
    /// Its number, 1 to 1,024.
    pub nsid: u32,
    /// What its identifiers are derived from.
    pub uri: &'n str,
    /// Identifiers that are not to be derived.
    pub ids: ChosenIds,
    /// No host may write to it.
    pub read_only: bool,
    /// Group for asymmetric access, 1 to 128.
    pub ana_group: u32,
    /// Hosts for which it exists.
    pub hosts: HostList,
}

impl<'n> NewNamespace<'n> {
    /// For all hosts, writable, in group 1, with derived identifiers.
    #[must_use]
    pub fn new(nsid: u32, uri: &'n str) -> NewNamespace<'n> {
        let (ids, hosts) = (ChosenIds::default(), HostList::Any);
        NewNamespace { nsid, uri, ids, read_only: false, ana_group: 1, hosts }
    }
}

/// A disk that is registered and that no host sees.
#[must_use = "it occupies its place until it is exported or dropped"]
#[derive(Debug)]
pub struct StagedDisk(DiskIndex);

impl<F: Fabric> Reactor<F> {
    /// Accepts hosts at `port`: it is listened on, and told in the discovery log.
    pub fn listen(&mut self, port: Port) {
        self.fabric.listen(port.address.port());
        self.ports.push(port);
        self.directory.note_change();
    }
    /// Accepts hosts at `port` while in use, and tells of it in the discovery log.
    ///
    /// Errors: the address cannot be had, or not by this fabric. Nothing changed then.
    pub fn open_port(&mut self, port: Port) -> io::Result<()> {
        self.fabric.open_listener(port.transport.as_str(), port.address)?;
        self.ports.push(port);
        self.directory.note_change();
        Ok(())
    }
    /// Accepts no more hosts at `port`, and tells no more of it. Connections that were made there
    /// stay.
    ///
    /// Errors: no such port, or the fabric cannot stop listening.
    pub fn close_port(&mut self, port: &Port) -> io::Result<()> {
        let at = self.ports.iter().position(|other| other == port);
        let at = at.ok_or_else(|| no_port(port))?;
        self.close_last(port)?;
        self.ports.remove(at);
        self.directory.note_change();
        Ok(())
    }
    /// Exports a subsystem without namespaces. Errors: the name.
    pub fn add_subsystem(&mut self, nqn: &str) -> Result<(), ExportError> {
        let subsystem = Subsystem::new(nqn, self.config.seed)?;
        if self.subsystem_index(nqn).is_some() {
            return Err(ExportError::DuplicateNqn(nqn.to_owned()));
        }
        match self.free_subsystem() {
            Some(at) => self.subsystems[at] = subsystem,
            None => self.subsystems.push(subsystem),
        }
        self.directory.note_change();
        Ok(())
    }
    /// Takes a subsystem away, with its namespaces. Its hosts lose their controllers; commands that
    /// were accepted finish at the disks.
    ///
    /// Errors: no such subsystem.
    pub fn remove_subsystem(&mut self, nqn: &str) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        self.forget_tls_keys(nqn);
        let nsids = self.subsystems[at].namespaces().iter().map(|namespace| namespace.nsid);
        for nsid in nsids.collect::<Vec<_>>() {
            self.remove_namespace(nqn, nsid)?;
        }
        self.lift_host_limits(at);
        self.subsystems[at].set_removed();
        let controllers = self.controllers.iter().filter(|(_, c)| c.subsystem == at);
        for index in controllers.map(|(index, _)| index).collect::<Vec<_>>() {
            self.end_controller(index);
        }
        self.directory.note_change();
        Ok(())
    }
    /// Gives a subsystem a serial number and a model, or those that it has by itself (`None`). Hosts
    /// see them when they identify it next.
    ///
    /// Errors: no such subsystem, or a text that Identify has no room for.
    pub fn set_identity(
        &mut self,
        nqn: &str,
        serial: Option<&str>,
        model: Option<&str>,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        self.subsystems[at].set_identity(self.config.seed, serial, model)
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
        let disk = self.stage_disk(backend)?;
        self.export(nqn, NewNamespace::new(nsid, uri), disk)?;
        Ok(nsid)
    }
    /// The first half of exporting a disk, in which all fails that has to do with the disk: it is
    /// registered, and no host sees it. Spend it with [`Self::export`] or [`Self::drop_staged`].
    ///
    /// Errors: a geometry that hosts cannot use, or a fabric without room to register its buffers.
    pub fn stage_disk(&mut self, backend: Box<dyn Backend>) -> Result<StagedDisk, ExportError> {
        check_geometry(backend.geometry())?;
        let end = DiskIndex(u32::try_from(self.disks.len()).unwrap_or(u32::MAX));
        let disk = self.free_disks.last().copied().unwrap_or(end);
        self.attach_disk(disk, backend)?;
        Ok(StagedDisk(disk))
    }
    /// Drops a disk that was staged.
    pub fn drop_staged(&mut self, staged: StagedDisk) {
        self.drop_disk(staged.0);
    }
    /// The second half: exports a staged disk. On an error the disk is dropped.
    ///
    /// Errors: no such subsystem, number taken, group out of range, identifiers that another
    /// namespace has, or reservations that cannot be read.
    pub fn export(
        &mut self,
        nqn: &str,
        new: NewNamespace<'_>,
        staged: StagedDisk,
    ) -> Result<(), ExportError> {
        let disk = staged.0;
        let outcome = self.export_disk(nqn, new, disk);
        if outcome.is_err() {
            self.drop_disk(disk);
        }
        outcome
    }
    fn export_disk(
        &mut self,
        nqn: &str,
        new: NewNamespace<'_>,
        disk: DiskIndex,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        check_group(new.ana_group)?;
        let taken: Vec<NamespaceIds> = self
            .subsystems
            .iter()
            .flat_map(|subsystem| subsystem.namespaces().iter().map(|namespace| namespace.ids))
            .collect();
        let (seed, place) = (self.config.seed, (nqn, new.nsid));
        let ids = NamespaceIds::unique(seed, new.uri, place, &new.ids, &taken);
        let ids = ids.ok_or(ExportError::DuplicateIds(new.nsid))?;
        let reservations = self.load_reservations(ids.uuid)?;
        let geometry = self.disks[disk.0 as usize].geometry;
        let mut namespace =
            Namespace::new(new.nsid, disk, geometry, ids).with_reservations(reservations);
        namespace.ana_group = new.ana_group;
        namespace.hosts = new.hosts;
        if new.read_only {
            namespace.protection = Protection::ByOperator;
        }
        self.subsystems[at].add(namespace)?;
        self.subsystems[at].ana_mut().note_members(new.ana_group);
        self.refresh_access(at);
        Ok(())
    }
    /// What a disk did. Panics if there is none.
    #[must_use]
    pub fn disk_stats(&self, disk: DiskIndex) -> DiskStats {
        self.disks[disk.0 as usize].stats
    }
    /// The subsystems, the discovery service first.
    pub fn subsystems(&self) -> impl Iterator<Item = &Subsystem> {
        self.subsystems.iter().filter(|subsystem| !subsystem.is_removed())
    }
    /// The subsystem `nqn`.
    #[must_use]
    pub fn subsystem(&self, nqn: &str) -> Option<&Subsystem> {
        self.subsystem_index(nqn).map(|at| &self.subsystems[at])
    }
    /// Where hosts reach them, by arrival.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
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
        let is_it = |subsystem: &Subsystem| subsystem.nqn() == nqn && !subsystem.is_removed();
        self.subsystems.iter().position(is_it)
    }
    /// A place of a removed subsystem that nobody looks at any more.
    fn free_subsystem(&self) -> Option<usize> {
        let is_used = |at: usize| {
            self.controllers.iter().any(|(_, controller)| controller.subsystem == at)
                || self.queues.iter().any(|(_, q)| q.attachment.is_some_and(|a| a.subsystem == at))
                || self.retiring.iter().any(|(_, subsystem)| *subsystem == at)
        };
        let removed = |at: &usize| self.subsystems[*at].is_removed();
        (0..self.subsystems.len()).filter(removed).find(|at| !is_used(*at))
    }
}
