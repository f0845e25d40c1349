//! What Register, Acquire and Release change.
//!
//! Source: NVMe Base 2.1, "Reservation Register command", "Reservation Acquire command",
//! "Reservation Release command", "Reservations" (preempting, releasing, clearing).

use super::{Held, HostId, REGISTRANTS_MAX, Registrant, Reservations, Tell};
use crate::fault::{Fault, field};
use wire::nvme::Status;
use wire::nvme::log::ReservationNotice;
use wire::nvme::reservation::{
    AcquireAction, RegisterAction, ReleaseAction, ReservationCmd, ReservationKeys, ReservationType,
};

/// Which of the three commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Reservation Register.
    Register,
    /// Reservation Acquire.
    Acquire,
    /// Reservation Release.
    Release,
}

impl Change {
    /// Octets of data that the command brings.
    pub(crate) fn data_bytes(self) -> u32 {
        match self {
            Change::Register | Change::Acquire => 16,
            Change::Release => 8,
        }
    }
}

/// What a command that succeeded brings about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    /// Who is to be told what.
    pub(crate) tell: Vec<Tell>,
    /// Hosts whose commands are to be aborted before the command is answered.
    pub(crate) abort: Vec<HostId>,
}

/// Persistence: off, on.
const CLEAR_PERSISTENCE: u32 = 2;
const SET_PERSISTENCE: u32 = 3;

const CONFLICT: Fault = Fault::at(Status::RESERVATION_CONFLICT, field::NSID);
const BAD_DWORD: Fault = Fault::invalid_field(field::CDW10);
const BAD_DATA: Fault = Fault::invalid_field(field::DATA_POINTER);

impl Reservations {
    /// Executes a command of `host`. On an error nothing changed: the host's fault.
    pub(crate) fn change(
        &mut self,
        host: HostId,
        change: Change,
        command: ReservationCmd,
        keys: ReservationKeys,
    ) -> Result<Outcome, Fault> {
        match change {
            Change::Register => self.register(host, command, keys),
            Change::Acquire => self.acquire(host, command, keys),
            Change::Release => self.release(host, command, keys.current()),
        }
    }

    fn register(
        &mut self,
        host: HostId,
        command: ReservationCmd,
        keys: ReservationKeys,
    ) -> Result<Outcome, Fault> {
        let action = u8::try_from(command.action).ok().and_then(RegisterAction::from_octet);
        let persists = match command.persistence {
            0 => self.persists,
            CLEAR_PERSISTENCE => false,
            // Linux asks for it without looking whether it can be had.
            SET_PERSISTENCE => self.can_persist,
            _ => return Err(BAD_DWORD),
        };
        let known = self.registrant(host);
        let matches = known.is_some_and(|known| command.ignore_key || known.key == keys.current());
        let outcome = match (action.ok_or(BAD_DWORD)?, known) {
            (RegisterAction::Register | RegisterAction::Replace, _) if keys.other() == 0 => {
                return Err(BAD_DATA);
            }
            (RegisterAction::Register, None) => self.add(host, keys.other())?,
            // Registered already: with that key it is no change, with another a conflict.
            (RegisterAction::Register, Some(known)) if known.key == keys.other() => {
                Outcome::default()
            }
            (RegisterAction::Unregister, Some(_)) if matches => self.leave(host),
            (RegisterAction::Replace, Some(_)) if matches => self.rekey(host, keys.other()),
            // A host that is to be registered whatever was before.
            (RegisterAction::Replace, None) if command.ignore_key => {
                self.add(host, keys.other())?
            }
            (
                RegisterAction::Register | RegisterAction::Unregister | RegisterAction::Replace,
                _,
            ) => return Err(CONFLICT),
        };
        self.persists = persists;
        Ok(outcome)
    }
    fn add(&mut self, host: HostId, key: u64) -> Result<Outcome, Fault> {
        if self.registrants.len() >= REGISTRANTS_MAX {
            return Err(Fault::plain(Status::INTERNAL_ERROR));
        }
        self.registrants.push(Registrant { host, key });
        self.count();
        Ok(Outcome::default())
    }
    fn rekey(&mut self, host: HostId, key: u64) -> Outcome {
        let own = self.registrants.iter_mut().filter(|registrant| registrant.host == host);
        own.for_each(|registrant| registrant.key = key);
        self.count();
        Outcome::default()
    }
    fn leave(&mut self, host: HostId) -> Outcome {
        self.registrants.retain(|registrant| registrant.host != host);
        self.count();
        let ends = self.settle_holder(host);
        let tell = ends
            .filter(|held| held.is_shared())
            .map_or(Vec::new(), |_| self.tell_others(host, ReservationNotice::ReservationReleased));
        Outcome { tell, abort: Vec::new() }
    }
    /// `gone` is no registrant any more. Returns the reservation, if that ended with it: one of all
    /// registrants goes on with another of them.
    fn settle_holder(&mut self, gone: HostId) -> Option<Held> {
        let held = self.held.filter(|held| held.by == gone)?;
        let heir = self.registrants.first().filter(|_| held.is_of_all());
        self.held = heir.map(|heir| Held { by: heir.host, ..held });
        if self.held.is_none() { Some(held) } else { None }
    }

