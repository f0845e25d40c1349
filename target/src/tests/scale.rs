use super::{NQN, World};
use crate::Config;
use crate::tests::probe::Probe;
use std::collections::HashSet;
use wire::nvme::{Cid, FeatureCmd, FeatureId, IoOpcode, Lba, Nsid, Rw, Sgl};

/// Goal: at every depth a host can fill its queue, each command is answered once and the data is
/// right, for reads, fetched writes (of which only as many are fetched at once as the host allows)
/// and writes in the capsule.
#[test]
fn full_queues_are_served() {
    for depth in [2u16, 3, 16, 128, 1024] {
        let mut world = World::new();
        let mut host = world.connected(1, depth);
        let outstanding = depth - 1;
        for (round, opcode) in [IoOpcode::Write, IoOpcode::Read, IoOpcode::Write].iter().enumerate()
        {
            host.data.fill(0, 1 << 20, round as u8 + 1);
            let cids: HashSet<u16> = (0..outstanding)
                .map(|n| {
                    let mut sqe = host.rw(*opcode, u64::from(n), 1, usize::from(n) * 512);
                    if round == 2 {
                        sqe.set_sgl(Sgl::InCapsule { offset: 0, len: 512 });
                    }
                    host.submit(1, sqe, &[0x77; 512])
                })
                .collect();
            host.run(&mut world);
            let done: Vec<_> = host.queues[1].completions.drain(..).collect();
            assert!(done.iter().all(|cqe| cqe.status().is_success()));
            assert_eq!(done.len(), cids.len());
            assert_eq!(done.iter().map(|cqe| cqe.cid().0).collect::<HashSet<_>>(), cids);
            if round == 1 {
                let read = host.read_data(0, usize::from(outstanding) * 512);
                assert!(
                    read.iter().all(|octet| *octet == 1),
                    "what was written, not what was there"
                );
            }
        }
        let sqe = host.rw(IoOpcode::Read, 0, u32::from(outstanding), 0);
        host.execute(&mut world, 1, sqe, &[]);
        let read = host.read_data(0, usize::from(outstanding) * 512);
        assert!(read.iter().all(|octet| *octet == 0x77), "depth {depth}");
    }
}

/// Goal: the target never has more READs outstanding to a host than it granted (4 here), and uses
/// what it granted.
#[test]
fn outstanding_reads_are_bounded() {
    let mut world = World::new();
    let mut host = world.connected(1, 64);
    for n in 0..40 {
        let sqe = host.rw(IoOpcode::Write, n * 8, 8, 0);
        host.submit(1, sqe, &[]);
    }
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len(), 40);
    assert_eq!(world.watch.most_reads(), 4);
}

/// Goal: a buffer that data is sent from without a copy stays out, and its blocks locked, until
/// the response behind the data is acknowledged: a retransmission would read it again. Commands
/// go on meanwhile, as many as there are slots for, and none is lost.
#[test]
fn sent_buffers_wait_for_their_acknowledgement() {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(4096);
    let state = std::rc::Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 8);
    world.watch.late_acks.set(true);
    for answered in 1..=3 {
        let sqe = host.rw(IoOpcode::Read, 0, 8, 0);
        assert!(host.execute(&mut world, 1, sqe, &[]).status().is_success());
        assert_eq!(state.buffers_out.get(), answered);
    }
    let sqe = host.rw(IoOpcode::Write, 0, 8, 0);
    host.submit(1, sqe, &[]);
    host.run(&mut world);
    assert!(host.queues[1].completions.is_empty(), "a write waits for those that read its blocks");
    world.watch.late_acks.set(false);
    host.run(&mut world);
    assert!(host.queues[1].completions.pop_front().unwrap().status().is_success());
    assert_eq!(state.buffers_out.get(), 0);

    world.watch.late_acks.set(true);
    let mut sent = 0;
    // More than there are slots: the last ones wait in their receives.
    for _ in 0..4 {
        for _ in 0..7 {
            let sqe = host.rw(IoOpcode::Read, sent * 8, 8, 0);
            host.submit(1, sqe, &[]);
            sent += 1;
        }
        for _ in 0..50 {
            world.reactor.turn(world.now);
            host.poll(&world);
        }
    }
    let slots = u64::from(crate::queue::slots_for(8));
    assert_eq!(host.queues[1].completions.len() as u64, slots.min(sent));
    world.watch.late_acks.set(false);
    host.run(&mut world);
    assert_eq!(host.queues[1].completions.len() as u64, sent);
    assert_eq!(state.buffers_out.get(), 0);
}

/// Goal: several hosts with 128 queues each work side by side, each with a controller of its own.
#[test]
fn many_queues_and_hosts() {
    let mut world = World::new();
    let mut hosts: Vec<_> = (0..3).map(|_| world.connected(128, 4)).collect();
    let cntlids: HashSet<u16> = hosts.iter().map(|host| host.cntlid).collect();
    assert_eq!(cntlids.len(), 3);
    for host in &mut hosts {
        for at in 1..=128 {
            let sqe = host.rw(IoOpcode::Read, at as u64, 1, at * 512);
            host.submit(at, sqe, &[]);
        }
    }
    world.settle();
    for host in &mut hosts {
        host.run(&mut world);
        assert!((1..=128).all(|at| host.queues[at].completions.len() == 1));
    }
    let connections = world.reactor.connections();
    assert_eq!(connections.len(), 3 * 129);
    assert!(connections.iter().all(|c| c.subsystem_nqn.as_deref() == Some(NQN)));
    assert!(connections.iter().all(|c| c.in_flight == 0));
}

/// Goal: Force Unit Access, and a cache that the host switched off, make writes durable; others
/// may stay in the cache.
#[test]
fn durability_is_passed_on() {
    let mut world = World::empty(Config::default());
    let probe = Probe::new(64).cached();
    let state = std::rc::Rc::clone(&probe.state);
    world.add(1, Box::new(probe));
    let mut host = world.connected(1, 4);
    let write = |host: &mut super::Host, world: &mut World, fua| {
        let rw = Rw { fua, ..Rw::new(Lba(0), 1).unwrap() };
        let mut sqe = rw.command(IoOpcode::Write, Cid(0), Nsid(1));
        sqe.set_sgl(host.sgl(0, 512));
        assert!(host.execute(world, 1, sqe, &[]).status().is_success());
    };
    write(&mut host, &mut world, false);
    assert_eq!(state.forced_writes.get(), 0);
    write(&mut host, &mut world, true);
    assert_eq!(state.forced_writes.get(), 1);
    let sqe = FeatureCmd::set(FeatureId::VOLATILE_WRITE_CACHE, 0, Cid(0), Nsid(0));
    assert!(host.execute(&mut world, 0, sqe, &[]).status().is_success());
    write(&mut host, &mut world, false);
    assert_eq!(state.forced_writes.get(), 2);
}
