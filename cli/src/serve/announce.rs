//! What a target says when it begins: what it exports, and how hosts reach it.

use crate::config::Plan;
use crate::config::model::Listener;
use crate::failure::Failure;
use dpa::nic::Nic;
use initiator::udp::AnyLink;
use netstack::fabric::Fabric;
use netstack::link::Link;
use netstack::nvme_tcp::{Beside, TcpFabric};
use std::io::Write;
use std::net::SocketAddr;
use target::{Reactor, TransportKind};

/// A fabric as the announcement has it.
pub(super) trait Told: Fabric {
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
        let near = match self.link().name() {
            "udp" => "",
            "raw" => ", ICRC verified",
            _ => ", shared memory",
        };
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

/// What is exported, and how to reach it.
pub(super) fn announce<F: Fabric>(
    plan: &Plan,
    reactor: &Reactor<F>,
    ways: &[(TransportKind, String)],
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for subsystem in reactor.subsystems().filter(|s| !s.is_discovery()) {
        let nqn = subsystem.nqn();
        writeln!(out, "subsystem {nqn}")?;
        for ns in subsystem.namespaces() {
            let bytes = u128::from(ns.geometry.block_count) * u128::from(ns.geometry.block_bytes);
            let block = ns.geometry.block_bytes;
            writeln!(out, "  namespace {}: {bytes} octets in blocks of {block}", ns.nsid)?;
            let mut ways_in = plan.model.listeners.values().filter(|it| !it.discovery);
            if let Some(Listener { trtype, address, .. }) = ways_in.next() {
                let (addr, port) = (address.ip(), address.port());
                writeln!(
                    out,
                    "    flexblk bench 'trtype={trtype} traddr={addr} trsvcid={port} \
                     subnqn={nqn} ns={}'",
                    ns.nsid
                )?;
            }
        }
        let ways_in = plan.model.listeners.values().filter(|it| !it.discovery);
        for Listener { trtype, address, .. } in ways_in {
            let (addr, port) = (address.ip(), address.port());
            writeln!(out, "  a Linux host: nvme connect -t {trtype} -a {addr} -s {port} -n {nqn}")?;
        }
    }
    let mut told: Vec<SocketAddr> = Vec::new();
    for Listener { trtype, address, .. } in plan.model.listeners.values() {
        if told.contains(address) {
            continue;
        }
        told.push(*address);
        let (addr, port) = (address.ip(), address.port());
        writeln!(out, "  all of it: flexblk discover -t {trtype} -a {addr} -s {port}")?;
    }
    for address in told {
        let (addr, port) = (address.ip(), address.port());
        let is_here = |kind: TransportKind| {
            let mut listeners = plan.model.listeners.values();
            listeners.any(|it| it.address == address && kind == it.trtype.into())
        };
        let ways = ways.iter().filter(|(kind, _)| is_here(*kind)).map(|(_, way)| way.as_str());
        let ways = ways.collect::<Vec<_>>().join("; ");
        writeln!(out, "listening on {addr} service {port} ({ways})")?;
    }
    out.flush()?;
    Ok(())
}
