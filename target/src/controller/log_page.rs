//! Get Log Page.
//!
//! Source: NVMe Base 2.0, "Get Log Page command"; pages exist as in Linux nvmet, plus those that
//! NVMe 2.0 makes mandatory. Pages are built as octets: each layout is written at its builder.

use super::error_log::ErrorEntry;
use super::features::IO_FEATURES;
use super::{AsyncEvent, Controller, ControllerKind, World};
use crate::disk::DiskStats;
use crate::fault::{Fault, field};
use crate::subsystem::Namespace;
use std::time::Instant;
use wire::nvme::{Sqe, admin_opcode, io_opcode, log_id};

/// Pages of an I/O controller.
const IO_PAGES: [u8; 7] = [
    log_id::SUPPORTED_PAGES,
    log_id::ERROR_INFORMATION,
    log_id::SMART,
    log_id::FIRMWARE_SLOT,
    log_id::CHANGED_NAMESPACES,
    log_id::COMMAND_EFFECTS,
    log_id::FEATURE_EFFECTS,
];
/// Pages of a discovery controller.
const DISCOVERY_PAGES: [u8; 2] = [log_id::SUPPORTED_PAGES, log_id::DISCOVERY];
/// All namespaces.
const NSID_ALL: u32 = u32::MAX;

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
        let dwords = (u64::from(sqe.cdw11 & 0xffff) << 16 | u64::from(sqe.cdw10 >> 16)) + 1;
        let wanted = dwords * 4;
        if wanted > u64::from(world.max_transfer_bytes) {
            return Err(Fault::invalid_field(field::CDW10));
        }
        let offset = u64::from(sqe.cdw13) << 32 | u64::from(sqe.cdw12);
        if offset % 4 != 0 {
            return Err(Fault::invalid_field(field::CDW12));
        }
        let page = self.log_page(now, sqe, world)?;
        let start = usize::try_from(offset).ok().filter(|start| *start <= page.len());
        let start = start.ok_or(Fault::invalid_field(field::CDW12))?;
        let wanted = usize::try_from(wanted).unwrap_or(0);
        reply.extend(page.iter().skip(start).take(wanted));
        reply.resize(wanted, 0);
        Ok(0)
    }

    fn log_page(&mut self, now: Instant, sqe: &Sqe, world: &World<'_>) -> Result<Vec<u8>, Fault> {
        let [lid, specific, ..] = sqe.cdw10.to_le_bytes();
        let retain_event = specific & 1 << 7 != 0;
        let pages: &[u8] = match self.kind {
            ControllerKind::Io => &IO_PAGES,
            ControllerKind::Discovery => &DISCOVERY_PAGES,
        };
        if !pages.contains(&lid) {
            return Err(Fault::invalid_field(field::CDW10));
        }
        Ok(match lid {
            log_id::SUPPORTED_PAGES => supported(pages),
            log_id::ERROR_INFORMATION => self.error_page(),
            log_id::SMART => self.smart_page(now, sqe.nsid, world)?,
            log_id::FIRMWARE_SLOT => firmware_page(),
            log_id::CHANGED_NAMESPACES => self.changed_page(retain_event),
            log_id::COMMAND_EFFECTS => effects_page(),
            log_id::FEATURE_EFFECTS => feature_page(),
            _ => self.discovery_page(world, retain_event),
        })
    }

    /// Entries of 64 octets, newest first.
    fn error_page(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(64 * super::error_log::ERROR_ENTRIES);
        for entry in self.errors.newest_first() {
            page.extend_from_slice(&error_entry(entry));
        }
        page.resize(64 * super::error_log::ERROR_ENTRIES, 0);
        page
    }

    /// 512 octets; counts of 16 octets, little endian, from octet 32 on.
    fn smart_page(&self, now: Instant, nsid: u32, world: &World<'_>) -> Result<Vec<u8>, Fault> {
        let namespaces = world.subsystem.namespaces();
        let chosen = |namespace: &&Namespace| matches!(nsid, 0 | NSID_ALL) || namespace.nsid == nsid;
        if !matches!(nsid, 0 | NSID_ALL) && world.subsystem.namespace(nsid).is_none() {
            return Err(Fault::at(wire::nvme::Status::INVALID_NAMESPACE, field::NSID));
        }
        let disks = namespaces.iter().filter(chosen).filter_map(|namespace| {
            world.disks.get(namespace.disk.0 as usize)
        });
        let stats = disks.fold(DiskStats::default(), |sum, disk| sum.plus(disk.stats));
        let hours = self.uptime(now).as_secs() / 3600;
        let mut page = vec![0; 512];
        // Composite temperature in kelvin: none is measured, a plausible one keeps hosts quiet.
        put(&mut page, 1, &293u16.to_le_bytes());
        // Available spare 100 %, threshold 0 %: nothing wears out here.
        put(&mut page, 3, &[100]);
        let counts = [
            (32, data_units(stats.read_bytes)),
            (48, data_units(stats.written_bytes)),
            (64, stats.read_commands),
            (80, stats.write_commands),
            (128, hours),
            (160, stats.media_errors),
            (176, self.errors.count()),
        ];
        for (offset, count) in counts {
            put(&mut page, offset, &count.to_le_bytes());
        }
        Ok(page)
    }

    /// 1,024 namespace identifiers, ascending.
    fn changed_page(&mut self, retain_event: bool) -> Vec<u8> {
        self.changed.sort_unstable();
        let mut page: Vec<u8> = self.changed.iter().flat_map(|nsid| nsid.to_le_bytes()).collect();
        page.resize(4096, 0);
        if !retain_event {
            self.changed.clear();
            self.aer.unmask(AsyncEvent::NamespaceChanged);
        }
        page
    }

    /// Header of 1,024 octets, then an entry of 1,024 for each subsystem at each port.
    fn discovery_page(&mut self, world: &World<'_>, retain_event: bool) -> Vec<u8> {
        if !retain_event {
            self.aer.unmask(AsyncEvent::DiscoveryChanged);
        }
        super::discovery::log_page(world)
    }
}

