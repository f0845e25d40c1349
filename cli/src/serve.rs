//! `flexblk serve`: the target, on this thread, until it is told to stop.

mod announce;

use crate::args::{Poll, Serve, Transport};
use crate::config::Plan;
use crate::connect;
use crate::failure::Failure;
use crate::link;
use crate::live::control::{self, Control};
use crate::live::exports::Served;
use crate::live::jobs::{self, Jobs};
use crate::live::socket::{ControlSocket, default_path};
use crate::live::state::StateFile;
use announce::{Told, announce};
use dpa::nic::Nic;
use initiator::udp::{AnyLink, Taps};
use netstack::endpoint::EndpointConfig;
use netstack::fabric::Fabric;
use netstack::link::Link;
use netstack::nvme_tcp::{Beside, TcpConfig, TcpFabric};
use rustix::thread::CpuSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use target::{Config, Reactor, SpinBudget};

/// Polls this long after the last work, then sleeps. See `initiator::wait::SPIN` for the reason.
const SPIN: Duration = Duration::from_micros(50);
/// A sleep ends at least this often, to hear a signal that arrived between look and sleep.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// Hosts have this long to answer the goodbye.
const FAREWELL: Duration = Duration::from_millis(200);
/// And this long to close a connection that was ended in order, those included that come meanwhile.
const PARTING: Duration = Duration::from_secs(2);
/// Whether they have is looked at this often.
const PARTING_LOOK: Duration = Duration::from_millis(10);

/// Opens everything, tells what is exported, and serves.
pub(crate) fn run(args: &Serve) -> Result<(), Failure> {
    let mut plan = Plan::new(args)?;
    // Before any thread starts, and before this one is moved.
    let controls = Controls {
        socket: control_socket(args)?,
        state: args.state.as_deref().map(StateFile::new),
        cpus: rustix::thread::sched_getaffinity(None)?,
    };
    connect::pin(plan.cpu)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let tcp = tcp(&mut plan)?;
    let Some(rdma) = plan.listeners(Transport::Rdma).next().copied() else {
        let tcp = tcp.ok_or_else(|| Failure::new("no transport is left"))?;
        let config = Config { path_mtu_bytes: None, ..Config::default() };
        return run_over(tcp, config, &plan, controls, &stop);
    };
    let (nic, path_mtu_bytes) = nic(&plan, rdma.address.ip())?;
    let config = Config { path_mtu_bytes: Some(path_mtu_bytes), ..Config::default() };
    match tcp {
        Some(tcp) => run_over(Beside::new(nic, tcp)?, config, &plan, controls, &stop),
        None => run_over(nic, config, &plan, controls, &stop),
    }
}

/// What live configuration needs.
struct Controls {
    socket: Option<ControlSocket>,
    state: Option<StateFile>,
    /// Where its thread runs: making a disk must not hold up the one that polls.
    cpus: CpuSet,
}

/// The socket asked for, or the usual one, which a target need not have.
fn control_socket(args: &Serve) -> Result<Option<ControlSocket>, Failure> {
    if let Some(path) = &args.control {
        return ControlSocket::bind(path).map(Some);
    }
    let Some(path) = default_path() else { return Ok(None) };
    match ControlSocket::bind(&path) {
        Ok(socket) => Ok(Some(socket)),
        Err(why) => {
            tracing::warn!(%why, "no live configuration");
            Ok(None)
        }
    }
}

fn run_over<F: Told + 'static>(
    fabric: F,
    config: Config,
    plan: &Plan,
    Controls { socket, state, cpus }: Controls,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let ways = fabric.ways(plan);
    let mut served = Served::new(Reactor::new(fabric, config));
    if let Some(state) = &state {
        let store = state.reservations();
        let store = store.map_err(|why| Failure::new(format!("--state, reservations: {why}")))?;
        // Before there are namespaces: each starts with what was kept for it.
        served.reactor.set_reservation_store(Box::new(store));
    }
    control::export_all(&mut served, &plan.model).map_err(Failure::new)?;
    if let Some(state) = &state {
        keep(state, &control::text(&plan.fixed, &plan.model))?;
    }
    let (asker, jobs) = jobs::jobs()?;
    if let Some(socket) = &socket {
        let (model, fixed) = (plan.model.clone(), plan.fixed.clone());
        let mut control = Control { asker, model, fixed, state };
        socket.answer(cpus, move |request| control.handle(request))?;
        tracing::info!(path = %socket.path().display(), "control socket");
    }
    announce(plan, &served.reactor, &ways)?;
    serve(&mut served, &jobs, plan.poll, stop)?;
    tracing::info!("stopping");
    // Who still asks something is told that the target stops.
    drop(jobs);
    let mut reactor = served.reactor;
    say_goodbye(&mut reactor)?;
    reactor.report(&mut |name, count| tracing::info!(name, count));
    Ok(())
}

