//! Identify: which structure, and the one about the controller.
//!
//! Source: NVMe Base 2.1, "Identify command", "Identify Controller data structure". Values that are
//! choices follow Linux nvmet.

use super::aer::AER_LIMIT;
use super::error_log::ERROR_ENTRIES;
use super::registers::{ADMIN_ENTRIES_MAX, QUEUE_ENTRIES_MAX, VERSION};
use super::{Controller, ControllerKind, World, ana_page};
use crate::access::ANA_GROUPS_MAX;
use crate::fault::{Fault, field};
use crate::subsystem::NSID_MAX;
use wire::fabrics::Nqn;
use wire::nvme::identify::{Cns, ControllerList, IDENTIFY_LEN, IdentifyController, ascii_field};
use wire::nvme::{ControllerId, IdentifyCmd, Sqe};

/// Multi-path: several ports, several controllers, asymmetric access is reported.
const CMIC_PORTS: u8 = 1;
const CMIC_CONTROLLERS: u8 = 1 << 1;
const CMIC_ANA: u8 = 1 << 3;
/// 128-bit host identifiers; any command keeps a controller alive.
const CTRATT: u32 = 1 | 1 << 6;
/// Compare, Dataset Management, Write Zeroes, Select, Reservations, Timestamp, Verify, Copy.
const ONCS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8;
/// Compare and Write.
const FUSES: u16 = 1;
/// Blocks of 4 KiB that Compare and Write takes at least, zero-based; namespaces say it exactly.
const ACWU: u16 = 15;
/// Source ranges of Copy: format 0h.
const CDFS: u16 = 1;
/// SMART per namespace, effects, offsets and long lengths, list of pages.
const LPA: u8 = 1 | 1 << 1 | 1 << 2 | 1 << 5;
/// A namespace can be write-protected, and freed again.
const NWPC: u8 = 1;
/// Keep Alive in units of 100 ms: one second.
const KAS_100MS: u16 = 10;
/// The CNTRLTYPE codes.
const TYPE_IO: u8 = 1;
const TYPE_DISCOVERY: u8 = 2;
/// The NVM command set.
pub(super) const CSI_NVM: u8 = 0;

/// Firmware revision: the program's version.
pub(super) fn revision() -> [u8; 8] {
    ascii_field(env!("CARGO_PKG_VERSION"))
}

