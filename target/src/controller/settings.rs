//! Values of features that live in the controller, and their defaults.
//!
//! Source: NVMe Base 2.1, "Feature Identifiers"; NVM Command Set 1.1, "Feature Identifiers". Nothing
//! is saved over a reset.

use crate::fault::{Fault, field};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::nvme::Timestamp;

/// No limit on the arbitration burst: commands are taken as they come.
const NO_BURST_LIMIT: u32 = 7;
/// The over-temperature threshold that nothing reaches.
const NEVER: u16 = 0xffff;

/// Settings of one controller.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Writes may be acknowledged from the volatile cache.
    pub(crate) write_cache: bool,
    /// The clock, and when it was set.
    timestamp: (Timestamp, Instant),
    pub(super) arbitration: u32,
    pub(super) error_recovery: u32,
    pub(super) write_atomicity: u32,
    over_temperature_k: u16,
    under_temperature_k: u16,
    /// Reservation notices that are not wanted, by namespace.
    reservation_masks: BTreeMap<u32, u32>,
}

impl Settings {
    /// As after a reset at `now`.
    pub(crate) fn new(now: Instant) -> Settings {
        Settings {
            write_cache: true,
            timestamp: (Timestamp::zeroed(), now),
            arbitration: NO_BURST_LIMIT,
            error_recovery: 0,
            write_atomicity: 0,
            over_temperature_k: NEVER,
            under_temperature_k: 0,
            reservation_masks: BTreeMap::new(),
        }
    }
    /// Reservation notices of `nsid` that are not wanted: bits of feature 82h.
    pub(super) fn reservation_mask(&self, nsid: u32) -> u32 {
        self.reservation_masks.get(&nsid).copied().unwrap_or(0)
    }
    /// Sets that (the caller checked the namespace).
    pub(super) fn set_reservation_mask(&mut self, nsid: u32, mask: u32) {
        self.reservation_masks.insert(nsid, mask);
    }
    /// What the clock says.
    pub(super) fn timestamp(&self, now: Instant) -> Timestamp {
        let (mut timestamp, set_at) = self.timestamp;
        let elapsed = now.saturating_duration_since(set_at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(0);
        timestamp.set_unix_ms(timestamp.unix_ms().wrapping_add(elapsed));
        timestamp
    }
    /// Sets the clock.
    pub(super) fn set_timestamp(&mut self, now: Instant, data: &[u8]) -> Result<(), Fault> {
        let given = Timestamp::decode(data).ok_or(Fault::data_length())?;
        let mut timestamp = Timestamp::zeroed();
        timestamp.set_unix_ms(given.unix_ms()).set_origin(1);
        self.timestamp = (timestamp, now);
        Ok(())
    }
    /// The threshold that dword 11 of Get Features names.
    pub(super) fn temperature(&self, dword: u32) -> Result<u32, Fault> {
        let threshold = Threshold::parse(dword, false)?;
        Ok(u32::from(if threshold.is_over {
            self.over_temperature_k
        } else {
            self.under_temperature_k
        }))
    }
    /// Sets the threshold that dword 11 of Set Features names.
    pub(super) fn set_temperature(&mut self, dword: u32) -> Result<(), Fault> {
        let threshold = Threshold::parse(dword, true)?;
        if threshold.is_over {
            self.over_temperature_k = threshold.kelvin;
        } else {
            self.under_temperature_k = threshold.kelvin;
        }
        Ok(())
    }
}

struct Threshold {
    is_over: bool,
    kelvin: u16,
}

impl Threshold {
    /// Only the composite temperature exists; Set Features may name "all sensors" too.
    fn parse(dword: u32, may_be_all: bool) -> Result<Threshold, Fault> {
        let [low, high, selection, _] = dword.to_le_bytes();
        let (sensor, kind) = (selection & 0xf, selection >> 4 & 3);
        let is_sensor = sensor == 0 || (may_be_all && sensor == 0xf);
        if !is_sensor || kind > 1 {
            return Err(Fault::invalid_field(field::CDW11));
        }
        Ok(Threshold { is_over: kind == 0, kelvin: u16::from_le_bytes([low, high]) })
    }
}
