//! Rate limits of a namespace or a host, in the words of SPDK's `bdev_set_qos_limit`.

use serde::{Deserialize, Serialize};
use std::fmt;
use target::RateLimit;

/// `[subsystem.namespace.limit]`: for all hosts together, and `[subsystem.host.limit]`: for all
/// namespaces together; 0: none.
#[derive(Serialize, Deserialize, clap::Args, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limit {
    /// Reads, writes and compares in a second [0: no limit].
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[serde(skip_serializing_if = "is_zero")]
    pub rw_ios_per_sec: u32,
    /// MiB of them in a second [0: no limit].
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    #[serde(skip_serializing_if = "is_zero")]
    pub rw_mbytes_per_sec: u32,
    /// MiB of reads and compares in a second [0: no limit].
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    #[serde(skip_serializing_if = "is_zero")]
    pub r_mbytes_per_sec: u32,
    /// MiB of writes in a second [0: no limit].
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    #[serde(skip_serializing_if = "is_zero")]
    pub w_mbytes_per_sec: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Limit {
    /// Nothing is limited.
    pub(crate) fn is_none(&self) -> bool {
        *self == Limit::default()
    }
}

impl From<Limit> for RateLimit {
    fn from(limit: Limit) -> RateLimit {
        let bytes = |mib: u32| u64::from(mib) << 20;
        RateLimit {
            ios_per_second: limit.rw_ios_per_sec.into(),
            bytes_per_second: bytes(limit.rw_mbytes_per_sec),
            read_bytes_per_second: bytes(limit.r_mbytes_per_sec),
            write_bytes_per_second: bytes(limit.w_mbytes_per_sec),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("no limit");
        }
        let Limit { rw_ios_per_sec, rw_mbytes_per_sec, r_mbytes_per_sec, w_mbytes_per_sec } = *self;
        let all = [
            (rw_ios_per_sec, "commands/s"),
            (rw_mbytes_per_sec, "MiB/s"),
            (r_mbytes_per_sec, "MiB/s of reads"),
            (w_mbytes_per_sec, "MiB/s of writes"),
        ];
        let said: Vec<String> = all
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, unit)| format!("{number} {unit}"))
            .collect();
        write!(f, "at most {}", said.join(", "))
    }
}
