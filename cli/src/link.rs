//! Links on which something listens, as the command line names them.

use crate::args::Offer;
use crate::failure::Failure;
use initiator::udp::{AnyLink, Taps};
use netstack::link::{HostLink, Link, RawLink, ShmLink, UdpLink};
use std::io::ErrorKind;
use std::net::SocketAddr;

/// What hosts come by; `option` names its address. Shared memory beside UDP is a favour: without it,
/// UDP serves all, and so it does where packets are recorded or hit.
pub(crate) fn listening(
    addr: SocketAddr,
    option: &str,
    offer: Offer,
    taps: Taps<'_>,
) -> Result<AnyLink, Failure> {
    match offer {
        Offer::Raw => Ok(taps.around(raw(addr, option)?)?),
        Offer::Auto if taps.is_empty() => beside_shared_memory(udp(addr, option)?),
        Offer::Auto | Offer::Udp => Ok(taps.around(udp(addr, option)?)?),
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
