//! Answers to challenges.
//!
//! Source: NVMe Base 2.1, "DH-HMAC-CHAP_Reply message" and "DH-HMAC-CHAP_Success1 message": a response
//! is an HMAC over the challenge (with a group: augmented by what was agreed on), its sequence number,
//! the transaction, the kind of channel, the role and both names.

use crate::digest::{Digest, hash, hmac};
use crate::secret::Secret;
use wire::fabrics::auth::HashId;

/// Who talks to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    /// Host's NQN.
    pub host: String,
    /// Subsystem's NQN.
    pub subsystem: String,
}

/// A challenge, and what goes into its answer.
#[derive(Clone, Copy)]
pub(crate) struct Question<'q> {
    pub(crate) hash: HashId,
    pub(crate) challenge: &'q [u8],
    /// What both sides computed; `None` for the null group.
    pub(crate) shared: Option<&'q [u8]>,
    pub(crate) sequence: u32,
    pub(crate) transaction: u16,
    /// Whether a secure channel is made of the conversation (SC_C).
    pub(crate) concatenation: u8,
}

impl Question<'_> {
    /// R1: what the host with `secret` answers.
    pub(crate) fn host_response(&self, secret: &Secret, names: &Names) -> Digest {
        let key = secret.key_for(&names.host);
        self.response(&key, b"HostHost", &names.host, &names.subsystem)
    }
    /// R2: what the controller with `secret` answers.
    pub(crate) fn controller_response(&self, secret: &Secret, names: &Names) -> Digest {
        let key = secret.key_for(&names.subsystem);
        self.response(&key, b"Controller", &names.subsystem, &names.host)
    }

    fn response(&self, key: &[u8], role: &[u8], own: &str, other: &str) -> Digest {
        let augmented = self.shared.map(|shared| self.augmented(shared));
        let challenge = augmented.as_ref().map_or(self.challenge, Digest::octets);
        let parts = [
            challenge,
            &self.sequence.to_le_bytes(),
            &self.transaction.to_le_bytes(),
            &[self.concatenation],
            role,
            own.as_bytes(),
            &[0],
            other.as_bytes(),
        ];
        hmac(self.hash, key, &parts)
    }
    /// The generated PSK of a conversation in which this was the controller's challenge, and `own` the
    /// host's. `None`: nothing was agreed on.
    pub(crate) fn generated_psk(&self, own: &[u8]) -> Option<Digest> {
        let session_key = hash(self.hash, self.shared?);
        Some(hmac(self.hash, session_key.octets(), &[self.challenge, own]))
    }
    /// The challenge bound to the session key, which is the hash of what was agreed on.
    fn augmented(&self, shared: &[u8]) -> Digest {
        let session_key = hash(self.hash, shared);
        hmac(self.hash, session_key.octets(), &[self.challenge])
    }
}
