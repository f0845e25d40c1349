//! What goes with a Connect: its 1,024 octets of data, and its result.

use super::{Nqn, NqnError};
use crate::nvme::ControllerId;
use crate::octets::{Le16, Raw, layout};

layout! {
    /// Data of a Connect: who connects to what.
    ConnectData[1024] {
        /// Host identifier: the same host always sends the same.
        host_id set_host_id: [u8; 16] as Raw, 0;
        /// Controller wanted; see [`ConnectData::controller`].
        controller_raw set_controller_raw: u16 as Le16, 16;
        /// Subsystem NQN, zero padded.
        subsystem_nqn_raw set_subsystem_nqn_raw: [u8; 256] as Raw, 256;
        /// Host NQN, zero padded.
        host_nqn_raw set_host_nqn_raw: [u8; 256] as Raw, 512;
    }
}

impl ConnectData {
    /// A request.
    #[must_use]
    pub fn new(host_id: [u8; 16], controller: ControllerId, subsystem: &Nqn, host: &Nqn) -> Self {
        let mut data = Self::zeroed();
        data.set_host_id(host_id)
            .set_controller_raw(controller.0)
            .set_subsystem_nqn_raw(subsystem.field())
            .set_host_nqn_raw(host.field());
        data
    }

    /// [`ControllerId::DYNAMIC`] on the admin queue of a dynamic controller; on an I/O queue the
    /// controller of its association.
    #[must_use]
    pub fn controller(&self) -> ControllerId {
        ControllerId(self.controller_raw())
    }

    /// Errors: the host's fault.
    pub fn subsystem_nqn(&self) -> Result<Nqn, NqnError> {
        Nqn::from_field(&self.subsystem_nqn_raw())
    }

    /// Errors: the host's fault.
    pub fn host_nqn(&self) -> Result<Nqn, NqnError> {
        Nqn::from_field(&self.host_nqn_raw())
    }
}

/// Dword 0 of a successful Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectResult {
    /// The controller.
    pub controller: ControllerId,
    /// Authentication that is required before anything else: bits; 0 = none.
    pub authentication: u16,
}

impl ConnectResult {
    /// Authentication: a transaction of the host (ATR, bit 17 of the dword).
    pub const AUTHENTICATE: u16 = 1 << 1;
    /// Authentication: one that makes a key for a secure channel (ASCR, bit 18).
    pub const AUTHENTICATE_FOR_CHANNEL: u16 = 1 << 2;

    /// Reads dword 0.
    #[must_use]
    pub const fn from_dword(dword: u32) -> Self {
        let [a, b, c, d] = dword.to_le_bytes();
        Self {
            controller: ControllerId(u16::from_le_bytes([a, b])),
            authentication: u16::from_le_bytes([c, d]),
        }
    }

    /// Dword 0.
    #[must_use]
    pub const fn dword(self) -> u32 {
        let [a, b] = self.controller.0.to_le_bytes();
        let [c, d] = self.authentication.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Dword 0 of a Connect that failed with "Connect invalid parameters": which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFault {
    /// Octet offset of the parameter.
    pub offset: u16,
    /// The offset is into the data, not into the command.
    pub in_data: bool,
}

impl ConnectFault {
    /// The queue id of the command.
    pub const QUEUE_ID: Self = Self { offset: 42, in_data: false };
    /// The queue size of the command.
    pub const SQ_SIZE: Self = Self { offset: 44, in_data: false };
    /// The controller id of the data.
    pub const CONTROLLER_ID: Self = Self { offset: 16, in_data: true };
    /// The subsystem NQN of the data.
    pub const SUBSYSTEM_NQN: Self = Self { offset: 256, in_data: true };
    /// The host NQN of the data.
    pub const HOST_NQN: Self = Self { offset: 512, in_data: true };

    /// Reads dword 0.
    #[must_use]
    pub const fn from_dword(dword: u32) -> Self {
        let [a, b, in_data, _] = dword.to_le_bytes();
        Self { offset: u16::from_le_bytes([a, b]), in_data: in_data & 1 != 0 }
    }

    /// Dword 0.
    #[must_use]
    pub const fn dword(self) -> u32 {
        let [a, b] = self.offset.to_le_bytes();
        u32::from_le_bytes([a, b, self.in_data as u8, 0])
    }
}
