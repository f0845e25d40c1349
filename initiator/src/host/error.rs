//! Why a host has no connection, in words for its user.

use auth::HostAuthError;
use std::net::SocketAddr;
use wire::nvme::Status;

/// Why there is no connection. Kept for error messages until the next success.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostError {
    /// Nobody answers at the address.
    #[error("no answer from {0}: is the target running, and is the address right?")]
    NoAnswer(SocketAddr),
    /// The target has no listener on that port.
    #[error("{0} refuses: nothing listens on that port")]
    NoListener(SocketAddr),
    /// The transport connection was refused.
    #[error("{addr} refuses the connection (reason {reason})")]
    Refused {
        /// Target.
        addr: SocketAddr,
        /// CM reject reason.
        reason: u16,
    },
    /// A command of the bring-up failed.
    #[error("{step} failed: {status}")]
    Command {
        /// Which.
        step: &'static str,
        /// The controller's word.
        status: Status,
    },
    /// The target does not export that subsystem, or not to this host.
    #[error(
        "{addr} exports no subsystem {subnqn} to this host: see `flexblk discover -a {} -s {}`", addr.ip(), addr.port()
    )]
    NoSubsystem {
        /// Target.
        addr: SocketAddr,
        /// What was asked for.
        subnqn: String,
    },
    /// The connection was lost.
    #[error("connection to {0} lost")]
    Lost(SocketAddr),
    /// The controller broke the protocol.
    #[error("the controller broke the protocol: {0}")]
    Protocol(String),
    /// An NQN that is none.
    #[error("{0}: an NQN looks like nqn.2026-11.org.example:name, at most 223 octets")]
    BadNqn(String),
    /// The target wants to know who this host is.
    #[error("{0} demands authentication: give this host's secret, with dhchap_secret= or -S")]
    SecretWanted(SocketAddr),
    /// The target wants a secure channel, and this host was not told to make one.
    #[error("{0} demands authentication for a secure channel: add concat=on, or --concat")]
    ChannelWanted(SocketAddr),
    /// No TLS, though this host has a key for it.
    #[error("no TLS with {addr}: {why}")]
    Insecure {
        /// Target.
        addr: SocketAddr,
        /// Why.
        why: &'static str,
    },
    /// One side does not believe the other.
    #[error("authentication with {addr} failed: {why}")]
    Authentication {
        /// Target.
        addr: SocketAddr,
        /// Why.
        why: HostAuthError,
    },
    /// Own memory or registrations ran out.
    #[error("{0}")]
    Resources(String),
}
