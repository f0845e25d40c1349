//! The same for connection management: the handshake, its refusal, a slow acceptor, the end.

use super::super::world::{PORT, World, addr, params};
use super::table::{Cost, Row, Table};
use super::{FAULTS, LATE, Mode, Rule, script, victims};
use crate::endpoint::{ConnEvent, code_duration};
use std::time::{Duration, Instant};
use verbs::QpNum;
use wire::roce::PacketKind;

/// The code of the CM's timer in `Timers::default()`.
const CM_TIMEOUT: u8 = 17;

/// What the acceptor does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plot {
    Accept,
    /// After the first retry of the request.
    AcceptLate,
    Reject,
    /// Accepts; then the connector hangs up. The time is that of the end.
    Disconnect,
}

fn story(world: &World, host: usize) -> Vec<&'static str> {
    let name = |event: &ConnEvent| match event {
        ConnEvent::ConnectRequest { .. } => "request",
        ConnEvent::Established { .. } => "established",
        ConnEvent::Rejected { .. } => "rejected",
        ConnEvent::Disconnected { .. } => "over",
    };
    world.hosts[host].events().iter().map(name).collect()
}

fn requested(world: &World) -> Option<QpNum> {
    world.hosts[1].events().iter().find_map(|event| match event {
        ConnEvent::ConnectRequest { qp, .. } => Some(*qp),
        ConnEvent::Established { .. }
        | ConnEvent::Rejected { .. }
        | ConnEvent::Disconnected { .. } => None,
    })
}

impl Plot {
    /// What each side is told in the end.
    fn ends(self) -> [&'static [&'static str]; 2] {
        match self {
            Plot::Accept | Plot::AcceptLate => [&["established"], &["request", "established"]],
            Plot::Reject => [&["rejected"], &["request"]],
            Plot::Disconnect => [&["established", "over"], &["request", "established", "over"]],
        }
    }
    /// How long until everybody is told, and the packets.
    fn run(self, rules: &[Rule]) -> (Duration, Vec<PacketKind>) {
        let minute = Duration::from_secs(60);
        let mut world = World::pair(Mode::Roce, Mode::Roce, 5);
        let (script, kinds) = script(rules);
        world.script = Some(script);
        let mut start = world.now;
        let client = world.hosts[0].endpoint.connect(world.now, addr(2, PORT), params(b""));
        world.drive_until(minute, |world| requested(world).is_some());
        let server = requested(&world).expect("the request arrives");
        if self == Plot::AcceptLate {
            world.drive(Duration::from_millis(700) - (world.now - start));
        }
        if self == Plot::Reject {
            world.hosts[1].endpoint.reject(world.now, server, b"no");
        } else {
            world.hosts[1].endpoint.accept(world.now, server, params(b""));
        }
        if self == Plot::Disconnect {
            let connected = Plot::Accept.ends();
            world.drive_until(minute, |world| [0, 1].map(|host| story(world, host)) == connected);
            start = world.now;
            world.hosts[0].endpoint.disconnect(world.now, client);
        }
        world.drive(minute);
        assert_eq!([0, 1].map(|host| story(&world, host)), self.ends(), "{rules:?}");
        let last: &Instant = world.hosts.iter().flat_map(|host| &host.told_at).max().unwrap();
        (*last - start, kinds.take())
    }
}

/// Every message of connection management: nobody is told twice, and it takes one of the CM's timers
/// at most.
#[test]
fn every_message_of_connection_management() {
    let timer = code_duration(CM_TIMEOUT);
    let mut table = Table::new(timer);
    for (operation, plot) in [
        ("connect", Plot::Accept),
        ("connect, accepted after 0.7 s", Plot::AcceptLate),
        ("connect, rejected", Plot::Reject),
        ("disconnect", Plot::Disconnect),
    ] {
        let (clean, kinds) = plot.run(&[]);
        let is_new = |kind: PacketKind| {
            plot != Plot::Disconnect || matches!(kind, PacketKind::CmDreq | PacketKind::CmDrep)
        };
        for (kind, n) in victims(&kinds).into_iter().filter(|(kind, _)| is_new(*kind)) {
            let costs = FAULTS.map(|fault| {
                let (took, found) = plot.run(&[Rule::nth(fault, kind, n)]);
                let time = took.saturating_sub(clean);
                assert!(time <= timer + LATE, "{operation}: {fault:?} of {kind:?} {n}: {time:?}");
                Cost { time, packets: found.len().abs_diff(kinds.len()) }
            });
            table.push(Row { operation, packets: kinds.len(), kind, n, costs });
        }
    }
    insta::assert_snapshot!("connection", table.to_string());
    super::assert_told(&table);
}