/// In units of 1,000 times 512 octets, rounded up.
fn data_units(bytes: u64) -> u64 {
    bytes.div_ceil(512_000)
}

fn put(page: &mut [u8], offset: usize, octets: &[u8]) {
    page[offset..offset + octets.len()].copy_from_slice(octets);
}

/// 256 dwords: bit 0 says that the page exists.
fn supported(pages: &[u8]) -> Vec<u8> {
    let mut page = vec![0; 1024];
    for lid in pages {
        put(&mut page, usize::from(*lid) * 4, &[1]);
    }
    page
}

fn error_entry(entry: &ErrorEntry) -> [u8; 64] {
    let mut octets = [0; 64];
    put(&mut octets, 0, &entry.error_count.to_le_bytes());
    put(&mut octets, 8, &entry.sqid.to_le_bytes());
    put(&mut octets, 10, &entry.cid.to_le_bytes());
    put(&mut octets, 12, &entry.status.to_le_bytes());
    put(&mut octets, 14, &entry.location.to_le_bytes());
    put(&mut octets, 16, &entry.lba.to_le_bytes());
    put(&mut octets, 24, &entry.nsid.to_le_bytes());
    octets
}

/// Slot 1 is active and holds the running program's revision.
fn firmware_page() -> Vec<u8> {
    let mut page = vec![0; 512];
    put(&mut page, 0, &[1]);
    put(&mut page, 8, &super::identify::REVISION);
    page
}

/// 256 dwords for admin commands, 256 for I/O commands, reserved up to 4,096 octets.
/// Bit 0: exists; bit 1: changes blocks.
fn effects_page() -> Vec<u8> {
    const EXISTS: u8 = 1;
    const CHANGES_BLOCKS: u8 = 1 << 1;
    let admin = [
        admin_opcode::GET_LOG_PAGE,
        admin_opcode::IDENTIFY,
        admin_opcode::ABORT,
        admin_opcode::SET_FEATURES,
        admin_opcode::GET_FEATURES,
        admin_opcode::ASYNC_EVENT_REQUEST,
        admin_opcode::KEEP_ALIVE,
    ];
    let reading = [io_opcode::FLUSH, io_opcode::READ, io_opcode::COMPARE, io_opcode::VERIFY];
    let writing = [io_opcode::WRITE, io_opcode::WRITE_ZEROES, io_opcode::DATASET_MANAGEMENT];
    let mut page = vec![0; 4096];
    let entries = admin.iter().map(|opcode| (0, opcode, EXISTS));
    let entries = entries.chain(reading.iter().map(|opcode| (1024, opcode, EXISTS)));
    let entries = entries.chain(writing.iter().map(|o| (1024, o, EXISTS | CHANGES_BLOCKS)));
    for (start, opcode, effects) in entries {
        put(&mut page, start + usize::from(*opcode) * 4, &[effects]);
    }
    page
}

/// 256 dwords by feature: bit 0: exists; bits 31:20: scope (bit 20 + 1: the controller).
fn feature_page() -> Vec<u8> {
    let mut page = vec![0; 1024];
    for fid in IO_FEATURES {
        put(&mut page, usize::from(fid) * 4, &(1u32 | 1 << 21).to_le_bytes());
    }
    page
}
