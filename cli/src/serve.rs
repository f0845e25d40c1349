//! `flexblk serve`: the target, on this thread, until it is told to stop.

use crate::args::{Offer, Poll, Serve, Transport};
use crate::config::Plan;
use crate::connect;
use crate::failure::Failure;
use dpa::nic::Nic;
use initiator::udp::AnyLink;
use netstack::endpoint::EndpointConfig;
use netstack::fabric::Fabric;
use netstack::link::{HostLink, Link, PcapLink, ShmLink, UdpLink};
use netstack::nvme_tcp::{Beside, TcpConfig, TcpFabric};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, SpinBudget, TransportKind};

/// Polls this long after the last work, then sleeps. See `initiator::wait::SPIN` for the reason.
const SPIN: Duration = Duration::from_micros(50);
/// A sleep ends at least this often, to hear a signal that arrived between look and sleep.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// Hosts have this long to answer the goodbye.
const FAREWELL: Duration = Duration::from_millis(200);

/// Opens everything, tells what is exported, and serves.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let plan = Plan::new(args)?;
    connect::pin(plan.cpu)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let tcp = tcp(&plan)?;
    if plan.transports == [Transport::Tcp] {
        let tcp = tcp.ok_or_else(|| Failure::new("no transport is left"))?;
        return run_over(tcp, Config { path_mtu_bytes: None, ..Config::default() }, &plan, &stop);
    }
    let (nic, path_mtu_bytes) = nic(&plan)?;
    let config = Config { path_mtu_bytes: Some(path_mtu_bytes), ..Config::default() };
    match tcp {
        Some(tcp) => run_over(Beside::new(nic, tcp)?, config, &plan, &stop),
        None => run_over(nic, config, &plan, &stop),
    }
}

/// A fabric as the announcement has it.
trait Told: Fabric {
    /// Transports that it serves, with how they are reached.
    fn ways(&self, plan: &Plan) -> Vec<(TransportKind, String)>;
}

impl Told for TcpFabric {
    fn ways(&self, _plan: &Plan) -> Vec<(TransportKind, String)> {
        vec![(TransportKind::Tcp, "NVMe/TCP".into())]
    }
}
impl Told for Nic<AnyLink> {
    fn ways(&self, plan: &Plan) -> Vec<(TransportKind, String)> {
        let near = if self.link().name() == "udp" { "" } else { ", shared memory" };
        vec![(TransportKind::Rdma, format!("RoCEv2, UDP port {}{near}", plan.udp_port))]
    }
}
impl Told for Beside<Nic<AnyLink>> {
    fn ways(&self, plan: &Plan) -> Vec<(TransportKind, String)> {
        let mut ways = self.fabric().ways(plan);
        ways.push((TransportKind::Tcp, "NVMe/TCP".into()));
        ways
    }
}

fn run_over<F: Told>(
    fabric: F,
    config: Config,
    plan: &Plan,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let ways = fabric.ways(plan);
    let mut reactor = open(fabric, config, plan)?;
    for (id, (transport, _)) in (1..).zip(&ways) {
        let address = SocketAddr::new(plan.traddr, plan.trsvcid);
        reactor.listen(Port { id, transport: *transport, address });
    }
    announce(plan, &reactor, &ways)?;
    serve(&mut reactor, plan.poll, stop)?;
    tracing::info!("stopping");
    say_goodbye(&mut reactor)?;
    reactor.report(&mut |name, count| tracing::info!(name, count));
    Ok(())
}

/// NVMe/TCP, if it is asked for; if nothing is, a port that somebody else has is no reason to fail.
fn tcp(plan: &Plan) -> Result<Option<TcpFabric>, Failure> {
    if !plan.transports.is_empty() && !plan.transports.contains(&Transport::Tcp) {
        return Ok(None);
    }
    let mut tcp = TcpFabric::new(TcpConfig::controller(plan.traddr))?;
    match tcp.try_listen(plan.trsvcid) {
        Ok(()) => Ok(Some(tcp)),
        Err(error) if plan.transports.is_empty() => {
            tracing::warn!(%error, port = plan.trsvcid, "cannot offer NVMe/TCP");
            Ok(None)
        }
        Err(error) => Err(Failure::new(format!(
            "cannot listen on {} port {} (TCP): {error}; is another target there? -s PORT takes \
             another, -t rdma does without",
            plan.traddr, plan.trsvcid
        ))),
    }
}

/// The NIC, and the octets of payload of one of its packets.
fn nic(plan: &Plan) -> Result<(Nic<AnyLink>, u32), Failure> {
    let addr = SocketAddr::new(plan.traddr, plan.udp_port);
    let udp = UdpLink::bind(addr).map_err(|error| {
        Failure::new(format!(
            "cannot listen on {addr} (UDP): {error}; is another target or rdma_rxe there? \
             -a ADDR takes another address"
        ))
    })?;
    let link = link(plan, udp)?;
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    // Keys, queue pair numbers and PSNs must not be guessable: seeded by the operating system.
    let seed = RandomState::new().hash_one(std::process::id());
    let config = EndpointConfig { seed, path_mtu_bytes, ..EndpointConfig::default() };
    Ok((Nic::new(link, config), path_mtu_bytes))
}

