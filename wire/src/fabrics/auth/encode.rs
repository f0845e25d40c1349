//! The messages, written.

use super::message::{
    AuthMessage, CHALLENGE, COMMON, COMMON_BYTES, Challenge, DH_HMAC_CHAP, FAILURE1, FAILURE2,
    Failure, HEADER_BYTES, NEGOTIATE, Negotiate, REPLY, Reply, SUCCESS1, SUCCESS2, Success1,
};
use super::offer::OFFER_BYTES;
use super::{DH_VALUE_BYTES_MAX, DIGEST_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::octets::{Le16, Le32, set};

/// The reason code, of which there is one.
const AUTHENTICATION_FAILED: u8 = 1;

impl AuthMessage<'_> {
    /// Writes the message to the start of `out`, and returns it.
    ///
    /// Panics when a digest or value in it is longer than any can be: the caller's bug.
    pub fn encode<'o>(&self, out: &'o mut [u8; MESSAGE_BYTES_MAX]) -> &'o [u8] {
        out.fill(0);
        let len = match self {
            Self::Negotiate(message) => message.write(out),
            Self::Challenge(message) => message.write(out),
            Self::Reply(message) => message.write(out),
            Self::Success1(message) => message.write(out),
            Self::Success2 { .. } => begin(out, DH_HMAC_CHAP, SUCCESS2, HEADER_BYTES),
            Self::Failure1(message) => message.write(FAILURE1, out),
            Self::Failure2(message) => message.write(FAILURE2, out),
        };
        set::<Le16, _>(&mut out[..], 4, self.transaction());
        &out[..len]
    }
}

/// Type and identifier; gives `len` on.
fn begin(out: &mut [u8], kind: u8, id: u8, len: usize) -> usize {
    out[0] = kind;
    out[1] = id;
    len
}

/// Appends `octets` at `at`; returns where they end.
fn append(out: &mut [u8], at: usize, octets: &[u8]) -> usize {
    let end = at + octets.len();
    out[at..end].copy_from_slice(octets);
    end
}

fn digest_octet(digest: &[u8]) -> u8 {
    assert!(digest.len() <= DIGEST_BYTES_MAX, "a digest of {} octets", digest.len());
    u8::try_from(digest.len()).unwrap_or(u8::MAX)
}

fn set_dh_len(out: &mut [u8], dh_value: &[u8]) {
    assert!(dh_value.len() <= DH_VALUE_BYTES_MAX, "a DH value of {} octets", dh_value.len());
    set::<Le16, _>(out, 10, u16::try_from(dh_value.len()).unwrap_or(u16::MAX));
}

impl Negotiate {
    fn write(&self, out: &mut [u8]) -> usize {
        begin(out, COMMON, NEGOTIATE, COMMON_BYTES);
        out[6] = self.concatenation;
        out[7] = 1;
        // A message names one protocol at least: without an offer, none that there is.
        let offer = self.offer.map_or([0; OFFER_BYTES], |offer| offer.encode());
        out[COMMON_BYTES..COMMON_BYTES + OFFER_BYTES].copy_from_slice(&offer);
        COMMON_BYTES + OFFER_BYTES
    }
}

impl Challenge<'_> {
    fn write(&self, out: &mut [u8]) -> usize {
        begin(out, DH_HMAC_CHAP, CHALLENGE, HEADER_BYTES);
        out[6] = digest_octet(self.challenge);
        out[8] = self.hash;
        out[9] = self.group;
        set_dh_len(out, self.dh_value);
        set::<Le32, _>(out, 12, self.sequence);
        let at = append(out, HEADER_BYTES, self.challenge);
        append(out, at, self.dh_value)
    }
}

impl Reply<'_> {
    fn write(&self, out: &mut [u8]) -> usize {
        begin(out, DH_HMAC_CHAP, REPLY, HEADER_BYTES);
        out[6] = digest_octet(self.response);
        out[8] = u8::from(self.challenge.is_some());
        set_dh_len(out, self.dh_value);
        set::<Le32, _>(out, 12, self.sequence);
        let at = append(out, HEADER_BYTES, self.response);
        let challenge = self.challenge.unwrap_or(&[0; DIGEST_BYTES_MAX][..self.response.len()]);
        assert_eq!(challenge.len(), self.response.len(), "both are as long as a digest");
        let at = append(out, at, challenge);
        append(out, at, self.dh_value)
    }
}

impl Success1<'_> {
    fn write(&self, out: &mut [u8]) -> usize {
        begin(out, DH_HMAC_CHAP, SUCCESS1, HEADER_BYTES);
        out[6] = self.digest_bytes;
        let Some(response) = self.response else { return HEADER_BYTES };
        out[8] = 1;
        append(out, HEADER_BYTES, response)
    }
}

impl Failure {
    fn write(&self, id: u8, out: &mut [u8]) -> usize {
        begin(out, COMMON, id, COMMON_BYTES);
        out[6] = AUTHENTICATION_FAILED;
        out[7] = self.reason;
        COMMON_BYTES
    }
}
