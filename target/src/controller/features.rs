//! Get Features and Set Features.
//!
//! Source: NVMe Base 2.0, "Features"; which identifiers exist follows Linux nvmet, with Timestamp
//! and a volatile write cache that can be switched off besides. Nothing is saved over a reset.

use super::{Controller, ControllerKind, QUEUES_MAX};
use crate::controller::aer::AsyncEvent;
use crate::fault::{Fault, field};
use std::time::{Duration, Instant};
use wire::nvme::{Sqe, Status};

/// Feature identifiers.
pub(crate) mod id {
    pub(crate) const VOLATILE_WRITE_CACHE: u8 = 0x06;
    pub(crate) const NUMBER_OF_QUEUES: u8 = 0x07;
    pub(crate) const ASYNC_EVENT_CONFIG: u8 = 0x0b;
    pub(crate) const TIMESTAMP: u8 = 0x0e;
    pub(crate) const KEEP_ALIVE_TIMER: u8 = 0x0f;
    pub(crate) const HOST_IDENTIFIER: u8 = 0x81;
}

/// Those of an I/O controller, for the log page that lists them.
pub(crate) const IO_FEATURES: [u8; 6] = [
    id::VOLATILE_WRITE_CACHE,
    id::NUMBER_OF_QUEUES,
    id::ASYNC_EVENT_CONFIG,
    id::TIMESTAMP,
    id::KEEP_ALIVE_TIMER,
    id::HOST_IDENTIFIER,
];

/// Octets of the Timestamp data structure.
pub(crate) const TIMESTAMP_BYTES: u32 = 8;

/// Settings that live nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Features {
    /// Writes may be acknowledged from the volatile cache.
    pub(crate) write_cache: bool,
    timestamp: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Timestamp {
    at: Instant,
    millis: u64,
    from_host: bool,
}

impl Features {
    /// As after a reset at `now`.
    pub(crate) fn new(now: Instant) -> Features {
        let timestamp = Timestamp { at: now, millis: 0, from_host: false };
        Features { write_cache: true, timestamp }
    }
    fn timestamp_octets(&self, now: Instant) -> [u8; 8] {
        let elapsed = now.saturating_duration_since(self.timestamp.at);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        let millis = self.timestamp.millis.wrapping_add(elapsed) & 0xffff_ffff_ffff;
        let origin = if self.timestamp.from_host { 1 << 1 } else { 0 };
        (millis | origin << 48).to_le_bytes()
    }
}

/// What the Select field of Get Features asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Select {
    Current,
    /// Default, and saved: nothing can be saved.
    Default,
    Capabilities,
}

/// Octets of data that Set Features brings for feature `fid`.
pub(crate) fn set_data_bytes(fid: u8) -> u32 {
    if fid == id::TIMESTAMP { TIMESTAMP_BYTES } else { 0 }
}

fn fid_of(sqe: &Sqe) -> u8 {
    let [fid, ..] = sqe.cdw10.to_le_bytes();
    fid
}

impl Controller {
    /// Get Features. Data, if the feature has any, goes to `reply`. Returns dword 0.
    pub(super) fn get_features(
        &self,
        now: Instant,
        sqe: &Sqe,
        has_cache: bool,
        reply: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        let fid = fid_of(sqe);
        self.check_exists(fid, has_cache)?;
        let select = match sqe.cdw10 >> 8 & 7 {
            0 => Select::Current,
            1 | 2 => Select::Default,
            3 => Select::Capabilities,
            _ => return Err(Fault::invalid_field(field::CDW10)),
        };
        if select == Select::Capabilities {
            // Bit 2: changeable. None can be saved, none belongs to a namespace.
            return Ok(if fid == id::HOST_IDENTIFIER { 0 } else { 1 << 2 });
        }
        let current = select == Select::Current;
        match fid {
            id::VOLATILE_WRITE_CACHE => Ok(u64::from(self.features.write_cache || !current)),
            id::NUMBER_OF_QUEUES => Ok(queue_count()),
            id::ASYNC_EVENT_CONFIG => Ok(if current { u64::from(self.aer.enabled()) } else { 0 }),
            id::KEEP_ALIVE_TIMER => {
                Ok(if current { u64::from(self.keep_alive.timeout_ms()) } else { 0 })
            }
            id::TIMESTAMP => {
                let initial = Features::new(now);
                let features = if current { &self.features } else { &initial };
                reply.extend_from_slice(&features.timestamp_octets(now));
                Ok(0)
            }
            _ => self.get_host_identifier(sqe, reply),
        }
    }
    fn get_host_identifier(&self, sqe: &Sqe, reply: &mut Vec<u8>) -> Result<u64, Fault> {
        // Fabrics know only the 128-bit form.
        if sqe.cdw11 & 1 == 0 {
            return Err(Fault::invalid_field(field::CDW11));
        }
        reply.extend_from_slice(&self.host_id);
        Ok(0)
    }

