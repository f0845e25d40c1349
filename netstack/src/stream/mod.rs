//! Sockets of the kernel's TCP, as a fabric over it wants them: which have something, without asking
//! each; options that suit small messages and long ones.

mod readiness;
mod socket;

pub use readiness::{Readiness, Ready};
pub use socket::{connecting, listener};
