//! `flexblk read` and `flexblk write`.

use super::{Faults, Secrets};
use clap::Args;
use std::path::PathBuf;

/// `flexblk read`, and what `flexblk write` has of it.
#[derive(Args, Debug)]
pub(crate) struct Copy {
    /// 'trtype=rdma|tcp traddr=… trsvcid=4420 subnqn=… ns=1', or nvme-rdma://ADDR:4420/NQN/1, or
    /// nvme-tcp://…. With link=udp|shm|raw|auto [auto] (RDMA): a target of this machine is reached by
    /// shared memory if it can. With cc=fixed|swift|dcqcn [fixed] (RDMA): congestion control. With
    /// hdgst=on ddgst=on (TCP): digests. With path=ADDR:PORT, each time: more paths to the subsystem. With
    /// dhchap_secret=DHHC-1:… dhchap_ctrl_secret=DHHC-1:…: authentication.
    pub target: String,
    /// Authentication.
    #[command(flatten)]
    pub secrets: Secrets,
    /// First octet.
    #[arg(long, default_value = "0", value_parser = crate::units::bytes)]
    pub offset: u64,
    /// Octets; to the end when left out.
    #[arg(long, value_parser = crate::units::bytes)]
    pub count: Option<u64>,
    /// Losses and the like.
    #[command(flatten)]
    pub faults: Faults,
}

/// `flexblk write`.
#[derive(Args, Debug)]
pub(crate) struct Write {
    /// Where.
    #[command(flatten)]
    pub copy: Copy,
    /// Write only if the namespace holds there what this file holds, in one step of the disk
    /// (Compare and Write), which no command of any host can come between. Standard input must be
    /// as long as the file, and no longer than the controller's limit (`nacwu` of `id-ns`, in blocks
    /// less one).
    #[arg(long, value_name = "FILE", conflicts_with = "count")]
    pub if_equal: Option<PathBuf>,
}
