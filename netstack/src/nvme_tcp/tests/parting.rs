//! The end of a connection, on loopback addresses of this test's own: nobody is reset.

use super::sockets::{End, connected, host, run, target};
use crate::fabric::{Fabric, FabricEvent};
use std::time::Duration;

/// Well above what a peer is given.
const LONG: Duration = Duration::from_secs(60);

/// A target that has ended the connection of its one host, and the user of which has been told.
fn ended(number: u8) -> (End, End) {
    let (mut target, to) = target(number);
    let mut host = host();
    let (at, _) = connected(&mut target, &mut host, to);
    assert!(!target.fabric.is_parting(), "connected");
    target.fabric.disconnect(target.now, at);
    run(&mut [&mut target], |ends| {
        ends[0].events.iter().any(|event| matches!(event, FabricEvent::Disconnected { .. }))
    });
    (target, host)
}

/// Goal: who ended a connection is parting until the peer has closed it.
#[test]
fn stays_until_the_peer_has_closed() {
    let (mut target, mut host) = ended(100);
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
    let (mut target, _host) = ended(101);
    assert!(target.fabric.is_parting());
    assert!(target.fabric.poll_timeout().is_some_and(|at| at < target.now + LONG));
    target.now += LONG;
    // After a sleep, everything is looked at.
    assert!(target.fabric.may_sleep());
    target.turn();
    assert!(!target.fabric.is_parting());
}
