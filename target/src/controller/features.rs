//! Get Features and Set Features.
//!
//! Source: NVMe Base 2.0, "Features"; which identifiers exist follows Linux nvmet, with Timestamp
//! and a volatile write cache that can be switched off besides. Nothing is saved over a reset.

use super::aer::enable_bit;
use super::{Controller, ControllerKind, QUEUES_MAX};
use crate::fault::{Fault, field};
use std::time::{Duration, Instant};
use wire::nvme::{
    AsyncEvent, FeatureCmd, FeatureId, FeatureSelect, QueueCount, Sqe, Status, Timestamp, ZeroBased,
};

/// Those of an I/O controller, for the log page that lists them.
pub(crate) const IO_FEATURES: [FeatureId; 6] = [
    FeatureId::VOLATILE_WRITE_CACHE,
    FeatureId::NUMBER_OF_QUEUES,
    FeatureId::ASYNC_EVENT,
    FeatureId::TIMESTAMP,
    FeatureId::KEEP_ALIVE,
    FeatureId::HOST_ID,
];
#[expect(clippy::cast_possible_truncation, reason = "8")]
const TIMESTAMP_BYTES: u32 = Timestamp::LEN as u32;
/// A number of queues that cannot be asked for.
const BAD_COUNT: u16 = 0xffff;

/// Settings that live nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    /// Writes may be acknowledged from the volatile cache.
    pub(crate) write_cache: bool,
    /// The clock, and when it was set.
    timestamp: (Timestamp, Instant),
}

impl Features {
    /// As after a reset at `now`.
    pub(crate) fn new(now: Instant) -> Features {
        Features { write_cache: true, timestamp: (Timestamp::zeroed(), now) }
    }
    /// What the clock says.
    fn timestamp(&self, now: Instant) -> Timestamp {
        let (mut timestamp, set_at) = self.timestamp;
        let elapsed = now.saturating_duration_since(set_at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(0);
        timestamp.set_unix_ms(timestamp.unix_ms().wrapping_add(elapsed));
        timestamp
    }
}

/// Octets of data that Set Features brings for feature `fid`.
pub(crate) fn set_data_bytes(fid: FeatureId) -> u32 {
    if fid == FeatureId::TIMESTAMP { TIMESTAMP_BYTES } else { 0 }
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
        let FeatureCmd { fid, select, value, .. } = FeatureCmd::decode(sqe);
        self.check_exists(fid, has_cache)?;
        let is_current = match select {
            FeatureSelect::Current => true,
            // Nothing can be saved: the saved value is the default.
            FeatureSelect::Default | FeatureSelect::Saved => false,
            // Bit 2: changeable. Bits 0 and 1, saveable and of a namespace, never.
            FeatureSelect::Capabilities if fid == FeatureId::HOST_ID => return Ok(0),
            FeatureSelect::Capabilities => return Ok(1 << 2),
            FeatureSelect::Reserved(_) => return Err(Fault::invalid_field(field::CDW10)),
        };
        let current = |value: u32| if is_current { u64::from(value) } else { 0 };
        match fid {
            FeatureId::VOLATILE_WRITE_CACHE => {
                Ok(u64::from(self.features.write_cache || !is_current))
            }
            FeatureId::NUMBER_OF_QUEUES => Ok(queue_count()),
            FeatureId::ASYNC_EVENT => Ok(current(self.aer.enabled())),
            FeatureId::KEEP_ALIVE => Ok(current(self.keep_alive.timeout_ms())),
            FeatureId::TIMESTAMP => {
                let initial = Features::new(self.created);
                let features = if is_current { &self.features } else { &initial };
                reply.extend_from_slice(features.timestamp(now).as_octets());
                Ok(0)
            }
            // Host identifier: fabrics know only the 128-bit form.
            _ if value & 1 == 0 => Err(Fault::invalid_field(field::CDW11)),
            _ => {
                reply.extend_from_slice(&self.host_id);
                Ok(0)
            }
        }
    }

    /// Set Features; `data` holds [`set_data_bytes`] octets. Returns dword 0.
    pub(super) fn set_features(
        &mut self,
        now: Instant,
        sqe: &Sqe,
        data: &[u8],
        has_cache: bool,
    ) -> Result<u64, Fault> {
        let FeatureCmd { fid, save, value, .. } = FeatureCmd::decode(sqe);
        self.check_exists(fid, has_cache)?;
        if save {
            return Err(Fault::at(Status::FEATURE_NOT_SAVEABLE, field::CDW10));
        }
        match fid {
            FeatureId::VOLATILE_WRITE_CACHE => self.features.write_cache = value & 1 != 0,
            FeatureId::NUMBER_OF_QUEUES => return set_queue_count(value),
            FeatureId::ASYNC_EVENT if value & !self.event_bits() != 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            FeatureId::ASYNC_EVENT => self.aer.set_enabled(value),
            FeatureId::KEEP_ALIVE => self.keep_alive.set(now, value),
            FeatureId::TIMESTAMP => self.set_timestamp(now, data)?,
            // Host identifier: Connect told it.
            _ => return Err(Fault::at(Status::COMMAND_SEQUENCE, field::CDW10)),
        }
        Ok(0)
    }
    fn set_timestamp(&mut self, now: Instant, data: &[u8]) -> Result<(), Fault> {
        let given = Timestamp::decode(data).ok_or(Fault::data_length())?;
        let mut timestamp = Timestamp::zeroed();
        timestamp.set_unix_ms(given.unix_ms()).set_origin(1);
        self.features.timestamp = (timestamp, now);
        Ok(())
    }

    /// Events that a host of this kind of controller may switch on.
    pub(super) fn event_bits(&self) -> u32 {
        enable_bit(match self.kind {
            ControllerKind::Io => AsyncEvent::NAMESPACE_CHANGED,
            ControllerKind::Discovery => AsyncEvent::DISCOVERY_CHANGED,
        })
    }
    fn check_exists(&self, fid: FeatureId, has_cache: bool) -> Result<(), Fault> {
        let exists = match self.kind {
            ControllerKind::Discovery => {
                matches!(fid, FeatureId::ASYNC_EVENT | FeatureId::KEEP_ALIVE)
            }
            ControllerKind::Io if fid == FeatureId::VOLATILE_WRITE_CACHE => has_cache,
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

/// As many I/O queues as hosts can have, whatever was asked for.
fn queue_count() -> u64 {
    let all = ZeroBased::<u16>::from_raw(QUEUES_MAX - 1);
    QueueCount { submission: all, completion: all }.dword().into()
}

fn set_queue_count(value: u32) -> Result<u64, Fault> {
    let asked = QueueCount::from_dword(value);
    if asked.submission.raw() == BAD_COUNT || asked.completion.raw() == BAD_COUNT {
        return Err(Fault::invalid_field(field::CDW11));
    }
    Ok(queue_count())
}
