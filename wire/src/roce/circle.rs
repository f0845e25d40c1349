//! Sequence numbers on a circle of 2^24: serial arithmetic, never an order.
//!
//! Source: IBTA 1.4, "Packet sequence numbers"; the comparison is that of RFC 1982.

macro_rules! circle24 {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// The low 24 bits of `value`.
            #[inline]
            #[must_use]
            pub const fn new(value: u32) -> Self {
                Self(value & 0x00ff_ffff)
            }

            /// 0 to 2^24 - 1.
            #[inline]
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// `count` further along the circle.
            #[inline]
            #[must_use]
            pub const fn advance(self, count: u32) -> Self {
                Self::new(self.0.wrapping_add(count))
            }

            /// `count` back along the circle.
            #[inline]
            #[must_use]
            pub const fn retreat(self, count: u32) -> Self {
                Self::new(self.0.wrapping_sub(count))
            }

            /// The one after this.
            #[inline]
            #[must_use]
            pub const fn next(self) -> Self {
                self.advance(1)
            }

            /// How far this lies after `from`, -2^23 to 2^23 - 1; negative when before.
            #[inline]
            #[must_use]
            pub const fn distance_from(self, from: Self) -> i32 {
                // The 24-bit difference in the high bits, so that the shift extends its sign.
                (self.0.wrapping_sub(from.0) << 8).cast_signed() >> 8
            }

            /// Steps forward from `from` to this, 0 to 2^24 - 1.
            #[inline]
            #[must_use]
            pub const fn steps_from(self, from: Self) -> u32 {
                self.0.wrapping_sub(from.0) & 0x00ff_ffff
            }

            /// Serial comparison: less than half a circle before `other`.
            #[inline]
            #[must_use]
            pub const fn is_before(self, other: Self) -> bool {
                self.distance_from(other) < 0
            }

            /// Serial comparison: less than half a circle after `other`.
            #[inline]
            #[must_use]
            pub const fn is_after(self, other: Self) -> bool {
                self.distance_from(other) > 0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{:#08x}", self.0)
            }
        }
    };
}

circle24! {
    /// Packet sequence number, 24 bits.
    Psn
}
circle24! {
    /// Message sequence number, 24 bits.
    Msn
}

#[cfg(test)]
#[path = "circle_tests.rs"]
mod tests;
