//! Who may connect, who sees what, and by which path.

use super::host::Host;
use super::identify::identify;
use super::{NQN, World};
use crate::{AnaState, HostList, Port, TransportKind};
use wire::fabrics::{ConnectFault, DiscoveryHeader};
use wire::nvme::identify::{Cns, ControllerList, IdentifyController, IdentifyNamespace};
use wire::nvme::identify::{IndependentNamespace, NamespaceList};
use wire::nvme::log::{AnaGroupHeader, AnaHeader, LogId};
use wire::nvme::{
    AdminOpcode, AsyncEvent, Cid, ControllerId, FeatureCmd, FeatureId, GetLogPageCmd, IoOpcode,
    Nsid, Status, ZeroBased,
};

fn read(host: &mut Host, world: &mut World) -> Status {
    let sqe = host.rw(IoOpcode::Read, 0, 1, 0);
    host.execute(world, 1, sqe, &[]).status()
}
fn names(host: &mut Host, world: &mut World, cns: Cns) -> Vec<u32> {
    let octets = identify(host, world, cns.octet(), 0).unwrap();
    NamespaceList::decode(&octets).unwrap().iter().map(|nsid| nsid.0).collect()
}
/// Switches all events on, and leaves a request.
pub(super) fn listen(host: &mut Host, world: &mut World) {
    let sqe = FeatureCmd::set(FeatureId::ASYNC_EVENT, 1 << 8 | 1 << 11, Cid(0), Nsid(0));
    assert!(host.execute(world, 0, sqe, &[]).status().is_success());
    wait(host, world);
}
pub(super) fn wait(host: &mut Host, world: &mut World) {
    let request = host.admin(AdminOpcode::AsyncEventRequest);
    host.submit(0, request, &[]);
    host.run(world);
}
pub(super) fn heard(host: &mut Host, world: &mut World) -> Vec<AsyncEvent> {
    host.run(world);
    let told = host.queues[0].completions.drain(..);
    told.map(|cqe| AsyncEvent::from_dword(cqe.dw0())).collect()
}

/// Goal: a host that is not on the list is refused with the parameter that is to blame, one that is
/// taken off it loses its controller, and one that is put on it is let in.
#[test]
fn only_hosts_on_the_list_are_let_in() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 4), world.connected(1, 4));
    let only_b = HostList::only([b.nqn().as_str()]);
    world.reactor.set_hosts(NQN, only_b).unwrap();
    a.run(&mut world);
    assert!(a.queues.iter().all(|queue| queue.disconnected));
    assert!(read(&mut b, &mut world).is_success());
    let at = a.open(&mut world, 0, 32);
    let cqe = a.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
    assert!(cqe.status().is(Status::CONNECT_INVALID_HOST) && cqe.status().dnr);
    assert_eq!(cqe.dw0(), ConnectFault::HOST_NQN.dword());
    for (host, expected) in [(&mut a, 1), (&mut b, 2)] {
        let mut discovery = Host::new(world.hub.join(([127, 0, 2, host.id], 1).into()), host.id);
        discovery.connect_admin(&mut world, crate::DISCOVERY_NQN);
        discovery.enable(&mut world);
        let page = super::admin::log(&mut discovery, &mut world, LogId::Discovery, 0, 1024);
        let header = DiscoveryHeader::decode(&page).unwrap();
        assert_eq!(header.record_count(), expected, "found in the discovery log");
    }
    world.reactor.set_hosts(NQN, HostList::Any).unwrap();
    let cqe = a.connect(&mut world, at, NQN, ControllerId::DYNAMIC, 0);
    assert!(cqe.status().is_success());
}

/// Goal: a namespace that a host may not see is inactive for it and for nobody else, at once, and it
/// is told.
#[test]
fn namespaces_are_hidden_per_host() {
    let mut world = World::new();
    let (mut a, mut b) = (world.connected(1, 4), world.connected(1, 4));
    listen(&mut a, &mut world);
    listen(&mut b, &mut world);
    let only_b = HostList::only([b.nqn().as_str()]);
    world.reactor.set_namespace_hosts(NQN, 1, only_b).unwrap();
    assert_eq!(heard(&mut a, &mut world), [AsyncEvent::NAMESPACE_CHANGED]);
    assert_eq!(heard(&mut b, &mut world), []);
    assert!(read(&mut a, &mut world).is(Status::INVALID_NAMESPACE));
    assert!(read(&mut b, &mut world).is_success());
    assert_eq!(names(&mut a, &mut world, Cns::ActiveNamespaces), [2]);
    assert_eq!(names(&mut a, &mut world, Cns::AllocatedNamespaces), [1, 2]);
    assert_eq!(names(&mut b, &mut world, Cns::ActiveNamespaces), [1, 2]);
    let size = |host: &mut Host, world: &mut World, cns: Cns| {
        let octets = identify(host, world, cns.octet(), 1).unwrap();
        IdentifyNamespace::decode(&octets).unwrap().nsze()
    };
    assert_eq!(size(&mut a, &mut world, Cns::Namespace), 0);
    assert_eq!(size(&mut a, &mut world, Cns::AllocatedNamespace), super::BLOCKS);
    let users = identify(&mut a, &mut world, Cns::NamespaceControllers.octet(), 1).unwrap();
    let users: Vec<_> = ControllerList::decode(&users).unwrap().iter().collect();
    assert_eq!(users, [ControllerId(b.cntlid)]);
    let all = identify(&mut a, &mut world, Cns::Controllers.octet(), 0).unwrap();
    let all: Vec<_> = ControllerList::decode(&all).unwrap().iter().collect();
    assert_eq!(all, [ControllerId(a.cntlid), ControllerId(b.cntlid)]);
    world.reactor.set_namespace_hosts(NQN, 1, HostList::Any).unwrap();
    assert!(read(&mut a, &mut world).is_success());
}

