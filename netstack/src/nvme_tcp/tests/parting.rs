//! The end of a connection, on loopback addresses of this test's own: nobody is reset.

use super::sockets::{End, accept, dial, host, run, send_connect, target};
use crate::fabric::{Fabric, FabricEvent};
use std::time::Duration;

/// Well above what a peer is given.
const LONG: Duration = Duration::from_secs(60);

/// A target whose one host is connected, both having been told.
fn connected(number: u8) -> (End, End) {
    let (mut target, to) = target(number);
    let mut host = host();
    let qp = dial(&mut host, to, 0);
    run(&mut [&mut target, &mut host], |ends| !ends[1].events.is_empty());
    send_connect(&mut host, qp, 0, 31);
    run(&mut [&mut target, &mut host], |ends| !ends[0].requests().is_empty());
    let at = target.requests()[0];
    accept(&mut target, at);
    (target, host)
}
/// The target ends its connection, and its own user has been told.
fn ended(target: &mut End) {
    let at = target.requests()[0];
    target.fabric.disconnect(target.now, at);
    run(&mut [target], |ends| {
        ends[0].events.iter().any(|event| matches!(event, FabricEvent::Disconnected { .. }))
    });
}

/// Goal: who ended a connection is parting until the peer has closed it.
#[test]
fn stays_until_the_peer_has_closed() {
    let (mut target, mut host) = connected(100);
    assert!(!target.fabric.is_parting(), "connected");
    ended(&mut target);
    (0..10).for_each(|_| {
        assert!(target.fabric.may_sleep());
        target.turn();
    });
    assert!(target.fabric.is_parting(), "the host has not closed");
    run(&mut [&mut target, &mut host], |ends| !ends[0].fabric.is_parting());
}

/// Goal: a peer that never closes holds nobody up for ever.
#[test]
fn does_not_stay_for_ever() {
    let (mut target, _host) = connected(101);
    ended(&mut target);
    assert!(target.fabric.is_parting());
    assert!(target.fabric.poll_timeout().is_some_and(|at| at < target.now + LONG));
    target.now += LONG;
    // After a sleep, everything is looked at.
    assert!(target.fabric.may_sleep());
    target.turn();
    assert!(!target.fabric.is_parting());
}
