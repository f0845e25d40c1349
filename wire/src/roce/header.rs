//! Emitting: everything of a packet but its payload (FlexiNS, "header-only TX").

use super::header_set::HeaderSet;
use super::native::NATIVE_HEADER_LEN;
use super::{Bth, ExtHeaders, ICRC_LEN, Opcode, Psn, QpNum};

/// Octets of padding after a payload of this length, 0 to 3.
#[inline]
#[must_use]
pub const fn pad_count(payload_len: usize) -> u8 {
    match payload_len % 4 {
        0 => 0,
        1 => 3,
        2 => 2,
        _ => 1,
    }
}

/// Headers ready for the wire, by value. At most 80 octets.
#[derive(Clone, Copy)]
pub struct HeaderBuf {
    octets: [u8; NATIVE_HEADER_LEN],
    len: u8,
}

impl HeaderBuf {
    /// Room for any header of either wire mode, in whole cache lines.
    pub const CAPACITY: usize = 128;

    /// No octets.
    #[inline]
    #[must_use]
    pub const fn empty() -> Self {
        Self { octets: [0; NATIVE_HEADER_LEN], len: 0 }
    }

    /// The octets written so far.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The octets written so far, to patch in place (a piggybacked acknowledgement, say).
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.octets[..usize::from(self.len)]
    }

    /// Number of octets.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no packet has an empty header")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Appends zeros, to be filled. Panics as [`Self::push`].
    #[inline]
    pub(super) fn push_zeros<const N: usize>(&mut self) -> &mut [u8; N] {
        let at = usize::from(self.len);
        self.len = u8::try_from(at + N).expect("capacity is 80");
        self.octets[at..].first_chunk_mut().expect("capacity is 80")
    }

    /// Appends. Panics when the capacity does not suffice: headers are of known size.
    #[inline]
    pub(super) fn push<const N: usize>(&mut self, field: [u8; N]) {
        let at = usize::from(self.len);
        self.octets[at..at + N].copy_from_slice(&field);
        self.len = u8::try_from(at + N).expect("capacity is 80");
    }
}

impl core::fmt::Debug for HeaderBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "HeaderBuf({:02x?})", self.as_slice())
    }
}

impl PartialEq for HeaderBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for HeaderBuf {}

/// What follows a payload: zero padding, then the CRC when the link wants one. At most 7 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailerBuf {
    octets: [u8; 7],
    len: u8,
}

impl TrailerBuf {
    /// `pad_count` zeros (0 to 3, as [`pad_count`] gives) and the CRC.
    #[inline]
    #[must_use]
    pub fn new(pad_count: u8, crc: Option<[u8; ICRC_LEN]>) -> Self {
        assert!(pad_count < 4, "padding is 0 to 3 octets");
        let mut octets = [0; 7];
        let mut len = pad_count;
        if let Some(crc) = crc {
            let at = usize::from(pad_count);
            octets[at..at + ICRC_LEN].copy_from_slice(&crc);
            len += 4;
        }
        Self { octets, len }
    }

    /// The octets.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// The headers of one RoCEv2 packet, to be emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Base header; its `pad_count` is computed by [`Self::emit`].
    pub bth: Bth,
    /// Must hold what the opcode calls for; others are not emitted.
    pub ext: ExtHeaders,
}

impl Header {
    /// A header with the default partition and no extended headers yet.
    #[must_use]
    pub fn new(opcode: Opcode, dest_qp: QpNum, psn: Psn) -> Self {
        Self { bth: Bth::new(opcode, dest_qp, psn), ext: ExtHeaders::default() }
    }

    /// The octets for a payload of `payload_len`, pad count included.
    ///
    /// Panics when an extended header that the opcode calls for is missing, or when the opcode is
    /// native (those have [`super::native`]).
    #[inline]
    #[must_use]
    pub fn emit(&self, payload_len: usize) -> HeaderBuf {
        let headers = self.bth.opcode.header_set();
        assert!(!self.bth.opcode.is_native(), "native packets have their own header");
        let mut buf = HeaderBuf::empty();
        buf.push(Bth { pad_count: pad_count(payload_len), ..self.bth }.encode());
        if headers.has(HeaderSet::DETH) {
            buf.push(self.ext.deth.expect("opcode calls for a DETH").encode());
        }
        if headers.has(HeaderSet::FETH) {
            buf.push(self.ext.feth.expect("opcode calls for a FETH").0.to_be_bytes());
        }
        if headers.has(HeaderSet::RETH) {
            buf.push(self.ext.reth.expect("opcode calls for a RETH").encode());
        }
        if headers.has(HeaderSet::ATOMIC) {
            buf.push(self.ext.atomic.expect("opcode calls for an AtomicETH").encode());
        }
        if headers.has(HeaderSet::AETH) {
            buf.push(self.ext.aeth.expect("opcode calls for an AETH").encode());
        }
        if headers.has(HeaderSet::ATOMIC_ACK) {
            let original = self.ext.atomic_ack.expect("opcode calls for an AtomicAckETH");
            buf.push(original.to_be_bytes());
        }
        if headers.has(HeaderSet::IMM) {
            buf.push(self.ext.imm.expect("opcode calls for immediate data").0);
        }
        if headers.has(HeaderSet::IETH) {
            buf.push(self.ext.ieth.expect("opcode calls for an IETH").0.to_be_bytes());
        }
        buf
    }
}
