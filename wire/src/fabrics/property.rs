//! Properties of a controller: the registers that Property Get and Set reach.
//!
//! Source: NVMe Base 2.0, "Controller properties".

use crate::octets::{Bits, Le16, Le32, Le64, U8, layout};

/// A property that a fabrics controller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    /// Controller capabilities, 8 octets: [`Cap`].
    Cap = 0x00,
    /// Version, 4 octets: [`Version`].
    Vs = 0x08,
    /// Controller configuration, 4 octets: [`Cc`].
    Cc = 0x14,
    /// Controller status, 4 octets: [`Csts`].
    Csts = 0x1c,
    /// NVM subsystem reset, 4 octets.
    Nssr = 0x20,
    /// Controller ready timeouts, 4 octets: [`Crto`].
    Crto = 0x68,
}

impl Property {
    /// `None` for other offsets.
    #[must_use]
    pub const fn from_offset(offset: u32) -> Option<Self> {
        match offset {
            0x00 => Some(Self::Cap),
            0x08 => Some(Self::Vs),
            0x14 => Some(Self::Cc),
            0x1c => Some(Self::Csts),
            0x20 => Some(Self::Nssr),
            0x68 => Some(Self::Crto),
            _ => None,
        }
    }

    /// Octets.
    #[must_use]
    pub const fn len_bytes(self) -> usize {
        match self {
            Self::Cap => 8,
            Self::Vs | Self::Cc | Self::Csts | Self::Nssr | Self::Crto => 4,
        }
    }
}

macro_rules! register {
    ($($name:ident $word:ident;)*) => { $(
        impl $name {
            /// From the register's value.
            #[must_use]
            pub const fn from_word(word: $word) -> Self {
                Self::from_octets(word.to_le_bytes())
            }

            /// The register's value.
            #[must_use]
            pub const fn word(&self) -> $word {
                $word::from_le_bytes(*self.as_octets())
            }
        }
    )* };
}
register! { Cap u64; Cc u32; Csts u32; Crto u32; }

layout! {
    /// Controller capabilities.
    #[derive(Copy)]
    Cap[8] {
        /// Most queue entries, zero-based.
        mqes set_mqes: u16 as Le16, 0;
        /// Queues are contiguous: true on fabrics.
        cqr set_cqr: bool as Bits<U8, 0, 1>, 2;
        /// Arbitration mechanisms.
        ams set_ams: u8 as Bits<U8, 1, 2>, 2;
        /// Longest time to become ready or to stop, in 500 ms.
        timeout_500ms set_timeout_500ms: u8 as U8, 3;
        /// Doorbell stride: 0.
        dstrd set_dstrd: u8 as Bits<U8, 0, 4>, 4;
        /// NVM subsystem reset is supported.
        nssrs set_nssrs: bool as Bits<U8, 4, 1>, 4;
        /// Command sets: bit 0 = NVM, bit 6 = several, bit 7 = admin only.
        css set_css: u64 as Bits<Le64, 37, 8>, 0;
        /// Smallest page: 2^(12 + this).
        mpsmin set_mpsmin: u8 as Bits<U8, 0, 4>, 6;
        /// Largest page.
        mpsmax set_mpsmax: u8 as Bits<U8, 4, 4>, 6;
        /// Ready modes: bit 0 = with media, bit 1 = independent of media.
        crms set_crms: u8 as Bits<U8, 3, 2>, 7;
    }
}

/// NVMe version, as VS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u16,
    /// Minor.
    pub minor: u8,
    /// Tertiary.
    pub tertiary: u8,
}

impl Version {
    /// 1.3: what Linux's nvmet says.
    pub const V1_3: Self = Self { major: 1, minor: 3, tertiary: 0 };
    /// 1.4.
    pub const V1_4: Self = Self { major: 1, minor: 4, tertiary: 0 };
    /// 2.0.
    pub const V2_0: Self = Self { major: 2, minor: 0, tertiary: 0 };
    /// 2.1.
    pub const V2_1: Self = Self { major: 2, minor: 1, tertiary: 0 };

    /// From the register's value.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        let [tertiary, minor, a, b] = word.to_le_bytes();
        Self { major: u16::from_le_bytes([a, b]), minor, tertiary }
    }

    /// The register's value.
    #[must_use]
    pub const fn word(self) -> u32 {
        let [a, b] = self.major.to_le_bytes();
        u32::from_le_bytes([self.tertiary, self.minor, a, b])
    }
}

/// What the host asks for with CC.SHN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Nothing.
    None,
    /// Normal shutdown.
    Normal,
    /// Abrupt shutdown.
    Abrupt,
    /// The reserved code.
    Reserved,
}

layout! {
    /// Controller configuration.
    #[derive(Copy)]
    Cc[4] {
        /// Enable.
        enable set_enable: bool as Bits<U8, 0, 1>, 0;
        /// Command set selected.
        css set_css: u8 as Bits<U8, 4, 3>, 0;
        /// Page size: 2^(12 + this).
        mps set_mps: u32 as Bits<Le32, 7, 4>, 0;
        /// Arbitration selected.
        ams set_ams: u32 as Bits<Le32, 11, 3>, 0;
        /// Shutdown notification code; see [`Cc::shutdown`].
        shn set_shn: u32 as Bits<Le32, 14, 2>, 0;
        /// Log2 of the submission queue entry size: 6.
        iosqes set_iosqes: u8 as Bits<U8, 0, 4>, 2;
        /// Log2 of the completion queue entry size: 4.
        iocqes set_iocqes: u8 as Bits<U8, 4, 4>, 2;
        /// Ready independent of media.
        crime set_crime: bool as Bits<U8, 0, 1>, 3;
    }
}

impl Cc {
    /// Shutdown notification.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        match self.shn() {
            0 => Shutdown::None,
            1 => Shutdown::Normal,
            2 => Shutdown::Abrupt,
            _ => Shutdown::Reserved,
        }
    }
}

/// How far a shutdown is, CSTS.SHST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownState {
    /// None was asked for.
    Normal = 0,
    /// Under way.
    Occurring = 1,
    /// Done.
    Complete = 2,
}

layout! {
    /// Controller status.
    #[derive(Copy)]
    Csts[4] {
        /// Ready.
        ready set_ready: bool as Bits<U8, 0, 1>, 0;
        /// Fatal.
        fatal set_fatal: bool as Bits<U8, 1, 1>, 0;
        /// Shutdown state code; see [`ShutdownState`].
        shst set_shst: u8 as Bits<U8, 2, 2>, 0;
        /// A subsystem reset occurred.
        nssro set_nssro: bool as Bits<U8, 4, 1>, 0;
        /// Processing is paused.
        paused set_paused: bool as Bits<U8, 5, 1>, 0;
    }
}

impl Csts {
    /// Writes the shutdown state.
    pub fn set_shutdown_state(&mut self, state: ShutdownState) -> &mut Self {
        self.set_shst(state as u8)
    }

    /// The shutdown is done.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shst() == ShutdownState::Complete as u8
    }
}

layout! {
    /// Controller ready timeouts.
    #[derive(Copy)]
    Crto[4] {
        /// With media, in 500 ms.
        with_media_500ms set_with_media_500ms: u16 as Le16, 0;
        /// Independent of media, in 500 ms.
        independent_500ms set_independent_500ms: u16 as Le16, 2;
    }
}
