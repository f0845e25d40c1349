//! Why a connection was refused.
//!
//! Source: IBTA 1.4, "REJ - reject", table of reason codes.

/// Reason code of a REJ; unknown codes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RejReason(pub u16);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal;)*) => {
        impl RejReason {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// What it means, in words; "unknown reason" for codes outside the table.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self.0 {
                    $($code => $word,)*
                    _ => "unknown reason",
                }
            }
        }
    };
}

reasons! {
    /// No queue pair available.
    NO_QP = 1 "no queue pair available";
    /// No end-to-end context available (RD).
    NO_EEC = 2 "no end-to-end context available";
    /// No resources.
    NO_RESOURCES = 3 "no resources available";
    /// The sender gave up waiting.
    TIMEOUT = 4 "timeout";
    /// Not supported.
    UNSUPPORTED = 5 "unsupported request";
    /// The communication id is not known.
    INVALID_COMM_ID = 6 "invalid communication id";
    /// The ids do not belong together.
    INVALID_COMM_INSTANCE = 7 "invalid communication instance";
    /// Nobody listens on the service id.
    INVALID_SERVICE_ID = 8 "invalid service id: nobody listens there";
    /// The transport service type is not served.
    INVALID_TRANSPORT = 9 "invalid transport service type";
    /// The queue pair already belongs to a connection.
    STALE_CONNECTION = 10 "stale connection";
    /// The RDC does not exist (RD).
    NO_RDC = 11 "reliable datagram channel does not exist";
    /// The primary remote GID is not ours.
    PRIMARY_REMOTE_GID = 12 "primary remote port GID rejected";
    /// The primary remote LID is not ours.
    PRIMARY_REMOTE_LID = 13 "primary remote port LID rejected";
    /// Primary service level.
    PRIMARY_SL = 14 "invalid primary service level";
    /// Primary traffic class.
    PRIMARY_TRAFFIC_CLASS = 15 "invalid primary traffic class";
    /// Primary hop limit.
    PRIMARY_HOP_LIMIT = 16 "invalid primary hop limit";
    /// Primary packet rate.
    PRIMARY_PACKET_RATE = 17 "invalid primary packet rate";
    /// Alternate remote GID.
    ALTERNATE_REMOTE_GID = 18 "alternate remote port GID rejected";
    /// Alternate remote LID.
    ALTERNATE_REMOTE_LID = 19 "alternate remote port LID rejected";
    /// Alternate service level.
    ALTERNATE_SL = 20 "invalid alternate service level";
    /// Alternate traffic class.
    ALTERNATE_TRAFFIC_CLASS = 21 "invalid alternate traffic class";
    /// Alternate hop limit.
    ALTERNATE_HOP_LIMIT = 22 "invalid alternate hop limit";
    /// Alternate packet rate.
    ALTERNATE_PACKET_RATE = 23 "invalid alternate packet rate";
    /// Ask another port and CM.
    PORT_AND_CM_REDIRECT = 24 "port and CM redirection";
    /// Ask another port.
    PORT_REDIRECT = 25 "port redirection";
    /// The path MTU is not possible here.
    INVALID_PATH_MTU = 26 "invalid path MTU";
    /// Too few responder resources.
    RESPONDER_RESOURCES = 27 "insufficient responder resources";
    /// The consumer refuses; its private data says why.
    CONSUMER = 28 "rejected by the consumer";
    /// The RNR retry count is refused.
    RNR_RETRY_COUNT = 29 "RNR retry count rejected";
    /// The local communication id is used already.
    DUPLICATE_COMM_ID = 30 "duplicate local communication id";
    /// Class version.
    CLASS_VERSION = 31 "invalid class version";
    /// Primary flow label.
    PRIMARY_FLOW_LABEL = 32 "invalid primary flow label";
    /// Alternate flow label.
    ALTERNATE_FLOW_LABEL = 33 "invalid alternate flow label";
}

impl core::fmt::Display for RejReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.as_str(), self.0)
    }
}

impl core::fmt::Debug for RejReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
