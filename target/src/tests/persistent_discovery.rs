//! Hosts that stay connected to the discovery service, and what they are told when.

use super::access::{heard, wait};
use super::host::Host;
use super::{NQN, World};
use crate::{DISCOVERY_NQN, HostList, Port, Referral, TransportKind};
use std::time::Duration;
use wire::fabrics::{ConnectFault, DiscoveryEntry, DiscoveryHeader, SubsystemType};
use wire::nvme::log::LogId;
use wire::nvme::{AdminOpcode, AsyncEvent, Cid, ControllerId, FeatureCmd, FeatureId, Nsid, Status};

const OTHER: &str = "nqn.2026-01.io.flexblk:other";

/// Connected to the discovery service for as long as it speaks every 5 s, and listening.
fn persistent(world: &mut World) -> Host {
    let mut host = world.host();
    let at = host.open(world, 0, 32);
    let cqe = host.connect(world, at, DISCOVERY_NQN, ControllerId::DYNAMIC, 5_000);
    assert!(cqe.status().is_success());
    host.enable(world);
    let sqe = FeatureCmd::set(FeatureId::ASYNC_EVENT, 1 << 31, Cid(0), Nsid(0));
    assert!(host.execute(world, 0, sqe, &[]).status().is_success());
    wait(&mut host, world);
    host
}

/// Generation, and subtype and NQN of each entry.
fn read(host: &mut Host, world: &mut World) -> (u64, Vec<(u8, String)>) {
    let page = super::admin::log(host, world, LogId::Discovery, 0, 8192);
    let header = DiscoveryHeader::decode(&page).unwrap();
    let count = usize::try_from(header.record_count()).unwrap();
    let entries =
        page[1024..].chunks(1024).take(count).map(|it| DiscoveryEntry::decode(it).unwrap());
    let shown = entries.map(|it| (it.subtype(), it.subnqn().unwrap().to_string()));
    (header.generation(), shown.collect())
}
fn count_of(entries: &[(u8, String)], subtype: SubsystemType) -> usize {
    entries.iter().filter(|(it, _)| *it == subtype.octet()).count()
}

/// Goal: a host is told of exactly those changes that alter its own log, once until it reads; the
/// generation tells them apart. (All hosts were told of all changes, and so of subsystems that are
/// none of their business.)
#[test]
fn hosts_are_told_of_what_they_may_see() {
    let mut world = World::new();
    let (mut a, mut b) = (persistent(&mut world), persistent(&mut world));
    let (first, entries) = read(&mut a, &mut world);
    assert_eq!(count_of(&entries, SubsystemType::Nvm), 1);
    // Three steps, one change: nobody else may hear of the moment in between.
    world.reactor.add_subsystem(OTHER).unwrap();
    world.reactor.set_hosts(OTHER, HostList::only([a.nqn().as_str()])).unwrap();
    assert_eq!(heard(&mut a, &mut world), [AsyncEvent::DISCOVERY_CHANGED]);
    assert_eq!(heard(&mut b, &mut world), []);
    let (second, entries) = read(&mut a, &mut world);
    assert!(second > first);
    assert!(entries.iter().any(|(_, nqn)| nqn == OTHER));
    assert!(!read(&mut b, &mut world).1.iter().any(|(_, nqn)| nqn == OTHER));
    // Nothing of the log changes here.
    wait(&mut a, &mut world);
    world.reactor.set_hosts(OTHER, HostList::only([a.nqn().as_str(), "nqn.x:y"])).unwrap();
    world.reactor.set_identity(OTHER, Some("S1"), None).unwrap();
    assert_eq!(heard(&mut a, &mut world), []);
    // It is taken from one host and given to the other: both are told, each of its own.
    world.reactor.set_hosts(OTHER, HostList::only([b.nqn().as_str()])).unwrap();
    assert_eq!(heard(&mut a, &mut world), [AsyncEvent::DISCOVERY_CHANGED]);
    assert_eq!(heard(&mut b, &mut world), [AsyncEvent::DISCOVERY_CHANGED]);
    wait(&mut a, &mut world);
    world.reactor.remove_subsystem(OTHER).unwrap();
    world.reactor.remove_subsystem(NQN).unwrap();
    assert_eq!(heard(&mut a, &mut world), [], "masked until the log is read");
    assert_eq!(count_of(&read(&mut a, &mut world).1, SubsystemType::Nvm), 0);
}