fn two_ports(world: &mut World) -> (Host, Host) {
    let address = "127.0.0.1:4421".parse().unwrap();
    world.reactor.listen(Port { id: 2, transport: TransportKind::Rdma, address });
    let a = world.connected(1, 4);
    let mut b = world.host();
    b.to = address;
    b.connect_admin(world, NQN);
    b.enable(world);
    b.connect_io(world, 1, 4);
    (a, b)
}

/// Group identifiers, states and members of the ANA log.
fn ana(host: &mut Host, world: &mut World, lsp: u32) -> (u64, Vec<(u32, u8, Vec<u32>)>) {
    let dwords = ZeroBased::<u32>::from_count(1024).unwrap();
    let command =
        GetLogPageCmd { lid: LogId::Ana.octet(), lsp, dwords, ..GetLogPageCmd::default() };
    let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 4096);
    assert!(host.execute(world, 0, sqe, &[]).status().is_success());
    let page = host.read_data(0, 4096);
    let header = AnaHeader::decode(&page).unwrap();
    let mut rest = &page[AnaHeader::LEN..];
    let mut groups = Vec::new();
    for _ in 0..header.group_count() {
        let (head, tail) = rest.split_at(AnaGroupHeader::LEN);
        let head = AnaGroupHeader::decode(head).unwrap();
        let (ids, tail) = tail.split_at(4 * head.namespace_count() as usize);
        let ids = ids.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        groups.push((head.group_id(), head.state_code(), ids));
        rest = tail;
    }
    (header.change_count(), groups)
}

/// Goal: a host that reads as much of the ANA log as there could be, in pieces, finds zeroes behind
/// what there is. (nvme-cli 2.3 does, and was refused at the second piece.)
#[test]
fn the_ana_log_is_as_long_as_it_could_be() {
    let mut world = World::new();
    let mut host = world.connected(1, 4);
    for (offset, expected) in [(4096, true), (8192, true), (8212, false)] {
        let dwords = ZeroBased::<u32>::from_count(4).unwrap();
        let lid = LogId::Ana.octet();
        let command = GetLogPageCmd { lid, dwords, offset, ..GetLogPageCmd::default() };
        let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 16);
        let is_success = host.execute(&mut world, 0, sqe, &[]).status().is_success();
        assert_eq!(is_success, expected, "from {offset}");
        if is_success {
            assert_eq!(host.read_data(0, 16), [0; 16]);
        }
    }
}

/// Goal: states set live at one port change what commands through that port get, and nothing at the
/// other; the log tells both, and hosts hear of it.
#[test]
fn paths_have_states() {
    let mut world = World::new();
    let (mut a, mut b) = two_ports(&mut world);
    listen(&mut a, &mut world);
    let id = identify(&mut a, &mut world, Cns::Controller.octet(), 0).unwrap();
    let id = IdentifyController::decode(&id).unwrap();
    assert_eq!((id.cmic(), id.nanagrpid(), id.anagrpmax()), (0b1011, 128, 128));
    let (before, groups) = ana(&mut a, &mut world, 0);
    assert_eq!(groups, [(1, 1, vec![1, 2])]);
    for (state, status) in [
        (AnaState::Inaccessible, Status::ANA_INACCESSIBLE),
        (AnaState::PersistentLoss, Status::ANA_PERSISTENT_LOSS),
        (AnaState::Change, Status::ANA_TRANSITION),
    ] {
        world.reactor.set_ana_state(NQN, 1, Some(1), state).unwrap();
        let refused = read(&mut a, &mut world);
        assert!(refused.is(status) && !refused.dnr, "{state:?}: {refused}");
        assert!(read(&mut b, &mut world).is_success());
    }
    assert_eq!(heard(&mut a, &mut world), [AsyncEvent::ANA_CHANGED], "until the log is read");
    let (after, groups) = ana(&mut a, &mut world, 0);
    assert_eq!((after, groups), (before + 3, vec![(1, 0xf, vec![1, 2])]));
    assert_eq!(ana(&mut b, &mut world, 1).1, [(1, 1, vec![])], "groups without members");
    wait(&mut a, &mut world);
    world.reactor.set_ana_state(NQN, 1, None, AnaState::NonOptimized).unwrap();
    assert!(read(&mut a, &mut world).is_success());
    assert_eq!(heard(&mut a, &mut world), [AsyncEvent::ANA_CHANGED]);
    assert!(world.reactor.set_ana_state(NQN, 129, None, AnaState::Optimized).is_err());
}

/// Goal: a namespace moves to another group live, with the state of that group.
#[test]
fn namespaces_change_groups() {
    let mut world = World::new();
    let (mut a, _b) = two_ports(&mut world);
    listen(&mut a, &mut world);
    wait(&mut a, &mut world);
    world.reactor.set_ana_state(NQN, 7, None, AnaState::Inaccessible).unwrap();
    assert!(read(&mut a, &mut world).is_success());
    world.reactor.set_ana_group(NQN, 1, 7).unwrap();
    assert!(read(&mut a, &mut world).is(Status::ANA_INACCESSIBLE));
    let told = heard(&mut a, &mut world);
    assert!(
        told.contains(&AsyncEvent::ANA_CHANGED) && told.contains(&AsyncEvent::NAMESPACE_CHANGED)
    );
    assert_eq!(ana(&mut a, &mut world, 0).1, [(1, 1, vec![2]), (7, 3, vec![1])]);
    let octets = identify(&mut a, &mut world, Cns::IndependentNamespace.octet(), 1).unwrap();
    assert_eq!(IndependentNamespace::decode(&octets).unwrap().anagrpid(), 7);
}
