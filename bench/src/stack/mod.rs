//! The stacks that are compared, and how each is put together.

mod spec;
mod staged;

pub use spec::{Idle, Kind, LARGE_POOL, Place, StackSpec, WithFabric};
pub use staged::StagedLink;

use dpa::nic::Nic;
use dpa::pipe::PipeOptions;
use dpa::rx;
use netstack::endpoint::EndpointConfig;
use netstack::link::{Link, RxRing, ShmLink, UdpLink};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A server of this machine answers at its next look.
const SHM_PATIENCE: Duration = Duration::from_secs(2);

/// A link of any kind.
pub type AnyLink = Box<dyn Link + Send>;

/// A NIC: FlexiNS', or the one inside an engine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NicSpec {
    /// Address and UDP port.
    pub local: SocketAddr,
    /// Buffers of 64 KiB that packets are received into, all of them in turn. `None`: the small
    /// ring that stays in the cache.
    pub rx_pool: Option<u32>,
    /// Messages (a datagram, or a GRO run of at most 64 KiB) taken in one turn at most.
    pub rx_burst: u32,
    /// Payload is copied into packet buffers before it is sent.
    pub staged_tx: bool,
    /// Shared memory instead of UDP: asked for from this address, or offered at the own one.
    pub shm: Option<SocketAddr>,
}

/// A pipe between host and NIC, or application and engine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PipeSpec {
    /// Descriptors each way.
    pub depth: usize,
    /// Microseconds without work before it sleeps; `None`: it never does.
    pub spin_us: Option<u64>,
    /// See [`PipeOptions::yields`].
    pub yields: bool,
    /// See [`PipeOptions::hands_over`].
    pub hands_over: bool,
    /// See [`PipeOptions::batch`].
    pub batch: usize,
    /// See [`PipeOptions::rings_always`].
    pub rings_always: bool,
}

impl PipeSpec {
    /// As the pipe takes it.
    #[must_use]
    pub fn options(&self) -> PipeOptions {
        let PipeSpec { depth, yields, hands_over, batch, rings_always, .. } = *self;
        let spin = self.spin_us.map_or(Duration::MAX, Duration::from_micros);
        PipeOptions { depth, spin, yields, hands_over, batch, rings_always }
    }
}

/// Puts a NIC together. Errors: the address cannot be had.
pub fn nic(spec: &NicSpec) -> io::Result<Nic<AnyLink>> {
    let (link, config) = link(spec)?;
    Ok(with_pool(Nic::new(link, config), spec))
}

/// Gives a NIC the receive buffers that it is to have.
pub fn with_pool<L: Link, O: dpa::engine::Offload>(nic: Nic<L, O>, spec: &NicSpec) -> Nic<L, O> {
    let burst = spec.rx_burst;
    // Without a pool it is the small ring: the same buffers for every burst.
    nic.with_ring(RxRing::pool(spec.rx_pool.unwrap_or(burst), rx::SLOT_BYTES, burst))
}

/// The link and the endpoint's configuration. Errors: the address cannot be had.
pub fn link(spec: &NicSpec) -> io::Result<(AnyLink, EndpointConfig)> {
    let link = bind(spec)?;
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let seed = RandomState::new().hash_one(std::process::id());
    Ok((link, EndpointConfig { seed, path_mtu_bytes, ..EndpointConfig::default() }))
}

fn bind(spec: &NicSpec) -> io::Result<AnyLink> {
    if let Some(at) = spec.shm {
        let is_own = at.ip() == spec.local.ip();
        let link = if is_own { ShmLink::listen(at)? } else { ShmLink::connect(at, SHM_PATIENCE)? };
        return Ok(Box::new(link));
    }
    let udp = UdpLink::bind(spec.local).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot use {} (UDP): {error}", spec.local))
    })?;
    Ok(if spec.staged_tx { Box::new(StagedLink::new(udp)?) } else { Box::new(udp) })
}

/// Moves this thread, and those that it starts, to a processor. Errors: there is none of this number.
pub fn pin(cpu: Option<usize>) -> io::Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
