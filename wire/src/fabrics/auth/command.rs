//! Authentication Send and Authentication Receive.
//!
//! Source: NVMe Base 2.1, "Authentication Send command", "Authentication Receive command".

use super::super::command::fabrics;
use crate::nvme::{Cid, FabricsType, Sqe};
use crate::octets::{Le32, get, set};

/// SECP: NVMe's protocols.
pub const SECURITY_PROTOCOL: u8 = 0xe9;
/// SPSP0 and SPSP1: in-band authentication.
pub const SECURITY_SPECIFIC: u8 = 1;

const SPSP0: usize = 41;
const SPSP1: usize = 42;
const SECP: usize = 43;
const LENGTH: usize = 44;

/// Both commands: they differ in their type, and in which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthCmd {
    /// [`SECURITY_SPECIFIC`].
    pub specific: [u8; 2],
    /// [`SECURITY_PROTOCOL`].
    pub protocol: u8,
    /// Octets that the host sends (TL), or has room for (AL).
    pub length: u32,
}

impl AuthCmd {
    /// Offset of SPSP0 in the command, for the error log; SPSP1 follows it.
    pub const SPECIFIC_AT: u16 = 41;
    /// Offset of SECP.
    pub const PROTOCOL_AT: u16 = 43;
    /// Offset of TL or AL.
    pub const LENGTH_AT: u16 = 44;

    /// Of DH-HMAC-CHAP, with `length` octets.
    #[must_use]
    pub const fn new(length: u32) -> Self {
        Self { specific: [SECURITY_SPECIFIC; 2], protocol: SECURITY_PROTOCOL, length }
    }

    /// Reads the command.
    #[must_use]
    pub fn decode(sqe: &Sqe) -> Self {
        let octets = sqe.as_octets();
        Self {
            specific: [octets[SPSP0], octets[SPSP1]],
            protocol: octets[SECP],
            length: get::<Le32, _>(octets, LENGTH),
        }
    }

    /// Authentication Send; its SGL describes a message.
    #[must_use]
    pub fn send(&self, cid: Cid) -> Sqe {
        self.command(FabricsType::AuthenticationSend, cid)
    }

    /// Authentication Receive; its SGL describes room for a message.
    #[must_use]
    pub fn receive(&self, cid: Cid) -> Sqe {
        self.command(FabricsType::AuthenticationReceive, cid)
    }

    fn command(&self, fabrics_type: FabricsType, cid: Cid) -> Sqe {
        let mut octets = fabrics(fabrics_type, cid);
        octets[SPSP0] = self.specific[0];
        octets[SPSP1] = self.specific[1];
        octets[SECP] = self.protocol;
        set::<Le32, _>(&mut octets, LENGTH, self.length);
        Sqe::from_octets(octets)
    }
}
