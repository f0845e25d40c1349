use super::World;
use std::time::Duration;
use storage::Memory;
use wire::nvme::log::{ChangedNamespaces, LogId};
use wire::nvme::{
    AdminOpcode, AsyncEvent, Cid, ControllerId, FeatureCmd, FeatureId, GetLogPageCmd, Nsid, Status,
    ZeroBased,
};

/// Goal: a host that asked hears of a new namespace, reads which one, and is told again only then;
/// a fifth request is one too many.
#[test]
fn namespace_changes_are_told() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    let sqe = FeatureCmd::set(FeatureId::ASYNC_EVENT, 1 << 8, Cid(0), Nsid(0));
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    let request = host.admin(AdminOpcode::AsyncEventRequest);
    let cids: Vec<u16> = (0..4).map(|_| host.submit(0, request, &[])).collect();
    host.run(&mut world);
    assert!(host.queues[0].completions.is_empty());
    let fifth = host.execute(&mut world, 0, request, &[]).status();
    assert!(fifth.is(Status::AER_LIMIT) && fifth.dnr);
    for nsid in [9, 5] {
        world.add(nsid, Box::new(Memory::new(512, 64, 8).unwrap()));
    }
    host.run(&mut world);
    let told: Vec<_> = host.queues[0].completions.drain(..).collect();
    assert_eq!(told.len(), 1, "once until the log is read");
    assert_eq!(told[0].cid(), Cid(cids[0]));
    assert_eq!(AsyncEvent::from_dword(told[0].dw0()), AsyncEvent::NAMESPACE_CHANGED);
    let dwords = ZeroBased::<u32>::from_count(1024).unwrap();
    let lid = LogId::ChangedNamespaces.octet();
    let command = GetLogPageCmd { lid, dwords, ..GetLogPageCmd::default() };
    let sqe = host.with_answer(command.command(Cid(0), Nsid(0)), 4096);
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    let changed = ChangedNamespaces::decode(&host.read_data(0, 4096)).unwrap();
    assert_eq!(changed.iter().collect::<Vec<_>>(), [Nsid(5), Nsid(9)]);
    world.add(6, Box::new(Memory::new(512, 64, 8).unwrap()));
    host.run(&mut world);
    assert_eq!(host.queues[0].completions.len(), 1);
}

/// Goal: silence beyond the timeout ends the controller and all its queues; any command of any
/// queue counts as life; other hosts do not notice.
#[test]
fn silence_ends_a_controller() {
    let mut world = World::new();
    let mut other = world.connected(1, 4);
    let mut host = world.host();
    let at = host.open(&mut world, 0, 32);
    let cqe = host.connect(&mut world, at, super::NQN, ControllerId::DYNAMIC, 5_000);
    host.cntlid = u16::try_from(cqe.dw0()).unwrap();
    host.enable(&mut world);
    host.connect_io(&mut world, 1, 4);
    for step in 0..6 {
        world.advance(Duration::from_secs(4));
        let sqe = if step % 2 == 0 {
            (1, host.rw(wire::nvme::IoOpcode::Read, 0, 1, 0))
        } else {
            (0, host.admin(AdminOpcode::KeepAlive))
        };
        assert!(host.execute(&mut world, sqe.0, sqe.1, &[]).status().is_success(), "{step}");
    }
    let timeout = world.reactor.turn(world.now).next_timeout.expect("a keep-alive timer runs");
    assert!(timeout <= world.now + Duration::from_secs(5));
    world.advance(Duration::from_secs(5));
    host.run(&mut world);
    assert!(host.queues.iter().all(|queue| queue.disconnected));
    assert_eq!(world.reactor.counters().keep_alive_expired, 1);
    assert_eq!(world.reactor.controller_count(), 1);
    let sqe = other.rw(wire::nvme::IoOpcode::Read, 0, 1, 0);
    assert!(other.execute(&mut world, 1, sqe, &[]).status().is_success());
}

/// Goal: a connection whose host vanished before its Connect does not stay for ever (found by the
/// simulator, seed 20).
#[test]
fn a_connection_without_connect_ends() {
    let mut world = World::new();
    let mut host = world.host();
    let mut private = wire::cm::NvmeRequestPrivate::zeroed();
    private.set_host_receive_queue_size(32).set_host_send_queue_size(31);
    let at = host.open_with(&mut world, 1, 4, private.as_octets());
    assert!(host.queues[at].established);
    world.advance(Duration::from_secs(29));
    host.run(&mut world);
    assert!(!host.queues[at].disconnected);
    world.advance(Duration::from_secs(2));
    host.run(&mut world);
    assert!(host.queues[at].disconnected);
    assert_eq!(world.reactor.counters().connects_expired, 1);
}

/// Goal: shutdown and reset end the waiting requests, and a controller that was reset can be
/// enabled again.
#[test]
fn reset_ends_waiting_requests() {
    let mut world = World::new();
    let mut host = world.connected(0, 0);
    for (value, csts) in [(4 << 20 | 6 << 16 | 1 | 1 << 14, 8), (0, 0)] {
        if csts == 0 {
            host.set_cc(&mut world, 0);
            host.enable(&mut world);
        }
        let request = host.admin(AdminOpcode::AsyncEventRequest);
        let waiting = host.submit(0, request, &[]);
        host.run(&mut world);
        let set = wire::fabrics::PropertySetCmd {
            size: wire::fabrics::PropertySize::Four,
            offset: 0x14,
            value,
        };
        host.submit(0, set.command(Cid(0)), &[]);
        host.run(&mut world);
        let done: Vec<_> = host.queues[0].completions.drain(..).collect();
        assert_eq!(done.len(), 2);
        let ended = done.iter().find(|cqe| cqe.cid() == Cid(waiting)).unwrap();
        assert!(ended.status().is(Status::ABORTED_SQ_DELETION));
        let early = host.admin(AdminOpcode::KeepAlive);
        let status = host.execute(&mut world, 0, early, &[]).status();
        assert!(status.is(Status::COMMAND_SEQUENCE), "not enabled");
    }
}
