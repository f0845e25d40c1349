//! `flexblk rdma-ping` and `flexblk rdma-bw`: verbs without NVMe, to rping and perftest or to each other.
//!
//! What is spoken is in `bench::rdma`; here are sockets, signals and words.

mod bw;
mod ping;

pub(crate) use bw::run as bw;
pub(crate) use ping::run as ping;

use crate::args::Offer;
use crate::args::rdma::{Way, Wire};
use crate::bench::poll_mode;
use crate::connect;
use crate::failure::Failure;
use crate::link;
use ::bench::rdma::{Fault, Tool, drive};
use dpa::nic::Nic;
use initiator::spec::LinkChoice;
use initiator::udp::{self, AnyLink, Taps};
use initiator::{TargetSpec, Waiter, WireMode};
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::link::{Link, ROCE_PORT};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose fault decides the exit status.
fn failure(fault: Fault) -> Failure {
    match fault {
        Fault::Misuse(why) => Failure::misuse(why),
        Fault::Peer(_) | Fault::Connection(_) => Failure::new(fault.to_string()),
    }
}

/// A server's NIC at `address`, which `option` gave.
fn serving(address: IpAddr, option: &str, way: &Way) -> Result<Nic<AnyLink>, Failure> {
    let addr = SocketAddr::new(address, ROCE_PORT);
    let link = link::listening(addr, option, way.link, taps(way))?;
    let mode = match way.mode {
        Wire::Native => Mode::Native,
        Wire::Roce => Mode::Roce,
    };
    // Keys, queue pair numbers and PSNs must not be guessable: seeded by the operating system.
    let seed = RandomState::new().hash_one(std::process::id());
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let cc = way.cc.into();
    let config = EndpointConfig { seed, mode, path_mtu_bytes, cc, ..EndpointConfig::default() };
    Ok(Nic::new(link, config))
}

fn taps(way: &Way) -> Taps<'_> {
    Taps { inject: &way.faults.inject, pcap: None }
}

/// A client's NIC that reaches `to`.
fn reaching(to: SocketAddr, source: Option<IpAddr>, way: &Way) -> Result<Nic<AnyLink>, Failure> {
    let mut spec = TargetSpec::port(to.ip(), to.port());
    spec.hostaddr = source;
    spec.mode = match way.mode {
        Wire::Native => WireMode::Native,
        Wire::Roce => WireMode::Roce,
    };
    spec.link = match way.link {
        Offer::Auto => LinkChoice::Auto,
        Offer::Udp => LinkChoice::Udp,
        Offer::Raw => LinkChoice::Raw,
    };
    spec.cc = Some(way.cc.into());
    Ok(udp::nic(&spec, taps(way))?)
}

/// Runs a tool until it is over or its user interrupts it: whether it was.
fn run_tool<T: Tool>(nic: &mut Nic<AnyLink>, tool: &mut T, way: &Way) -> Result<bool, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut printed = Ok(());
    let mut say = |line: String| {
        // A reader that has left is a reason to end.
        let outcome = crate::output::print(line);
        if outcome.is_err() {
            stop.store(true, Ordering::Relaxed);
            printed = outcome;
        }
    };
    let outcome = drive(nic, tool, Waiter::new(poll_mode(way.poll)), &stop, &mut say);
    connect::tell_hits(nic);
    outcome.map_err(failure)?;
    printed?;
    Ok(stop.load(Ordering::Relaxed))
}
