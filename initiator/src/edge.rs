//! The edge: a session over any fabric, with sockets, a real clock and this host's identity.

use crate::any::AnyFabric;
use crate::contract::Timers;
use crate::host::{HostError, HostOptions};
use crate::identity;
use crate::session::{Session, SessionError};
use crate::shared;
use crate::spec::{TargetSpec, Transport};
use crate::udp::{self, Taps};
use crate::wait::{PollMode, Waiter};
use auth::{HashId, TlsPsk};
use netstack::fabric::{Psk, PskHash};
use netstack::link::inject::Rule;
use netstack::link::{Link, ROCE_PORT};
use netstack::nvme_tcp::{TcpConfig, TcpFabric};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use wire::fabrics::Nqn;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// I/O queues; 0 for discovery and for looking only.
    pub io_queues: u16,
    /// Commands outstanding per queue.
    pub queue_depth: u16,
    /// How to wait.
    pub poll: PollMode,
    /// Timers.
    pub timers: Timers,
    /// Record every packet here (RDMA).
    pub pcap: Option<PathBuf>,
    /// What is done to which packets, for tests (RDMA).
    pub inject: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Settings {
        let (poll, timers) = (PollMode::Adaptive, Timers::default());
        let (pcap, inject) = (None, Vec::new());
        Settings { io_queues: 1, queue_depth: 128, poll, timers, pcap, inject }
    }
}

/// A session over any fabric.
pub type AnySession = Session<AnyFabric>;

/// Connects to what `spec` names (the discovery service when it names no subsystem).
///
/// Errors: sockets, or what kept it from connecting.
pub fn connect(spec: &TargetSpec, settings: &Settings) -> Result<AnySession, SessionError> {
    let concatenate =
        spec.concat && spec.subnqn.as_deref().is_some_and(|nqn| nqn != Nqn::DISCOVERY);
    check_concatenation(spec)?;
    let fabric = fabric(spec, settings)?;
    let (hostnqn, hostid) = identity::host(spec.hostnqn.as_deref());
    let subnqn = spec.subnqn.clone().unwrap_or_else(|| Nqn::DISCOVERY.into());
    let io_queues = if subnqn == Nqn::DISCOVERY { 0 } else { settings.io_queues };
    let options = HostOptions {
        target: SocketAddr::new(spec.traddr, spec.trsvcid),
        subnqn,
        hostnqn,
        hostid,
        io_queues,
        queue_depth: settings.queue_depth,
        keys: spec.keys().map(Arc::new),
        concatenate,
        timers: settings.timers,
    };
    let waiter = Waiter::new(settings.poll);
    let own = match &fabric {
        AnyFabric::Rdma(nic) => Some(nic.link().caps().local).filter(|own| own.port() != ROCE_PORT),
        AnyFabric::Tcp(_) | AnyFabric::Shared(_) => None,
    };
    if spec.paths.is_empty() {
        return Session::connect(fabric, options, waiter).map_err(|why| with_port(why, own));
    }
    let shares = shared::split(fabric, spec.paths.len() + 1).into_iter();
    let shares = shares.map(|share| AnyFabric::Shared(Box::new(share))).collect();
    Session::connect_paths(shares, options, &spec.paths, waiter)
}

/// Targets of others answer to port 4791 alone: who comes from another one is told.
fn with_port(why: SessionError, own: Option<SocketAddr>) -> SessionError {
    match (why, own) {
        (SessionError::Host(HostError::NoAnswer(target)), Some(own)) if !own.ip().is_loopback() => {
            let why = format!(
                "no answer from {target} to {own}: is it running? A target that is not FlexBlk answers \
                 to UDP port {ROCE_PORT}, which another process (or rdma_rxe) has at {}: give each \
                 process an address of its own (hostaddr=, host_traddr), or let its jobs be threads \
                 of one",
                own.ip()
            );
            SessionError::Io(io::Error::new(io::ErrorKind::TimedOut, why))
        }
        (why, _) => why,
    }
}

/// What this host speaks TLS with: nothing where it has no key.
fn psks(spec: &TargetSpec) -> Vec<Psk> {
    let Some(key) = &spec.tls_key else { return Vec::new() };
    let (hostnqn, _) = identity::host(spec.hostnqn.as_deref());
    let subnqn = spec.subnqn.as_deref().unwrap_or(Nqn::DISCOVERY);
    key.psks(&hostnqn, subnqn).into_iter().map(shared_psk).collect()
}
/// A key as fabrics have it.
pub(crate) fn shared_psk(psk: TlsPsk) -> Psk {
    let hash = if psk.hash == HashId::Sha384 { PskHash::Sha384 } else { PskHash::Sha256 };
    Psk { identity: psk.identity, secret: Arc::new(psk.secret), hash }
}

/// Errors: a key for TLS cannot be made so, in words.
fn check_concatenation(spec: &TargetSpec) -> io::Result<()> {
    let why = match spec {
        _ if !spec.concat => return Ok(()),
        TargetSpec { transport: Transport::Rdma, .. } => "it is for trtype=tcp",
        TargetSpec { dhchap_secret: None, .. } => {
            "it needs this host's secret, dhchap_secret= or -S"
        }
        TargetSpec { tls_key: Some(_), .. } => "it makes the key for TLS: leave the TLS key out",
        TargetSpec { paths, .. } if !paths.is_empty() => "it goes with one path: leave path= out",
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("concat=on: {why}")))
}

fn fabric(spec: &TargetSpec, settings: &Settings) -> io::Result<AnyFabric> {
    match spec.transport {
        Transport::Rdma => {
            if spec.tls_key.is_some() {
                let why = "TLS is spoken over TCP only: leave the TLS key out, or say trtype=tcp";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let taps = Taps { inject: &settings.inject, pcap: settings.pcap.as_deref() };
            let nic = udp::nic(spec, taps)?;
            Ok(AnyFabric::Rdma(Box::new(nic)))
        }
        Transport::Tcp => {
            if !settings.inject.is_empty() {
                let why = "--inject hits packets of RDMA: say trtype=rdma";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            if settings.pcap.is_some() {
                let why = "packets over TCP are the kernel's: record them with tcpdump or dumpcap";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let unspecified = if spec.traddr.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            let config = TcpConfig {
                header_digest: spec.header_digest,
                data_digest: spec.data_digest,
                ..TcpConfig::host(spec.hostaddr.unwrap_or(unspecified))
            };
            let mut fabric = TcpFabric::new(config)?;
            fabric.set_host_psks(psks(spec));
            Ok(AnyFabric::Tcp(Box::new(fabric)))
        }
    }
}
