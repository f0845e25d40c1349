//! Links on which something listens, as the command line names them.

use crate::args::Offer;
use crate::failure::Failure;
use initiator::udp::AnyLink;
use netstack::link::{HostLink, Link, PcapLink, RawLink, ShmLink, UdpLink};
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

/// What hosts come by; `option` names its address. Shared memory beside UDP is a favour: without it,
/// UDP serves all.
pub(crate) fn listening(addr: SocketAddr, option: &str, offer: Offer) -> Result<AnyLink, Failure> {
    let udp = match offer {
        Offer::Raw => return Ok(Box::new(raw(addr, option)?)),
        Offer::Udp => return Ok(Box::new(udp(addr, option)?)),
        Offer::Auto => udp(addr, option)?,
    };
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
    RawLink::bind(addr).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
            Failure::new(format!("cannot listen on {addr} (UDP): {error}; --link udp does without"))
        }
        _ => taken(addr, option, &error),
    })
}

fn taken(addr: SocketAddr, option: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!(
        "cannot listen on {addr} (UDP): {error}; is another target or rdma_rxe there? \
         {option} ADDR takes another address"
    ))
}

/// The same without shared memory; everything that passes is recorded at `path`.
pub(crate) fn recorded(
    addr: SocketAddr,
    option: &str,
    offer: Offer,
    path: &Path,
) -> Result<AnyLink, Failure> {
    match offer {
        Offer::Raw => tapped(path, raw(addr, option)?),
        Offer::Auto | Offer::Udp => tapped(path, udp(addr, option)?),
    }
}

fn tapped<L: Link + Send + 'static>(path: &Path, link: L) -> Result<AnyLink, Failure> {
    let file = File::create(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    Ok(Box::new(PcapLink::new(link, BufWriter::new(file))?))
}
