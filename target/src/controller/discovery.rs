//! The discovery log: every subsystem at every port, and other discovery services.
//!
//! Source: NVMe Base 2.1, "Discovery Log Page".

use super::registers::ADMIN_ENTRIES_MAX;
use super::{Controller, World};
use crate::directory::Referral;
use crate::subsystem::{Port, Subsystem};
use netstack::fabric::Security;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use wire::fabrics::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, Nqn, RdmaAddress, SubsystemType, TransportKind,
    Treq,
};
use wire::nvme::{AsyncEvent, ControllerId};

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
    let entries = entries(world, host_nqn);
    let mut header = DiscoveryHeader::zeroed();
    header.set_generation(world.directory.generation()).set_record_count(entries.len() as u64);
    let mut page = header.as_octets().to_vec();
    entries.iter().for_each(|entry| page.extend_from_slice(entry.as_octets()));
    page
}

impl Controller {
    /// What tells this log from others that its host might read: equal while no entry changes.
    pub(crate) fn discovery_view(&self, world: &World<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        for entry in entries(world, &self.host_nqn) {
            entry.as_octets().hash(&mut hasher);
        }
        hasher.finish()
    }
    /// The log that its host reads is `view` now. The host hears of it if it was another.
    pub(crate) fn handle_view(&mut self, view: u64) {
        let known = self.view.replace(view);
        if known.is_some_and(|known| known != view) {
            self.handle_event(AsyncEvent::DISCOVERY_CHANGED);
        }
    }
}

/// Every subsystem that the host may use, at every port that leads to it; then the referrals.
fn entries(world: &World<'_>, host_nqn: &str) -> Vec<DiscoveryEntry> {
    let allowed = || world.subsystems.iter().filter(|it| it.hosts().admits(host_nqn));
    let mut entries = Vec::new();
    for port in world.ports {
        entries.extend(allowed().filter_map(|subsystem| entry(world, port, subsystem)));
    }
    for port in world.directory.ports() {
        let services = allowed().filter(|subsystem| subsystem.is_discovery());
        entries.extend(services.filter_map(|subsystem| entry(world, port, subsystem)));
    }
    entries.extend(world.directory.referrals().iter().filter_map(referral));
    entries
}

/// `None` never happens: a subsystem's name was checked when it was made.
fn entry(world: &World<'_>, port: &Port, subsystem: &Subsystem) -> Option<DiscoveryEntry> {
    let is_discovery = subsystem.is_discovery();
    let subtype = if is_discovery { SubsystemType::CurrentDiscovery } else { SubsystemType::Nvm };
    let mut entry = at_address(port.transport, port.address);
    entry
        .set_subtype(subtype.octet())
        .set_flow_control_optional(true)
        .set_portid(port.id)
        .set_eflags(if is_discovery { EFLAG_EVENTS } else { 0 })
        .set_subnqn(&Nqn::new(subsystem.nqn()).ok()?);
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

/// What the other service can do is its own to tell: no flags, no port. `None` never happens.
fn referral(referral: &Referral) -> Option<DiscoveryEntry> {
    let mut entry = at_address(referral.transport, referral.address);
    entry
        .set_subtype(SubsystemType::Referral.octet())
        .set_subnqn(&Nqn::lenient(referral.nqn()).ok()?);
    Some(entry)
}

fn at_address(transport: TransportKind, address: SocketAddr) -> DiscoveryEntry {
    let family = match address.ip() {
        IpAddr::V4(_) => AddressFamily::Ipv4,
        IpAddr::V6(_) => AddressFamily::Ipv6,
    };
    let mut entry = DiscoveryEntry::zeroed();
    entry
        .set_trtype(transport.octet())
        .set_adrfam(family.octet())
        .set_cntlid(ControllerId::DYNAMIC.0)
        .set_asqsz(ADMIN_ENTRIES_MAX)
        .set_trsvcid(&address.port().to_string())
        .set_traddr(&address.ip().to_string())
        .set_tsas(specific_address(transport));
    entry
}

/// Transport specific address (TSAS). Over TCP it is the kind of security: 0 is none.
fn specific_address(transport: TransportKind) -> [u8; 256] {
    let mut address = RdmaAddress::zeroed();
    if transport == TransportKind::Rdma {
        address.set_qp_type(QP_CONNECTED).set_provider(PROVIDER_ANY).set_connection(RDMA_CM);
    }
    *address.as_octets()
}
