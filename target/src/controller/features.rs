//! Get Features and Set Features.
//!
//! Source: NVMe Base 2.1, "Get Features command", "Set Features command". Which identifiers exist
//! is told in docs/nvme-support.md; nothing can be saved.

use super::aer::enable_bit;
use super::settings::Settings;
use super::{Controller, ControllerKind, QUEUES_MAX, World};
use crate::fault::{Fault, field};
use crate::subsystem::Namespace;
use std::time::{Duration, Instant};
use wire::nvme::{
    AsyncEvent, FeatureCmd, FeatureId, FeatureSelect, Nsid, QueueCount, Sqe, Status, Timestamp,
    ZeroBased,
};

/// What a feature belongs to, and what may be done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Feature {
    pub(crate) fid: FeatureId,
    /// Of a namespace rather than of the controller.
    pub(crate) is_of_namespace: bool,
    pub(crate) is_changeable: bool,
}

const fn controller(fid: FeatureId) -> Feature {
    Feature { fid, is_of_namespace: false, is_changeable: true }
}
const fn namespace(fid: FeatureId) -> Feature {
    Feature { fid, is_of_namespace: true, is_changeable: true }
}

/// Those of an I/O controller.
pub(crate) const IO_FEATURES: &[Feature] = &[
    controller(FeatureId::ARBITRATION),
    controller(FeatureId::POWER_MANAGEMENT),
    controller(FeatureId::TEMPERATURE_THRESHOLD),
    controller(FeatureId::ERROR_RECOVERY),
    controller(FeatureId::VOLATILE_WRITE_CACHE),
    controller(FeatureId::NUMBER_OF_QUEUES),
    controller(FeatureId::WRITE_ATOMICITY),
    controller(FeatureId::ASYNC_EVENT),
    controller(FeatureId::TIMESTAMP),
    controller(FeatureId::KEEP_ALIVE),
    controller(FeatureId::COMMAND_SET_PROFILE),
    Feature { is_changeable: false, ..controller(FeatureId::HOST_ID) },
    namespace(FeatureId::RESERVATION_MASK),
    namespace(FeatureId::RESERVATION_PERSISTENCE),
    namespace(FeatureId::WRITE_PROTECT),
];
/// Those of a discovery controller.
pub(crate) const DISCOVERY_FEATURES: &[Feature] =
    &[controller(FeatureId::ASYNC_EVENT), controller(FeatureId::KEEP_ALIVE)];

