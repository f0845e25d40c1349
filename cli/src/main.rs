//! The `flexblk` program. Read first: `args` (what can be typed), then the verb's own file.
//!
//! Exit status: 0 when everything asked for was done and verified, 2 for a misuse, 1 otherwise
//! with the reason on standard error.

// A reader that leaves (`| head -c 1`) is a reason to end, not to panic: see `output`.
#![warn(clippy::print_stdout)]

mod admin;
mod args;
mod bench;
mod compare;
mod config;
mod connect;
mod connect_all;
mod copy;
mod discover;
mod exchange;
mod failure;
mod hosts;
mod keys;
mod limits;
mod link;
mod live;
mod output;
mod rdma;
mod serve;
mod tls_keys;
mod units;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("FLEXBLK_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let outcome = match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Apply(args) => live::verbs::apply(args),
        Command::Config(args) => live::verbs::config(args),
        Command::Subsystem(args) => live::verbs::subsystem(args),
        Command::Namespace(args) => live::verbs::namespace(args),
        Command::Listener(args) => live::verbs::listener(args),
        Command::Referral(args) => live::verbs::referral(args),
        Command::Host(args) => live::verbs::host(args),
        Command::Connection(args) => live::verbs::connection(args),
        Command::Ana(args) => live::verbs::ana(args),
        Command::Discover(args) => discover::run(args),
        Command::ConnectAll(args) => connect_all::run(args),
        Command::IdCtrl(args) => admin::id_ctrl(args),
        Command::IdNs(args) => admin::id_ns(args),
        Command::ListNs(args) => admin::list_ns(args),
        Command::Read(args) => copy::read(args),
        Command::Write(args) => copy::write(args),
        Command::GenDhchapKey(args) => keys::generate(args),
        Command::CheckDhchapKey(args) => keys::check(args),
        Command::GenTlsKey(args) => tls_keys::generate(args),
        Command::CheckTlsKey(args) => tls_keys::check(args),
        Command::Bench(args) => bench::run(args),
        Command::RdmaPing(args) => rdma::ping(args),
        Command::RdmaBw(args) => rdma::bw(args),
        Command::Limits(args) => limits::run(args),
        Command::Compare(args) => compare::run(args),
        Command::CompareChild(args) => compare::child(args),
        Command::CompareEngine => compare::engine(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("flexblk: {why}");
            why.exit_code()
        }
    }
}
