//! NVMe over Fabrics: Connect, properties, Disconnect, discovery, names.
//!
//! Source: NVMe Base 2.0, "Fabrics command set", "Discovery controller", "NVMe qualified names".

pub mod auth;

mod command;
mod connect;
mod discovery;
mod nqn;
mod property;

pub use command::{ConnectCmd, PropertyGetCmd, PropertySetCmd, PropertySize, disconnect_command};
pub use connect::{ConnectData, ConnectFault, ConnectResult};
pub use discovery::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, RdmaAddress, SubsystemType, TransportKind, Treq,
};
pub use nqn::{Nqn, NqnError};
pub use property::{Cap, Cc, Crto, Csts, Property, Shutdown, ShutdownState, Version};

/// Default port of I/O controllers.
pub const IO_PORT: u16 = 4420;
/// Default port of discovery controllers over TCP.
pub const DISCOVERY_PORT: u16 = 8009;

#[cfg(test)]
#[path = "fabrics_tests.rs"]
mod tests;
