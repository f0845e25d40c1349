//! Queue pairs without CM, as ibverbs has them.

use super::super::{CreateError, Endpoint, Mode, ModifyError, QpInit};
use super::world::{World, addr};
use std::time::Duration;
use verbs::{CqId, PostError, QpAttr, QpCaps, QpNum, QpState, RecvWr, SendOp, SgeList, WcStatus};

fn caps(depth: u32) -> QpCaps {
    QpCaps { max_send_wr: depth, max_recv_wr: depth, max_send_sge: 2, max_recv_sge: 2 }
}

fn attr(dest_qp: QpNum, host: u8, port: u16) -> QpAttr {
    QpAttr {
        dest_qp,
        dest: addr(host, port),
        path_mtu_bytes: 1024,
        sq_psn: 7,
        rq_psn: 7,
        max_rd_atomic: 4,
        max_dest_rd_atomic: 4,
        timeout: 14,
        retry_cnt: 7,
        rnr_retry: 7,
        min_rnr_timer: 12,
    }
}

/// Two raw queue pairs in RTS, each with its own completion queue.
fn raw_pair(world: &mut World, init: impl Fn(&mut Endpoint, CqId) -> QpInit) -> [(QpNum, CqId); 2] {
    let now = world.now;
    let made = [0, 1].map(|host: usize| {
        let endpoint = &mut world.hosts[host].endpoint;
        let cq = endpoint.create_cq(64);
        let init = init(endpoint, cq);
        (endpoint.create_qp(&init).unwrap(), cq)
    });
    for (host, peer, number, port) in [(0, 1, 2, 4791), (1, 0, 1, 50_000)] {
        let attr = attr(made[peer].0, number, port);
        let endpoint = &mut world.hosts[host].endpoint;
        for state in [QpState::Init, QpState::Rtr, QpState::Rts] {
            endpoint.modify_qp(now, made[host].0, state, Some(&attr)).unwrap();
        }
    }
    made
}

fn own_queues(depth: u32) -> impl Fn(&mut Endpoint, CqId) -> QpInit {
    move |_, cq| QpInit { caps: caps(depth), send_cq: cq, recv_cq: cq, srq: None }
}

/// Through the states by hand, a message, the error state, and gone.
#[test]
fn a_life_without_cm() {
    let mut world = World::pair(Mode::Native, Mode::Native, 70);
    let [(a, cq_a), (b, cq_b)] = raw_pair(&mut world, own_queues(8));
    world.hosts[1].post_recv(b, 1, 0, 64);
    world.hosts[0].post(a, 2, SendOp::Send, 0, 64);
    world.settle();
    let mut wcs = Vec::new();
    assert_eq!(world.hosts[0].endpoint.poll_cq(cq_a, 16, &mut wcs), 1);
    assert_eq!(world.hosts[1].endpoint.poll_cq(cq_b, 16, &mut wcs), 1);
    assert_eq!((wcs[0].wr_id, wcs[1].wr_id, wcs[1].byte_len), (2, 1, 64));
    assert!(world.hosts[0].wcs().is_empty(), "nothing in the default queue");
    world.hosts[1].post_recv(b, 3, 0, 64);
    let endpoint = &mut world.hosts[1].endpoint;
    endpoint.modify_qp(world.now, b, QpState::Err, None).unwrap();
    wcs.clear();
    endpoint.poll_cq(cq_b, 16, &mut wcs);
    assert_eq!((wcs[0].wr_id, wcs[0].status), (3, WcStatus::WrFlushErr));
    assert!(!endpoint.destroy_cq(cq_b), "in use");
    assert!(endpoint.destroy_qp(world.now, b));
    assert!(endpoint.destroy_cq(cq_b));
    assert!(world.hosts[1].events().is_empty(), "no CM, no events");
}

/// States that the standard does not let follow, missing attributes, wrong states for posts.
#[test]
fn misuse_is_refused() {
    let mut world = World::pair(Mode::Native, Mode::Native, 71);
    let now = world.now;
    let endpoint = &mut world.hosts[0].endpoint;
    let cq = endpoint.create_cq(31);
    let init = QpInit { caps: caps(8), send_cq: cq, recv_cq: cq, srq: None };
    assert_eq!(endpoint.create_qp(&init), Err(CreateError::CompletionQueue), "31 places of 32");
    let cq = endpoint.create_cq(32);
    let init = QpInit { send_cq: cq, recv_cq: cq, ..init };
    let qp = endpoint.create_qp(&init).unwrap();
    assert_eq!(endpoint.create_qp(&init), Err(CreateError::CompletionQueue));
    let (from, to) = (QpState::Reset, QpState::Rts);
    let skipped = endpoint.modify_qp(now, qp, to, Some(&attr(qp, 2, 4791)));
    assert_eq!(skipped, Err(ModifyError::Transition { from, to }));
    let wr = RecvWr::default();
    assert_eq!(endpoint.post_recv(qp, wr.clone()), Err(PostError::WrongState));
    endpoint.modify_qp(now, qp, QpState::Init, None).unwrap();
    assert_eq!(endpoint.modify_qp(now, qp, QpState::Rtr, None), Err(ModifyError::Attributes));
    for _ in 0..8 {
        endpoint.post_recv(qp, wr.clone()).unwrap();
    }
    assert_eq!(endpoint.post_recv(qp, wr.clone()), Err(PostError::Full));
    endpoint.modify_qp(now, qp, QpState::Reset, None).unwrap();
    assert!(endpoint.destroy_qp(now, qp) && !endpoint.destroy_qp(now, qp));
    assert_eq!(endpoint.post_recv(qp, wr), Err(PostError::NoSuchQp));
}

