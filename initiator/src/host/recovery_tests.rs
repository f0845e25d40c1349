use super::*;
use crate::{HostOptions, HostState, Timers};
use netstack::fabric::loopback::Loopback;
use std::net::SocketAddr;

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
