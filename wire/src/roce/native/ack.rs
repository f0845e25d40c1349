//! The native acknowledgement: cumulative, selective, and what is wrong. 80 octets, no payload.
//!
//! ```text
//!      0               4               8               12
//!   0 | BTH (its PSN is the sender's next; not used up)| flags S ecn 0 |   S = syndrome (AETH)
//!  16 | ack PSN  (0 24)| timestamp µs  | echo µs       | NAK PSN (0 24)|
//!  32 | selective acknowledgement, bits 0 ..= 383, bit 0 first (most significant bit of octet 32)
//!  80 |
//! ```
//! Bit i says that PSN `ack_psn + i` has arrived. Bit 0 is never set: `ack_psn` is what is missing.

use super::{ACK_PSN, ECHO, ECN_COUNT, EXT_LEN, FLAGS, MSN, NativeFlags, TAIL_LEN, TIMESTAMP};
use crate::octets::{Be24, Be32, Be64, get, set};
use crate::roce::{Bth, HeaderBuf, Opcode, Psn, QpNum, Syndrome};

const SACK: usize = 20;
pub(super) const SYNDROME: usize = TAIL_LEN;
const NAK_PSN: usize = MSN;

/// A native acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeAck {
    /// Base header with [`Opcode::NativeAck`].
    pub bth: Bth,
    /// Only [`NativeFlags::ACK_VALID`] has a meaning here.
    pub flags: NativeFlags,
    /// Acknowledged, receiver not ready, or refused.
    pub syndrome: Syndrome,
    /// Packets with a congestion mark received, modulo 256.
    pub ecn_count: u8,
    /// Next PSN expected: all before it have arrived.
    pub ack_psn: Psn,
    /// The sender's clock, µs.
    pub timestamp_us: u32,
    /// The `timestamp_us` of the packet that caused this acknowledgement.
    pub echo_us: u32,
    /// With RNR or NAK: the packet that it is about.
    pub nak_psn: Psn,
    /// What arrived beyond `ack_psn`.
    pub sack: Sack,
}

impl NativeAck {
    /// A plain cumulative acknowledgement.
    #[must_use]
    pub fn new(dest_qp: QpNum, psn: Psn, ack_psn: Psn) -> Self {
        Self {
            bth: Bth::new(Opcode::NativeAck, dest_qp, psn),
            flags: NativeFlags::ACK_VALID,
            syndrome: Syndrome::ACK,
            ecn_count: 0,
            ack_psn,
            timestamp_us: 0,
            echo_us: 0,
            nak_psn: Psn::ZERO,
            sack: Sack::EMPTY,
        }
    }

    /// The 80 octets. Panics when the opcode is not [`Opcode::NativeAck`].
    #[inline]
    #[must_use]
    pub fn emit(&self) -> HeaderBuf {
        assert!(self.bth.opcode == Opcode::NativeAck, "not a native acknowledgement");
        let mut ext = [0; EXT_LEN];
        ext[FLAGS] = self.flags.octet();
        ext[SYNDROME] = self.syndrome.octet();
        ext[ECN_COUNT] = self.ecn_count;
        set::<Be32, _>(&mut ext, ACK_PSN, self.ack_psn.get());
        set::<Be32, _>(&mut ext, TIMESTAMP, self.timestamp_us);
        set::<Be32, _>(&mut ext, ECHO, self.echo_us);
        set::<Be32, _>(&mut ext, NAK_PSN, self.nak_psn.get());
        for (index, word) in self.sack.words.iter().enumerate() {
            set::<Be64, _>(&mut ext, SACK + 8 * index, *word);
        }
        let mut buf = HeaderBuf::empty();
        buf.push(Bth { pad_count: 0, ..self.bth }.encode());
        buf.push(ext);
        buf
    }

    #[inline]
    pub(super) fn decode(bth: Bth, ext: &[u8; EXT_LEN]) -> Self {
        Self {
            bth,
            flags: NativeFlags::from_octet(ext[FLAGS]),
            syndrome: Syndrome::from_octet(ext[SYNDROME]),
            ecn_count: ext[ECN_COUNT],
            ack_psn: Psn::new(get::<Be24, _>(ext, ACK_PSN + 1)),
            timestamp_us: get::<Be32, _>(ext, TIMESTAMP),
            echo_us: get::<Be32, _>(ext, ECHO),
            nak_psn: Psn::new(get::<Be24, _>(ext, NAK_PSN + 1)),
            sack: Sack {
                words: core::array::from_fn(|index| get::<Be64, _>(ext, SACK + 8 * index)),
            },
        }
    }
}

/// Which of the 384 packets from `ack_psn` on have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sack {
    /// Bit 0 is the most significant bit of the first word.
    words: [u64; Sack::WORDS],
}

impl Sack {
    const WORDS: usize = 6;

    /// Packets that the bitmap can speak of.
    pub const BITS: u32 = 64 * 6;

    /// Nothing beyond the cumulative acknowledgement.
    pub const EMPTY: Self = Self { words: [0; Self::WORDS] };

    /// No bit is set.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; Self::WORDS]
    }

    /// Marks `ack_psn + steps` as arrived. `false`, and no change, beyond [`Self::BITS`].
    #[inline]
    pub fn insert(&mut self, steps: u32) -> bool {
        match self.words.get_mut((steps / 64) as usize) {
            Some(word) => {
                *word |= 1 << (63 - steps % 64);
                true
            }
            None => false,
        }
    }

    /// `ack_psn + steps` has arrived.
    #[inline]
    #[must_use]
    pub fn contains(&self, steps: u32) -> bool {
        let word = self.words.get((steps / 64) as usize);
        word.is_some_and(|word| word & (1 << (63 - steps % 64)) != 0)
    }

    /// The steps beyond `ack_psn` that have arrived, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).step_by(64).zip(self.words).flat_map(|(base, mut word)| {
            core::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let lead = word.leading_zeros();
                word &= !(1 << (63 - lead));
                Some(base + lead)
            })
        })
    }

    /// The highest step that has arrived: every step below it that is not here is lost or late.
    #[inline]
    #[must_use]
    pub fn highest(&self) -> Option<u32> {
        (0_u32..)
            .step_by(64)
            .zip(self.words)
            .filter(|(_, word)| *word != 0)
            .map(|(base, word)| base + 63 - word.trailing_zeros())
            .last()
    }
}
