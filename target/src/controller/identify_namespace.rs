//! Identify: what is told of namespaces.
//!
//! Source: NVMe Base 2.1, "Identify command"; NVM Command Set 1.1, "Identify Namespace data
//! structure". A namespace that a host may not see is inactive for it, and allocated all the same.

use super::identify::CSI_NVM;
use super::{Controller, World};
use crate::fault::{Fault, field};
use crate::io::{COPY_RANGES_MAX, copy_blocks_max, fused_bytes_max};
use crate::subsystem::{NSID_MAX, Namespace};
use wire::nvme::identify::{
    DescriptorList, IDENTIFY_LEN, IdentifyNamespace, IndependentNamespace, LbaFormat,
    NamespaceDescriptor, NamespaceList,
};
use wire::nvme::{Nsid, Status};

/// Several controllers may use a namespace (NMIC).
const SHARED: u8 = 1;
/// The atomic units of the namespace hold, not the controller's (NSFEAT).
const OWN_ATOMICITY: u8 = 1 << 1;
/// It is write-protected (NSATTR).
const PROTECTED: u8 = 1;

type Structure = [u8; IDENTIFY_LEN];

const BAD_NSID: Fault = Fault::at(Status::INVALID_NAMESPACE, field::NSID);

/// The namespace, if it exists. Errors: identifiers that none can have.
fn find<'w>(world: &World<'w>, nsid: Nsid) -> Result<Option<&'w Namespace>, Fault> {
    if matches!(nsid, Nsid::NONE | Nsid::ALL) || nsid.0 > NSID_MAX {
        return Err(BAD_NSID);
    }
    Ok(world.subsystem.namespace(nsid.0))
}

/// Errors: no such namespace, for anybody.
pub(super) fn check_exists(world: &World<'_>, nsid: Nsid) -> Result<(), Fault> {
    find(world, nsid)?.map(|_| ()).ok_or(BAD_NSID)
}

/// Identifiers above `nsid` that exist for anybody, ascending.
pub(super) fn allocated(world: &World<'_>, nsid: Nsid) -> Result<Structure, Fault> {
    list(world, nsid, |_| true)
}

fn list(
    world: &World<'_>,
    nsid: Nsid,
    mut wanted: impl FnMut(u32) -> bool,
) -> Result<Structure, Fault> {
    if nsid.0 >= Nsid::ALL.0 - 1 {
        return Err(BAD_NSID);
    }
    let ids = world.subsystem.namespaces().iter().map(|namespace| namespace.nsid);
    let above = ids.filter(|id| *id > nsid.0 && wanted(*id)).map(Nsid);
    Ok(*NamespaceList::new(above).as_octets())
}

impl Controller {
    /// The namespace, if this host may see it.
    fn find_attached<'w>(
        &self,
        world: &World<'w>,
        nsid: Nsid,
    ) -> Result<Option<&'w Namespace>, Fault> {
        let attached = self.gates.get(nsid.0).is_attached();
        Ok(find(world, nsid)?.filter(|_| attached))
    }
    /// Zeroes for a namespace that is not active.
    pub(super) fn namespace_data(&self, world: &World<'_>, nsid: Nsid) -> Result<Structure, Fault> {
        let namespace = self.find_attached(world, nsid)?;
        Ok(namespace.map_or([0; IDENTIFY_LEN], namespace_structure))
    }
    /// Zeroes for one that does not exist.
    pub(super) fn allocated_data(&self, world: &World<'_>, nsid: Nsid) -> Result<Structure, Fault> {
        Ok(find(world, nsid)?.map_or([0; IDENTIFY_LEN], namespace_structure))
    }
    /// Identifiers above `nsid`, ascending.
    pub(super) fn active(&self, world: &World<'_>, nsid: Nsid) -> Result<Structure, Fault> {
        list(world, nsid, |id| self.gates.get(id).is_attached())
    }
    /// No protection information, no storage tags: all fields are zero for active namespaces too.
    pub(super) fn nvm_namespace_data(
        &self,
        world: &World<'_>,
        nsid: Nsid,
    ) -> Result<Structure, Fault> {
        self.find_attached(world, nsid)?;
        Ok([0; IDENTIFY_LEN])
    }
    /// Its names.
    pub(super) fn descriptors(&self, world: &World<'_>, nsid: Nsid) -> Result<Structure, Fault> {
        let ids = self.find_attached(world, nsid)?.ok_or(BAD_NSID)?.ids;
        let list = DescriptorList::new([
            NamespaceDescriptor::Eui64(ids.eui64),
            NamespaceDescriptor::Nguid(ids.nguid),
            NamespaceDescriptor::Uuid(ids.uuid),
            NamespaceDescriptor::CommandSet(CSI_NVM),
        ]);
        Ok(*list.as_octets())
    }
    /// The part that holds for every command set.
    pub(super) fn independent_data(
        &self,
        world: &World<'_>,
        nsid: Nsid,
    ) -> Result<Structure, Fault> {
        let mut data = IndependentNamespace::zeroed();
        if let Some(namespace) = self.find_attached(world, nsid)? {
            data.set_nmic(SHARED)
                .set_rescap(namespace.reservations.capabilities())
                .set_anagrpid(namespace.ana_group)
                .set_nsattr(attributes(namespace))
                .set_ready(true);
        }
        Ok(*data.as_octets())
    }
}

fn attributes(namespace: &Namespace) -> u8 {
    if namespace.is_write_protected() { PROTECTED } else { 0 }
}

fn namespace_structure(namespace: &Namespace) -> Structure {
    let mut data = IdentifyNamespace::zeroed();
    let geometry = namespace.geometry;
    let block_shift = u8::try_from(geometry.block_bytes.ilog2()).unwrap_or(0);
    let format = LbaFormat { metadata_bytes: 0, block_shift, performance: 0 };
    data.set_nsze(geometry.block_count)
        .set_ncap(geometry.block_count)
        .set_nuse(geometry.block_count)
        .set_nmic(SHARED)
        .set_rescap(namespace.reservations.capabilities())
        // Its own atomic units are told (NSFEAT), which is Compare and Write's.
        .set_nsfeat(OWN_ATOMICITY)
        .set_nacwu(u16::try_from(fused_bytes_max(geometry) / geometry.block_bytes - 1).unwrap_or(0))
        .set_mssrl(copy_blocks_max(geometry))
        .set_mcl(copy_blocks_max(geometry).into())
        .set_msrc(u8::try_from(COPY_RANGES_MAX - 1).unwrap_or(u8::MAX))
        .set_anagrpid(namespace.ana_group)
        .set_nsattr(attributes(namespace))
        .set_nguid(namespace.ids.nguid)
        .set_eui64(namespace.ids.eui64)
        .set_lba_format(0, format);
    if geometry.deallocate {
        // Deallocated blocks read as zeroes, and Write Zeroes may deallocate.
        data.set_dlfeat(1 | 1 << 3);
    }
    *data.as_octets()
}