/// Structures whose answer lists controllers: [`World::controllers`] holds them then.
pub(crate) fn lists_controllers(sqe: &Sqe) -> Option<Cns> {
    let cns = Cns::from_octet(IdentifyCmd::decode(sqe).cns)?;
    matches!(cns, Cns::Controllers | Cns::NamespaceControllers).then_some(cns)
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
        let cns = Cns::from_octet(command.cns);
        if self.kind == ControllerKind::Discovery && cns != Some(Cns::Controller) {
            return Err(Fault::invalid_field(field::CDW10));
        }
        let page = self.structure(cns, &command, sqe, world)?;
        reply.extend_from_slice(&page);
        Ok(0)
    }
    fn structure(
        &self,
        cns: Option<Cns>,
        command: &IdentifyCmd,
        sqe: &Sqe,
        world: &World<'_>,
    ) -> Result<[u8; IDENTIFY_LEN], Fault> {
        let nsid = sqe.nsid();
        let is_nvm = command.csi == CSI_NVM;
        match cns {
            Some(Cns::Controller) => Ok(*self.controller_data(world).as_octets()),
            Some(Cns::Namespace) => self.namespace_data(world, nsid),
            Some(Cns::ActiveNamespaces) => self.active(world, nsid),
            Some(Cns::NamespaceDescriptors) => self.descriptors(world, nsid),
            Some(Cns::NamespaceOfCommandSet) if is_nvm => self.nvm_namespace_data(world, nsid),
            // No limits besides MDTS: Verify and Write Zeroes move no data, and every number of
            // ranges that Dataset Management can carry is taken.
            Some(Cns::ControllerOfCommandSet) if is_nvm => Ok([0; IDENTIFY_LEN]),
            Some(Cns::ActiveNamespacesOfCommandSet) if is_nvm => self.active(world, nsid),
            Some(Cns::IndependentNamespace) => self.independent_data(world, nsid),
            Some(Cns::AllocatedNamespaces) => super::identify_namespace::allocated(world, nsid),
            Some(Cns::AllocatedNamespacesOfCommandSet) if is_nvm => {
                super::identify_namespace::allocated(world, nsid)
            }
            Some(Cns::AllocatedNamespace) => self.allocated_data(world, nsid),
            Some(Cns::NamespaceControllers) => {
                super::identify_namespace::check_exists(world, nsid)?;
                Ok(controllers(world, command.controller))
            }
            Some(Cns::Controllers) => Ok(controllers(world, command.controller)),
            Some(Cns::CommandSets) => Ok(command_sets()),
            Some(
                Cns::NamespaceOfCommandSet
                | Cns::ControllerOfCommandSet
                | Cns::ActiveNamespacesOfCommandSet
                | Cns::AllocatedNamespacesOfCommandSet,
            ) => Err(Fault::invalid_field(field::CDW11)),
            None => Err(Fault::invalid_field(field::CDW10)),
        }
    }

    fn controller_data(&self, world: &World<'_>) -> IdentifyController {
        let mut data = IdentifyController::zeroed();
        let io = self.kind == ControllerKind::Io;
        data.set_sn(ascii_field(world.subsystem.serial()))
            .set_mn(ascii_field(world.subsystem.model()))
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
            .set_sgls(sgls(world.keyed_sgls));
        if let Ok(nqn) = Nqn::new(world.subsystem.nqn()) {
            data.set_subnqn(nqn.field());
        }
        if io {
            self.io_controller_data(world, &mut data);
        }
        data
    }
    fn io_controller_data(&self, world: &World<'_>, data: &mut IdentifyController) {
        let ports = if world.ports.len() > 1 { CMIC_PORTS } else { 0 };
        data.set_rab(6)
            .set_cmic(ports | CMIC_CONTROLLERS | CMIC_ANA)
            .set_acl(3)
            // One firmware slot, read-only.
            .set_frmw(1 | 1 << 1)
            .set_anatt(ana_page::TRANSITION_S)
            .set_anacap(ana_page::CAPABILITIES)
            .set_anagrpmax(ANA_GROUPS_MAX)
            .set_nanagrpid(ANA_GROUPS_MAX)
            .set_sqes_min(6)
            .set_sqes_max(6)
            .set_cqes_min(4)
            .set_cqes_max(4)
            .set_nn(NSID_MAX)
            .set_mnan(NSID_MAX)
            .set_oncs(ONCS)
            .set_fuses(FUSES)
            .set_acwu(ACWU)
            .set_cdfs(CDFS)
            .set_nwpc(NWPC)
            .set_vwc(u8::from(world.subsystem.has_write_cache()))
            .set_in_capsule_bytes(world.in_capsule_bytes)
            .set_iorcsz(1)
            .set_msdbd(1)
            // Disconnect is served.
            .set_ofcs(1);
    }
}

fn sgls(keyed: bool) -> u32 {
    let by_fabric =
        if keyed { IdentifyController::SGLS_KEYED } else { IdentifyController::SGLS_TRANSPORT };
    IdentifyController::SGLS_SUPPORTED | IdentifyController::SGLS_OFFSET | by_fabric
}

/// 2^this pages of 4 KiB.
fn mdts(max_transfer_bytes: u32) -> u8 {
    u8::try_from(max_transfer_bytes.ilog2() - 12).unwrap_or(0)
}

/// Those from `first` on.
fn controllers(world: &World<'_>, first: ControllerId) -> [u8; IDENTIFY_LEN] {
    let ids = world.controllers.iter().map(|id| ControllerId(*id)).filter(|id| *id >= first);
    *ControllerList::new(ids).as_octets()
}

/// 512 vectors of 8 octets; the first and only combination is the NVM command set alone.
fn command_sets() -> [u8; IDENTIFY_LEN] {
    let mut vectors = [0; IDENTIFY_LEN];
    vectors[0] = 1 << CSI_NVM;
    vectors
}
