//! Subsystems, disks and ports that come and go.

use super::host::Host;
use super::identify::identify;
use super::{NQN, World};
use crate::{ChosenIds, Config, ExportError, HostList, NamespaceIds, NewNamespace, Protection};
use storage::Memory;
use wire::nvme::identify::{Cns, IdentifyNamespace};
use wire::nvme::{IoOpcode, Status};

const OTHER: &str = "nqn.2026-01.io.flexblk:other";

fn disk() -> Box<Memory> {
    Box::new(Memory::new(512, 64, 16).unwrap())
}
fn ids(world: &World, nqn: &str, nsid: u32) -> NamespaceIds {
    world.reactor.subsystem(nqn).unwrap().namespace(nsid).unwrap().ids
}

/// Goal: namespaces of one URI differ in every identifier, in one subsystem and in two (Linux refuses
/// the second of two that do not: "duplicate IDs"); a restart gives each the same ones again, and the
/// first has those that it would have alone.
#[test]
fn identifiers_are_never_given_twice() {
    let export = || {
        let mut world = World::empty(Config::default());
        world.reactor.add_subsystem(OTHER).unwrap();
        for (nqn, nsid) in [(NQN, 1), (NQN, 2), (OTHER, 1), (OTHER, 2)] {
            world.reactor.add_namespace(nqn, Some(nsid), "mem:64MiB", disk()).unwrap();
        }
        [(NQN, 1), (NQN, 2), (OTHER, 1), (OTHER, 2)].map(|(nqn, nsid)| ids(&world, nqn, nsid))
    };
    let all = export();
    assert_eq!(all[0], NamespaceIds::derive(Config::default().seed, "mem:64MiB"));
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            assert_ne!(one.uuid, other.uuid);
            assert_ne!(one.nguid, other.nguid);
            assert_ne!(one.eui64, other.eui64);
        }
    }
    assert_eq!(all, export());
}

/// Goal: what is chosen for a namespace is so from its first moment; identifiers of another
/// namespace are refused, and nothing is left of what was refused.
#[test]
fn chosen_attributes_hold_from_the_start() {
    let mut world = World::new();
    let uuid = Some([7; 16]);
    let chosen = || NewNamespace {
        ids: ChosenIds { uuid, ..ChosenIds::default() },
        read_only: true,
        ana_group: 3,
        hosts: HostList::only(["nqn.2026-01.io.flexblk:h"]),
        ..NewNamespace::new(9, "mem:9")
    };
    let staged = world.reactor.stage_disk(disk()).unwrap();
    world.reactor.export(NQN, chosen(), staged).unwrap();
    let namespace = world.reactor.subsystem(NQN).unwrap().namespace(9).unwrap();
    assert_eq!((Some(namespace.ids.uuid), namespace.ana_group), (uuid, 3));
    assert_eq!(namespace.protection, Protection::ByOperator);
    assert!(!namespace.hosts.admits("nqn.2026-01.io.flexblk:other"));
    for (new, why) in [
        (NewNamespace { nsid: 10, ..chosen() }, ExportError::DuplicateIds(10)),
        (NewNamespace { ana_group: 0, ..chosen() }, ExportError::BadGroup(0)),
        (NewNamespace::new(9, "mem:other"), ExportError::BadNsid(9)),
    ] {
        let staged = world.reactor.stage_disk(disk()).unwrap();
        assert_eq!(world.reactor.export(NQN, new, staged), Err(why));
    }
    let staged = world.reactor.stage_disk(disk()).unwrap();
    world.reactor.drop_staged(staged);
    assert_eq!(world.reactor.subsystem(NQN).unwrap().namespaces().len(), 3);
    world.settle();
}

/// Goal: a subsystem that is taken away takes its controllers with it and is not found again; its
/// place serves a new one once nobody looks at it, and hosts of others notice nothing.
#[test]
fn a_subsystem_is_removed_in_use() {
    let mut world = World::new();
    world.reactor.add_subsystem(OTHER).unwrap();
    world.reactor.add_namespace(OTHER, None, "mem:x", disk()).unwrap();
    let mut stays = world.connected(1, 8);
    let mut goes = world.host();
    goes.connect_admin(&mut world, OTHER);
    goes.enable(&mut world);
    assert_eq!(world.reactor.controller_count(), 2);
    world.reactor.remove_subsystem(OTHER).unwrap();
    assert!(world.reactor.subsystem(OTHER).is_none());
    assert_eq!(world.reactor.subsystems().count(), 2, "discovery and the other");
    goes.run(&mut world);
    world.settle();
    assert_eq!(world.reactor.controller_count(), 1);
    let refused = world.reactor.remove_subsystem(OTHER);
    assert_eq!(refused, Err(ExportError::NoSuchSubsystem(OTHER.to_owned())));
    assert!(read(&mut stays, &mut world).is_success());
    world.reactor.add_subsystem(OTHER).unwrap();
    world.reactor.add_namespace(OTHER, None, "mem:x", disk()).unwrap();
    assert_eq!(world.reactor.subsystems().count(), 3);
    let mut again = world.host();
    again.connect_admin(&mut world, OTHER);
    again.enable(&mut world);
    let octets = identify(&mut again, &mut world, Cns::Namespace.octet(), 1).unwrap();
    assert_eq!(IdentifyNamespace::decode(&octets).unwrap().nsze(), 64);
}
fn read(host: &mut Host, world: &mut World) -> Status {
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    host.execute(world, 1, sqe, &[]).status()
}

/// Goal: serial number and model are the operator's if he says so, and only what Identify can hold.
#[test]
fn names_of_a_subsystem_are_chosen() {
    let mut world = World::new();
    let own = world.reactor.subsystem(NQN).unwrap().serial().to_owned();
    world.reactor.set_identity(NQN, Some("S1"), Some("A Model")).unwrap();
    let subsystem = world.reactor.subsystem(NQN).unwrap();
    assert_eq!((subsystem.serial(), subsystem.model()), ("S1", "A Model"));
    let long = "x".repeat(21);
    for (serial, model) in [(Some(""), None), (Some(long.as_str()), None), (None, Some("\u{e4}"))] {
        assert!(world.reactor.set_identity(NQN, serial, model).is_err());
    }
    world.reactor.set_identity(NQN, None, None).unwrap();
    assert_eq!(world.reactor.subsystem(NQN).unwrap().serial(), own);
}
