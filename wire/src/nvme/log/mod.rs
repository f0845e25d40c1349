//! Log pages.
//!
//! Source: NVMe Base 2.0, "Get log page command", one section for each page.

mod ana;
mod effects;
mod error;
mod reservation;
mod smart;

pub use ana::{AnaGroup, AnaGroupHeader, AnaHeader, AnaState, write_ana_log};
pub use effects::{CommandEffects, Effects, SupportedLogPages};
pub use error::ErrorLogEntry;
pub use reservation::{ReservationLog, ReservationNotice};
pub use smart::SmartLog;

use super::opcode::codes;

/// The changed namespaces page: a [`super::identify::NamespaceList`]; when more than 1,024 have
/// changed its first entry is `0xffff_ffff`.
pub type ChangedNamespaces = super::identify::NamespaceList;

codes! {
    /// Log page identifiers.
    LogId {
        SupportedPages = 0x00 "supported_log_pages",
        Error = 0x01 "error",
        Smart = 0x02 "smart",
        FirmwareSlot = 0x03 "firmware_slot",
        ChangedNamespaces = 0x04 "changed_namespaces",
        Effects = 0x05 "commands_supported_and_effects",
        SelfTest = 0x06 "device_self_test",
        Ana = 0x0c "asymmetric_namespace_access",
        FeatureEffects = 0x12 "feature_identifiers_effects",
        Discovery = 0x70 "discovery",
        Reservation = 0x80 "reservation_notification",
    }
}
