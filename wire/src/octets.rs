//! Field access: the only place that turns octets into integers, and the only shift-and-mask.
//!
//! Offsets are constants of a format and the slices are structures whose length was checked at the
//! border, so an offset outside is our bug and panics; with constants the check compiles away.

/// `N` octets at `at`.
#[inline]
pub(crate) fn take<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&octets[at..at + N]);
    field
}

/// Stores `N` octets at `at`.
#[inline]
pub(crate) fn put<const N: usize>(octets: &mut [u8], at: usize, field: [u8; N]) {
    octets[at..at + N].copy_from_slice(&field);
}

/// The `width` bits of `word` that start at bit `low` (0 = least significant), right-aligned.
///
/// The only shift-and-mask of the workspace. Panics when the field is not inside 64 bits.
#[inline]
#[must_use]
pub const fn bits(word: u64, low: u32, width: u32) -> u64 {
    (word >> low) & mask(width)
}

/// `word` with the `width` bits at `low` replaced by `value`. Excess bits of `value` are cut off.
#[inline]
#[must_use]
pub const fn with_bits(word: u64, low: u32, width: u32, value: u64) -> u64 {
    (word & !(mask(width) << low)) | ((value & mask(width)) << low)
}

const fn mask(width: u32) -> u64 {
    assert!(width >= 1 && width <= 64, "a bit field has 1 to 64 bits");
    u64::MAX >> (64 - width)
}

/// How one field lies in octets. `V` is the type that the reader sees.
pub(crate) trait Codec<V> {
    fn get(octets: &[u8], at: usize) -> V;
    fn set(octets: &mut [u8], at: usize, value: V);
}

macro_rules! integer_codec {
    ($($codec:ident $int:ident $from:ident $to:ident;)*) => { $(
        #[doc = concat!("`", stringify!($int), "` by `", stringify!($from), "`.")]
        pub(crate) struct $codec;
        impl Codec<$int> for $codec {
            #[inline]
            fn get(octets: &[u8], at: usize) -> $int { $int::$from(take(octets, at)) }
            #[inline]
            fn set(octets: &mut [u8], at: usize, value: $int) { put(octets, at, value.$to()); }
        }
    )* };
}
integer_codec! {
    U8 u8 from_be_bytes to_be_bytes;
    Be16 u16 from_be_bytes to_be_bytes;
    Be32 u32 from_be_bytes to_be_bytes;
    Be64 u64 from_be_bytes to_be_bytes;
    Le16 u16 from_le_bytes to_le_bytes;
    Le32 u32 from_le_bytes to_le_bytes;
    Le64 u64 from_le_bytes to_le_bytes;
    Le128 u128 from_le_bytes to_le_bytes;
}

/// Reads a field: `get::<Be32, _>(octets, 8)`.
#[inline]
pub(crate) fn get<C: Codec<V>, V>(octets: &[u8], at: usize) -> V {
    C::get(octets, at)
}

/// Writes a field.
#[inline]
pub(crate) fn set<C: Codec<V>, V>(octets: &mut [u8], at: usize, value: V) {
    C::set(octets, at, value);
}

/// 24 bits, big endian, as the low bits of a `u32`; writing cuts the high octet off.
pub(crate) struct Be24;
impl Codec<u32> for Be24 {
    #[inline]
    fn get(octets: &[u8], at: usize) -> u32 {
        let [a, b, c] = take(octets, at);
        u32::from_be_bytes([0, a, b, c])
    }
    #[inline]
    fn set(octets: &mut [u8], at: usize, value: u32) {
        let [_, a, b, c] = value.to_be_bytes();
        put(octets, at, [a, b, c]);
    }
}

/// 24 bits, little endian.
pub(crate) struct Le24;
impl Codec<u32> for Le24 {
    #[inline]
    fn get(octets: &[u8], at: usize) -> u32 {
        let [a, b, c] = take(octets, at);
        u32::from_le_bytes([a, b, c, 0])
    }
    #[inline]
    fn set(octets: &mut [u8], at: usize, value: u32) {
        let [a, b, c, _] = value.to_le_bytes();
        put(octets, at, [a, b, c]);
    }
}

/// `N` octets as they are.
pub(crate) struct Raw;
impl<const N: usize> Codec<[u8; N]> for Raw {
    #[inline]
    fn get(octets: &[u8], at: usize) -> [u8; N] {
        take(octets, at)
    }
    #[inline]
    fn set(octets: &mut [u8], at: usize, value: [u8; N]) {
        put(octets, at, value);
    }
}

