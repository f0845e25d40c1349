//! Identify.
//!
//! Source: NVMe Base 2.0, "Identify command"; NVM Command Set 1.0, "Identify Namespace". Values
//! that are choices follow Linux nvmet.

use super::aer::AER_LIMIT;
use super::error_log::ERROR_ENTRIES;
use super::registers::{ADMIN_ENTRIES_MAX, QUEUE_ENTRIES_MAX, VERSION};
use super::{Controller, ControllerKind, World};
use crate::fault::{Fault, field};
use crate::subsystem::{MODEL, NSID_MAX, Namespace};
use wire::fabrics::Nqn;
use wire::nvme::identify::{
    Cns, DescriptorList, IDENTIFY_LEN, IdentifyController, IdentifyNamespace, IndependentNamespace,
    LbaFormat, NamespaceDescriptor, NamespaceList, ascii_field,
};
use wire::nvme::{ControllerId, IdentifyCmd, Nsid, Sqe, Status};

/// Several controllers may use a namespace (NMIC), and a subsystem has several (CMIC bit 1).
const SHARED: u8 = 1;
const CMIC_CONTROLLERS: u8 = 1 << 1;
/// 128-bit host identifiers; any command keeps a controller alive.
const CTRATT: u32 = 1 | 1 << 6;
/// Compare, Dataset Management, Write Zeroes, Select, Timestamp, Verify.
const ONCS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;
/// SMART per namespace, effects, offsets and long lengths, list of pages.
const LPA: u8 = 1 | 1 << 1 | 1 << 2 | 1 << 5;
/// Keep Alive in units of 100 ms: one second.
const KAS_100MS: u16 = 10;
/// The CNTRLTYPE codes.
const TYPE_IO: u8 = 1;
const TYPE_DISCOVERY: u8 = 2;
/// The NVM command set.
const CSI_NVM: u8 = 0;

/// Firmware revision: the program's version.
pub(super) fn revision() -> [u8; 8] {
    ascii_field(env!("CARGO_PKG_VERSION"))
}

impl Controller {
    /// Leaves a structure of 4,096 octets in `reply`.
    pub(super) fn identify(
        &self,
        sqe: &Sqe,
        world: &World<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        let command = IdentifyCmd::decode(sqe);
        let unknown = Err(Fault::invalid_field(field::CDW10));
        let cns = Cns::from_octet(command.cns);
        if self.kind == ControllerKind::Discovery && cns != Some(Cns::Controller) {
            return unknown;
        }
        let nsid = sqe.nsid();
        match cns {
            Some(Cns::Controller) => {
                reply.extend_from_slice(self.controller_data(world).as_octets())
            }
            Some(Cns::Namespace) => reply.extend_from_slice(&namespace_data(world, nsid)?),
            Some(Cns::ActiveNamespaces) => reply.extend_from_slice(&active(world, nsid)?),
            Some(Cns::NamespaceDescriptors) => reply.extend_from_slice(&descriptors(world, nsid)?),
            Some(Cns::IndependentNamespace) => {
                reply.extend_from_slice(&independent_data(world, nsid)?);
            }
            // Nothing in it that the NVM command set needs: limits in zeroes mean "none".
            Some(Cns::NamespaceOfCommandSet | Cns::ControllerOfCommandSet)
                if command.csi == CSI_NVM =>
            {
                reply.resize(IDENTIFY_LEN, 0);
            }
            Some(
                Cns::NamespaceOfCommandSet
                | Cns::ControllerOfCommandSet
                | Cns::AllocatedNamespaces
                | Cns::AllocatedNamespace
                | Cns::NamespaceControllers
                | Cns::Controllers
                | Cns::CommandSets,
            )
            | None => return unknown,
        }
        Ok(0)
    }

