//! What an endpoint is made with.

use crate::cc::{CongestionControl, Dcqcn, Fixed, Swift, dcqcn, swift};
use std::time::Duration;

/// Which transport an endpoint offers to its peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Native with peers that speak it, RoCEv2 with all others, without a word.
    #[default]
    Native,
    /// RoCEv2 with everybody.
    Roce,
}

/// Whether native packets end in a CRC. Either side's wish for it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CrcPolicy {
    /// Wanted, unless the link says that octets do not leave the host.
    #[default]
    Auto,
    /// Wanted.
    Always,
    /// Not wanted.
    Never,
}

/// Congestion control of new connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CcKind {
    /// A window that never moves.
    Fixed {
        /// Payload octets in flight.
        window_bytes: u64,
    },
    /// Delay-based (Google's Swift).
    Swift,
    /// Rate-based, on congestion notification packets.
    Dcqcn,
}

impl Default for CcKind {
    /// A window of 1 MiB, in both wire modes.
    fn default() -> CcKind {
        CcKind::Fixed { window_bytes: 1 << 20 }
    }
}

impl CcKind {
    /// All names, as users write them.
    pub const NAMES: [&str; 3] = ["fixed", "swift", "dcqcn"];

    /// The one of that name, with its defaults. `None`: no such name.
    #[must_use]
    pub fn named(name: &str) -> Option<CcKind> {
        match name {
            "fixed" => Some(CcKind::default()),
            "swift" => Some(CcKind::Swift),
            "dcqcn" => Some(CcKind::Dcqcn),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CcKind::Fixed { .. } => "fixed",
            CcKind::Swift => "swift",
            CcKind::Dcqcn => "dcqcn",
        }
    }

    /// A flow's state, for packets of `mtu_bytes` of payload.
    #[must_use]
    pub fn make(self, mtu_bytes: u32) -> Box<dyn CongestionControl> {
        match self {
            CcKind::Fixed { window_bytes } => Box::new(Fixed::new(window_bytes)),
            CcKind::Swift => Box::new(Swift::new(swift::Params::default(), mtu_bytes)),
            CcKind::Dcqcn => Box::new(Dcqcn::new(dcqcn::Params::default())),
        }
    }
}

/// Times and retries. Codes are the transport's: 4.096 µs × 2^code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Local ACK timeout code, 1 to 31. With a stock peer, the one of the REQ counts.
    pub ack_timeout: u8,
    /// Retransmissions before a peer counts as dead, 0 to 7.
    pub retry_count: u8,
    /// RNR retransmissions, 0 to 6; 7 means without end.
    pub rnr_retry: u8,
    /// Timer code that this side asks for in RNR NAKs, 0 to 31.
    pub min_rnr_timer: u8,
    /// How long this side waits for the answer to a CM message, code 1 to 31.
    pub cm_timeout: u8,
    /// How often a CM message is sent again, 0 to 15.
    pub cm_retries: u8,
    /// How long the application may think about a connect request.
    pub accept: Duration,
    /// How long a closed connection is remembered, so that late duplicates do not open it again.
    pub time_wait: Duration,
    /// Shortest interval between congestion notification packets of one connection.
    pub cnp_interval: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            ack_timeout: 14, // 67 ms
            retry_count: 7,
            rnr_retry: 7,
            min_rnr_timer: 12, // 0.64 ms
            cm_timeout: 17,    // 0.54 s
            cm_retries: 7,
            accept: Duration::from_secs(30),
            time_wait: Duration::from_secs(5),
            cnp_interval: Duration::from_micros(50),
        }
    }
}

/// The time that a code of the transport means. Code 0 (no timeout) gives zero.
///
/// Source: IBTA 1.4, "Local ACK Timeout".
#[must_use]
pub(crate) fn code_duration(code: u8) -> Duration {
    match code {
        0 => Duration::ZERO,
        code => Duration::from_nanos(4096 << code.min(31)),
    }
}

/// What an endpoint is made with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EndpointConfig {
    /// Makes queue pair numbers, PSNs, keys and communication ids. From the operating system,
    /// except in tests.
    pub seed: u64,
    /// What is offered to peers.
    pub mode: Mode,
    /// Path MTU wanted, 256 to 4,096 (a power of two); the link's own bounds it.
    pub path_mtu_bytes: u32,
    /// CRC of native packets.
    pub native_crc: CrcPolicy,
    /// Congestion control of new connections.
    pub cc: CcKind,
    /// Most queue pairs at once, at most 32,768.
    pub max_qps: u32,
    /// Most memory registrations at once, at most 65,535.
    pub max_registrations: u32,
    /// Most connections at once of which the handshake is not finished; more are refused.
    pub max_pending: u32,
    /// Most completions waiting in the default completion queue.
    pub cq_capacity: usize,
    /// READs and atomics of a peer that one connection holds (responder resources), at most 128.
    pub read_depth_max: u8,
    /// Times and retries.
    pub timers: Timers,
}

impl Default for EndpointConfig {
    fn default() -> EndpointConfig {
        EndpointConfig {
            seed: 0,
            mode: Mode::Native,
            path_mtu_bytes: 4096,
            native_crc: CrcPolicy::Auto,
            cc: CcKind::default(),
            max_qps: 2048,
            max_registrations: 16_384,
            max_pending: 256,
            cq_capacity: 1 << 24,
            read_depth_max: 128,
            timers: Timers::default(),
        }
    }
}
