//! Whether a listener speaks TLS.

use serde::{Deserialize, Serialize};
use target::Security;

/// `tls` of a listener.
#[derive(
    Deserialize,
    Serialize,
    clap::ValueEnum,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    Default,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// It speaks none.
    #[default]
    Off,
    /// Hosts may.
    Optional,
    /// Hosts that do not are sent away.
    Required,
}

impl Tls {
    /// It is the default.
    pub(crate) fn is_off(&self) -> bool {
        *self == Tls::Off
    }
}

impl From<Tls> for Security {
    fn from(tls: Tls) -> Security {
        match tls {
            Tls::Off => Security::None,
            Tls::Optional => Security::Optional,
            Tls::Required => Security::Required,
        }
    }
}

/// Behind the address, where it is not the default.
impl std::fmt::Display for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tls::Off => "",
            Tls::Optional => " tls=optional",
            Tls::Required => " tls=required",
        })
    }
}
