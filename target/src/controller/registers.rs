//! Controller properties: what would be registers on PCI Express, reached by Property Get and Set.
//!
//! Source: NVMe Base 2.1, "Controller Properties"; which writes mean what follows Linux nvmet.

use wire::fabrics::{
    Cap, Cc, Crto, Csts, Property, PropertySize, Shutdown, ShutdownState, Version,
};

/// Most entries of an I/O submission queue.
pub(crate) const QUEUE_ENTRIES_MAX: u16 = 1024;
/// Entries of an admin queue, at most.
pub(crate) const ADMIN_ENTRIES_MAX: u16 = 32;
/// What the controller follows.
pub(crate) const VERSION: Version = Version::V2_1;
/// 7.5 s to become ready, as nvmet says; in truth it is at once.
const READY_500MS: u8 = 15;

/// CC.CSS: the NVM command set; all command sets that the profile names.
const CSS_NVM: u8 = 0;
const CSS_ALL: u8 = 6;

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
pub(crate) enum BadProperty {
    /// The size is at fault.
    Size,
    /// The offset is.
    Offset,
}

/// CC and CSTS of one controller.
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    kind: ControllerKind,
    cc: Cc,
    csts: Csts,
}

impl Registers {
    /// As after a reset.
    pub(crate) fn new(kind: ControllerKind) -> Registers {
        Registers { kind, cc: Cc::zeroed(), csts: Csts::zeroed() }
    }
    /// Commands other than Fabrics are served.
    pub(crate) fn is_ready(&self) -> bool {
        self.cc.enable() && self.csts.ready()
    }
    /// Property Get.
    pub(crate) fn get(&self, offset: u32, size: PropertySize) -> Result<u64, BadProperty> {
        let property = Property::from_offset(offset).ok_or(BadProperty::Offset)?;
        let len = match size {
            PropertySize::Four => 4,
            PropertySize::Eight => 8,
            PropertySize::Reserved(_) => return Err(BadProperty::Size),
        };
        if property.len_bytes() != len {
            return Err(BadProperty::Size);
        }
        match property {
            Property::Cap => Ok(capabilities().word()),
            Property::Vs => Ok(VERSION.word().into()),
            Property::Cc => Ok(self.cc.word().into()),
            Property::Csts => Ok(self.csts.word().into()),
            Property::Crto => {
                let mut crto = Crto::zeroed();
                crto.set_with_media_500ms(READY_500MS.into());
                Ok(crto.word().into())
            }
            Property::Nssr => Err(BadProperty::Offset),
        }
    }
    /// Property Set: only CC, in 4 octets.
    pub(crate) fn set(
        &mut self,
        offset: u32,
        size: PropertySize,
        value: u64,
    ) -> Result<Transition, BadProperty> {
        if size != PropertySize::Four {
            return Err(BadProperty::Size);
        }
        if Property::from_offset(offset) != Some(Property::Cc) {
            return Err(BadProperty::Offset);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is ignored")]
        Ok(self.set_cc(Cc::from_word(value as u32)))
    }

    fn set_cc(&mut self, new: Cc) -> Transition {
        let was_shut = self.cc.shutdown() != Shutdown::None;
        let shut = new.shutdown() != Shutdown::None;
        let was_enabled = self.cc.enable();
        self.cc = new;
        let mut transition = Transition::None;
        if new.enable() && !was_enabled {
            let supported = self.is_supported();
            self.csts.set_ready(supported).set_fatal(!supported);
            transition = Transition::Enabled;
        }
        if !new.enable() && was_enabled {
            self.csts = Csts::zeroed();
            transition = Transition::Disabled;
        }
        if shut && !was_shut {
            // Enable reads as 0 afterwards: the host enables afresh, without a reset in between.
            self.cc.set_enable(false);
            self.csts = Csts::zeroed();
            self.csts.set_shutdown_state(ShutdownState::Complete);
            transition = Transition::Disabled;
        }
        if !shut && was_shut {
            self.csts.set_shutdown_state(ShutdownState::Normal);
        }
        transition
    }

    /// Entry sizes 64 and 16, 4-KiB pages, round robin, the NVM command set.
    fn is_supported(&self) -> bool {
        let cc = &self.cc;
        let entries =
            self.kind == ControllerKind::Discovery || (cc.iosqes(), cc.iocqes()) == (6, 4);
        entries && matches!(cc.css(), CSS_NVM | CSS_ALL) && cc.mps() == 0 && cc.ams() == 0
    }
}

fn capabilities() -> Cap {
    let mut cap = Cap::zeroed();
    cap.set_mqes(QUEUE_ENTRIES_MAX - 1).set_cqr(true).set_timeout_500ms(READY_500MS);
    // Command sets: NVM, and as Identify lists them, which is the same one. Ready mode: with media.
    cap.set_css(1 | 1 << 6).set_crms(1);
    cap
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLE_IO: u64 = 4 << 20 | 6 << 16 | 1;
    const CC: u32 = 0x14;
    const CSTS: u32 = 0x1c;

    fn set(regs: &mut Registers, value: u64) -> Result<Transition, BadProperty> {
        regs.set(CC, PropertySize::Four, value)
    }

    /// Goal: enable, shutdown and reset do to CSTS what hosts wait for.
    #[test]
    fn configuration_moves_status() {
        let mut regs = Registers::new(ControllerKind::Io);
        assert_eq!(set(&mut regs, ENABLE_IO), Ok(Transition::Enabled));
        assert!(regs.is_ready());
        assert_eq!(set(&mut regs, ENABLE_IO | 1 << 14), Ok(Transition::Disabled));
        assert_eq!(regs.get(CSTS, PropertySize::Four), Ok(8));
        assert!(!regs.is_ready());
        assert_eq!(set(&mut regs, 0), Ok(Transition::None));
        assert_eq!(regs.get(CSTS, PropertySize::Four), Ok(0));
        assert_eq!(set(&mut regs, ENABLE_IO), Ok(Transition::Enabled));
        assert_eq!(set(&mut regs, 0), Ok(Transition::Disabled));
        assert!(!regs.is_ready());
    }

    /// Goal: a configuration that is not served makes the controller fatal, never ready.
    #[test]
    fn unsupported_configurations_are_fatal() {
        for cc in [1, ENABLE_IO | 1 << 7, ENABLE_IO | 1 << 4, ENABLE_IO | 1 << 11] {
            let mut regs = Registers::new(ControllerKind::Io);
            assert_eq!(set(&mut regs, cc), Ok(Transition::Enabled));
            assert!(!regs.is_ready());
            assert_eq!(regs.get(CSTS, PropertySize::Four), Ok(2), "{cc:#x}");
        }
        let mut discovery = Registers::new(ControllerKind::Discovery);
        assert_eq!(set(&mut discovery, 1), Ok(Transition::Enabled));
        assert!(discovery.is_ready(), "entry sizes matter to I/O controllers only");
    }

    /// Goal: a host that selects all command sets gets a controller, as one that selects NVM.
    #[test]
    fn both_command_set_choices_enable() {
        let mut regs = Registers::new(ControllerKind::Io);
        assert_eq!(set(&mut regs, ENABLE_IO | 6 << 4), Ok(Transition::Enabled));
        assert!(regs.is_ready());
        assert_eq!(regs.get(0x08, PropertySize::Four), Ok(0x0002_0100));
    }

    /// Goal: unknown properties, wrong sizes and read-only properties are refused.
    #[test]
    fn bad_properties_are_refused() {
        let mut regs = Registers::new(ControllerKind::Io);
        assert_eq!(regs.get(0x00, PropertySize::Eight), Ok(0x0800_0820_0f01_03ff));
        assert_eq!(regs.get(0x00, PropertySize::Four), Err(BadProperty::Size));
        assert_eq!(regs.get(0x04, PropertySize::Four), Err(BadProperty::Offset));
        assert_eq!(regs.set(CSTS, PropertySize::Four, 1), Err(BadProperty::Offset));
        assert_eq!(regs.set(CC, PropertySize::Eight, 1), Err(BadProperty::Size));
    }
}
