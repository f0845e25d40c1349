//! What an operator may ask for and cannot have.

use storage::Geometry;
use wire::fabrics::NqnError;

/// Why a subsystem or namespace cannot be exported. The configuration's fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExportError {
    /// The name is not an NVMe qualified name.
    #[error("{0:?} cannot name a subsystem: {1}")]
    BadNqn(String, NqnError),
    /// Two subsystems of one name, or one named like the discovery service.
    #[error("subsystem {0:?} exists already")]
    DuplicateNqn(String),
    /// Namespace identifiers go from 1 to 1,024 and are used once in a subsystem.
    #[error("namespace identifier {0} is taken or not in 1..=1024")]
    BadNsid(u32),
    /// Blocks must be 512 or 4,096 octets, and there must be at least one.
    #[error("a disk of {count} blocks of {bytes} octets cannot be exported", count = .0.block_count, bytes = .0.block_bytes)]
    BadGeometry(Geometry),
    /// The fabric has no room to register the disk's buffers.
    #[error("the disk's buffers cannot be registered: {0}")]
    Register(#[from] memory::RegistryFull),
    /// No namespace of that number in the subsystem.
    #[error("no namespace {0}")]
    NoSuchNamespace(u32),
    /// Groups for asymmetric access go from 1 to 128.
    #[error("group {0} is not in 1..=128")]
    BadGroup(u32),
    /// What was kept of a namespace's reservations cannot be read.
    #[error("the namespace's reservations cannot be restored: {0}")]
    Reservations(String),
    /// The disk cannot have that size.
    #[error("the disk cannot be resized: {0}")]
    Resize(String),
    /// Identifiers are used once in the whole target: hosts refuse a second namespace that has one.
    #[error("an identifier of namespace {0} belongs to another namespace, or is zero")]
    DuplicateIds(u32),
    /// What hosts are told of the subsystem is ASCII.
    #[error("a {what} has 1 to {max} printable ASCII characters")]
    BadText {
        /// Which.
        what: &'static str,
        /// Characters at most.
        max: usize,
    },
    /// A discovery service is told of once.
    #[error("the discovery service at {0} is told of already")]
    DuplicateReferral(std::net::SocketAddr),
    /// No such discovery service is told of.
    #[error("no discovery service at {0} is told of")]
    NoSuchReferral(std::net::SocketAddr),
    /// Every host reads all of them.
    #[error("more than {0} other discovery services")]
    TooManyReferrals(usize),
    /// No subsystem of that name here.
    #[error("no subsystem {0:?}")]
    NoSuchSubsystem(String),
}
