//! The notification pipe: work and completions between host and NIC thread. FlexiNS part:
//! "DMA-only notification pipe".
//!
//! Descriptors of 64 octets with an owner bit cross in shared memory, in batches. There is no
//! doorbell and no system call while either side is busy; an idle side arms its [`bell`] and sleeps.
//!
//! Read first: [`ring`] (one direction), [`bell`] (sleep and wake), [`descriptor`] (what crosses),
//! then [`host`] and [`nic_thread`] (both ends of a fabric).

pub mod bell;
mod lines;
pub mod ring;

// Under loom only the ring and the flag exist: the rest needs real threads and descriptors.
#[cfg(not(feature = "loom"))]
mod control;
#[cfg(not(feature = "loom"))]
mod descriptor;
#[cfg(not(feature = "loom"))]
mod ends;
#[cfg(not(feature = "loom"))]
mod host;
#[cfg(not(feature = "loom"))]
mod nic_thread;

#[cfg(not(feature = "loom"))]
pub use control::{Call, HostControl, NicControl, Reply};
#[cfg(not(feature = "loom"))]
pub use ends::{HostEnds, NicEnds, SharedPipe};
#[cfg(not(feature = "loom"))]
pub use host::{PipeFabric, PipeOptions};
#[cfg(not(feature = "loom"))]
pub use nic_thread::NicSide;
