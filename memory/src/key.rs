//! Keys and access rights.

/// Local key: names a registration in work requests of this host. 32 bits: a 24-bit index that is
/// not guessable from another registration's, and a key octet that changes at each registration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Lkey(pub u32);

/// Remote key: what a peer presents to reach a registration. Same shape as [`Lkey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Rkey(pub u32);

/// Access rights of a registration, with the bit values of `ibv_access_flags`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access(u32);

impl Access {
    /// Local read only (always granted).
    pub const LOCAL_READ: Access = Access(0);
    /// The NIC may place data for local work requests (receives, RDMA READ destinations).
    pub const LOCAL_WRITE: Access = Access(1);
    /// Peers may RDMA WRITE. Requires `LOCAL_WRITE`, as in ibverbs.
    pub const REMOTE_WRITE: Access = Access(1 << 1);
    /// Peers may RDMA READ.
    pub const REMOTE_READ: Access = Access(1 << 2);
    /// Peers may execute atomics. Requires `LOCAL_WRITE`.
    pub const REMOTE_ATOMIC: Access = Access(1 << 3);

    /// Rights from raw `ibv_access_flags` bits; unknown bits are kept out.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Access {
        Access(bits & 0xf)
    }
    /// The `ibv_access_flags` bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
    /// All of `other`'s rights are in `self`.
    #[must_use]
    pub const fn contains(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
    /// ibverbs' rule: remote write and atomic need local write.
    #[must_use]
    pub const fn is_consistent(self) -> bool {
        let needs_local = self.0 & (Access::REMOTE_WRITE.0 | Access::REMOTE_ATOMIC.0) != 0;
        !needs_local || self.0 & Access::LOCAL_WRITE.0 != 0
    }
}

impl std::ops::BitOr for Access {
    type Output = Access;
    fn bitor(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
}
