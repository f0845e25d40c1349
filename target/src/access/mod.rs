//! Who may do what: one flag word per controller and namespace, computed when something changes and
//! read once by each I/O command.
//!
//! Visibility, asymmetric access, reservations and write protection are four reasons to refuse.
//! They change rarely; so a [`Gate`] says for each kind of command whether it passes and, for
//! those that do not, why.
//! Source: NVMe Base 2.1, "Asymmetric Namespace Access Reporting", "Reservations", "Namespace Write
//! Protection".

mod ana;
mod hosts;

pub use ana::{ANA_GROUPS_MAX, AnaGroups};
pub use hosts::HostList;
pub(crate) use hosts::Keyring;

use crate::fault::{Fault, field};
use crate::subsystem::{NSID_MAX, Namespace, Subsystem};
use wire::nvme::Status;
use wire::nvme::log::AnaState;

/// What a command needs of its namespace: bits of [`Gate`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Needs(u16);

impl Needs {
    /// To read blocks.
    pub(crate) const READ: Needs = Needs(1 << 1);
    /// To change blocks.
    pub(crate) const WRITE: Needs = Needs(1 << 2);
    /// To make blocks durable: a write for reservations, harmless to write protection.
    pub(crate) const FLUSH: Needs = Needs(1 << 3);
    /// To see or change reservations.
    pub(crate) const RESERVE: Needs = Needs(1 << 4);
    /// Both.
    pub(crate) const fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }
}

/// The namespace exists for this controller.
const ATTACHED: u16 = 1;
const ALL: u16 = ATTACHED | Needs::READ.0 | Needs::WRITE.0 | Needs::FLUSH.0 | Needs::RESERVE.0;
/// Reasons for what is missing.
const INACCESSIBLE: u16 = 1 << 8;
const LOST: u16 = 1 << 9;
const CHANGING: u16 = 1 << 10;
const RESERVED: u16 = 1 << 11;
const PROTECTED: u16 = 1 << 12;

/// What one controller may do with one namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gate(u16);

impl Gate {
    /// The namespace is not there.
    pub(crate) const SHUT: Gate = Gate(0);
    /// Everything passes.
    pub(crate) const OPEN: Gate = Gate(ALL);

    /// Of one that is visible, reached in `state`.
    fn in_state(state: AnaState) -> Gate {
        match state {
            AnaState::Optimized | AnaState::NonOptimized => Gate::OPEN,
            AnaState::Inaccessible => Gate(ATTACHED | INACCESSIBLE),
            AnaState::PersistentLoss => Gate(ATTACHED | LOST),
            AnaState::Change => Gate(ATTACHED | CHANGING),
        }
    }
    /// The same, without what a write-protected namespace refuses.
    fn protected(self) -> Gate {
        Gate(self.0 & !Needs::WRITE.0 | PROTECTED)
    }
    /// The same, without what somebody else's reservation denies.
    fn denied(self, needs: &[Needs]) -> Gate {
        needs.iter().fold(self, |gate, needs| Gate(gate.0 & !needs.0 | RESERVED))
    }
    /// The namespace exists for this controller.
    pub(crate) fn is_attached(self) -> bool {
        self.0 & ATTACHED != 0
    }
    /// Lets a command through that needs `needs`, or says why not.
    #[inline]
    pub(crate) fn check(self, needs: Needs) -> Result<(), Fault> {
        let wanted = needs.0 | ATTACHED;
        if self.0 & wanted == wanted { Ok(()) } else { Err(self.refusal()) }
    }
    /// The weightiest reason first: a path that is gone says nothing about reservations.
    #[cold]
    fn refusal(self) -> Fault {
        let has = |reason: u16| self.0 & reason != 0;
        if !has(ATTACHED) {
            Fault::at(Status::INVALID_NAMESPACE, field::NSID)
        } else if has(INACCESSIBLE) {
            path(Status::ANA_INACCESSIBLE)
        } else if has(LOST) {
            path(Status::ANA_PERSISTENT_LOSS)
        } else if has(CHANGING) {
            path(Status::ANA_TRANSITION)
        } else if has(RESERVED) {
            Fault::at(Status::RESERVATION_CONFLICT, field::NSID)
        } else {
            Fault::at(Status::WRITE_PROTECTED, field::NSID)
        }
    }
}

