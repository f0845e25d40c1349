//! The target as one actor.

use crate::disk::{self, SharedPlatter};
use crate::net::{SharedNet, SimLink};
use crate::plan::Plan;
use crate::random::Random;
use dpa::nic::Nic;
use netstack::fabric::Fabric;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use storage::Backend;
use target::{Config, Port, Reactor, TransportKind};

/// The subsystem that hosts connect to.
pub(crate) const NQN: &str = "nqn.2026-11.io.flexblk:sim";
/// Its NVMe port.
pub(crate) const SERVICE: u16 = 4420;

/// The target, when it lives.
pub(crate) struct Server {
    reactor: Option<Reactor<Nic<SimLink>>>,
    platter: SharedPlatter,
    pub(crate) restart_at: Option<Instant>,
    pub(crate) wake: Option<Instant>,
}

impl Server {
    /// A target with a disk of zeroes.
    pub(crate) fn new(plan: &Plan, net: &SharedNet, seed: u64) -> io::Result<Server> {
        let (platter, disk) = disk::create(plan.disk.clone())?;
        let mut server = Server { reactor: None, platter, restart_at: None, wake: None };
        server.start(plan, net, seed, disk);
        Ok(server)
    }
    fn start(&mut self, plan: &Plan, net: &SharedNet, seed: u64, disk: Box<dyn Backend>) {
        let link = SimLink::new(net, 0, plan.path_mtu_bytes, plan.same_host);
        let nic = Nic::new(link, plan.endpoint(plan.target_mode, seed));
        let path_mtu_bytes = Some(plan.path_mtu_bytes);
        let mut reactor = Reactor::new(nic, Config { path_mtu_bytes, ..Config::default() });
        reactor.listen(Port { id: 1, transport: TransportKind::Rdma, address: service() });
        let added = reactor.add_subsystem(NQN);
        let added = added.and_then(|()| reactor.add_namespace(NQN, Some(1), "sim:", disk));
        added.expect("a fresh target takes a disk");
        self.reactor = Some(reactor);
    }
    /// Gone without a word; the disk stays.
    pub(crate) fn kill(&mut self, restart_at: Instant) {
        self.reactor = None;
        self.wake = None;
        self.restart_at = Some(restart_at);
    }
    /// Back, with what the disk kept.
    pub(crate) fn restart(
        &mut self,
        plan: &Plan,
        net: &SharedNet,
        random: &mut Random,
    ) -> io::Result<()> {
        let disk = disk::restart(&self.platter, random)?;
        self.restart_at = None;
        self.start(plan, net, random.next_u64(), disk);
        Ok(())
    }
    pub(crate) fn is_alive(&self) -> bool {
        self.reactor.is_some()
    }
    pub(crate) fn platter(&self) -> &SharedPlatter {
        &self.platter
    }
    /// One turn. Returns commands that it executes, for the trace.
    pub(crate) fn turn(&mut self, now: Instant) -> u64 {
        let Some(reactor) = &mut self.reactor else { return 0 };
        let turn = reactor.turn(now);
        self.wake = if turn.did_work { Some(now) } else { turn.next_timeout };
        reactor.counters().capsules
    }
    /// Connections, controllers, and queue pairs that are left.
    pub(crate) fn left(&mut self) -> (usize, usize, usize) {
        let Some(reactor) = &mut self.reactor else { return (0, 0, 0) };
        let (connections, controllers) = (reactor.connections().len(), reactor.controller_count());
        (connections, controllers, reactor.fabric_mut().endpoint_mut().qp_count())
    }
    /// Counters of the NIC.
    pub(crate) fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        if let Some(reactor) = &self.reactor {
            reactor.fabric().counters(report);
        }
    }
    /// Everything that is counted.
    pub(crate) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        if let Some(reactor) = &self.reactor {
            reactor.report(report);
        }
    }
    /// What hosts are still connected, for a violation's text.
    pub(crate) fn describe(&self) -> String {
        self.reactor
            .as_ref()
            .map_or(String::new(), |reactor| format!("{:?}", reactor.connections()))
    }
}

/// Where the target is reached.
pub(crate) fn service() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], SERVICE))
}

/// A long while: nobody waits this long.
pub(crate) const AGES: Duration = Duration::from_secs(3600);
