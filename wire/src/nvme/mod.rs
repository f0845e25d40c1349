//! NVMe: commands, completions, and the structures that they move.
//!
//! Read first: [`Sqe`] and its commands ([`Rw`], [`IdentifyCmd`], …), [`Cqe`] and [`Status`], then
//! [`Sgl`]. Structures keep their octets as the value: fields without a name here survive.
//! All integers little endian. Source: NVM Express Base 2.0, NVM Command Set 1.0.

mod admin_cmd;
mod copy_cmd;
mod cqe;
mod event;
mod feature;
pub mod identify;
mod io_cmd;
pub mod log;
pub(crate) mod opcode;
pub mod reservation;
mod scalar;
mod sgl;
mod sqe;
mod status;

pub use admin_cmd::{AbortCmd, FeatureCmd, FeatureSelect, GetLogPageCmd, IdentifyCmd};
pub use copy_cmd::{CopyCmd, CopyRange};
pub use cqe::Cqe;
pub use event::AsyncEvent;
pub use feature::{FeatureId, QueueCount, Timestamp};
pub use io_cmd::{DsmCmd, DsmRange, Rw};
pub use opcode::{AdminOpcode, FabricsType, IoOpcode};
pub use scalar::{Cid, ControllerId, Lba, Nsid, QueueId, ZeroBased};
pub use sgl::Sgl;
pub use sqe::Sqe;
pub use status::Status;

#[cfg(test)]
#[path = "command_tests.rs"]
mod command_tests;

#[cfg(test)]
#[path = "structures_tests.rs"]
mod structures_tests;
