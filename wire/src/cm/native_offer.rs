//! How two FlexBlk endpoints find out that both speak the native mode.
//!
//! The offer is the last 24 octets of the private data of a REQ (octets 68..92: after the RDMA CM's
//! address header and NVMe's 32 octets) and, when accepted, of the REP (octets 172..196). A stock
//! peer ignores and never sends it, so the connection falls back to RoCEv2 without a word.

use crate::octets::{Be16, Be32, Bits, U8, layout};

layout! {
    /// Offer of, or consent to, the native mode.
    ///
    /// ```text
    ///  0 magic "FLXB" | 4 version | 5 flags | 6 payload octets per packet (16) | 8 reserved (16)
    /// ```
    NativeOffer[24] {
        /// [`NativeOffer::MAGIC`].
        magic set_magic: u32 as Be32, 0;
        /// [`NativeOffer::VERSION`].
        version set_version: u8 as U8, 4;
        /// The sender wants every packet to it to end in the CRC of [`crate::roce::Icrc::native`].
        wants_crc set_wants_crc: bool as Bits<U8, 0, 1>, 5;
        /// The most payload that the sender takes in one packet.
        payload_bytes_max set_payload_bytes_max: u16 as Be16, 6;
    }
}

impl NativeOffer {
    /// "FLXB".
    pub const MAGIC: u32 = 0x464c_5842;
    /// The version of [`crate::roce::native`] that this crate speaks.
    pub const VERSION: u8 = 1;

    /// An offer of this version.
    #[must_use]
    pub fn new(payload_bytes_max: u16, wants_crc: bool) -> Self {
        let mut offer = Self::zeroed();
        offer
            .set_magic(Self::MAGIC)
            .set_version(Self::VERSION)
            .set_payload_bytes_max(payload_bytes_max)
            .set_wants_crc(wants_crc);
        offer
    }

    /// The offer in a REQ's or REP's private data; `None` when there is none of our version.
    #[must_use]
    pub fn find(private_data: &[u8]) -> Option<Self> {
        let offer = Self::from_octets(*private_data.last_chunk()?);
        (offer.magic() == Self::MAGIC && offer.version() == Self::VERSION).then_some(offer)
    }

    /// Writes it where [`Self::find`] looks. Panics when `private_data` is shorter than an offer.
    pub fn place(&self, private_data: &mut [u8]) {
        let place = private_data.last_chunk_mut().expect("private data holds an offer");
        *place = *self.as_octets();
    }
}