/// `WIDTH` bits at bit `LOW` of the unsigned integer that codec `C` reads.
pub(crate) struct Bits<C, const LOW: u32, const WIDTH: u32>(core::marker::PhantomData<C>);

macro_rules! bit_codec {
    ($($codec:ident $int:ident;)*) => { $(
        impl<const LOW: u32, const WIDTH: u32> Codec<$int> for Bits<$codec, LOW, WIDTH> {
            #[inline]
            #[expect(clippy::cast_possible_truncation, reason = "a part of a word fits the word")]
            fn get(octets: &[u8], at: usize) -> $int {
                bits(u64::from($codec::get(octets, at)), LOW, WIDTH) as $int
            }
            #[inline]
            #[expect(clippy::cast_possible_truncation, reason = "a word with bits replaced fits")]
            fn set(octets: &mut [u8], at: usize, value: $int) {
                let word = u64::from($codec::get(octets, at));
                $codec::set(octets, at, with_bits(word, LOW, WIDTH, u64::from(value)) as $int);
            }
        }
        impl<const LOW: u32> Codec<bool> for Bits<$codec, LOW, 1> {
            #[inline]
            fn get(octets: &[u8], at: usize) -> bool {
                <Self as Codec<$int>>::get(octets, at) != 0
            }
            #[inline]
            fn set(octets: &mut [u8], at: usize, value: bool) {
                <Self as Codec<$int>>::set(octets, at, $int::from(value));
            }
        }
    )* };
}
bit_codec! { U8 u8; Be32 u32; Le16 u16; Le32 u32; }

/// Bits of a little-endian 64-bit word; apart because `u64` is what [`bits`] works on.
impl<const LOW: u32, const WIDTH: u32> Codec<u64> for Bits<Le64, LOW, WIDTH> {
    #[inline]
    fn get(octets: &[u8], at: usize) -> u64 {
        bits(Le64::get(octets, at), LOW, WIDTH)
    }
    #[inline]
    fn set(octets: &mut [u8], at: usize, value: u64) {
        Le64::set(octets, at, with_bits(Le64::get(octets, at), LOW, WIDTH, value));
    }
}

impl<const LOW: u32> Codec<bool> for Bits<Le64, LOW, 1> {
    #[inline]
    fn get(octets: &[u8], at: usize) -> bool {
        <Self as Codec<u64>>::get(octets, at) != 0
    }
    #[inline]
    fn set(octets: &mut [u8], at: usize, value: bool) {
        <Self as Codec<u64>>::set(octets, at, u64::from(value));
    }
}

/// Declares a fixed-size wire structure: an array of octets with a reader and a writer per field.
///
/// The octets themselves are the value, so fields that this crate does not name survive a decode
/// and an encode. `reader writer: type as Codec, offset;`.
macro_rules! layout {
    (
        $(#[$meta:meta])* $name:ident[$len:expr] {
            $($(#[$doc:meta])* $get:ident $set:ident: $value:ty as $codec:ty, $at:expr;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            octets: [u8; $len],
        }

        impl $name {
            /// Size on the wire.
            pub const LEN: usize = $len;

            /// All zeros.
            #[must_use]
            pub const fn zeroed() -> Self {
                Self { octets: [0; $len] }
            }

            /// Takes the octets as they are; every value of every octet is allowed.
            #[must_use]
            pub const fn from_octets(octets: [u8; $len]) -> Self {
                Self { octets }
            }

            /// The first [`Self::LEN`] octets of `input`; `None` when it is shorter.
            #[must_use]
            pub fn decode(input: &[u8]) -> Option<Self> {
                input.first_chunk().map(|octets| Self { octets: *octets })
            }

            /// The octets, for the wire.
            #[must_use]
            pub const fn as_octets(&self) -> &[u8; $len] {
                &self.octets
            }

            $(
                $(#[$doc])*
                #[inline]
                #[must_use]
                pub fn $get(&self) -> $value {
                    <$codec as $crate::octets::Codec<$value>>::get(&self.octets, $at)
                }

                #[doc = concat!("Writes [`Self::", stringify!($get), "`]; excess bits are cut off.")]
                #[inline]
                pub fn $set(&mut self, value: $value) -> &mut Self {
                    <$codec as $crate::octets::Codec<$value>>::set(&mut self.octets, $at, value);
                    self
                }
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self::zeroed()
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($get), &self.$get()))*
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use layout;