#[expect(clippy::cast_possible_truncation, reason = "8")]
const TIMESTAMP_BYTES: u32 = Timestamp::LEN as u32;
/// A number of queues that cannot be asked for.
const BAD_COUNT: u16 = 0xffff;
/// Health warnings may be switched on. None ever comes: nothing here wears or heats.
const HEALTH_EVENTS: u32 = 0xff;
/// Reservation notices: registration preempted, reservation released, reservation preempted.
const NOTICES: u32 = 0b1110;
/// Limited error recovery time, of Error Recovery. The error on deallocated blocks is not offered.
const TIME_LIMIT: u32 = 0xffff;

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
        world: &World<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        let FeatureCmd { fid, select, value, .. } = FeatureCmd::decode(sqe);
        let feature = self.feature(fid, world)?;
        let is_current = match select {
            FeatureSelect::Current => true,
            // Nothing can be saved: the saved value is the default.
            FeatureSelect::Default | FeatureSelect::Saved => false,
            FeatureSelect::Capabilities => return Ok(capabilities(feature)),
            FeatureSelect::Reserved(_) => return Err(Fault::invalid_field(field::CDW10)),
        };
        if feature.is_of_namespace {
            let namespace = self.feature_namespace(sqe.nsid(), world)?;
            return Ok(if is_current { self.namespace_feature(fid, namespace) } else { 0 });
        }
        let initial = Settings::new(self.created);
        let settings = if is_current { &self.settings } else { &initial };
        let current = |value: u32| if is_current { value } else { 0 };
        let dword = match fid {
            FeatureId::ARBITRATION => settings.arbitration,
            FeatureId::TEMPERATURE_THRESHOLD => settings.temperature(value)?,
            FeatureId::ERROR_RECOVERY => settings.error_recovery,
            FeatureId::VOLATILE_WRITE_CACHE => u32::from(settings.write_cache),
            FeatureId::NUMBER_OF_QUEUES => return Ok(queue_count()),
            FeatureId::WRITE_ATOMICITY => settings.write_atomicity,
            FeatureId::ASYNC_EVENT => current(self.aer.enabled()),
            FeatureId::KEEP_ALIVE => current(self.keep_alive.timeout_ms()),
            FeatureId::TIMESTAMP => {
                reply.extend_from_slice(settings.timestamp(now).as_octets());
                0
            }
            // Fabrics know only the 128-bit form.
            FeatureId::HOST_ID if value & 1 == 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            FeatureId::HOST_ID => {
                reply.extend_from_slice(&self.host_id);
                0
            }
            // Power state 0, command set combination 0: there are no others.
            _ => 0,
        };
        Ok(u64::from(dword))
    }

    /// Set Features of the controller; `data` holds [`set_data_bytes`] octets. Returns dword 0.
    /// Features of namespaces are the reactor's: see [`Controller::check_namespace_feature`].
    pub(super) fn set_features(
        &mut self,
        now: Instant,
        sqe: &Sqe,
        data: &[u8],
        world: &World<'_>,
    ) -> Result<u64, Fault> {
        let FeatureCmd { fid, value, .. } = FeatureCmd::decode(sqe);
        self.check_settable(sqe, world)?;
        match fid {
            FeatureId::ARBITRATION => self.settings.arbitration = value,
            FeatureId::POWER_MANAGEMENT if value & 0x1f != 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            FeatureId::TEMPERATURE_THRESHOLD => self.settings.set_temperature(value)?,
            FeatureId::ERROR_RECOVERY if value & !TIME_LIMIT != 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            FeatureId::ERROR_RECOVERY => self.settings.error_recovery = value,
            FeatureId::VOLATILE_WRITE_CACHE => self.settings.write_cache = value & 1 != 0,
            FeatureId::NUMBER_OF_QUEUES => return set_queue_count(value),
            FeatureId::WRITE_ATOMICITY => self.settings.write_atomicity = value & 1,
            FeatureId::ASYNC_EVENT if value & !self.settable_events() != 0 => {
                return Err(Fault::invalid_field(field::CDW11));
            }
            FeatureId::ASYNC_EVENT => self.aer.set_enabled(value),
            FeatureId::KEEP_ALIVE => self.keep_alive.set(now, value),
            FeatureId::TIMESTAMP => self.settings.set_timestamp(now, data)?,
            FeatureId::COMMAND_SET_PROFILE if value & 0x1ff != 0 => {
                return Err(Fault::at(Status::COMMAND_SET_REJECTED, field::CDW11));
            }
            FeatureId::RESERVATION_MASK => self.mask_notices(sqe.nsid(), value, world)?,
            // Host identifier: Connect told it.
            FeatureId::HOST_ID => return Err(Fault::at(Status::COMMAND_SEQUENCE, field::CDW10)),
            _ => {}
        }
        Ok(0)
    }

    /// That a Set Features of a namespace may be tried. Returns the identifier of the namespace.
    pub(crate) fn check_namespace_feature(
        &self,
        sqe: &Sqe,
        world: &World<'_>,
    ) -> Result<u32, Fault> {
        self.check_ready()?;
        self.check_settable(sqe, world)?;
        Ok(self.feature_namespace(sqe.nsid(), world)?.nsid)
    }
    fn check_settable(&self, sqe: &Sqe, world: &World<'_>) -> Result<(), Fault> {
        let FeatureCmd { fid, save, .. } = FeatureCmd::decode(sqe);
        let feature = self.feature(fid, world)?;
        if save {
            return Err(Fault::at(Status::FEATURE_NOT_SAVEABLE, field::CDW10));
        }
        let names_one = !matches!(sqe.nsid(), Nsid::NONE | Nsid::ALL);
        if names_one && !feature.is_of_namespace {
            return Err(Fault::at(Status::FEATURE_NOT_NAMESPACE, field::NSID));
        }
        Ok(())
    }

    /// Feature 82h, for one namespace or for all that the host sees.
    fn mask_notices(&mut self, nsid: Nsid, mask: u32, world: &World<'_>) -> Result<(), Fault> {
        if mask & !NOTICES != 0 {
            return Err(Fault::invalid_field(field::CDW11));
        }
        if nsid != Nsid::ALL {
            let nsid = self.feature_namespace(nsid, world)?.nsid;
            self.settings.set_reservation_mask(nsid, mask);
            return Ok(());
        }
        for namespace in world.subsystem.namespaces() {
            if self.gates.get(namespace.nsid).is_attached() {
                self.settings.set_reservation_mask(namespace.nsid, mask);
            }
        }
        Ok(())
    }

    /// Events that a host of this kind of controller may switch on.
    pub(super) fn event_bits(&self) -> u32 {
        match self.kind {
            ControllerKind::Io => {
                enable_bit(AsyncEvent::NAMESPACE_CHANGED) | enable_bit(AsyncEvent::ANA_CHANGED)
            }
            ControllerKind::Discovery => enable_bit(AsyncEvent::DISCOVERY_CHANGED),
        }
    }
    fn settable_events(&self) -> u32 {
        match self.kind {
            ControllerKind::Io => self.event_bits() | HEALTH_EVENTS,
            ControllerKind::Discovery => self.event_bits(),
        }
    }
    fn feature(&self, fid: FeatureId, world: &World<'_>) -> Result<Feature, Fault> {
        let features = match self.kind {
            ControllerKind::Io => IO_FEATURES,
            ControllerKind::Discovery => DISCOVERY_FEATURES,
        };
        let lacks = fid == FeatureId::VOLATILE_WRITE_CACHE && !world.subsystem.has_write_cache();
        let found = features.iter().find(|feature| feature.fid == fid && !lacks);
        found.copied().ok_or(Fault::invalid_field(field::CDW10))
    }
    fn feature_namespace<'w>(&self, nsid: Nsid, world: &World<'w>) -> Result<&'w Namespace, Fault> {
        let attached = self.gates.get(nsid.0).is_attached();
        let namespace = world.subsystem.namespace(nsid.0).filter(|_| attached);
        namespace.ok_or(Fault::at(Status::INVALID_NAMESPACE, field::NSID))
    }
    fn namespace_feature(&self, fid: FeatureId, namespace: &Namespace) -> u64 {
        match fid {
            FeatureId::RESERVATION_MASK => {
                u64::from(self.settings.reservation_mask(namespace.nsid))
            }
            FeatureId::RESERVATION_PERSISTENCE => u64::from(namespace.reservations.persists()),
            FeatureId::WRITE_PROTECT => u64::from(namespace.is_write_protected()),
            _ => 0,
        }
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

/// Bit 0, saveable: never. Bit 1: of a namespace. Bit 2: changeable.
fn capabilities(feature: Feature) -> u64 {
    u64::from(feature.is_of_namespace) << 1 | u64::from(feature.is_changeable) << 2
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
