//! The NIC of a host: over UDP, whole frames, or shared memory to a target of this machine.

use crate::spec::{LinkChoice, TargetSpec, WireMode};
use dpa::nic::Nic;
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::link::inject::Rule;
use netstack::link::{
    DialLink, InjectLink, Link, PcapLink, ROCE_PORT, RawLink, SharedPort, UdpLink, Ways, is_local,
};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Instant;

/// Links on which sessions run: UDP with or without a tap, shared memory.
pub type AnyLink = Box<dyn Link + Send>;

/// Loopback addresses tried for a RoCEv2 client, which needs the fixed port for itself.
const LOOPBACK_TRIES: u8 = 200;

/// Decides for rules that have a chance: the same packets in each run.
const INJECT_SEED: u64 = 1;

/// What stands between a NIC and its link. Packets in shared memory pass neither.
#[derive(Clone, Copy, Default, Debug)]
pub struct Taps<'a> {
    /// What is done to which packets, for tests.
    pub inject: &'a [Rule],
    /// Where everything that passes is recorded.
    pub pcap: Option<&'a Path>,
}

impl Taps<'_> {
    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inject.is_empty() && self.pcap.is_none()
    }
    /// `link`, with those that are wanted. What a fault did is recorded.
    ///
    /// Errors: the record cannot be made.
    pub fn around(self, link: impl Link + Send + 'static) -> io::Result<AnyLink> {
        if self.inject.is_empty() {
            return self.recorded(link);
        }
        tracing::warn!(rules = self.inject.len(), "--inject: packets are hit on purpose");
        self.recorded(InjectLink::new(link, self.inject, INJECT_SEED, Instant::now))
    }
    fn recorded(self, link: impl Link + Send + 'static) -> io::Result<AnyLink> {
        let Some(path) = self.pcap else { return Ok(Box::new(link)) };
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::create(path).map_err(named)?;
        Ok(Box::new(PcapLink::new(link, BufWriter::new(file))?))
    }
}

/// A NIC that reaches `spec`, through `taps`.
///
/// Errors: sockets, or that the way asked for is not there.
pub fn nic(spec: &TargetSpec, taps: Taps<'_>) -> io::Result<Nic<AnyLink>> {
    let link = link(spec, taps)?;
    let mode = match spec.mode {
        WireMode::Native => Mode::Native,
        WireMode::Roce => Mode::Roce,
    };
    // Keys, queue pair numbers and PSNs must not be guessable: seeded by the operating system.
    let seed = RandomState::new().hash_one(std::process::id());
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let cc = spec.cc.unwrap_or_default();
    let config = EndpointConfig { seed, mode, path_mtu_bytes, cc, ..EndpointConfig::default() };
    Ok(Nic::new(link, config))
}

/// UDP, or a link that finds shared memory when the target is of this machine.
fn link(spec: &TargetSpec, taps: Taps<'_>) -> io::Result<AnyLink> {
    if spec.link == LinkChoice::Raw {
        return taps.around(bind(spec, RawLink::bind)?);
    }
    let (traddr, wants_shm) = (spec.traddr, spec.link == LinkChoice::Shm);
    if !taps.is_empty() && wants_shm {
        return Err(invalid("packets in shared memory are neither recorded nor hit: link=udp"));
    }
    // A machine that does not tell its addresses has none of its own here.
    let is_local = is_local(traddr).unwrap_or(false);
    if !is_local
        && !wants_shm
        && let Some(shared) = shared_port(spec)?
    {
        return taps.around(shared);
    }
    let udp = bind(spec, UdpLink::bind)?;
    if !taps.is_empty() {
        return taps.around(udp);
    }
    if spec.link == LinkChoice::Udp || !is_local {
        if wants_shm {
            let why = format!("link=shm: {traddr} is not an address of this machine: link=udp");
            return Err(invalid(&why));
        }
        return Ok(Box::new(udp));
    }
    let ways = if wants_shm { Ways::ShmOnly } else { Ways::Any };
    let dialled = DialLink::new(udp, traddr, ways).map_err(|error| {
        let what = format!(
            "link=shm: no target of this user or root offers shared memory at {traddr} ({error}): \
             is `flexblk serve -a {traddr}` running here, without --link udp? link=auto goes by UDP"
        );
        io::Error::new(error.kind(), what)
    })?;
    Ok(Box::new(dialled))
}

/// Port 4791 towards another machine, where targets of others answer, however many threads of this
/// process have connections. `None`: another process has it; FlexBlk targets answer to any port.
fn shared_port(spec: &TargetSpec) -> io::Result<Option<SharedPort>> {
    let source = spec.hostaddr.map_or_else(|| source_address(spec.traddr), Ok)?;
    match SharedPort::join(SocketAddr::new(source, ROCE_PORT)) {
        Ok(shared) => Ok(Some(shared)),
        Err(_) if spec.mode == WireMode::Native => Ok(None),
        Err(error) => Err(unusable(source, ROCE_PORT, &error)),
    }
}

fn unusable(addr: IpAddr, port: u16, error: &io::Error) -> io::Error {
    let what = format!(
        "cannot use {addr} port {port}: {error}; is it an address of this host, and has no other \
         process (or rdma_rxe) this port?"
    );
    io::Error::new(error.kind(), what)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// A socket of this side. In native mode any port will do; RoCEv2 wants port 4791 for itself, so on
/// loopback each process takes an address of its own. Elsewhere a target may be another's, which shows only
/// once it has answered, to port 4791: that port is taken if it is free.
fn bind<L>(spec: &TargetSpec, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    if spec.mode == WireMode::Native && !spec.traddr.is_loopback() {
        let source = spec.hostaddr.map_or_else(|| source_address(spec.traddr), Ok)?;
        if let Ok(link) = open(SocketAddr::new(source, ROCE_PORT)) {
            return Ok(link);
        }
    }
    let port = if spec.mode == WireMode::Roce { ROCE_PORT } else { 0 };
    if let Some(addr) = spec.hostaddr {
        return open(SocketAddr::new(addr, port)).map_err(|error| unusable(addr, port, &error));
    }
    let source = source_address(spec.traddr)?;
    if port == 0 || !spec.traddr.is_loopback() || spec.traddr.is_ipv6() {
        return open(SocketAddr::new(source, port));
    }
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for host in 2..LOOPBACK_TRIES {
        let addr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, host));
        if addr == spec.traddr {
            continue;
        }
        match open(SocketAddr::new(addr, port)) {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The address from which this host reaches `target`.
fn source_address(target: IpAddr) -> io::Result<IpAddr> {
    if target.is_loopback() && target.is_ipv4() {
        return Ok(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    }
    let any = if target.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    // Connecting a datagram socket sends nothing: it asks the routing table.
    let probe = UdpSocket::bind(SocketAddr::new(any, 0))?;
    probe
        .connect(SocketAddr::new(target, ROCE_PORT))
        .map_err(|error| io::Error::new(error.kind(), format!("no route to {target}: {error}")))?;
    Ok(probe.local_addr()?.ip())
}
