//! The expensive part of a conversation, as a value that can be handed to somebody else.

use crate::Random;
use crate::group::{EXPONENT_BYTES, field};
use std::fmt;
use wire::fabrics::auth::{DhGroup, FailureReason};
use zeroize::Zeroizing;

/// A private exponent, for one conversation. `Debug` does not show it.
#[derive(Clone)]
pub struct Exponent(Zeroizing<[u8; EXPONENT_BYTES]>);

impl Exponent {
    /// 512 random bits.
    pub(crate) fn new(random: Random<'_>) -> Exponent {
        let mut octets = Zeroizing::new([0; EXPONENT_BYTES]);
        random(&mut octets[..]);
        Exponent(octets)
    }
}

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exponent(…)")
    }
}

/// Powers to compute in a group: up to tens of milliseconds for the largest.
#[derive(Clone, Debug)]
pub struct Job {
    pub(crate) group: DhGroup,
    pub(crate) exponent: Exponent,
    /// Our own value is wanted.
    pub(crate) wants_public: bool,
    /// The peer's value, when what both share is wanted.
    pub(crate) peer: Option<Vec<u8>>,
}

/// What a [`Job`] gave.
#[derive(Clone, Default)]
pub struct Agreement {
    pub(crate) public: Vec<u8>,
    pub(crate) shared: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agreement(…)")
    }
}

/// An agreement, or what is wrong with the peer's value.
pub type Outcome = Result<Agreement, FailureReason>;

impl Job {
    /// Does it, here and now.
    ///
    /// Errors: a value of the peer that is none.
    pub fn compute(&self) -> Outcome {
        let Some(field) = field(self.group) else { return Ok(Agreement::default()) };
        let exponent = &self.exponent.0;
        // The peer's value first: a bad one costs nothing.
        let shared = match &self.peer {
            None => None,
            Some(peer) => {
                let shared = field.shared(peer, exponent);
                Some(shared.ok_or(FailureReason::IncorrectPayload)?)
            }
        };
        let public = if self.wants_public { field.public(exponent) } else { Vec::new() };
        Ok(Agreement { public, shared })
    }
}
