//! Peers that do not speak the protocol: a clear error, in bounded time, and no panic.

use super::super::bw::{Goal, Verb};
use super::super::ping::{PORT, PingServer, PingServerParams};
use super::super::{Event, Fault, Memory, Tool, bw as tested, list, one};
use super::{Wire, bw, run, to};
use memory::Access;
use netstack::endpoint::{Endpoint, Mode};
use netstack::fabric::ConnectParams;
use std::time::Instant;
use verbs::{QpNum, RecvWr, SendOp};

/// Connects, and sends messages without a thought; the next when an answer came, or at once.
struct Liar {
    port: u16,
    messages: Vec<Vec<u8>>,
    waits: bool,
    at: usize,
    memory: Option<Memory>,
    qp: Option<QpNum>,
    is_over: bool,
}

impl Liar {
    fn new(port: u16, messages: Vec<Vec<u8>>, waits: bool) -> Liar {
        Liar { port, messages, waits, at: 0, memory: None, qp: None, is_over: false }
    }
    fn next(&mut self, verbs: &mut Endpoint) {
        let (Some(octets), Some(qp)) = (self.messages.get(self.at), self.qp) else { return };
        let memory = self.memory.as_ref().unwrap();
        let offset = 4096 + self.at * 256;
        memory.write(offset, octets);
        let sge = memory.sge(offset, octets.len().try_into().unwrap());
        // A connection that was ended meanwhile takes no more.
        let _ = verbs.post_send(qp, one(99, SendOp::Send, sge));
        self.at += 1;
    }
}

impl Tool for Liar {
    fn start(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let len = 4096 + 256 * self.messages.len().max(1);
        self.memory = Some(Memory::new(verbs, len, Access::REMOTE_READ)?);
        let params =
            ConnectParams { private: vec![9; 30], send_depth: 64, recv_depth: 16, read_depth: 4 };
        let qp = verbs.connect(now, to(self.port), params);
        for (wr_id, at) in (0..16).zip((0..).step_by(128)) {
            let sges = list(self.memory.as_ref().unwrap().sge(at, 128));
            verbs.post_recv(qp, RecvWr { wr_id, sges }).unwrap();
        }
        self.qp = Some(qp);
        Ok(())
    }
    fn handle(&mut self, _: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault> {
        match event {
            Event::Open { .. } => {
                let count = if self.waits { 1 } else { self.messages.len() };
                (0..count).for_each(|_| self.next(verbs));
            }
            Event::Closed { .. } | Event::Refused { .. } => self.is_over = true,
            Event::Done(wc) if self.waits && wc.wr_id < 16 => self.next(verbs),
            Event::Asked { .. } | Event::Done(_) => {}
        }
        Ok(())
    }
    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        verbs.disconnect(now, self.qp.unwrap());
        self.is_over = true;
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
}

fn advert(addr: u64, key: u32, bytes: u32) -> Vec<u8> {
    [&addr.to_be_bytes()[..], &key.to_be_bytes(), &bytes.to_be_bytes()].concat()
}

fn ping_server(is_persistent: bool) -> PingServer {
    PingServer::new(PingServerParams { port: PORT, is_persistent, is_verbose: false })
}

/// Goal: each lie to rping's server is told by its name.
#[test]
fn lies_to_the_ping_server() {
    let cases: [(&[Vec<u8>], &str); 7] = [
        (&[vec![1; 15]], "sent 15 octets"),
        (&[vec![1; 17]], "sent 17 octets"),
        (&[vec![]], "sent 0 octets"),
        (&[vec![1; 100]], "message was longer"),
        (&[advert(0, 1, 0)], "advertised 0 octets"),
        (&[advert(0, 1, u32::MAX)], "advertised 4294967295 octets"),
        (&[advert(0, 0xdead, 64)], "memory is not open"),
    ];
    for mode in [Mode::Roce, Mode::Native] {
        for (messages, why) in cases {
            let liar = Liar::new(PORT, messages.to_vec(), false);
            let (server, _) = run(ping_server(false), liar, Wire::good(mode));
            let told = server.outcome.unwrap().unwrap_err().to_string();
            assert!(told.contains(why), "{told:?}, not {why:?}");
        }
    }
}

/// Goal: adverts before their turn are refused, and a server that stays lives on.
#[test]
fn a_persistent_server_sends_liars_away() {
    let wire = Wire::good(Mode::Native);
    let flood = vec![advert(0, 0xdead, 64); 3];
    let (mut server, mut liar) =
        super::sides(ping_server(true), Liar::new(PORT, flood, false), wire);
    super::advance(&mut server, &mut liar, wire, 5000);
    assert_eq!(server.outcome, None);
    assert_eq!(liar.outcome, Some(Ok(())), "its connection was ended");
    assert!(server.notes.concat().contains("sent away"), "{:?}", server.notes);
    assert_eq!(server.nic.endpoint_mut().qp_count(), 0);
}

/// Goal: nonsense in perftest's exchange is told by its place; each step of the order is tried.
#[test]
fn lies_to_the_bandwidth_server() {
    let version = [&b"6.06"[..], &[0; 12]].concat();
    let good = [version, vec![0, 0, 16, 0], vec![0, 0, 0, 64], b"5\0".to_vec(), vec![0; 56]];
    let cases: [(usize, Vec<u8>, &str); 9] = [
        (0, vec![0; 16], "speaks version \"\""),
        (0, b"GET / HTTP/1.1\r\n".to_vec(), "speaks version"),
        (0, vec![0; 56], "sent 56 octets where perftest sends its version (16)"),
        (1, vec![0; 8], "sent 8 octets where perftest sends its page size (4)"),
        (2, vec![], "sent 0 octets where perftest sends its cache line (4)"),
        (3, b"99".to_vec(), "for its path MTU"),
        (4, vec![0; 57], "sent 57 octets where perftest sends its queue pair (56)"),
        (5, [0x7f, 0xff].repeat(4), "where perftest sends its queue pair"),
        (0, vec![0; 129], "longer"),
    ];
    for (place, lie, why) in cases {
        let messages = good.iter().take(place).cloned().chain([lie]).collect();
        // Only a server of writes takes values of a report; SEND's knows that there is none.
        let verb = if place == 5 { Verb::Send } else { Verb::Write };
        let liar = Liar::new(tested::PORT, messages, true);
        let (server, _) = run(bw::server(verb, 64), liar, Wire::good(Mode::Roce));
        let told = server.outcome.unwrap().unwrap_err().to_string();
        assert!(told.contains(why), "{told:?}, not {why:?}");
    }
}

/// Goal: a client that begins and goes silent is given up in bounded time.
#[test]
fn a_silent_client_is_given_up() {
    let liar = Liar::new(tested::PORT, vec![], true);
    let (server, _) = run(bw::server(Verb::Read, 64), liar, Wire::good(Mode::Roce));
    let told = server.outcome.unwrap().unwrap_err().to_string();
    assert!(told.contains("said nothing for 60 s"), "{told}");
}

/// Goal: sides that were given different sizes hear of it, and by name.
#[test]
fn sizes_that_differ() {
    let goal = Goal::Iterations(10);
    for (verb, why) in [(Verb::Send, "longer"), (Verb::Write, "memory"), (Verb::Read, "memory")] {
        let client = bw::client(verb, 9000, goal);
        let (server, client) = run(bw::server(verb, 100), client, Wire::good(Mode::Roce));
        let told = format!("{:?} {:?}", server.outcome, client.outcome);
        assert!(client.outcome.unwrap().is_err() && server.outcome.unwrap().is_err(), "{told}");
        assert!(told.contains(why), "{told}");
    }
}
