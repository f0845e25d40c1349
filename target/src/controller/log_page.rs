//! Get Log Page.
//!
//! Source: NVMe Base 2.1, "Get Log Page command". Which pages exist is told in
//! docs/nvme-support.md.

use super::features::IO_FEATURES;
use super::identify::CSI_NVM;
use super::{Controller, ControllerKind, World, discovery, identify};
use crate::disk::DiskStats;
use crate::fault::{Fault, field};
use std::time::Instant;
use wire::nvme::log::{
    ChangedNamespaces, CommandEffects, Effects, ErrorLogEntry, LogId, SmartLog, SupportedLogPages,
};
use wire::nvme::{AdminOpcode, AsyncEvent, FeatureId, GetLogPageCmd, IoOpcode, Nsid, Sqe, Status};

/// Pages of an I/O controller.
const IO_PAGES: [LogId; 9] = [
    LogId::SupportedPages,
    LogId::Error,
    LogId::Smart,
    LogId::FirmwareSlot,
    LogId::ChangedNamespaces,
    LogId::Effects,
    LogId::Ana,
    LogId::FeatureEffects,
    LogId::Reservation,
];
/// Pages of a discovery controller.
const DISCOVERY_PAGES: [LogId; 2] = [LogId::SupportedPages, LogId::Discovery];
/// Octets of the Firmware Slot Information page.
const FIRMWARE_BYTES: usize = 512;
/// Octets of the Feature Identifiers Effects page.
const FEATURE_BYTES: usize = 1024;

impl Controller {
    /// Leaves exactly as many octets of the page in `reply` as the host asked for, from the offset
    /// that it named; zeroes beyond the page's end.
    pub(super) fn get_log_page(
        &mut self,
        now: Instant,
        sqe: &Sqe,
        world: &World<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        let command = GetLogPageCmd::decode(sqe);
        if command.len_bytes() > u64::from(world.max_transfer_bytes) {
            return Err(Fault::invalid_field(field::CDW10));
        }
        if !command.offset.is_multiple_of(4) || command.index_offset {
            return Err(Fault::invalid_field(field::CDW12));
        }
        let page = self.log_page(now, &command, sqe.nsid(), world)?;
        let start = usize::try_from(command.offset).ok().filter(|start| *start <= page.len());
        let start = start.ok_or(Fault::invalid_field(field::CDW12))?;
        let wanted = usize::try_from(command.len_bytes()).unwrap_or(0);
        reply.extend(page.iter().skip(start).take(wanted));
        reply.resize(wanted, 0);
        Ok(0)
    }

    fn log_page(
        &mut self,
        now: Instant,
        command: &GetLogPageCmd,
        nsid: Nsid,
        world: &World<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let pages: &[LogId] = match self.kind {
            ControllerKind::Io => &IO_PAGES,
            ControllerKind::Discovery => &DISCOVERY_PAGES,
        };
        let page = LogId::from_octet(command.lid).filter(|page| pages.contains(page));
        match page {
            Some(LogId::SupportedPages) => Ok(supported(pages)),
            Some(LogId::Error) => Ok(self.error_page()),
            Some(LogId::Smart) => self.smart_page(now, nsid, world),
            Some(LogId::FirmwareSlot) => Ok(firmware_page()),
            Some(LogId::ChangedNamespaces) => Ok(self.changed_page(command.retain_event)),
            Some(LogId::Effects) if command.csi != CSI_NVM => {
                Err(Fault::invalid_field(field::CDW14))
            }
            Some(LogId::Effects) => Ok(effects_page()),
            Some(LogId::Reservation) => Ok(self.reservation_page(command.retain_event)),
            Some(LogId::Ana) => Ok(self.ana_page(command, world)),
            Some(LogId::FeatureEffects) => Ok(feature_page()),
            Some(LogId::Discovery) => Ok(self.discovery_page(world, command.retain_event)),
            Some(LogId::SelfTest) | None => Err(Fault::invalid_field(field::CDW10)),
        }
    }

