use super::*;
use crate::host::bringup::Step;
use crate::{HostOptions, HostState, Timers};
use netstack::fabric::loopback::Loopback;
use std::net::SocketAddr;
use wire::fabrics::ConnectFault;
use wire::nvme::Status;

const TARGET: ([u8; 4], u16) = ([10, 0, 0, 1], 4420);

/// A host towards a target that never answers.
fn host(now: Instant) -> Host<Loopback> {
    let end = Loopback::new(SocketAddr::from(([10, 0, 0, 2], 4791)));
    let mut silent = end.join(SocketAddr::from(TARGET));
    silent.listen(TARGET.1);
    let options = HostOptions {
        target: SocketAddr::from(TARGET),
        subnqn: "nqn.2026-11.io.flexblk:test".into(),
        hostnqn: "nqn.2026-11.io.flexblk:host".into(),
        hostid: [1; 16],
        io_queues: 1,
        queue_depth: 4,
        keys: None,
        concatenate: false,
        timers: Timers::default(),
    };
    Host::new(end, options, now).unwrap()
}

/// Goal: a host that was closed while it connected asks for no wake-up. The end of its attempt
/// passed later, and whoever waited for the goodbye turned without a pause (simulator, seed 7200).
#[test]
fn closed_while_connecting_wants_no_wake_up() {
    let now = Instant::now();
    let mut host = host(now);
    host.turn(now);
    assert_eq!(host.state(), HostState::Connecting);
    assert_eq!(host.poll_timeout(), Some(now + Timers::default().connect_timeout));
    host.disconnect(now);
    assert_eq!((host.state(), host.poll_timeout()), (HostState::Closed, None));
}

/// Goal: a target that restarted between a host's queues is connected to again, also when the host
/// was never live: its word on the old controller is no refusal (simulator, seed 9243).
#[test]
fn a_controller_that_is_gone_is_no_refusal() {
    let now = Instant::now();
    for (parameter, state) in [
        (ConnectFault::CONTROLLER_ID, HostState::Connecting),
        (ConnectFault::SQ_SIZE, HostState::Dead),
    ] {
        let mut host = host(now);
        host.turn(now);
        let (step, status) = (Step::Connect(1), Status::CONNECT_INVALID_PARAMETERS);
        host.refuse(now, step, status, u64::from(parameter.dword()));
        host.turn(now);
        assert_eq!(host.state(), state, "{parameter:?}");
        assert_eq!(host.poll_timeout().is_some(), state != HostState::Dead);
    }
}
