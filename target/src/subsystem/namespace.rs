//! A namespace: blocks of a disk under a number, and who may do what with them.

use super::DiskIndex;
use crate::access::HostList;
use crate::identity::NamespaceIds;
use crate::reservation::Reservations;
use storage::Geometry;

/// Blocks under a number, for the hosts of one subsystem.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Namespace identifier, from 1.
    pub nsid: u32,
    /// Where its blocks are.
    pub disk: DiskIndex,
    /// The disk's geometry: blocks of 512 or 4,096 octets.
    pub geometry: Geometry,
    /// Names that outlive a restart.
    pub ids: NamespaceIds,
    /// Group for asymmetric access, from 1.
    pub ana_group: u32,
    /// Hosts for which it exists.
    pub hosts: HostList,
    /// Who protects it from writes.
    pub protection: Protection,
    /// Who holds what of it.
    pub(crate) reservations: Reservations,
}

/// Whether, and by whose word, a namespace is write-protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protection {
    /// It can be written.
    #[default]
    None,
    /// A host protected it (feature 84h), and a host may end that.
    ByHost,
    /// The operator exported it read-only: no host can change that.
    ByOperator,
}

impl Namespace {
    /// A namespace for all hosts, in group 1, writable.
    pub(crate) fn new(
        nsid: u32,
        disk: DiskIndex,
        geometry: Geometry,
        ids: NamespaceIds,
    ) -> Namespace {
        Namespace {
            nsid,
            disk,
            geometry,
            ids,
            ana_group: 1,
            hosts: HostList::Any,
            protection: Protection::None,
            reservations: Reservations::default(),
        }
    }
    /// The same with these reservations.
    pub(crate) fn with_reservations(self, reservations: Reservations) -> Namespace {
        Namespace { reservations, ..self }
    }
    /// Commands that change blocks are refused.
    #[must_use]
    pub fn is_write_protected(&self) -> bool {
        self.protection != Protection::None
    }
}