/// The target, with everything that it is to export.
fn open<F: Fabric>(fabric: F, config: Config, plan: &Plan) -> Result<Reactor<F>, Failure> {
    let mut reactor = Reactor::new(fabric, config);
    for (nqn, namespaces) in &plan.subsystems {
        reactor.add_subsystem(nqn).map_err(Failure::misuse)?;
        for planned in namespaces {
            let disk = storage::open(&planned.spec)
                .map_err(|error| Failure::new(format!("{}: {error}", planned.uri)))?;
            reactor.add_namespace(nqn, planned.nsid, &planned.uri, disk)?;
        }
    }
    plan.hosts.iter().try_for_each(|admitted| admitted.apply(&mut reactor))?;
    Ok(reactor)
}

/// What hosts come by. Shared memory is a favour: without it, UDP serves all.
fn link(plan: &Plan, udp: UdpLink) -> Result<AnyLink, Failure> {
    if let Some(path) = &plan.pcap {
        let file =
            File::create(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
        return Ok(Box::new(PcapLink::new(udp, BufWriter::new(file))?));
    }
    if plan.link == Offer::Udp {
        return Ok(Box::new(udp));
    }
    match ShmLink::listen(udp.caps().local) {
        Ok(shm) => Ok(Box::new(HostLink::new(udp, shm)?)),
        Err(error) => {
            tracing::warn!(%error, "cannot offer shared memory: hosts of this machine use UDP");
            Ok(Box::new(udp))
        }
    }
}

/// What is exported, and how to reach it.
fn announce<F: Fabric>(
    plan: &Plan,
    reactor: &Reactor<F>,
    ways: &[(TransportKind, String)],
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let (addr, port) = (plan.traddr, plan.trsvcid);
    let first = ways.first().map_or("rdma", |(transport, _)| transport.as_str());
    for subsystem in reactor.subsystems().iter().filter(|s| !s.is_discovery()) {
        let nqn = subsystem.nqn();
        writeln!(out, "subsystem {nqn}")?;
        for ns in subsystem.namespaces() {
            let bytes = u128::from(ns.geometry.block_count) * u128::from(ns.geometry.block_bytes);
            let block = ns.geometry.block_bytes;
            writeln!(out, "  namespace {}: {bytes} octets in blocks of {block}", ns.nsid)?;
            writeln!(
                out,
                "    flexblk bench 'trtype={first} traddr={addr} trsvcid={port} subnqn={nqn} ns={}'",
                ns.nsid
            )?;
        }
        for (transport, _) in ways {
            let word = transport.as_str();
            writeln!(out, "  a Linux host: nvme connect -t {word} -a {addr} -s {port} -n {nqn}")?;
        }
    }
    writeln!(out, "  all of it: flexblk discover -t {first} -a {addr} -s {port}")?;
    let ways: Vec<&str> = ways.iter().map(|(_, way)| way.as_str()).collect();
    writeln!(out, "listening on {addr} service {port} ({})", ways.join("; "))?;
    out.flush()?;
    Ok(())
}

fn serve<F: Fabric>(
    reactor: &mut Reactor<F>,
    poll: Poll,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut budget = match poll {
        Poll::Busy => SpinBudget::busy(),
        Poll::Adaptive => SpinBudget::adaptive(SPIN),
    };
    let mut hosts = Hosts::default();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let turn = reactor.turn(now);
        hosts.tell(reactor);
        if budget.handle_turn(now, turn.did_work) {
            let latest = now + SLEEP_MAX;
            let until = turn.next_timeout.map_or(latest, |at| at.min(latest));
            reactor.wait(now, Some(until))?;
        }
    }
    Ok(())
}

/// Ends the connections, so that hosts learn of it now and not by a timeout.
fn say_goodbye<F: Fabric>(reactor: &mut Reactor<F>) -> Result<(), Failure> {
    let until = Instant::now() + FAREWELL;
    reactor.shut_down(Instant::now());
    while reactor.connection_count() > 0 && Instant::now() < until {
        let now = Instant::now();
        let turn = reactor.turn(now);
        if !turn.did_work {
            let next = turn.next_timeout.map_or(until, |at| at.min(until));
            reactor.wait(now, Some(next))?;
        }
    }
    Ok(())
}

/// What was last told of who is connected.
#[derive(Default, PartialEq, Eq)]
struct Hosts {
    connections: usize,
    controllers: usize,
    accepted: u64,
    ended: u64,
}

impl Hosts {
    /// A line whenever the numbers change (`FLEXBLK_LOG=info`).
    fn tell<F: Fabric>(&mut self, reactor: &Reactor<F>) {
        let counters = reactor.counters();
        let now = Hosts {
            connections: reactor.connection_count(),
            controllers: reactor.controller_count(),
            accepted: counters.connections,
            ended: counters.disconnected,
        };
        if *self != now {
            let Hosts { connections, controllers, accepted, ended } = now;
            tracing::info!(connections, controllers, accepted, ended, "hosts");
            *self = now;
        }
    }
}
