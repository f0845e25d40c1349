//! Handlers that run where payload passes. FlexiNS part: "programmable offloading engine".
//!
//! A handler sees every packet's payload right after it was placed, while it is in the first-level
//! cache, and every message when it completes. It has a budget of steps and a grant of memory, and
//! neither clock nor I/O.

mod crc;
mod grant;

pub use crc::{Crc32c, Watch};
pub use grant::{Fault, Grant, Window};

use verbs::QpNum;

/// Steps that a handler may take for one packet: four for each 64-octet line of the largest.
pub const PACKET_STEPS: u32 = 256;
/// Steps that a handler may take for one message.
pub const MESSAGE_STEPS: u32 = 4096;

/// Payload of one packet, just placed.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'p> {
    /// Queue pair that it came for.
    pub qp: QpNum,
    /// Process address where it now lies.
    pub at: u64,
    /// The octets, in the receive ring.
    pub payload: &'p [u8],
}

/// A message that completed on a queue pair: received, or an RDMA READ answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Queue pair.
    pub qp: QpNum,
    /// From the work request.
    pub wr_id: u64,
    /// Octets.
    pub len: u32,
}

/// A handler. One per NIC; several are combined by a handler that holds them.
pub trait Offload: Send {
    /// Does nothing: callers may skip the calls.
    const IDLE: bool = false;
    /// A packet's payload was placed. Errors: the handler's own; the NIC counts them.
    fn on_packet(&mut self, piece: &Piece<'_>, grant: &mut Grant<'_>) -> Result<(), Fault>;
    /// A message completed. Errors: as above.
    fn on_message(&mut self, message: &Message, grant: &mut Grant<'_>) -> Result<(), Fault>;
}

/// No handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoOffload;

impl Offload for NoOffload {
    const IDLE: bool = true;
    fn on_packet(&mut self, _piece: &Piece<'_>, _grant: &mut Grant<'_>) -> Result<(), Fault> {
        Ok(())
    }
    fn on_message(&mut self, _message: &Message, _grant: &mut Grant<'_>) -> Result<(), Fault> {
        Ok(())
    }
}
