//! TLS 1.3 with pre-shared keys, between a socket and a connection's machine.
//!
//! Read first: [`Channel`] (one connection's: octets of the socket in and out, plain octets out and
//! in), then `session` (the library that speaks TLS, s2n-tls, with buffers instead of a socket). `hello`
//! reads the names of keys in a host's first message, so that nothing is spent on hosts that name none
//! of ours.
//!
//! A connection without TLS never comes here: it keeps its way without a copy.
//!
//! Source: NVMe TCP Transport Specification 1.1, "Transport Layer Security"; RFC 8446.

mod channel;
mod hello;
mod records;
mod session;

pub(super) use channel::Channel;
#[cfg(feature = "fuzz")]
pub use hello::check as first_message;

use crate::fabric::Psk;
use session::Config;
use std::collections::HashMap;

/// The first octet of a TLS connection: a handshake record. Of NVMe/TCP without TLS it is that of an
/// ICReq, 0. Source: RFC 8446, "Record Layer".
pub(super) const FIRST_OCTET: u8 = 22;
/// Octets of a message in one record at most. Source: RFC 8446, "Record Layer".
pub(super) const RECORD_BYTES: usize = 16 << 10;

/// What all connections of a fabric speak TLS with.
#[derive(Default)]
pub(super) struct Keys {
    /// Controller: by the names that hosts give.
    known: HashMap<String, Psk>,
    /// Host: the best first. Empty: no TLS.
    own: Vec<Psk>,
    /// The library's, made when it is first needed.
    config: Option<Config>,
}

impl Keys {
    /// Controller: from now on hosts that name `identity` have this key, or none.
    pub(super) fn set(&mut self, identity: &str, psk: Option<Psk>) {
        match psk {
            Some(psk) => self.known.insert(identity.to_owned(), psk),
            None => self.known.remove(identity),
        };
    }
    /// Host: connections are made with one of these, or without TLS.
    pub(super) fn set_own(&mut self, psks: Vec<Psk>) {
        self.own = psks;
    }
    /// Host: connections are made with TLS.
    pub(super) fn wants_tls(&self) -> bool {
        !self.own.is_empty()
    }
    fn config(&mut self) -> Result<Config, TlsFault> {
        match &self.config {
            Some(config) => Ok(config.clone()),
            None => Ok(self.config.insert(session::config()?).clone()),
        }
    }
}

/// Why TLS is not spoken, or no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum TlsFault {
    /// Controller: the host does not speak TLS, which is demanded.
    #[error("the host does not speak TLS, which this listener demands: connect with its TLS key")]
    Plain,
    /// Controller: none of the names that the host gave is known.
    #[error("no key is known by the name that the host gave: give the host its tls_psk here")]
    Unknown,
    /// Controller: the host does not have the key that it named.
    #[error("the host does not have the key that it named: the keys of both sides differ")]
    WrongKey,
    /// Controller: no TLS 1.3, or none with a pre-shared key.
    #[error("the host does not offer TLS 1.3 with a pre-shared key")]
    NoOffer,
    /// No octets of TLS, or a record that was changed on its way.
    #[error("the peer broke TLS")]
    Broken,
    /// The peer says so: RFC 8446, "Alert Protocol".
    #[error("the peer ended TLS with alert {0}")]
    Alert(u8),
    /// The handshake was not done in time.
    #[error("the TLS handshake was not done in time")]
    Late,
    /// This side cannot.
    #[error("TLS cannot be spoken: no memory, or a key that is none")]
    Lacking,
}

/// The peer has no such key. Source: RFC 8446, "Error Alerts", `decrypt_error`.
pub(super) const ALERT_WRONG_KEY: u8 = 51;
/// The same, of the name. Source: RFC 8446, "Error Alerts", `unknown_psk_identity`.
pub(super) const ALERT_UNKNOWN: u8 = 115;
const ALERT_HANDSHAKE: u8 = 40;

impl TlsFault {
    /// What a controller tells the host of a handshake that fails.
    fn alert(self) -> Option<u8> {
        match self {
            TlsFault::Unknown => Some(ALERT_UNKNOWN),
            TlsFault::WrongKey => Some(ALERT_WRONG_KEY),
            TlsFault::NoOffer => Some(ALERT_HANDSHAKE),
            TlsFault::Plain
            | TlsFault::Broken
            | TlsFault::Alert(_)
            | TlsFault::Late
            | TlsFault::Lacking => None,
        }
    }
    /// What a host's user is told.
    pub(super) fn words(self) -> &'static str {
        match self {
            TlsFault::Alert(ALERT_UNKNOWN) => {
                "the target knows no TLS key of this host for this subsystem: give it there, and compare \
                 hostnqn and subnqn"
            }
            TlsFault::Alert(ALERT_WRONG_KEY) => {
                "the target has another TLS key for this host and subsystem"
            }
            TlsFault::Alert(_) => "the target refuses TLS",
            TlsFault::Late => "the target did not answer in TLS: does its listener offer it?",
            TlsFault::Lacking => "TLS cannot be spoken: no memory, or a key that is none",
            TlsFault::Plain
            | TlsFault::Unknown
            | TlsFault::WrongKey
            | TlsFault::NoOffer
            | TlsFault::Broken => "the target does not speak TLS here, or broke it",
        }
    }
}