    fn acquire(
        &mut self,
        host: HostId,
        command: ReservationCmd,
        keys: ReservationKeys,
    ) -> Result<Outcome, Fault> {
        let action = u8::try_from(command.action).ok().and_then(AcquireAction::from_octet);
        let (Some(action), Some(kind), false) =
            (action, ReservationType::from_octet(command.kind), command.ignore_key)
        else {
            return Err(BAD_DWORD);
        };
        self.check_key(host, keys.current())?;
        match action {
            AcquireAction::Acquire => match self.held {
                None => {
                    self.held = Some(Held { by: host, kind });
                    Ok(Outcome::default())
                }
                Some(held) if self.is_holder(host) && held.kind == kind => Ok(Outcome::default()),
                Some(_) => Err(CONFLICT),
            },
            AcquireAction::Preempt => self.preempt(host, kind, keys.other()),
            AcquireAction::PreemptAndAbort => {
                let mut outcome = self.preempt(host, kind, keys.other())?;
                let preempted = outcome
                    .tell
                    .iter()
                    .filter(|tell| tell.notice == ReservationNotice::RegistrationPreempted);
                outcome.abort = preempted.map(|tell| tell.host).collect();
                Ok(outcome)
            }
        }
    }
    /// Takes registrations with `key` away, and the reservation if it was theirs. Key 0: those of all
    /// others, from a reservation that all registrants hold.
    fn preempt(&mut self, host: HostId, kind: ReservationType, key: u64) -> Result<Outcome, Fault> {
        let takes_from_all = key == 0;
        if takes_from_all && !self.held.is_some_and(Held::is_of_all) {
            return Err(BAD_DATA);
        }
        let matches = |registrant: &Registrant| takes_from_all || registrant.key == key;
        if !self.registrants.iter().any(matches) {
            return Err(CONFLICT);
        }
        let before = self.held;
        let takes_reservation = takes_from_all
            || before.is_some_and(|held| {
                !held.is_of_all() && self.registrant(held.by).is_some_and(|by| by.key == key)
            });
        // A host that preempts its own key to change the type of what it holds stays registered.
        let is_out = |registrant: &Registrant| {
            matches(registrant) && !(takes_reservation && registrant.host == host)
        };
        let out: Vec<HostId> =
            self.registrants.iter().filter(|r| is_out(r)).map(|r| r.host).collect();
        self.registrants.retain(|registrant| !is_out(registrant));
        let notice = ReservationNotice::RegistrationPreempted;
        let others = out.iter().filter(|gone| **gone != host);
        let mut tell: Vec<Tell> = others.map(|gone| Tell { host: *gone, notice }).collect();
        if takes_reservation {
            self.held = Some(Held { by: host, kind });
            if before.is_some_and(|held| held.is_shared() && held.kind != kind) {
                // Those that stay may have shared in what was held before.
                tell.extend(self.tell_others(host, ReservationNotice::ReservationReleased));
            }
        } else {
            for gone in &out {
                // One of all registrants, which goes on: nobody is to be told.
                let _ = self.settle_holder(*gone);
            }
        }
        self.count();
        Ok(Outcome { tell, abort: Vec::new() })
    }

    fn release(
        &mut self,
        host: HostId,
        command: ReservationCmd,
        key: u64,
    ) -> Result<Outcome, Fault> {
        let action = u8::try_from(command.action).ok().and_then(ReleaseAction::from_octet);
        let (Some(action), false) = (action, command.ignore_key) else { return Err(BAD_DWORD) };
        self.check_key(host, key)?;
        match (action, self.held) {
            (ReleaseAction::Clear, _) => Ok(self.clear(host)),
            (ReleaseAction::Release, Some(held)) if self.is_holder(host) => {
                if ReservationType::from_octet(command.kind) != Some(held.kind) {
                    return Err(BAD_DWORD);
                }
                self.held = None;
                let tell = if held.is_shared() {
                    self.tell_others(host, ReservationNotice::ReservationReleased)
                } else {
                    Vec::new()
                };
                Ok(Outcome { tell, abort: Vec::new() })
            }
            // What is not held needs no release.
            (ReleaseAction::Release, _) => Ok(Outcome::default()),
        }
    }
    fn clear(&mut self, host: HostId) -> Outcome {
        let tell = self.tell_others(host, ReservationNotice::ReservationPreempted);
        self.held = None;
        self.registrants.clear();
        self.count();
        Outcome { tell, abort: Vec::new() }
    }

    fn check_key(&self, host: HostId, key: u64) -> Result<(), Fault> {
        let known = self.registrant(host).filter(|registrant| registrant.key == key);
        known.map(|_| ()).ok_or(CONFLICT)
    }
    fn tell_others(&self, host: HostId, notice: ReservationNotice) -> Vec<Tell> {
        let others = self.registrants.iter().filter(|registrant| registrant.host != host);
        others.map(|registrant| Tell { host: registrant.host, notice }).collect()
    }
    fn count(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
    /// Feature 83h: persistence, as a host switches it. Errors: there is nowhere to keep it.
    pub(crate) fn set_persists(&mut self, persists: bool) -> Result<(), Fault> {
        if persists && !self.can_persist {
            return Err(Fault::at(Status::FEATURE_NOT_CHANGEABLE, field::CDW10));
        }
        self.persists = persists;
        Ok(())
    }
}
