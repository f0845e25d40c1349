//! Identify: what a controller and its namespaces are. Structures of 4,096 octets.
//!
//! Source: NVMe Base 2.0, "Identify command"; NVM Command Set 1.0 for the namespace.

mod controller;
mod list;
mod namespace;

pub use controller::IdentifyController;
pub use list::{ControllerList, DescriptorList, NamespaceDescriptor, NamespaceList};
pub use namespace::{IdentifyNamespace, IndependentNamespace, LbaFormat};

use super::opcode::codes;

/// Octets of every Identify structure.
pub const IDENTIFY_LEN: usize = 4096;

codes! {
    /// Which structure an Identify asks for.
    Cns {
        Namespace = 0x00 "namespace",
        Controller = 0x01 "controller",
        ActiveNamespaces = 0x02 "active_namespace_list",
        NamespaceDescriptors = 0x03 "namespace_descriptor_list",
        NamespaceOfCommandSet = 0x05 "namespace_of_command_set",
        ControllerOfCommandSet = 0x06 "controller_of_command_set",
        ActiveNamespacesOfCommandSet = 0x07 "active_namespace_list_of_command_set",
        IndependentNamespace = 0x08 "independent_namespace",
        AllocatedNamespaces = 0x10 "allocated_namespace_list",
        AllocatedNamespace = 0x11 "allocated_namespace",
        NamespaceControllers = 0x12 "namespace_controller_list",
        Controllers = 0x13 "controller_list",
        AllocatedNamespacesOfCommandSet = 0x1a "allocated_namespace_list_of_command_set",
        CommandSets = 0x1c "command_set_combinations",
    }
}

/// `text` as an ASCII field: cut off at `N`, padded with spaces; other than printable ASCII = `?`.
#[must_use]
pub fn ascii_field<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (octet, character) in field.iter_mut().zip(text.bytes()) {
        *octet = if matches!(character, 0x20..=0x7e) { character } else { b'?' };
    }
    field
}

/// An ASCII or UTF-8 field without the padding (spaces or zeros). `None` when it is not UTF-8.
#[must_use]
pub fn trim_field(field: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(field).ok()?;
    Some(text.trim_end_matches(['\0', ' ']))
}
