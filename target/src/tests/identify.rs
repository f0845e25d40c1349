use super::host::Host;
use super::{NQN, World};
use std::fmt::Write;
use wire::nvme::identify::{Cns, DescriptorList, NamespaceDescriptor, NamespaceList};
use wire::nvme::{Cid, IdentifyCmd, Nsid, Status};

pub(super) fn identify(
    host: &mut Host,
    world: &mut World,
    cns: u8,
    nsid: u32,
) -> Result<Vec<u8>, Status> {
    let command = IdentifyCmd { cns, ..IdentifyCmd::default() };
    let sqe = host.with_answer(command.command(Cid(0), Nsid(nsid)), 4096);
    let status = host.execute(world, 0, sqe, &[]).status();
    if status.is_success() { Ok(host.read_data(0, 4096)) } else { Err(status) }
}

/// Rows of 16 octets that are not all zero.
fn rows(octets: &[u8]) -> String {
    let mut text = String::new();
    for (row, chunk) in octets.chunks(16).enumerate().filter(|(_, c)| c.iter().any(|o| *o != 0)) {
        let hex: Vec<String> = chunk.iter().map(|octet| format!("{octet:02x}")).collect();
        let printable = |octet: &u8| if octet.is_ascii_graphic() { *octet as char } else { '.' };
        let ascii: String = chunk.iter().map(printable).collect();
        writeln!(text, "{:4}: {} {ascii}", row * 16, hex.join(" ")).unwrap();
    }
    text
}

/// Goal: what hosts see of controller and namespaces changes only on purpose.
#[test]
fn structures_are_as_reviewed() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    for (name, cns, nsid) in [
        ("controller", Cns::Controller, 0),
        ("namespace_512", Cns::Namespace, 1),
        ("namespace_4096", Cns::Namespace, 2),
        ("descriptors", Cns::NamespaceDescriptors, 1),
        ("independent", Cns::IndependentNamespace, 1),
    ] {
        let octets = identify(&mut host, &mut world, cns.octet(), nsid).unwrap();
        insta::assert_snapshot!(name, rows(&octets));
    }
}

/// Goal: lists start behind the identifier asked for, identifiers are those of the namespace, and
/// identifiers that cannot be get nvmet's answers.
#[test]
fn lists_and_bad_identifiers() {
    let mut world = World::new();
    let (mut host, invalid) = (world.connected(0, 0), Status::INVALID_NAMESPACE);
    let (h, w) = (&mut host, &mut world);
    for (after, expected) in [(0, vec![1, 2]), (1, vec![2]), (2, vec![])] {
        let octets = identify(h, w, Cns::ActiveNamespaces.octet(), after).unwrap();
        let list = NamespaceList::decode(&octets).unwrap();
        assert_eq!(list.iter().map(|nsid| nsid.0).collect::<Vec<_>>(), expected);
    }
    let octets = identify(h, w, Cns::NamespaceDescriptors.octet(), 2).unwrap();
    let ids = w.reactor.subsystem(NQN).unwrap().namespace(2).unwrap().ids;
    let list = DescriptorList::decode(&octets).unwrap();
    assert!(list.iter().any(|descriptor| descriptor == NamespaceDescriptor::Uuid(ids.uuid)));
    let missing = identify(h, w, Cns::Namespace.octet(), 7).unwrap();
    assert!(missing.iter().all(|octet| *octet == 0), "an inactive namespace is all zeroes");
    for (cns, nsid) in [(0, 0), (0, u32::MAX), (2, u32::MAX), (3, 7), (3, 0), (8, 0)] {
        assert!(identify(h, w, cns, nsid).unwrap_err().is(invalid), "{cns} {nsid}");
    }
    for cns in [4, 0x14, 0xff] {
        assert!(identify(h, w, cns, 1).unwrap_err().is(Status::INVALID_FIELD), "{cns}");
    }
}