/// Goal: a connection to the discovery service with a keep-alive timer lives as long as its host
/// speaks, and no longer.
#[test]
fn keep_alive_holds_a_discovery_controller() {
    let mut world = World::new();
    let mut host = persistent(&mut world);
    for _ in 0..5 {
        world.advance(Duration::from_secs(4));
        let sqe = host.admin(AdminOpcode::KeepAlive);
        assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    }
    let get = FeatureCmd::get(FeatureId::KEEP_ALIVE, Cid(0), Nsid(0));
    assert_eq!(host.execute(&mut world, 0, get, &[]).dw0(), 5_000);
    world.advance(Duration::from_secs(6));
    host.run(&mut world);
    assert!(host.queues[0].disconnected);
}

/// Goal: referrals are told with their type and no claim about the other service, come and go live,
/// and hosts hear of it.
#[test]
fn referrals_come_and_go() {
    let mut world = World::new();
    let mut host = persistent(&mut world);
    let address = "[2001:db8::7]:8009".parse().unwrap();
    let referral = Referral { transport: TransportKind::Tcp, address, nqn: None };
    world.reactor.add_referral(referral.clone()).unwrap();
    assert_eq!(heard(&mut host, &mut world), [AsyncEvent::DISCOVERY_CHANGED]);
    let page = super::admin::log(&mut host, &mut world, LogId::Discovery, 0, 4096);
    let entry = DiscoveryEntry::decode(&page[3072..4096]).unwrap();
    assert_eq!(entry.subtype(), SubsystemType::Referral.octet());
    assert_eq!(entry.subnqn().unwrap().as_str(), DISCOVERY_NQN);
    assert_eq!((entry.traddr(), entry.trsvcid()), (Some("2001:db8::7"), Some("8009")));
    assert_eq!((entry.trtype(), entry.adrfam(), entry.eflags(), entry.asqsz()), (3, 2, 0, 32));
    wait(&mut host, &mut world);
    world.reactor.remove_referral(&referral).unwrap();
    assert_eq!(heard(&mut host, &mut world), [AsyncEvent::DISCOVERY_CHANGED]);
    let (_, entries) = read(&mut host, &mut world);
    assert_eq!(count_of(&entries, SubsystemType::Referral), 0);
}

/// Goal: a port for discovery alone lists itself and no subsystem, and lets nobody in to one; the
/// number serves all again when another port takes it.
#[test]
fn a_port_for_discovery_alone() {
    let mut world = World::new();
    let address = "127.0.0.1:8009".parse().unwrap();
    let port = Port { id: 7, transport: TransportKind::Rdma, address };
    world.reactor.listen_for_discovery(port.clone());
    let mut host = world.host();
    host.to = address;
    host.connect_admin(&mut world, DISCOVERY_NQN);
    host.enable(&mut world);
    let (_, entries) = read(&mut host, &mut world);
    let own = count_of(&entries, SubsystemType::CurrentDiscovery);
    assert_eq!((own, count_of(&entries, SubsystemType::Nvm)), (2, 1));
    let mut host = world.host();
    host.to = address;
    let at = host.open(&mut world, 0, 32);
    let cqe = host.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
    assert!(cqe.status().is(Status::CONNECT_INVALID_PARAMETERS), "{}", cqe.status());
    assert_eq!(cqe.dw0(), ConnectFault::SUBSYSTEM_NQN.dword());
    // As a change of its kind is done: the new one opens before the old one closes.
    world.reactor.listen(port.clone());
    world.reactor.close_discovery_port(&port).unwrap();
    assert!(world.reactor.close_discovery_port(&port).is_err());
    let mut host = world.host();
    host.to = address;
    host.connect_admin(&mut world, NQN);
    host.enable(&mut world);
}
