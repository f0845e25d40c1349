//! The discovery log: every subsystem at every port.
//!
//! Source: NVMe Base 2.0, "Discovery Log Page".

use super::World;
use super::registers::ADMIN_ENTRIES_MAX;
use crate::subsystem::{Port, Subsystem};
use netstack::fabric::Security;
use std::net::IpAddr;
use wire::fabrics::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, Nqn, RdmaAddress, SubsystemType, TransportKind,
    Treq,
};
use wire::nvme::ControllerId;

/// The discovery service itself sends events when the log changes.
const EFLAG_EVENTS: u16 = 1 << 1;
/// RDMA queue pair type: connected.
const QP_CONNECTED: u8 = 1;
/// RDMA provider: not said.
const PROVIDER_ANY: u8 = 1;
/// RDMA connection management: the RDMA CM.
const RDMA_CM: u8 = 1;
/// TCP security type: TLS 1.3. Source: NVMe TCP Transport Specification 1.1, "Discovery Log Page Entry".
const SECTYPE_TLS_1_3: u8 = 2;

/// The whole page, with the subsystems that `host_nqn` may use.
pub(super) fn log_page(world: &World<'_>, host_nqn: &str) -> Vec<u8> {
    let allowed = |subsystem: &&Subsystem| subsystem.hosts().admits(host_nqn);
    let at_port =
        |port| world.subsystems.iter().filter(allowed).map(move |subsystem| (port, subsystem));
    let pairs = world.ports.iter().flat_map(at_port);
    let entries: Vec<DiscoveryEntry> =
        pairs.filter_map(|(port, subsystem)| entry(world, port, subsystem)).collect();
    let mut header = DiscoveryHeader::zeroed();
    header.set_generation(world.generation).set_record_count(entries.len() as u64);
    let mut page = header.as_octets().to_vec();
    entries.iter().for_each(|entry| page.extend_from_slice(entry.as_octets()));
    page
}

/// `None` never happens: a subsystem's name was checked when it was made.
fn entry(world: &World<'_>, port: &Port, subsystem: &Subsystem) -> Option<DiscoveryEntry> {
    let subtype =
        if subsystem.is_discovery() { SubsystemType::CurrentDiscovery } else { SubsystemType::Nvm };
    let family = match port.address.ip() {
        IpAddr::V4(_) => AddressFamily::Ipv4,
        IpAddr::V6(_) => AddressFamily::Ipv6,
    };
    let mut entry = DiscoveryEntry::zeroed();
    entry
        .set_trtype(port.transport.octet())
        .set_adrfam(family.octet())
        .set_subtype(subtype.octet())
        .set_flow_control_optional(true)
        .set_portid(port.id)
        .set_cntlid(ControllerId::DYNAMIC.0)
        .set_asqsz(ADMIN_ENTRIES_MAX)
        .set_eflags(if subsystem.is_discovery() { EFLAG_EVENTS } else { 0 })
        .set_trsvcid(&port.address.port().to_string())
        .set_traddr(&port.address.ip().to_string())
        .set_subnqn(&Nqn::new(subsystem.nqn()).ok()?)
        .set_tsas(specific_address(port.transport));
    // A port that merely offers TLS does not say so: hosts of old libnvme take the offer for a demand, and
    // one that has a key needs no telling.
    let is_tcp = port.transport == TransportKind::Tcp;
    if is_tcp && world.channels.of(&port.address) == Security::Required {
        let mut address = [0; 256];
        address[0] = SECTYPE_TLS_1_3;
        entry.set_treq(Treq::Required.octet()).set_tsas(address);
    }
    Some(entry)
}

/// Transport specific address (TSAS). Over TCP it is the kind of security: 0 is none.
fn specific_address(transport: TransportKind) -> [u8; 256] {
    let mut address = RdmaAddress::zeroed();
    if transport == TransportKind::Rdma {
        address.set_qp_type(QP_CONNECTED).set_provider(PROVIDER_ANY).set_connection(RDMA_CM);
    }
    *address.as_octets()
}
