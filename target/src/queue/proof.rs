//! A connection whose host must prove who it is.

use auth::ControllerSide;
use wire::nvme::Sqe;

/// The conversation, and the command of it that waits.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The machine.
    pub(crate) side: ControllerSide,
    /// What was asked of the helper.
    pub(crate) computing: Option<Computing>,
}

/// An Authentication Send that is answered once something was computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Computing {
    /// The job's tag.
    pub(crate) tag: u64,
    /// The command's place.
    pub(crate) slot: u16,
    /// The command.
    pub(crate) sqe: Sqe,
}
