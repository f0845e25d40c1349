//! What is supported: commands and their effects (page 05h), log pages (page 00h).

use crate::octets::{Bits, Le32, get, layout, set};

/// What a command does to others. [`Self::NONE`] = not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects(pub u32);

impl Effects {
    /// Not supported.
    pub const NONE: Self = Self(0);
    /// Supported.
    pub const SUPPORTED: Self = Self(1);
    /// Changes the content of logical blocks.
    pub const CHANGES_DATA: Self = Self(1 << 1);
    /// Changes the capabilities of a namespace.
    pub const CHANGES_NAMESPACE: Self = Self(1 << 2);
    /// Changes which namespaces there are.
    pub const CHANGES_INVENTORY: Self = Self(1 << 3);
    /// Changes the capabilities of the controller.
    pub const CHANGES_CONTROLLER: Self = Self(1 << 4);

    /// These and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The command is supported.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        self.0 & Self::SUPPORTED.0 != 0
    }
}

layout! {
    /// Commands supported and effects: 256 admin opcodes, then 256 I/O opcodes.
    CommandEffects[4096] {}
}

const IO: usize = 1024;

impl CommandEffects {
    /// Of an admin opcode.
    #[must_use]
    pub fn admin(&self, opcode: u8) -> Effects {
        Effects(get::<Le32, _>(&self.octets, 4 * usize::from(opcode)))
    }

    /// Writes [`Self::admin`].
    pub fn set_admin(&mut self, opcode: u8, effects: Effects) -> &mut Self {
        set::<Le32, _>(&mut self.octets, 4 * usize::from(opcode), effects.0);
        self
    }

    /// Of an I/O opcode.
    #[must_use]
    pub fn io(&self, opcode: u8) -> Effects {
        Effects(get::<Le32, _>(&self.octets, IO + 4 * usize::from(opcode)))
    }

    /// Writes [`Self::io`].
    pub fn set_io(&mut self, opcode: u8, effects: Effects) -> &mut Self {
        set::<Le32, _>(&mut self.octets, IO + 4 * usize::from(opcode), effects.0);
        self
    }
}

layout! {
    /// Supported log pages: a dword for each of 256 identifiers, bit 0 = supported.
    SupportedLogPages[1024] {}
}

impl SupportedLogPages {
    /// The page can be read.
    #[must_use]
    pub fn contains(&self, lid: u8) -> bool {
        get::<Bits<Le32, 0, 1>, _>(&self.octets, 4 * usize::from(lid))
    }

    /// Adds a page.
    pub fn insert(&mut self, lid: u8) -> &mut Self {
        set::<Bits<Le32, 0, 1>, _>(&mut self.octets, 4 * usize::from(lid), true);
        self
    }
}
