//! Numbers with a meaning.

/// Namespace id. 0 = none, `0xffff_ffff` = all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nsid(pub u32);

impl Nsid {
    /// No namespace.
    pub const NONE: Self = Self(0);
    /// Every namespace.
    pub const ALL: Self = Self(0xffff_ffff);
}

/// Logical block address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lba(pub u64);

/// Command id, chosen by the host, unique among a queue's outstanding commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid(pub u16);

/// Queue id; 0 = admin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u16);

impl QueueId {
    /// The admin queue.
    pub const ADMIN: Self = Self(0);
}

/// Controller id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControllerId(pub u16);

impl ControllerId {
    /// In Connect: the controller is to be chosen by the subsystem.
    pub const DYNAMIC: Self = Self(0xffff);
}

/// A count that the wire carries as count - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZeroBased<T>(T);

macro_rules! zero_based {
    ($($raw:ident $wide:ident;)*) => { $(
        impl ZeroBased<$raw> {
            /// From the field on the wire.
            #[inline]
            #[must_use]
            pub const fn from_raw(raw: $raw) -> Self {
                Self(raw)
            }

            /// The field for the wire.
            #[inline]
            #[must_use]
            pub const fn raw(self) -> $raw {
                self.0
            }

            /// The count, at least 1; never overflows.
            #[inline]
            #[must_use]
            pub const fn count(self) -> $wide {
                self.0 as $wide + 1
            }

            /// `None` for 0 and for counts beyond the field.
            #[inline]
            #[must_use]
            pub fn from_count(count: $wide) -> Option<Self> {
                count.checked_sub(1).and_then(|raw| $raw::try_from(raw).ok()).map(Self)
            }
        }
    )* };
}
zero_based! { u8 u16; u16 u32; u32 u64; }
