//! The vocabulary of configuration files, as it is written: `docs/configuration.md`.
//!
//! Names are those that users of `nvme`, nvmetcli and SPDK know. Unknown words are refused: a typo
//! must not pass for a default.

use super::limit::Limit;
use super::referrals;
use super::tls::Tls;
use crate::args::{Cc, Offer, Poll, Transport};
use crate::hosts::{self, Host};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// A file. What stands before the listeners is taken when the target starts.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Address to listen on, with all of `transport`; instead of listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traddr: Option<IpAddr>,
    /// NVMe service id, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trsvcid: Option<u16>,
    /// ["rdma", "tcp"], or one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transport: Vec<Transport>,
    /// "busy" or "adaptive".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// CPU to run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<usize>,
    /// Record every packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcap: Option<PathBuf>,
    /// "auto", "udp" or "raw".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Offer>,
    /// "fixed", "swift" or "dcqcn".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cc: Option<Cc>,
    /// Where hosts come.
    #[serde(default, rename = "listener", skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// Other discovery services that hosts are told of.
    #[serde(default, rename = "referral", skip_serializing_if = "Vec::is_empty")]
    pub referrals: Vec<referrals::Word>,
    /// What is exported.
    #[serde(default, rename = "subsystem", skip_serializing_if = "Vec::is_empty")]
    pub subsystems: Vec<Subsystem>,
}

/// `[[listener]]`.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Number in the discovery log; the first free one when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portid: Option<u16>,
    /// "rdma" or "tcp".
    pub trtype: Transport,
    /// Address.
    pub traddr: IpAddr,
    /// NVMe service id; 4420, or 8009 for discovery alone, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trsvcid: Option<u16>,
    /// For discovery alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discovery: bool,
    /// "optional" or "required": its hosts speak TLS (tcp).
    #[serde(default, skip_serializing_if = "Tls::is_off")]
    pub tls: Tls,
}

impl Listener {
    /// The service id that is meant.
    pub(crate) fn service(&self) -> u16 {
        let usual =
            if self.discovery { referrals::DISCOVERY_PORT } else { initiator::spec::NVME_PORT };
        self.trsvcid.unwrap_or(usual)
    }
}

/// `[[subsystem]]`.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subsystem {
    /// Its NQN.
    pub nqn: String,
    /// Serial number, at most 20 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Model number, at most 40 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Every host may connect. When left out: unless there is a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_any_host: Option<bool>,
    /// NQNs of the hosts that may connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_hosts: Option<Vec<String>>,
    /// Hosts that may connect, with what they must prove.
    #[serde(default, rename = "host", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// How well its groups are reached.
    #[serde(default, rename = "ana_group", skip_serializing_if = "Vec::is_empty")]
    pub ana_groups: Vec<AnaGroup>,
    /// Its namespaces.
    #[serde(default, rename = "namespace", skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
}

/// `[[subsystem.ana_group]]`.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnaGroup {
    /// Group, 1 to 128.
    pub grpid: u32,
    /// Through this listener; through all that have no state of their own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portid: Option<u16>,
    /// How well it is reached.
    pub state: Ana,
}

/// The states, with Linux' words.
#[derive(
    Deserialize, Serialize, clap::ValueEnum, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ana {
    /// The best path.
    Optimized,
    /// A path.
    NonOptimized,
    /// No path now.
    Inaccessible,
    /// No path again.
    PersistentLoss,
    /// Changing.
    Change,
}

impl std::fmt::Display for Ana {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ana::Optimized => "optimized",
            Ana::NonOptimized => "non-optimized",
            Ana::Inaccessible => "inaccessible",
            Ana::PersistentLoss => "persistent-loss",
            Ana::Change => "change",
        })
    }
}

/// `[[subsystem.namespace]]`.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    /// Number; the first free one when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsid: Option<u32>,
    /// Disk.
    pub uri: String,
    /// Size, where it is not the whole disk: octets, or with a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// UUID; made from the URI when left out, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nguid: Option<String>,
    /// 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eui64: Option<String>,
    /// No host may write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Group for asymmetric access, 1 to 128; 1 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ana_group: Option<u32>,
    /// NQNs of the hosts that see it; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// How fast it is read and written; as fast as can be when left out.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub limit: Limit,
}

impl File {
    /// Errors: not TOML, or words that are not in the vocabulary, with the place.
    pub(crate) fn parse(text: &str) -> Result<File, String> {
        toml::from_str(text).map_err(|error| hosts::shown(&error))
    }
    /// As a file, ready to be read again.
    pub(crate) fn text(&self) -> String {
        toml::to_string(self).expect("a configuration is made of what TOML has")
    }
}