    fn controller_data(&self, world: &World<'_>) -> IdentifyController {
        let mut data = IdentifyController::zeroed();
        let io = self.kind == ControllerKind::Io;
        data.set_sn(ascii_field(world.subsystem.serial()))
            .set_mn(ascii_field(MODEL))
            .set_fr(revision())
            .set_mdts(mdts(world.max_transfer_bytes))
            .set_cntlid(ControllerId(self.cntlid))
            .set_ver(VERSION.word())
            .set_oaes(self.event_bits())
            .set_ctratt(CTRATT)
            .set_cntrltype(if io { TYPE_IO } else { TYPE_DISCOVERY })
            .set_aerl(AER_LIMIT - 1)
            .set_lpa(LPA)
            .set_elpe(u8::try_from(ERROR_ENTRIES - 1).unwrap_or(u8::MAX))
            .set_kas(KAS_100MS)
            .set_maxcmd(if io { QUEUE_ENTRIES_MAX } else { ADMIN_ENTRIES_MAX })
            .set_sgls(sgls());
        if let Ok(nqn) = Nqn::new(world.subsystem.nqn()) {
            data.set_subnqn(nqn.field());
        }
        if io {
            self.io_controller_data(world, &mut data);
        }
        data
    }
    fn io_controller_data(&self, world: &World<'_>, data: &mut IdentifyController) {
        data.set_rab(6)
            .set_cmic(CMIC_CONTROLLERS)
            .set_acl(3)
            // One firmware slot, read-only.
            .set_frmw(1 | 1 << 1)
            .set_sqes_min(6)
            .set_sqes_max(6)
            .set_cqes_min(4)
            .set_cqes_max(4)
            .set_nn(NSID_MAX)
            .set_mnan(NSID_MAX)
            .set_oncs(ONCS)
            .set_vwc(u8::from(world.subsystem.has_write_cache()))
            .set_in_capsule_bytes(world.in_capsule_bytes)
            .set_iorcsz(1)
            .set_msdbd(1)
            // Disconnect is served.
            .set_ofcs(1);
    }
}

fn sgls() -> u32 {
    IdentifyController::SGLS_SUPPORTED
        | IdentifyController::SGLS_KEYED
        | IdentifyController::SGLS_OFFSET
}

/// 2^this pages of 4 KiB.
fn mdts(max_transfer_bytes: u32) -> u8 {
    u8::try_from(max_transfer_bytes.ilog2() - 12).unwrap_or(0)
}

/// The namespace, or Invalid Namespace: identifiers that none can have.
fn find<'w>(world: &World<'w>, nsid: Nsid) -> Result<Option<&'w Namespace>, Fault> {
    if matches!(nsid, Nsid::NONE | Nsid::ALL) || nsid.0 > NSID_MAX {
        return Err(Fault::at(Status::INVALID_NAMESPACE, field::NSID));
    }
    Ok(world.subsystem.namespace(nsid.0))
}

/// Zeroes for a namespace that is not active.
fn namespace_data(world: &World<'_>, nsid: Nsid) -> Result<[u8; IDENTIFY_LEN], Fault> {
    let mut data = IdentifyNamespace::zeroed();
    if let Some(namespace) = find(world, nsid)? {
        let geometry = namespace.geometry;
        let block_shift = u8::try_from(geometry.block_bytes.ilog2()).unwrap_or(0);
        let format = LbaFormat { metadata_bytes: 0, block_shift, performance: 0 };
        data.set_nsze(geometry.block_count)
            .set_ncap(geometry.block_count)
            .set_nuse(geometry.block_count)
            .set_nmic(SHARED)
            .set_nguid(namespace.ids.nguid)
            .set_eui64(namespace.ids.eui64)
            .set_lba_format(0, format);
        if geometry.deallocate {
            // Deallocated blocks read as zeroes, and Write Zeroes may deallocate.
            data.set_dlfeat(1 | 1 << 3);
        }
    }
    Ok(*data.as_octets())
}

/// Identifiers above `nsid`, ascending.
fn active(world: &World<'_>, nsid: Nsid) -> Result<[u8; IDENTIFY_LEN], Fault> {
    if nsid.0 >= Nsid::ALL.0 - 1 {
        return Err(Fault::at(Status::INVALID_NAMESPACE, field::NSID));
    }
    let namespaces = world.subsystem.namespaces().iter();
    let above = namespaces.map(|namespace| Nsid(namespace.nsid)).filter(|id| *id > nsid);
    Ok(*NamespaceList::new(above).as_octets())
}

fn descriptors(world: &World<'_>, nsid: Nsid) -> Result<[u8; IDENTIFY_LEN], Fault> {
    let missing = Fault::at(Status::INVALID_NAMESPACE, field::NSID);
    let ids = find(world, nsid)?.ok_or(missing)?.ids;
    let list = DescriptorList::new([
        NamespaceDescriptor::Eui64(ids.eui64),
        NamespaceDescriptor::Nguid(ids.nguid),
        NamespaceDescriptor::Uuid(ids.uuid),
        NamespaceDescriptor::CommandSet(CSI_NVM),
    ]);
    Ok(*list.as_octets())
}

fn independent_data(world: &World<'_>, nsid: Nsid) -> Result<[u8; IDENTIFY_LEN], Fault> {
    let mut data = IndependentNamespace::zeroed();
    if find(world, nsid)?.is_some() {
        data.set_nmic(SHARED).set_ready(true);
    }
    Ok(*data.as_octets())
}
