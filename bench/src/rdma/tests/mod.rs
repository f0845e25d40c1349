//! Two tools on two NICs in one thread, on a clock of its own, over a wire that may lose packets.

mod bw;
mod hostile;
mod ping;

use super::drive::turn;
use super::{Fault, Tool};
use dpa::nic::Nic;
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::fabric::Fabric;
use netstack::link::{Faults, FaultyLink, LoopbackLink};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The server's address; the port of its service is the tool's.
const SERVER: &str = "10.0.0.1:4791";
const CLIENT: &str = "10.0.0.2:4791";
/// Simulated time that any test may take.
const TIME_MAX: Duration = Duration::from_secs(300);
const TURNS_MAX: u64 = 3_000_000;
/// From one turn to the next while something happens.
const STEP: Duration = Duration::from_micros(3);

fn to(port: u16) -> SocketAddr {
    SocketAddr::new(SERVER.parse::<SocketAddr>().unwrap().ip(), port)
}

/// What a run is like.
#[derive(Clone, Copy)]
struct Wire {
    mode: Mode,
    drop_ppm: u32,
    seed: u64,
    /// Turns after which the client's user interrupts it.
    interrupt_at: Option<u64>,
}

impl Wire {
    fn good(mode: Mode) -> Wire {
        Wire { mode, drop_ppm: 0, seed: 7, interrupt_at: None }
    }
}

type Wired = Nic<FaultyLink<LoopbackLink>>;

/// A tool, its NIC, and how it ended.
struct Side<T> {
    nic: Wired,
    tool: T,
    outcome: Option<Result<(), Fault>>,
    notes: Vec<String>,
}

impl<T: Tool> Side<T> {
    fn new(link: LoopbackLink, tool: T, wire: Wire, seed: u64, now: Instant) -> Side<T> {
        let faults = Faults { drop_ppm: wire.drop_ppm, ..Faults::default() };
        let link = FaultyLink::new(link, faults, seed, now);
        let config = EndpointConfig {
            seed,
            mode: wire.mode,
            path_mtu_bytes: 1024,
            ..EndpointConfig::default()
        };
        Side { nic: Nic::new(link, config), tool, outcome: None, notes: Vec::new() }
    }

    fn start(&mut self, now: Instant) {
        if let Err(fault) = self.tool.start(now, self.nic.endpoint_mut()) {
            self.outcome = Some(Err(fault));
        }
    }

    /// Whether packets came or went.
    fn turn(&mut self, now: Instant) -> bool {
        let before = self.nic.activity();
        self.nic.link_mut().advance(now);
        self.nic.receive(now);
        self.nic.run_timers(now);
        let verbs = self.nic.endpoint_mut();
        if self.outcome.is_none() {
            let told = turn(now, verbs, &mut self.tool);
            if told.is_err() {
                self.tool.interrupt(now, verbs);
            }
            self.outcome = (told.is_err() || self.tool.is_over()).then_some(told);
        } else {
            while verbs.poll_event().is_some() || verbs.next_wc().is_some() {}
        }
        self.notes.extend(std::iter::from_fn(|| self.tool.take_note()));
        self.nic.transmit(now);
        self.nic.activity() != before
    }

    fn next(&self) -> Option<Instant> {
        let deadline = if self.outcome.is_none() { self.tool.deadline() } else { None };
        [self.nic.poll_timeout(), deadline].into_iter().flatten().min()
    }
}

fn sides<S: Tool, C: Tool>(server: S, client: C, wire: Wire) -> (Side<S>, Side<C>) {
    let [at, from] = [SERVER, CLIENT].map(|text| text.parse().unwrap());
    let (near, far) = LoopbackLink::pair(at, from, 4096, 1024);
    let now = Instant::now();
    let mut server = Side::new(near, server, wire, wire.seed, now);
    let mut client = Side::new(far, client, wire, wire.seed + 1, now);
    server.start(now);
    client.start(now);
    (server, client)
}

/// Turns both until they are over, or `turns` were made.
fn advance<S: Tool, C: Tool>(server: &mut Side<S>, client: &mut Side<C>, wire: Wire, turns: u64) {
    let start = Instant::now();
    let mut now = start;
    for number in 0..turns {
        if wire.interrupt_at == Some(number) && client.outcome.is_none() {
            client.tool.interrupt(now, client.nic.endpoint_mut());
        }
        let moved = server.turn(now) | client.turn(now);
        if server.outcome.is_some() && client.outcome.is_some() {
            return;
        }
        let next = [server.next(), client.next()].into_iter().flatten().min();
        now += STEP;
        if !moved && let Some(at) = next {
            now = now.max(at);
        }
        assert!(now < start + TIME_MAX, "{:?} {:?}", server.outcome, client.outcome);
    }
}

/// Runs a server and a client until both are over.
fn run<S: Tool, C: Tool>(server: S, client: C, wire: Wire) -> (Side<S>, Side<C>) {
    let (mut server, mut client) = sides(server, client, wire);
    advance(&mut server, &mut client, wire, TURNS_MAX);
    assert!(server.outcome.is_some() && client.outcome.is_some(), "no end");
    (server, client)
}