/// What is exported now is what a restart exports.
fn keep(state: &StateFile, text: &str) -> Result<(), Failure> {
    let kept = state.read().and_then(|old| {
        if old.as_deref() == Some(text) { Ok(()) } else { state.draft(text)?.keep() }
    });
    kept.map_err(|why| Failure::new(format!("--state: {why}")))
}

/// NVMe/TCP, if it is asked for; if nothing is, a port that somebody else has is no reason to fail:
/// then the plan does without.
fn tcp(plan: &mut Plan) -> Result<Option<TcpFabric>, Failure> {
    let listeners: Vec<SocketAddr> =
        plan.listeners(Transport::Tcp).map(|listener| listener.address).collect();
    let Some(first) = listeners.first() else { return Ok(None) };
    let mut tcp = TcpFabric::new(TcpConfig::controller(first.ip()))?;
    for address in &listeners {
        let Err(error) = tcp.open_listener("tcp", *address) else { continue };
        let (traddr, port) = (address.ip(), address.port());
        if plan.transports_are_asked {
            return Err(Failure::new(format!(
                "cannot listen on {traddr} port {port} (TCP): {error}; is another target there? -s \
                 PORT takes another, -t rdma does without"
            )));
        }
        tracing::warn!(%error, port, "cannot offer NVMe/TCP");
        plan.model.listeners.retain(|_, listener| listener.trtype != Transport::Tcp);
        return Ok(None);
    }
    Ok(Some(tcp))
}

/// The NIC, and the octets of payload of one of its packets.
fn nic(plan: &Plan, traddr: IpAddr) -> Result<(Nic<AnyLink>, u32), Failure> {
    let addr = SocketAddr::new(traddr, plan.udp_port);
    let taps = Taps { inject: &plan.inject, pcap: plan.pcap.as_deref() };
    let link = link::listening(addr, "-a", plan.link, taps)?;
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    // Keys, queue pair numbers and PSNs must not be guessable: seeded by the operating system.
    let seed = RandomState::new().hash_one(std::process::id());
    let cc = plan.cc.into();
    let config = EndpointConfig { seed, path_mtu_bytes, cc, ..EndpointConfig::default() };
    Ok((Nic::new(link, config), path_mtu_bytes))
}

fn serve<F: Fabric>(
    served: &mut Served<F>,
    jobs: &Jobs<Served<F>>,
    poll: Poll,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut budget = match poll {
        Poll::Busy => SpinBudget::busy(),
        Poll::Adaptive => SpinBudget::adaptive(SPIN),
    };
    let mut hosts = Hosts::default();
    while !stop.load(Ordering::Relaxed) {
        // Before the turn, which does what these leave to be done.
        jobs.run(served);
        let reactor = &mut served.reactor;
        let now = Instant::now();
        let turn = reactor.turn(now);
        hosts.tell(reactor);
        if budget.handle_turn(now, turn.did_work) {
            let latest = now + SLEEP_MAX;
            let until = turn.next_timeout.map_or(latest, |at| at.min(latest));
            reactor.wait_or_bell(now, Some(until), Some(jobs.bell()))?;
        }
    }
    Ok(())
}

/// Ends the connections, so that hosts learn of it now and not by a timeout; and stays until they have
/// closed theirs. A Linux host that writes to a connection that was reset gives SIGPIPE to the
/// program whose I/O that is.
fn say_goodbye<F: Fabric>(reactor: &mut Reactor<F>) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut now = begun;
    reactor.shut_down(now);
    while (reactor.connection_count() > 0 && now < begun + FAREWELL)
        || (reactor.fabric().is_parting() && now < begun + PARTING)
    {
        let turn = reactor.turn(now);
        if !turn.did_work {
            let next = now + PARTING_LOOK;
            reactor.wait(now, Some(turn.next_timeout.map_or(next, |at| at.min(next))))?;
        }
        now = Instant::now();
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