/// Completions that nobody polls hold back new work before the queue overruns; polling lets it on.
#[test]
fn the_completion_queue_cannot_overrun() {
    let mut world = World::pair(Mode::Native, Mode::Native, 72);
    let [(a, cq), (b, cq_b)] = raw_pair(&mut world, own_queues(8));
    let (mut posted, mut polled, mut wcs) = (0u64, 0, Vec::new());
    for round in 0..50 {
        for _ in 0..8 {
            let sges = SgeList::from_slice(&[world.hosts[0].sge(0, 8)]);
            let flags = verbs::WrFlags { signaled: true, ..verbs::WrFlags::default() };
            let wr = verbs::SendWr { wr_id: posted, op: SendOp::Send, sges, flags };
            posted += u64::from(world.hosts[0].endpoint.post_send(a, wr).is_ok());
            let sges = SgeList::from_slice(&[world.hosts[1].sge(0, 8)]);
            let _ = world.hosts[1].endpoint.post_recv(b, RecvWr { wr_id: 0, sges });
        }
        world.settle();
        if round % 10 == 9 {
            polled += world.hosts[0].endpoint.poll_cq(cq, 64, &mut wcs);
            world.hosts[1].endpoint.poll_cq(cq_b, 64, &mut Vec::new());
        }
    }
    assert_eq!(posted, polled as u64);
    assert!(posted >= 40, "{posted} in five times that the queues were polled");
    assert!(wcs.iter().map(|wc| wc.wr_id).eq(0..posted));
}

/// A shared receive queue feeds two queue pairs; one that fails leaves its receives alone.
#[test]
fn shared_receive_queues() {
    let mut world = World::pair(Mode::Native, Mode::Native, 73);
    let now = world.now;
    let cq = world.hosts[1].endpoint.create_cq(256);
    let srq = world.hosts[1].endpoint.create_srq(16);
    let mut pairs = Vec::new();
    for _ in 0..2 {
        let init = QpInit { caps: caps(8), ..QpInit::default() };
        let a = world.hosts[0].endpoint.create_qp(&init).unwrap();
        let init = QpInit { caps: caps(8), send_cq: cq, recv_cq: cq, srq: Some(srq) };
        let b = world.hosts[1].endpoint.create_qp(&init).unwrap();
        for (host, qp, attr) in [(0, a, attr(b, 2, 4791)), (1, b, attr(a, 1, 50_000))] {
            for state in [QpState::Init, QpState::Rtr, QpState::Rts] {
                let endpoint = &mut world.hosts[host].endpoint;
                endpoint.modify_qp(now, qp, state, Some(&attr)).unwrap();
            }
        }
        pairs.push((a, b));
    }
    for id in 0..4 {
        let sges = SgeList::from_slice(&[world.hosts[1].sge(0, 64)]);
        world.hosts[1].endpoint.post_srq_recv(srq, RecvWr { wr_id: id, sges }).unwrap();
    }
    for &(a, _) in &pairs {
        world.hosts[0].post(a, 9, SendOp::Send, 0, 64);
    }
    world.settle();
    let endpoint = &mut world.hosts[1].endpoint;
    let mut wcs = Vec::new();
    endpoint.poll_cq(cq, 64, &mut wcs);
    let mut ids: Vec<u64> = wcs.iter().map(|wc| wc.wr_id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1]);
    endpoint.modify_qp(now, pairs[0].1, QpState::Err, None).unwrap();
    wcs.clear();
    assert_eq!(endpoint.poll_cq(cq, 64, &mut wcs), 0, "shared receives are nobody's: {wcs:?}");
    world.hosts[0].post(pairs[1].0, 10, SendOp::Send, 0, 64);
    world.settle();
    let endpoint = &mut world.hosts[1].endpoint;
    assert_eq!(endpoint.poll_cq(cq, 64, &mut wcs), 1);
    assert!(!endpoint.destroy_srq(srq));
    for (_, b) in pairs {
        endpoint.destroy_qp(now, b);
    }
    assert!(endpoint.destroy_srq(srq) && endpoint.destroy_cq(cq));
}

/// A raw queue pair whose peer is dead fails by itself, with completions but no event.
#[test]
fn raw_queue_pairs_fail_without_events() {
    let mut world = World::pair(Mode::Native, Mode::Native, 74);
    let [(a, cq), _] = raw_pair(&mut world, own_queues(8));
    world.hosts[1].is_dead = true;
    world.hosts[0].post(a, 2, SendOp::Send, 0, 64);
    world.drive(Duration::from_secs(20));
    let mut wcs = Vec::new();
    world.hosts[0].endpoint.poll_cq(cq, 64, &mut wcs);
    assert_eq!((wcs.len(), wcs[0].status), (1, WcStatus::RetryExcErr));
    assert_eq!(world.hosts[0].endpoint.qp_state(a), Some(QpState::Err));
    assert!(world.hosts[0].told.is_empty());
}
