//! Reservation notification (page 80h).

use crate::octets::{Le32, Le64, U8, layout};

/// What happened to a host's registration or reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReservationNotice {
    /// The host's registration was taken away by another.
    RegistrationPreempted = 1,
    /// A reservation was released.
    ReservationReleased = 2,
    /// The host's reservation was taken away by another.
    ReservationPreempted = 3,
}

impl ReservationNotice {
    /// Its bit in [`crate::nvme::FeatureId::RESERVATION_MASK`]: set = not wanted.
    #[must_use]
    pub const fn mask_bit(self) -> u32 {
        1 << (self as u32)
    }
}

layout! {
    /// One notification, the oldest that was not read; all zeroes when there is none.
    ReservationLog[64] {
        /// Number of the notification, from 1, wrapping past 0.
        count set_count: u64 as Le64, 0;
        /// See [`ReservationNotice`]; 0 = empty.
        kind set_kind: u8 as U8, 8;
        /// Notifications that wait behind this one, at most 255.
        available set_available: u8 as U8, 9;
        /// Namespace.
        nsid set_nsid: u32 as Le32, 12;
    }
}
