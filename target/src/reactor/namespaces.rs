//! Namespaces in use: removed, resized, protected from writes.
//!
//! Source: NVMe Base 2.1, "Namespace Write Protection", "Namespace Attribute Changed" notice.

use super::Reactor;
use super::disks::Disk;
use super::limit::RateLimit;
use crate::controller::{World, lists_controllers};
use crate::fault::{Fault, field};
use crate::io::{Io, IoKind};
use crate::queue::Attachment;
use crate::subsystem::{DiskIndex, ExportError, Namespace, Protection};
use netstack::fabric::Fabric;
use wire::nvme::identify::Cns;
use wire::nvme::{AdminOpcode, FeatureCmd, FeatureId, Sqe, Status};

/// Set Features of a feature that belongs to a namespace, and so to the reactor.
pub(super) fn names_namespace_feature(sqe: &Sqe) -> bool {
    sqe.admin_opcode() == Some(AdminOpcode::SetFeatures)
        && matches!(
            FeatureCmd::decode(sqe).fid,
            FeatureId::WRITE_PROTECT | FeatureId::RESERVATION_PERSISTENCE
        )
}

impl<F: Fabric> Reactor<F> {
    /// Takes a namespace away. Commands that were accepted finish on its disk, which is dropped after
    /// the last of them; later ones fail with Invalid Namespace.
    ///
    /// Errors: no such subsystem or namespace.
    pub fn remove_namespace(&mut self, nqn: &str, nsid: u32) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let gone = self.subsystems[at].remove(nsid).ok_or(ExportError::NoSuchNamespace(nsid))?;
        self.subsystems[at].ana_mut().note_members(gone.ana_group);
        // What waits for its turn has it now: the disk is wanted for nothing else.
        self.backends[gone.disk.0 as usize].set_limit(RateLimit::default());
        self.hasten(gone.disk);
        self.retiring.push((gone.disk, at));
        self.keep_counts(gone.disk, at);
        self.refresh_access(at);
        Ok(())
    }
    /// Makes a namespace larger or smaller. Commands that were accepted finish where they began,
    /// also behind the new end.
    ///
    /// Errors: no such subsystem or namespace, a size of 0, or what the disk says.
    pub fn resize_namespace(
        &mut self,
        nqn: &str,
        nsid: u32,
        block_count: u64,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let disk = self.namespace_mut(at, nsid)?.disk.0 as usize;
        let wanted = storage::Geometry { block_count, ..self.disks[disk].geometry };
        if block_count == 0 {
            return Err(ExportError::BadGeometry(wanted));
        }
        let resized = self.backends[disk].backend.resize(block_count);
        resized.map_err(|why| ExportError::Resize(why.to_string()))?;
        let geometry = self.backends[disk].backend.geometry();
        self.disks[disk].geometry = geometry;
        self.namespace_mut(at, nsid)?.geometry = geometry;
        self.tell_namespace_changed(at, nsid, None);
        Ok(())
    }
    /// Exports a namespace read-only, or writable again. No host can undo it.
    ///
    /// Errors: no such subsystem or namespace.
    pub fn set_read_only(
        &mut self,
        nqn: &str,
        nsid: u32,
        read_only: bool,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        self.namespace_mut(at, nsid)?.protection =
            if read_only { Protection::ByOperator } else { Protection::None };
        self.tell_namespace_changed(at, nsid, None);
        Ok(())
    }

    /// Sets how fast namespace `nsid` is read and written, by all hosts together. Commands wait for
    /// their turn, those of each connection in order; none is refused, and admin commands, Flush, Write
    /// Zeroes, Dataset Management and Verify do not wait. Commands that wait already come under the new
    /// limits.
    ///
    /// Errors: no such subsystem or namespace.
    pub fn set_limit(&mut self, nqn: &str, nsid: u32, limit: RateLimit) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let disk = self.namespace_mut(at, nsid)?.disk;
        self.backends[disk.0 as usize].set_limit(limit);
        Ok(())
    }

    pub(super) fn export_index(&self, nqn: &str) -> Result<usize, ExportError> {
        let at = self.subsystem_index(nqn).filter(|at| !self.subsystems[*at].is_discovery());
        at.ok_or_else(|| ExportError::NoSuchSubsystem(nqn.to_owned()))
    }
    pub(super) fn namespace_mut(
        &mut self,
        at: usize,
        nsid: u32,
    ) -> Result<&mut Namespace, ExportError> {
        self.subsystems[at].namespace_mut(nsid).ok_or(ExportError::NoSuchNamespace(nsid))
    }

    /// Set Features that a namespace owns. `None`: the command goes on, at the namespace's disk.
    pub(super) fn set_namespace_feature(
        &mut self,
        index: u32,
        slot: u16,
        at: Attachment,
        sqe: &Sqe,
    ) -> Option<Result<u64, Fault>> {
        let world = self.world(at, &[]);
        let checked = self.controllers[at.controller].check_namespace_feature(sqe, &world);
        let FeatureCmd { fid, value, .. } = FeatureCmd::decode(sqe);
        let outcome = checked.and_then(|nsid| {
            if fid == FeatureId::WRITE_PROTECT {
                return self.protect(at, nsid, value);
            }
            let persists = value & 1 != 0;
            self.change_reservations(at.subsystem, nsid, |reservations| {
                reservations.set_persists(persists).map(|()| None)
            })
        });
        match outcome {
            Ok(Some(disk)) => {
                // What was acknowledged from a cache becomes durable before the host hears of it.
                let io = Io { kind: IoKind::Flush, disk, ..Io::default() };
                let info = &self.disks[disk.0 as usize];
                self.queues[index].start_io(slot, io, info, &mut self.actions);
                None
            }
            Ok(None) => Some(Ok(0)),
            Err(fault) => Some(Err(fault)),
        }
    }
    /// Write protection as a host asks for it. Returns the disk to flush.
    fn protect(
        &mut self,
        at: Attachment,
        nsid: u32,
        value: u32,
    ) -> Result<Option<DiskIndex>, Fault> {
        let protection = match value & 7 {
            0 => Protection::None,
            1 => Protection::ByHost,
            _ => return Err(Fault::invalid_field(field::CDW11)),
        };
        let gone = Fault::at(Status::INVALID_NAMESPACE, field::NSID);
        let namespace = self.subsystems[at.subsystem].namespace_mut(nsid).ok_or(gone)?;
        if namespace.protection == Protection::ByOperator {
            return Err(Fault::at(Status::FEATURE_NOT_CHANGEABLE, field::CDW10));
        }
        if namespace.protection == protection {
            return Ok(None);
        }
        namespace.protection = protection;
        let disk = (protection == Protection::ByHost).then_some(namespace.disk);
        self.tell_namespace_changed(at.subsystem, nsid, Some(at.controller));
        Ok(disk)
    }

    /// Everything outside the controller, for a look at it.
    pub(super) fn world<'w>(&'w self, at: Attachment, controllers: &'w [u16]) -> World<'w> {
        World {
            subsystem: &self.subsystems[at.subsystem],
            subsystems: &self.subsystems,
            ports: &self.ports,
            channels: &self.channels,
            disks: &self.disks,
            directory: &self.directory,
            max_transfer_bytes: self.max_transfer_bytes(at.subsystem),
            // Only Identify tells these.
            in_capsule_bytes: 0,
            keyed_sgls: false,
            controllers,
        }
    }
    /// The controllers that an Identify asks about, ascending.
    pub(super) fn listed_controllers(&self, at: Attachment, sqe: &Sqe) -> Vec<u16> {
        let Some(cns) = lists_controllers(sqe) else { return Vec::new() };
        let nsid = sqe.nsid().0;
        let all = self.controllers.iter().map(|(_, controller)| controller);
        let mut ids: Vec<u16> = all
            .filter(|controller| controller.subsystem == at.subsystem && !controller.is_dying)
            .filter(|c| cns == Cns::Controllers || c.gates().get(nsid).is_attached())
            .map(|controller| controller.cntlid)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Drops the disks of removed namespaces once no command needs them.
    pub(super) fn retire_disks(&mut self) {
        let mut retiring = std::mem::take(&mut self.retiring);
        retiring.retain(|(disk, at)| !self.try_retire(*disk, *at));
        self.retiring = retiring;
    }
    /// What a removed namespace's disk did stays in its subsystem's SMART page.
    fn keep_counts(&mut self, disk: DiskIndex, at: usize) {
        let stats = std::mem::take(&mut self.disks[disk.0 as usize].stats);
        self.subsystems[at].note_retired(stats);
    }
    fn try_retire(&mut self, disk: DiskIndex, at: usize) -> bool {
        let place = &self.backends[disk.0 as usize];
        let is_used = self.queues.iter().any(|(_, queue)| queue.uses_disk(disk));
        if is_used || !place.is_idle() {
            return false;
        }
        self.keep_counts(disk, at);
        self.drop_disk(disk);
        true
    }
    /// Drops a disk that nobody uses; its place is free.
    pub(super) fn drop_disk(&mut self, disk: DiskIndex) {
        let old = std::mem::replace(&mut self.backends[disk.0 as usize], Disk::gone());
        old.regions.iter().for_each(|mr| self.fabric.deregister(mr));
        self.disks[disk.0 as usize].keys.clear();
        self.free_disks.push(disk);
    }
}
