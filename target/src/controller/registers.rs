//! Controller properties: what would be registers on PCI Express, reached by Property Get and Set.
//!
//! Source: NVMe Base 2.0, "Controller Properties"; which writes mean what follows Linux nvmet.

/// Most entries of an I/O submission queue.
pub(crate) const QUEUE_ENTRIES_MAX: u16 = 1024;
/// Entries of an admin queue, at most.
pub(crate) const ADMIN_ENTRIES_MAX: u16 = 32;
/// NVMe 2.0.
pub(crate) const VERSION: u32 = 2 << 16;

/// CAP: MQES, CQR (queues are contiguous), TO = 7.5 s, CSS = NVM, CRMS = ready with media.
const CAP: u64 = (QUEUE_ENTRIES_MAX as u64 - 1) | 1 << 16 | 15 << 24 | 1 << 37 | 1 << 59;
/// CRTO: ready with media within 7.5 s.
const CRTO: u32 = 15;

/// Offsets of the properties that exist over fabrics.
mod offset {
    pub(super) const CAP: u32 = 0x00;
    pub(super) const VS: u32 = 0x08;
    pub(super) const CC: u32 = 0x14;
    pub(super) const CSTS: u32 = 0x1c;
    pub(super) const CRTO: u32 = 0x68;
}

const CC_ENABLE: u32 = 1;
const CSTS_READY: u32 = 1;
const CSTS_FATAL: u32 = 1 << 1;
const CSTS_SHUTDOWN_COMPLETE: u32 = 2 << 2;

/// Which rules hold for a controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControllerKind {
    /// Namespaces and I/O queues.
    Io,
    /// The discovery log only.
    Discovery,
}

/// What a write to CC made of the controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transition {
    /// Nothing that matters outside.
    None,
    /// It became ready.
    Enabled,
    /// It was reset or shut down: outstanding event requests end.
    Disabled,
}

/// A property that does not exist, or not in that size, or that is read-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadProperty {
    /// The size is at fault, not the offset.
    pub(crate) size: bool,
}

/// CC and CSTS of one controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Registers {
    kind: ControllerKind,
    cc: u32,
    csts: u32,
}

impl Registers {
    /// As after a reset.
    pub(crate) fn new(kind: ControllerKind) -> Registers {
        Registers { kind, cc: 0, csts: 0 }
    }
    /// Commands other than Fabrics are served.
    pub(crate) fn is_ready(&self) -> bool {
        self.cc & CC_ENABLE != 0 && self.csts & CSTS_READY != 0
    }
    /// Property Get. `wide`: 8 octets rather than 4.
    pub(crate) fn get(&self, offset: u32, wide: bool) -> Result<u64, BadProperty> {
        match (offset, wide) {
            (offset::CAP, true) => Ok(CAP),
            (offset::VS, false) => Ok(u64::from(VERSION)),
            (offset::CC, false) => Ok(u64::from(self.cc)),
            (offset::CSTS, false) => Ok(u64::from(self.csts)),
            (offset::CRTO, false) => Ok(u64::from(CRTO)),
            (offset::CAP | offset::VS | offset::CC | offset::CSTS | offset::CRTO, _) => {
                Err(BadProperty { size: true })
            }
            _ => Err(BadProperty { size: false }),
        }
    }
    /// Property Set: only CC, in 4 octets.
    pub(crate) fn set(
        &mut self,
        offset: u32,
        wide: bool,
        value: u32,
    ) -> Result<Transition, BadProperty> {
        if wide || offset != offset::CC {
            return Err(BadProperty { size: wide });
        }
        Ok(self.set_cc(value))
    }

    fn set_cc(&mut self, new: u32) -> Transition {
        let (was_enabled, enable) = (self.cc & CC_ENABLE != 0, new & CC_ENABLE != 0);
        let (was_shut, shut) = (shutdown(self.cc), shutdown(new));
        self.cc = new;
        let mut transition = Transition::None;
        if enable && !was_enabled {
            self.csts = if self.is_supported() { CSTS_READY } else { CSTS_FATAL };
            transition = Transition::Enabled;
        }
        if !enable && was_enabled {
            self.csts = 0;
            transition = Transition::Disabled;
        }
        if shut && !was_shut {
            // Enable reads as 0 afterwards: the host enables afresh, without a reset in between.
            self.cc &= !CC_ENABLE;
            self.csts = CSTS_SHUTDOWN_COMPLETE;
            transition = Transition::Disabled;
        }
        if !shut && was_shut {
            self.csts &= !CSTS_SHUTDOWN_COMPLETE;
        }
        transition
    }

    /// Entry sizes 64 and 16, 4-KiB pages, round robin, the NVM command set.
    fn is_supported(&self) -> bool {
        let (sets, page, arbitration) = (self.cc >> 4 & 7, self.cc >> 7 & 15, self.cc >> 11 & 7);
        let (sqes, cqes) = (self.cc >> 16 & 15, self.cc >> 20 & 15);
        let entries = self.kind == ControllerKind::Discovery || (sqes, cqes) == (6, 4);
        entries && sets == 0 && page == 0 && arbitration == 0
    }
}

fn shutdown(cc: u32) -> bool {
    cc >> 14 & 3 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLE_IO: u32 = 4 << 20 | 6 << 16 | 1;

    /// Goal: enable, shutdown and reset do to CSTS what hosts wait for.
    #[test]
    fn configuration_moves_status() {
        let mut regs = Registers::new(ControllerKind::Io);
        assert_eq!(regs.set(0x14, false, ENABLE_IO), Ok(Transition::Enabled));
        assert!(regs.is_ready());
        assert_eq!(regs.set(0x14, false, ENABLE_IO | 1 << 14), Ok(Transition::Disabled));
        assert_eq!(regs.get(0x1c, false), Ok(8));
        assert!(!regs.is_ready());
        assert_eq!(regs.set(0x14, false, 0), Ok(Transition::None));
        assert_eq!(regs.get(0x1c, false), Ok(0));
        assert_eq!(regs.set(0x14, false, ENABLE_IO), Ok(Transition::Enabled));
        assert_eq!(regs.set(0x14, false, 0), Ok(Transition::Disabled));
        assert!(!regs.is_ready());
    }

    /// Goal: a configuration that is not served makes the controller fatal, never ready.
    #[test]
    fn unsupported_configurations_are_fatal() {
        for cc in [1, ENABLE_IO | 1 << 7, ENABLE_IO | 1 << 4, ENABLE_IO | 1 << 11] {
            let mut regs = Registers::new(ControllerKind::Io);
            assert_eq!(regs.set(0x14, false, cc), Ok(Transition::Enabled));
            assert!(!regs.is_ready());
            assert_eq!(regs.get(0x1c, false), Ok(2), "{cc:#x}");
        }
        let mut discovery = Registers::new(ControllerKind::Discovery);
        assert_eq!(discovery.set(0x14, false, 1), Ok(Transition::Enabled));
        assert!(discovery.is_ready(), "entry sizes matter to I/O controllers only");
    }

    /// Goal: unknown properties, wrong sizes and read-only properties are refused.
    #[test]
    fn bad_properties_are_refused() {
        let mut regs = Registers::new(ControllerKind::Io);
        assert_eq!(regs.get(0x00, false), Err(BadProperty { size: true }));
        assert_eq!(regs.get(0x04, false), Err(BadProperty { size: false }));
        assert_eq!(regs.set(0x1c, false, 1), Err(BadProperty { size: false }));
        assert_eq!(regs.set(0x14, true, 1), Err(BadProperty { size: true }));
    }
}
