//! `flexblk serve`.

use super::{Cc, Offer, Poll, Transport};
use clap::Args;
use netstack::link::inject::Rule;
use std::net::IpAddr;
use std::path::PathBuf;

/// `flexblk serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Namespaces: file:disk.img, mem:1GiB, null:1TiB, mmap:disk.img (options after '?').
    #[arg(value_name = "URI", required_unless_present_any = ["config", "state", "control"])]
    pub namespaces: Vec<String>,
    /// Transports, with commas between [rdma,tcp].
    #[arg(short = 't', long, value_enum, value_delimiter = ',')]
    pub transport: Vec<Transport>,
    /// Address to listen on [127.0.0.1].
    #[arg(short = 'a', long)]
    pub traddr: Option<IpAddr>,
    /// NVMe service id (port) [4420].
    #[arg(short = 's', long)]
    pub trsvcid: Option<u16>,
    /// Subsystem NQN [nqn.2026-11.io.flexblk:default].
    #[arg(short = 'n', long = "nqn")]
    pub subnqn: Option<String>,
    /// How to wait for work [adaptive].
    #[arg(long, value_enum)]
    pub poll: Option<Poll>,
    /// Run on this CPU alone.
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Configuration in TOML; options given here win.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the configuration here through a restart, with every change made meanwhile. Once it
    /// is there, it stands above --config and disks named here; it may be the file of --config.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Socket for `flexblk apply` and the commands about a running target
    /// [/run/flexblk/control.sock for root, else $XDG_RUNTIME_DIR/flexblk/control.sock].
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Record every packet of RDMA (then hosts of this machine come by UDP, too).
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// For tests: does something to chosen packets of RDMA, as drop:read-response-last:1 (docs/loss.md);
    /// may be given several times. Hosts of this machine come by UDP then, too.
    #[arg(long, value_name = "FAULT:KIND:WHICH", hide_short_help = true)]
    pub inject: Vec<Rule>,
    /// How hosts reach it [auto].
    #[arg(long, value_enum)]
    pub link: Option<Offer>,
    /// Congestion control of what the target sends by RDMA [fixed].
    #[arg(long, value_enum)]
    pub cc: Option<Cc>,
    /// UDP port of the transport (RoCEv2's is 4791; stock hosts expect it).
    #[arg(long, default_value_t = 4791, hide_short_help = true)]
    pub udp_port: u16,
}

/// The NQN that `serve` exports when none is given.
pub(crate) const DEFAULT_NQN: &str = "nqn.2026-11.io.flexblk:default";