/// Another path may do, or this one later: hosts are to try again.
const fn path(status: Status) -> Fault {
    Fault { status, location: field::NSID, result: 0 }
}

/// Whose view it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'v> {
    /// Host's NQN: what visibility goes by.
    pub(crate) host_nqn: &'v str,
    /// Host's identifier: what reservations go by.
    pub(crate) host_id: [u8; 16],
    /// Port through which the controller was made: what asymmetric access goes by.
    pub(crate) port: u16,
}

/// The gates of one controller, by namespace identifier.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Gates(Vec<Gate>);

impl Gates {
    /// As `viewer` finds the subsystem now. Walks all namespaces: not for the path of a command.
    pub(crate) fn of(subsystem: &Subsystem, viewer: Viewer<'_>) -> Gates {
        let mut gates = Vec::new();
        for namespace in subsystem.namespaces() {
            debug_assert!(namespace.nsid <= NSID_MAX, "checked when it was added");
            gates.resize(namespace.nsid as usize, Gate::SHUT);
            gates.push(gate_of(subsystem, namespace, viewer));
        }
        Gates(gates)
    }
    /// The same for namespace `nsid` alone, which did not come or go.
    pub(crate) fn refresh(&mut self, subsystem: &Subsystem, nsid: u32, viewer: Viewer<'_>) {
        let place = self.0.get_mut(nsid as usize);
        if let (Some(namespace), Some(gate)) = (subsystem.namespace(nsid), place) {
            *gate = gate_of(subsystem, namespace, viewer);
        }
    }
    /// The gate of namespace `nsid`, shut for those that do not exist.
    #[inline]
    pub(crate) fn get(&self, nsid: u32) -> Gate {
        self.0.get(nsid as usize).copied().unwrap_or(Gate::SHUT)
    }
    /// Namespaces that exist in one of them only.
    pub(crate) fn attachment_changes(&self, before: &Gates) -> Vec<u32> {
        let end = u32::try_from(self.0.len().max(before.0.len())).unwrap_or(0);
        let changed = |nsid: &u32| self.get(*nsid).is_attached() != before.get(*nsid).is_attached();
        (0..end).filter(changed).collect()
    }
}

fn gate_of(subsystem: &Subsystem, namespace: &Namespace, viewer: Viewer<'_>) -> Gate {
    if !namespace.hosts.admits(viewer.host_nqn) {
        return Gate::SHUT;
    }
    let state = subsystem.ana().state(namespace.ana_group, viewer.port);
    let open = Gate::in_state(state).denied(namespace.reservations.denied(viewer.host_id));
    if namespace.is_write_protected() { open.protected() } else { open }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each refusal names its reason, the weightiest first; path errors may be retried.
    #[test]
    fn refusals_have_reasons() {
        assert_eq!(Gate::OPEN.check(Needs::WRITE), Ok(()));
        let status = |gate: Gate, needs| gate.check(needs).map_err(|fault| fault.status);
        let shut = Status::INVALID_NAMESPACE.do_not_retry();
        assert_eq!(status(Gate::SHUT, Needs::READ), Err(shut));
        for (state, expected) in [
            (AnaState::Inaccessible, Status::ANA_INACCESSIBLE),
            (AnaState::PersistentLoss, Status::ANA_PERSISTENT_LOSS),
            (AnaState::Change, Status::ANA_TRANSITION),
        ] {
            let gate = Gate::in_state(state).protected();
            assert_eq!(status(gate, Needs::READ), Err(expected));
            assert_eq!(status(gate, Needs::RESERVE), Err(expected));
        }
        let protected = Gate::in_state(AnaState::NonOptimized).protected();
        assert_eq!(status(protected, Needs::WRITE), Err(Status::WRITE_PROTECTED.do_not_retry()));
        assert_eq!(status(protected, Needs::READ), Ok(()));
        assert_eq!(status(protected, Needs::FLUSH), Ok(()));
    }
}