    /// Newest first.
    fn error_page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        for entry in self.errors.newest_first() {
            let mut wire = ErrorLogEntry::zeroed();
            wire.set_error_count(entry.error_count)
                .set_sq_id(entry.sqid)
                .set_cid(entry.cid)
                .set_status(entry.status)
                .set_parameter_location(entry.location)
                .set_lba(entry.lba)
                .set_nsid(entry.nsid);
            page.extend_from_slice(wire.as_octets());
        }
        page.resize(ErrorLogEntry::LEN * super::error_log::ERROR_ENTRIES, 0);
        page
    }

    /// Of one namespace, or of all.
    fn smart_page(&self, now: Instant, nsid: Nsid, world: &World<'_>) -> Result<Vec<u8>, Fault> {
        let all = matches!(nsid, Nsid::NONE | Nsid::ALL);
        if !all && !self.gates.get(nsid.0).is_attached() {
            return Err(Fault::at(Status::INVALID_NAMESPACE, field::NSID));
        }
        let retired = if all { world.subsystem.retired() } else { DiskStats::default() };
        let namespaces = world.subsystem.namespaces().iter();
        let stats = namespaces
            .filter(|namespace| all || namespace.nsid == nsid.0)
            .filter(|namespace| self.gates.get(namespace.nsid).is_attached())
            .filter_map(|namespace| world.disks.get(namespace.disk.0 as usize))
            .fold(retired, |sum, disk| sum.plus(disk.stats));
        let mut page = SmartLog::zeroed();
        // No temperature is measured and nothing wears out: plausible values keep hosts quiet.
        page.set_temperature_k(293).set_available_spare(100);
        page.set_data_units_read(data_units(stats.read_bytes))
            .set_data_units_written(data_units(stats.written_bytes))
            .set_host_reads(stats.read_commands.into())
            .set_host_writes(stats.write_commands.into())
            .set_power_on_hours((self.uptime(now).as_secs() / 3600).into())
            .set_media_errors(stats.media_errors.into())
            .set_error_log_entries(self.errors.count().into());
        Ok(page.as_octets().to_vec())
    }

    fn changed_page(&mut self, retain_event: bool) -> Vec<u8> {
        self.changed.sort_unstable();
        let page = ChangedNamespaces::new(self.changed.iter().map(|nsid| Nsid(*nsid)));
        if !retain_event {
            self.changed.clear();
            self.aer.unmask(AsyncEvent::NAMESPACE_CHANGED);
        }
        page.as_octets().to_vec()
    }

    fn discovery_page(&mut self, world: &World<'_>, retain_event: bool) -> Vec<u8> {
        if !retain_event {
            self.aer.unmask(AsyncEvent::DISCOVERY_CHANGED);
        }
        discovery::log_page(world, &self.host_nqn)
    }
}

/// In units of 1,000 times 512 octets, rounded up.
fn data_units(bytes: u64) -> u128 {
    bytes.div_ceil(512_000).into()
}

fn supported(pages: &[LogId]) -> Vec<u8> {
    let mut list = SupportedLogPages::zeroed();
    for page in pages {
        list.insert(page.octet());
    }
    list.as_octets().to_vec()
}

/// Slot 1 is active and holds the running program's revision.
fn firmware_page() -> Vec<u8> {
    let mut page = vec![1, 0, 0, 0, 0, 0, 0, 0];
    page.extend_from_slice(&identify::revision());
    page.resize(FIRMWARE_BYTES, 0);
    page
}

fn effects_page() -> Vec<u8> {
    let mut page = CommandEffects::zeroed();
    for opcode in [
        AdminOpcode::GetLogPage,
        AdminOpcode::Identify,
        AdminOpcode::Abort,
        AdminOpcode::SetFeatures,
        AdminOpcode::GetFeatures,
        AdminOpcode::AsyncEventRequest,
        AdminOpcode::KeepAlive,
    ] {
        page.set_admin(opcode.octet(), Effects::SUPPORTED);
    }
    for opcode in [
        IoOpcode::Flush,
        IoOpcode::Read,
        IoOpcode::Compare,
        IoOpcode::Verify,
        IoOpcode::ReservationRegister,
        IoOpcode::ReservationReport,
        IoOpcode::ReservationAcquire,
        IoOpcode::ReservationRelease,
    ] {
        page.set_io(opcode.octet(), Effects::SUPPORTED);
    }
    for opcode in
        [IoOpcode::Write, IoOpcode::WriteZeroes, IoOpcode::DatasetManagement, IoOpcode::Copy]
    {
        page.set_io(opcode.octet(), Effects::SUPPORTED.with(Effects::CHANGES_DATA));
    }
    page.as_octets().to_vec()
}

/// 256 dwords by feature. Bit 0: supported; bit 2: changes what a namespace can do; bits 20 and 21:
/// its scope is a namespace, or the controller.
fn feature_page() -> Vec<u8> {
    let dword = |fid: u8| {
        let feature = IO_FEATURES.iter().find(|feature| feature.fid.0 == fid);
        let scope = feature.map(|feature| if feature.is_of_namespace { 1 << 20 } else { 1 << 21 });
        let changes = if FeatureId(fid) == FeatureId::WRITE_PROTECT { 1 << 2 } else { 0 };
        scope.map_or(0u32, |scope| 1 | changes | scope)
    };
    let page: Vec<u8> = (0..=u8::MAX).flat_map(|fid| dword(fid).to_le_bytes()).collect();
    debug_assert_eq!(page.len(), FEATURE_BYTES);
    page
}
