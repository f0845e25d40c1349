//! Reservations: who may write a shared namespace. Four commands, their data, the report.
//!
//! Source: NVMe Base 2.1, "Reservation Acquire command", "Reservation Register command",
//! "Reservation Release command", "Reservation Report command".

use super::opcode::codes;
use super::{Cid, ControllerId, IoOpcode, Nsid, Sqe, ZeroBased};
use crate::octets::{Bits, Le16, Le32, Le64, Raw, U8, get, layout, set};

const CDW10: usize = 40;
const CDW11: usize = 44;

codes! {
    /// Who may do what while a reservation is held.
    ReservationType {
        WriteExclusive = 1 "write_exclusive",
        ExclusiveAccess = 2 "exclusive_access",
        WriteExclusiveRegistrants = 3 "write_exclusive_registrants_only",
        ExclusiveAccessRegistrants = 4 "exclusive_access_registrants_only",
        WriteExclusiveAll = 5 "write_exclusive_all_registrants",
        ExclusiveAccessAll = 6 "exclusive_access_all_registrants",
    }
}

codes! {
    /// What Reservation Register does.
    RegisterAction {
        Register = 0 "register",
        Unregister = 1 "unregister",
        Replace = 2 "replace",
    }
}

codes! {
    /// What Reservation Acquire does.
    AcquireAction {
        Acquire = 0 "acquire",
        Preempt = 1 "preempt",
        PreemptAndAbort = 2 "preempt_and_abort",
    }
}

codes! {
    /// What Reservation Release does.
    ReleaseAction {
        Release = 0 "release",
        Clear = 1 "clear",
    }
}

/// Dword 10 of Reservation Register, Acquire and Release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReservationCmd {
    /// Action code, 3 bits: [`RegisterAction`], [`AcquireAction`] or [`ReleaseAction`].
    pub action: u32,
    /// Ignore existing key.
    pub ignore_key: bool,
    /// Acquire, Release: [`ReservationType`] code.
    pub kind: u8,
    /// Register: change of persistence through power loss, 2 bits: 0 = none, 2 = off, 3 = on.
    pub persistence: u32,
}

impl ReservationCmd {
    /// Octets of data that go with Register and Acquire; Release has half of them.
    pub const DATA_LEN: usize = 16;

    /// Reads dword 10.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            action: get::<Bits<Le32, 0, 3>, _>(octets, CDW10),
            ignore_key: get::<Bits<Le32, 3, 1>, _>(octets, CDW10),
            kind: octets[CDW10 + 1],
            persistence: get::<Bits<Le32, 30, 2>, _>(octets, CDW10),
        }
    }

    /// A command with this dword.
    #[must_use]
    pub fn command(&self, opcode: IoOpcode, cid: Cid, nsid: Nsid) -> Sqe {
        let mut octets = *Sqe::new(opcode.octet(), cid, nsid).as_octets();
        set::<Bits<Le32, 0, 3>, _>(&mut octets, CDW10, self.action);
        set::<Bits<Le32, 3, 1>, _>(&mut octets, CDW10, self.ignore_key);
        octets[CDW10 + 1] = self.kind;
        set::<Bits<Le32, 30, 2>, _>(&mut octets, CDW10, self.persistence);
        Sqe::from_octets(octets)
    }
}

layout! {
    /// Data of Register (current key, new key) and Acquire (current key, key to preempt); the first
    /// half is the data of Release.
    #[derive(Copy)]
    ReservationKeys[16] {
        /// Key with which the host is registered.
        current set_current: u64 as Le64, 0;
        /// The other key.
        other set_other: u64 as Le64, 8;
    }
}

/// Reservation Report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportCmd {
    /// Dwords to transfer.
    pub dwords: ZeroBased<u32>,
    /// Host identifiers of 128 bits: the extended structure.
    pub extended: bool,
}

impl ReportCmd {
    /// Reads dwords 10 and 11.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        Self {
            dwords: ZeroBased::<u32>::from_raw(sqe.cdw10()),
            extended: get::<Bits<Le32, 0, 1>, _>(sqe.as_octets(), CDW11),
        }
    }

    /// A command with these dwords.
    #[must_use]
    pub fn command(&self, cid: Cid, nsid: Nsid) -> Sqe {
        let mut sqe = Sqe::new(IoOpcode::ReservationReport.octet(), cid, nsid);
        sqe.set_cdw10(self.dwords.raw()).set_cdw11(u32::from(self.extended));
        sqe
    }
}

layout! {
    /// First in a report of extended structures; [`RegisteredController`]s follow.
    #[derive(Copy)]
    ReservationStatus[64] {
        /// Counts registrations and preemptions.
        generation set_generation: u32 as Le32, 0;
        /// [`ReservationType`] code; 0 = no reservation.
        kind set_kind: u8 as U8, 4;
        /// Structures that follow, whether or not there is room for them.
        registered set_registered: u16 as Le16, 5;
        /// It persists through power loss: 0 or 1.
        persists set_persists: u8 as U8, 9;
    }
}

layout! {
    /// A controller of a registered host.
    #[derive(Copy)]
    RegisteredController[64] {
        /// See [`RegisteredController::controller`].
        controller_raw set_controller_raw: u16 as Le16, 0;
        /// Its host holds the reservation.
        holds set_holds: bool as Bits<U8, 0, 1>, 2;
        /// Key of the registration.
        key set_key: u64 as Le64, 8;
        /// Host.
        host_id set_host_id: [u8; 16] as Raw, 16;
    }
}

impl RegisteredController {
    /// The controller; [`ControllerId::DYNAMIC`]: its host is not connected.
    #[must_use]
    pub fn controller(&self) -> ControllerId {
        ControllerId(self.controller_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dword 10 of the three commands has its fields where the specification has them.
    #[test]
    fn dwords_lie_as_specified() {
        let command = ReservationCmd { action: 2, ignore_key: true, kind: 6, persistence: 3 };
        let sqe = command.command(IoOpcode::ReservationRegister, Cid(1), Nsid(1));
        assert_eq!((sqe.opcode(), sqe.cdw10()), (0x0d, 0xc000_060a));
        assert_eq!(ReservationCmd::decode(&sqe), command);
        let dwords = ZeroBased::<u32>::from_count(1024).unwrap();
        let report = ReportCmd { dwords, extended: true };
        let sqe = report.command(Cid(1), Nsid(1));
        assert_eq!((sqe.opcode(), sqe.cdw10(), sqe.cdw11()), (0x0e, 1023, 1));
        assert_eq!(ReportCmd::decode(&sqe), report);
    }

    /// Goal: the report's structures by their offsets.
    #[test]
    fn report_lies_as_specified() {
        let mut status = ReservationStatus::zeroed();
        status.set_generation(7).set_kind(3).set_registered(0x0102).set_persists(1);
        assert_eq!(status.as_octets()[..10], [7, 0, 0, 0, 3, 2, 1, 0, 0, 1]);
        let mut entry = RegisteredController::zeroed();
        entry.set_controller_raw(0xffff).set_holds(true).set_key(9).set_host_id([5; 16]);
        assert_eq!(entry.as_octets()[..9], [0xff, 0xff, 1, 0, 0, 0, 0, 0, 9]);
        assert_eq!(entry.as_octets()[16..32], [5; 16]);
        assert_eq!(entry.controller(), ControllerId::DYNAMIC);
    }
}
