use super::{NQN, World};
use crate::{DISCOVERY_NQN, Port};
use wire::fabrics::{
    AddressFamily, DiscoveryEntry, DiscoveryHeader, RdmaAddress, SubsystemType, TransportKind,
};
use wire::nvme::identify::{Cns, IdentifyController};
use wire::nvme::log::LogId;
use wire::nvme::{
    AdminOpcode, AsyncEvent, Cid, FeatureCmd, FeatureId, GetLogPageCmd, IdentifyCmd, Nsid, Status,
    ZeroBased,
};

/// Goal: the discovery service lists itself and every subsystem at every port, as hosts need it to
/// connect; it tells hosts that asked when the list changes, and the generation with it.
#[test]
fn the_log_leads_to_every_subsystem() {
    let mut world = World::new();
    let mut host = world.host();
    host.connect_admin(&mut world, DISCOVERY_NQN);
    assert_eq!(host.set_cc(&mut world, 1), 1);
    let sqe = FeatureCmd::set(FeatureId::ASYNC_EVENT, 1 << 31, Cid(0), Nsid(0));
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    let request = host.admin(AdminOpcode::AsyncEventRequest);
    host.submit(0, request, &[]);
    let read = |host: &mut super::Host, world: &mut World| {
        let dwords = ZeroBased::<u32>::from_count(2048).unwrap();
        let command =
            GetLogPageCmd { lid: LogId::Discovery.octet(), dwords, ..GetLogPageCmd::default() };
        let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 8192);
        assert!(host.execute(world, 0, sqe, &[]).status().is_success());
        let octets = host.read_data(0, 8192);
        let header = DiscoveryHeader::decode(&octets).unwrap();
        let count = usize::try_from(header.record_count()).unwrap();
        let entries = octets[1024..].chunks(1024).take(count).map(DiscoveryEntry::decode);
        (header.generation(), entries.map(Option::unwrap).collect::<Vec<_>>())
    };
    let (generation, entries) = read(&mut host, &mut world);
    let names: Vec<_> =
        entries.iter().map(|e| (e.subnqn().unwrap().to_string(), e.subtype())).collect();
    let own = (DISCOVERY_NQN.to_owned(), SubsystemType::CurrentDiscovery.octet());
    assert_eq!(names, [own, (NQN.to_owned(), SubsystemType::Nvm.octet())]);
    let entry = &entries[1];
    assert_eq!(
        (entry.trtype(), entry.adrfam()),
        (TransportKind::Rdma.octet(), AddressFamily::Ipv4.octet())
    );
    assert_eq!((entry.traddr(), entry.trsvcid()), (Some("127.0.0.1"), Some("4420")));
    assert_eq!((entry.cntlid(), entry.asqsz(), entry.portid()), (0xffff, 32, 1));
    let address = RdmaAddress::decode(&entry.tsas()).unwrap();
    assert_eq!((address.qp_type(), address.connection()), (1, 1));

    world.reactor.add_subsystem("nqn.2026-01.io.flexblk:second").unwrap();
    host.run(&mut world);
    let told = host.queues[0].completions.pop_front().expect("an event");
    assert_eq!(AsyncEvent::from_dword(told.dw0()), AsyncEvent::DISCOVERY_CHANGED);
    let address = "[::1]:4421".parse().unwrap();
    world.reactor.listen(Port { id: 2, transport: TransportKind::Rdma, address });
    let (later, entries) = read(&mut host, &mut world);
    assert!(later > generation);
    assert_eq!(entries.len(), 6);
    assert_eq!(
        (entries[5].adrfam(), entries[5].traddr()),
        (AddressFamily::Ipv6.octet(), Some("::1"))
    );
}

/// Goal: a discovery controller says what it is, and serves nothing that it should not.
#[test]
fn discovery_controllers_do_little_else() {
    let mut world = World::new();
    let mut host = world.host();
    host.connect_admin(&mut world, DISCOVERY_NQN);
    assert_eq!(host.set_cc(&mut world, 1), 1);
    let identify = |cns: Cns| IdentifyCmd { cns: cns.octet(), ..IdentifyCmd::default() };
    let sqe = host.with_answer(identify(Cns::Controller).command(Cid(0), Nsid(0)), 4096);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    let data = IdentifyController::decode(&host.read_data(0, 4096)).unwrap();
    assert_eq!((data.cntrltype(), data.nn(), data.oaes()), (2, 0, 1 << 31));
    assert!(data.subnqn().starts_with(DISCOVERY_NQN.as_bytes()));
    let sqe = host.with_answer(identify(Cns::ActiveNamespaces).command(Cid(0), Nsid(0)), 4096);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is(Status::INVALID_FIELD));
    let smart = GetLogPageCmd { lid: LogId::Smart.octet(), ..GetLogPageCmd::default() };
    let sqe = host.with_answer(smart.command(Cid(0), Nsid(0)), 4);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is(Status::INVALID_FIELD));
    let sqe = FeatureCmd::get(FeatureId::NUMBER_OF_QUEUES, Cid(0), Nsid(0));
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is(Status::INVALID_FIELD));
    let sqe = host.admin(AdminOpcode::Abort);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is(Status::INVALID_OPCODE));
}
