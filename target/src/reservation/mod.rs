//! Reservations of one namespace: who is registered, who holds it, and what that denies to whom.
//!
//! A pure machine: a command in, its [`Outcome`] out; who is to be told and whose commands are to
//! be aborted is data for the caller. Read first: [`Reservations`], then `command` (what each
//! command changes), `store` (what survives a restart).
//! Source: NVMe Base 2.1, "Reservations"; where that leaves room, Linux nvmet and SPDK are followed.

mod command;
mod report;
mod store;

pub(crate) use command::{Change, Outcome};
pub(crate) use report::report;
pub use store::{FileStore, NoStore, ReservationStore, SavedRegistrant, SavedReservations};

use crate::access::Needs;
use wire::nvme::log::ReservationNotice;
use wire::nvme::reservation::ReservationType;

/// A host, by its 128-bit identifier: reservations belong to hosts, not to controllers.
pub(crate) type HostId = [u8; 16];

/// Hosts that may be registered with one namespace.
pub(crate) const REGISTRANTS_MAX: usize = 128;

/// RESCAP: all six types, Ignore Existing Key as since NVMe 1.3.
const CAPABILITIES: u8 = 0xfe;
/// RESCAP: they can persist through power loss.
const CAN_PERSIST: u8 = 1;

/// A registered host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Registrant {
    pub(crate) host: HostId,
    pub(crate) key: u64,
}

/// A reservation that is held. With the types "all registrants" every registrant holds it, and
/// `by` is the one that acquired it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) by: HostId,
    pub(crate) kind: ReservationType,
}

impl Held {
    fn is_of_all(self) -> bool {
        use ReservationType::{ExclusiveAccessAll, WriteExclusiveAll};
        matches!(self.kind, WriteExclusiveAll | ExclusiveAccessAll)
    }
    /// Registrants other than the holder may do what it may: they are to be told when it ends.
    fn is_shared(self) -> bool {
        use ReservationType::{ExclusiveAccess, WriteExclusive};
        !matches!(self.kind, WriteExclusive | ExclusiveAccess)
    }
}

/// The reservations of one namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reservations {
    registrants: Vec<Registrant>,
    held: Option<Held>,
    generation: u32,
    persists: bool,
    can_persist: bool,
}

/// Something that a host is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tell {
    /// Whom.
    pub(crate) host: HostId,
    /// What.
    pub(crate) notice: ReservationNotice,
}

impl Reservations {
    /// None. `can_persist`: there is a place where a restart finds them.
    pub(crate) fn new(can_persist: bool) -> Reservations {
        Reservations { can_persist, ..Reservations::default() }
    }
    /// What the namespace can do (RESCAP).
    pub(crate) fn capabilities(&self) -> u8 {
        if self.can_persist { CAPABILITIES | CAN_PERSIST } else { CAPABILITIES }
    }
    /// They are kept through a restart.
    pub(crate) fn persists(&self) -> bool {
        self.persists
    }
    /// Whether `host` is registered.
    #[cfg(test)]
    pub(crate) fn is_registered(&self, host: HostId) -> bool {
        self.registrant(host).is_some()
    }
    fn registrant(&self, host: HostId) -> Option<Registrant> {
        self.registrants.iter().copied().find(|registrant| registrant.host == host)
    }
    fn is_holder(&self, host: HostId) -> bool {
        self.held.is_some_and(|held| {
            if held.is_of_all() { self.registrant(host).is_some() } else { held.by == host }
        })
    }
    /// What commands of `host` are denied.
    pub(crate) fn denied(&self, host: HostId) -> &'static [Needs] {
        use ReservationType as T;
        const NOTHING: &[Needs] = &[];
        const WRITES: &[Needs] = &[Needs::WRITE, Needs::FLUSH];
        const EVERYTHING: &[Needs] = &[Needs::READ, Needs::WRITE, Needs::FLUSH];
        let Some(held) = self.held else { return NOTHING };
        let passes = self.is_holder(host) || (held.is_shared() && self.registrant(host).is_some());
        match held.kind {
            _ if passes => NOTHING,
            T::WriteExclusive | T::WriteExclusiveRegistrants | T::WriteExclusiveAll => WRITES,
            T::ExclusiveAccess | T::ExclusiveAccessRegistrants | T::ExclusiveAccessAll => {
                EVERYTHING
            }
        }
    }

    /// What a restart is to find again.
    pub(crate) fn saved(&self) -> SavedReservations {
        SavedReservations {
            generation: self.generation,
            holder: self.held.map(|held| (held.by, held.kind)),
            registrants: self
                .registrants
                .iter()
                .map(|registrant| SavedRegistrant { host: registrant.host, key: registrant.key })
                .collect(),
        }
    }
    /// What a restart found. A holder that is not registered cannot be: it is left out, and so are
    /// registrants beyond the limit.
    pub(crate) fn restored(saved: &SavedReservations) -> Reservations {
        let registrants = saved.registrants.iter().take(REGISTRANTS_MAX);
        let registrants: Vec<Registrant> = registrants
            .map(|registrant| Registrant { host: registrant.host, key: registrant.key })
            .collect();
        let held = saved.holder.map(|(by, kind)| Held { by, kind });
        let held = held.filter(|held| registrants.iter().any(|r| r.host == held.by));
        let generation = saved.generation;
        Reservations { registrants, held, generation, persists: true, can_persist: true }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
