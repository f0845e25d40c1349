//! `flexblk discover`.

use super::Port;
use clap::Args;

/// `flexblk discover`.
#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// Where.
    #[command(flatten)]
    pub port: Port,
    /// Print, for each subsystem, the string by which bench, read, write and fio reach it, with all
    /// its paths; referrals are followed.
    #[arg(long)]
    pub targets: bool,
}
