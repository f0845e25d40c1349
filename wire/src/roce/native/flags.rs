//! Flags of a native packet.

/// One octet of flags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct NativeFlags(u8);

impl NativeFlags {
    /// None.
    pub const NONE: Self = Self(0);
    /// First packet of its message.
    pub const FIRST: Self = Self(0x01);
    /// Last packet of its message.
    pub const LAST: Self = Self(0x02);
    /// `tail` holds a message of its own, delivered after this message's payload.
    pub const IMMEDIATE_MESSAGE: Self = Self(0x04);
    /// `invalidate` holds a key.
    pub const INVALIDATE: Self = Self(0x08);
    /// `immediate` holds immediate data.
    pub const IMMEDIATE_DATA: Self = Self(0x10);
    /// `ack_psn` and `echo_us` are valid.
    pub const ACK_VALID: Self = Self(0x20);
    /// Raise a solicited event. (The BTH's bit is the same; this one is the one to read.)
    pub const SOLICITED: Self = Self(0x40);
    /// Wait until every earlier packet has arrived before executing this one.
    pub const FENCE: Self = Self(0x80);

    /// Reads the octet; every bit means something.
    #[inline]
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        Self(octet)
    }

    /// The octet on the wire.
    #[inline]
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// All flags of `other` are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those of `other`.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those of `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// [`Self::with`] when `condition` holds.
    #[inline]
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        if condition { self.with(other) } else { self }
    }
}

impl core::ops::BitOr for NativeFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl core::fmt::Debug for NativeFlags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const NAMES: [(NativeFlags, &str); 8] = [
            (NativeFlags::FIRST, "FIRST"),
            (NativeFlags::LAST, "LAST"),
            (NativeFlags::IMMEDIATE_MESSAGE, "IMMEDIATE_MESSAGE"),
            (NativeFlags::INVALIDATE, "INVALIDATE"),
            (NativeFlags::IMMEDIATE_DATA, "IMMEDIATE_DATA"),
            (NativeFlags::ACK_VALID, "ACK_VALID"),
            (NativeFlags::SOLICITED, "SOLICITED"),
            (NativeFlags::FENCE, "FENCE"),
        ];
        f.write_str("[")?;
        let set = NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        for (index, (_, name)) in set.enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(name)?;
        }
        f.write_str("]")
    }
}