    /// Set Features; `data` holds [`set_data_bytes`] octets. Returns dword 0.
    pub(super) fn set_features(
        &mut self,
        now: Instant,
        sqe: &Sqe,
        data: &[u8],
        has_cache: bool,
    ) -> Result<u64, Fault> {
        let fid = fid_of(sqe);
        self.check_exists(fid, has_cache)?;
        if sqe.cdw10 >> 31 != 0 {
            return Err(Fault::at(Status::FEATURE_NOT_SAVEABLE, field::CDW10));
        }
        let value = sqe.cdw11;
        match fid {
            id::VOLATILE_WRITE_CACHE => self.features.write_cache = value & 1 != 0,
            id::NUMBER_OF_QUEUES if value & 0xffff == 0xffff || value >> 16 == 0xffff => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            id::NUMBER_OF_QUEUES => return Ok(queue_count()),
            id::ASYNC_EVENT_CONFIG if value & !self.event_bits() != 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            id::ASYNC_EVENT_CONFIG => self.aer.set_enabled(value),
            id::KEEP_ALIVE_TIMER => self.keep_alive.set(now, value),
            id::TIMESTAMP => self.set_timestamp(now, data)?,
            _ => return Err(Fault::at(Status::COMMAND_SEQUENCE_ERROR, field::CDW10)),
        }
        Ok(0)
    }
    fn set_timestamp(&mut self, now: Instant, data: &[u8]) -> Result<(), Fault> {
        let octets = data.first_chunk::<8>().ok_or(Fault::data_length())?;
        let millis = u64::from_le_bytes(*octets) & 0xffff_ffff_ffff;
        self.features.timestamp = Timestamp { at: now, millis, from_host: true };
        Ok(())
    }

    /// Events that a host of this kind of controller may switch on.
    pub(super) fn event_bits(&self) -> u32 {
        match self.kind {
            ControllerKind::Io => AsyncEvent::NamespaceChanged.enable_bit(),
            ControllerKind::Discovery => AsyncEvent::DiscoveryChanged.enable_bit(),
        }
    }
    fn check_exists(&self, fid: u8, has_cache: bool) -> Result<(), Fault> {
        let common = matches!(fid, id::ASYNC_EVENT_CONFIG | id::KEEP_ALIVE_TIMER);
        let exists = match self.kind {
            ControllerKind::Discovery => common,
            ControllerKind::Io if fid == id::VOLATILE_WRITE_CACHE => has_cache,
            ControllerKind::Io => IO_FEATURES.contains(&fid),
        };
        if exists { Ok(()) } else { Err(Fault::invalid_field(field::CDW10)) }
    }
    /// When the host is given up, unless it speaks.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.keep_alive.deadline()
    }
    /// How long the controller has existed.
    pub(super) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }
}

/// Both numbers zero-based: as many I/O queues as hosts can have, whatever was asked for.
fn queue_count() -> u64 {
    let zero_based = u64::from(QUEUES_MAX) - 1;
    zero_based << 16 | zero_based
}
