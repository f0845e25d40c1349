//! Links on which something listens, as the command line names them.

use crate::args::Offer;
use crate::failure::Failure;
use initiator::udp::AnyLink;
use netstack::link::inject::Rule;
use netstack::link::{HostLink, InjectLink, Link, PcapLink, RawLink, ShmLink, UdpLink};
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

/// Decides for the rules of `--inject` that have a chance: the same packets in each run.
const INJECT_SEED: u64 = 1;

/// What the command line asks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// By which ways.
    pub(crate) offer: Offer,
    /// What is done to which packets, for tests.
    pub(crate) inject: &'a [Rule],
    /// Where everything that passes is recorded.
    pub(crate) pcap: Option<&'a Path>,
}

/// What hosts come by; `option` names its address. Shared memory beside UDP is a favour: without it,
/// UDP serves all, and so it does where packets are recorded or hit.
pub(crate) fn listening(
    addr: SocketAddr,
    option: &str,
    wanted: Wanted<'_>,
) -> Result<AnyLink, Failure> {
    let is_plain = wanted.inject.is_empty() && wanted.pcap.is_none();
    match wanted.offer {
        Offer::Raw => wanted.around(raw(addr, option)?),
        Offer::Auto if is_plain => beside_shared_memory(udp(addr, option)?),
        Offer::Auto | Offer::Udp => wanted.around(udp(addr, option)?),
    }
}

impl Wanted<'_> {
    fn around<L: Link + Send + 'static>(&self, link: L) -> Result<AnyLink, Failure> {
        if self.inject.is_empty() {
            return self.tapped(link);
        }
        tracing::warn!(rules = self.inject.len(), "--inject: packets are hit on purpose");
        self.tapped(InjectLink::new(link, self.inject, INJECT_SEED, Instant::now))
    }
    fn tapped<L: Link + Send + 'static>(&self, link: L) -> Result<AnyLink, Failure> {
        let Some(path) = self.pcap else { return Ok(Box::new(link)) };
        let file =
            File::create(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
        Ok(Box::new(PcapLink::new(link, BufWriter::new(file))?))
    }
}

fn beside_shared_memory(udp: UdpLink) -> Result<AnyLink, Failure> {
    match ShmLink::listen(udp.caps().local) {
        Ok(shm) => Ok(Box::new(HostLink::new(udp, shm)?)),
        Err(error) => {
            tracing::warn!(%error, "cannot offer shared memory: hosts of this machine use UDP");
            Ok(Box::new(udp))
        }
    }
}

fn udp(addr: SocketAddr, option: &str) -> Result<UdpLink, Failure> {
    UdpLink::bind(addr).map_err(|error| taken(addr, option, &error))
}

fn raw(addr: SocketAddr, option: &str) -> Result<RawLink, Failure> {
    RawLink::bind(addr).map_err(|error| {
        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) {
            let what = "--link udp does without";
            return Failure::new(format!("cannot listen on {addr} (UDP): {error}; {what}"));
        }
        taken(addr, option, &error)
    })
}

fn taken(addr: SocketAddr, option: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "cannot listen on {addr} (UDP): {error}; is another target or rdma_rxe there? \
         {option} ADDR takes another address"
    ))
}
