//! The side that reads and writes.

use super::{ADVERT, ADVERT_BYTES, ADVERT_LEN, Advert, DATA, RECEIVES, SIZES};
use super::{params, receive, receive_at, shown};
use crate::rdma::{Event, Fault, Memory, Tool, ended, one, succeeded};
use memory::Access;
use netstack::endpoint::Endpoint;
use netstack::fabric::DisconnectReason;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use verbs::{PostError, QpNum, SendOp, Wc};

/// Clients at once.
const CLIENTS_MAX: usize = 16;
/// A client that does nothing for this long is sent away: clients of rping never rest.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Memory of one client.
const STRIDE: usize = DATA + (64 << 10);

/// What a server is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PingServerParams {
    /// Service's port.
    pub port: u16,
    /// Stays when a client has left, and serves several at once.
    pub is_persistent: bool,
    /// Tells what clients send.
    pub is_verbose: bool,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The advert of data.
    Source,
    /// The READ of so many octets.
    Read { bytes: u32 },
    /// The advert of a place for them.
    Sink { bytes: u32 },
    /// The WRITE.
    Write,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    qp: QpNum,
    state: State,
    pings: u64,
    /// Its last step.
    moved: Instant,
}

/// rping's server.
pub struct PingServer {
    params: PingServerParams,
    memory: Option<Memory>,
    clients: [Option<Client>; CLIENTS_MAX],
    notes: VecDeque<String>,
    pings: u64,
    is_over: bool,
}

/// What a work request was, in its id beside the client's place.
const RECEIVE: u64 = 0;
const SENT: u64 = RECEIVE + RECEIVES;
const READ: u64 = SENT + 1;
const WRITTEN: u64 = READ + 1;

fn wr_id(at: usize, kind: u64) -> u64 {
    (at as u64) << 8 | kind
}

impl PingServer {
    /// A server that listens when it is started.
    #[must_use]
    pub fn new(params: PingServerParams) -> PingServer {
        let (clients, notes) = ([None; CLIENTS_MAX], VecDeque::new());
        PingServer { params, memory: None, clients, notes, pings: 0, is_over: false }
    }
    /// Pings served, ever.
    #[must_use]
    pub fn pings(&self) -> u64 {
        self.pings
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("made at the start")
    }
    fn client_of(&self, qp: QpNum) -> Option<usize> {
        self.clients.iter().position(|client| client.is_some_and(|client| client.qp == qp))
    }

    fn receive(&self, verbs: &mut Endpoint, at: usize, which: u64) -> Result<(), PostError> {
        let Some(client) = self.clients[at] else { return Ok(()) };
        let offset = at * STRIDE + receive_at(which);
        let id = wr_id(at, RECEIVE + which);
        verbs.post_recv(client.qp, receive(id, self.memory(), offset))
    }

    fn accept(&mut self, now: Instant, verbs: &mut Endpoint, qp: QpNum) {
        let limit = if self.params.is_persistent { CLIENTS_MAX } else { 1 };
        let Some(at) = self.clients[..limit].iter().position(Option::is_none) else {
            self.notes.push_back("a client was refused: too many at once".into());
            return verbs.reject(now, qp, &[]);
        };
        self.clients[at] = Some(Client { qp, state: State::Source, pings: 0, moved: now });
        for which in 0..RECEIVES {
            // A new queue pair has room; one that is gone already tells so.
            let _ = self.receive(verbs, at, which);
        }
        verbs.accept(now, qp, params());
    }

    /// A client has left, or was shown the door.
    fn forget(&mut self, at: usize) -> Option<Client> {
        let client = self.clients[at].take()?;
        self.is_over = !self.params.is_persistent;
        Some(client)
    }

    fn closed(&mut self, qp: QpNum, reason: DisconnectReason) -> Result<(), Fault> {
        let Some(client) = self.client_of(qp).and_then(|at| self.forget(at)) else { return Ok(()) };
        if client.state == State::Source && reason == DisconnectReason::Peer {
            self.notes.push_back(format!("a client left after {} pings", client.pings));
            return Ok(());
        }
        let fault = ended("the client's connection", reason);
        if !self.params.is_persistent {
            return Err(fault);
        }
        self.notes.push_back(format!("after {} pings {fault}", client.pings));
        Ok(())
    }

    /// A client that breaks the protocol loses its connection; other clients keep theirs.
    fn settle(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        at: usize,
        outcome: Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Err(fault) = outcome else { return Ok(()) };
        if let Some(client) = self.forget(at) {
            verbs.disconnect(now, client.qp);
        }
        if !self.params.is_persistent {
            return Err(fault);
        }
        self.notes.push_back(format!("a client was sent away: {fault}"));
        Ok(())
    }

    fn advert(
        &mut self,
        verbs: &mut Endpoint,
        at: usize,
        which: u64,
        len: u32,
    ) -> Result<(), Fault> {
        let offset = at * STRIDE + receive_at(which);
        let octets = self.memory().read(offset, (len as usize).min(2 * ADVERT_LEN));
        let advert = Advert::parse(&octets)?;
        self.receive(verbs, at, which).map_err(out_of_turn)?;
        let data = at * STRIDE + DATA;
        let Some(client) = &self.clients[at] else { return Ok(()) };
        let (qp, remote) = (client.qp, advert.remote);
        let (next, kind, op, bytes) = match client.state {
            State::Source => {
                let bytes = advert.bytes;
                if bytes == 0 || bytes > *SIZES.end() {
                    let most = SIZES.end();
                    let why =
                        format!("advertised {bytes} octets of data; 1 to {most} are possible");
                    return Err(Fault::Peer(why));
                }
                (State::Read { bytes }, READ, SendOp::RdmaRead(remote), bytes)
            }
            State::Sink { bytes } if advert.bytes < bytes => {
                let room = advert.bytes;
                let why = format!("advertised room for {room} octets, and {bytes} octets of data");
                return Err(Fault::Peer(why));
            }
            State::Sink { bytes } => (State::Write, WRITTEN, SendOp::RdmaWrite(remote), bytes),
            State::Read { .. } | State::Write => {
                return Err(Fault::Peer("sent an advert before its turn".into()));
            }
        };
        let sge = self.memory().sge(data, bytes);
        verbs.post_send(qp, one(wr_id(at, kind), op, sge)).map_err(out_of_turn)?;
        self.become_(at, next);
        Ok(())
    }

    fn become_(&mut self, at: usize, state: State) {
        if let Some(client) = &mut self.clients[at] {
            client.state = state;
        }
    }

    fn go_ahead(&self, verbs: &mut Endpoint, at: usize) -> Result<(), Fault> {
        let Some(client) = self.clients[at] else { return Ok(()) };
        let sge = self.memory().sge(at * STRIDE + ADVERT, ADVERT_BYTES);
        verbs.post_send(client.qp, one(wr_id(at, SENT), SendOp::Send, sge)).map_err(out_of_turn)
    }

    fn step(&mut self, verbs: &mut Endpoint, at: usize, kind: u64, wc: &Wc) -> Result<(), Fault> {
        let Some(client) = self.clients[at] else { return Ok(()) };
        let what = match kind {
            READ => "RDMA READ of the client's data",
            WRITTEN => "RDMA WRITE to the client",
            SENT => "SEND to the client",
            _ => "a receive",
        };
        succeeded(wc, what)?;
        match (kind, client.state) {
            (READ, State::Read { bytes }) => {
                if self.params.is_verbose {
                    let data = self.memory().read(at * STRIDE + DATA, bytes as usize);
                    self.notes.push_back(format!("server ping data: {}", shown(&data)));
                }
                self.become_(at, State::Sink { bytes });
                self.go_ahead(verbs, at)
            }
            (WRITTEN, State::Write) => {
                self.pings += 1;
                self.clients[at] =
                    Some(Client { state: State::Source, pings: client.pings + 1, ..client });
                self.go_ahead(verbs, at)
            }
            (which, _) if which < SENT => self.advert(verbs, at, which, wc.byte_len),
            _ => Ok(()),
        }
    }
}

/// More was to be posted than a client that waits for its turn can bring about.
fn out_of_turn(_: PostError) -> Fault {
    Fault::Peer("does not wait for its turn".into())
}

impl Tool for PingServer {
    fn start(&mut self, _now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        // Nobody may reach in: the server reads and writes.
        self.memory = Some(Memory::new(verbs, CLIENTS_MAX * STRIDE, Access::LOCAL_READ)?);
        verbs.listen(self.params.port);
        Ok(())
    }

    fn handle(&mut self, now: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault> {
        match event {
            Event::Asked { qp } => self.accept(now, verbs, qp),
            Event::Closed { qp, reason } => return self.closed(qp, reason),
            Event::Done(wc) => {
                let Some(at) = self.client_of(wc.qp) else { return Ok(()) };
                if let Some(client) = &mut self.clients[at] {
                    client.moved = now;
                }
                let outcome = self.step(verbs, at, wc.wr_id & 0xff, &wc);
                return self.settle(now, verbs, at, outcome);
            }
            Event::Open { .. } | Event::Refused { .. } => {}
        }
        Ok(())
    }

    fn patience(&self) -> Option<Instant> {
        self.clients.iter().flatten().map(|client| client.moved + IDLE_MAX).min()
    }
    fn handle_silence(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        for at in 0..CLIENTS_MAX {
            if self.clients[at].is_some_and(|client| now >= client.moved + IDLE_MAX) {
                let why = format!("did nothing for {} s", IDLE_MAX.as_secs());
                self.settle(now, verbs, at, Err(Fault::Peer(why)))?;
            }
        }
        Ok(())
    }

    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        verbs.unlisten(self.params.port);
        for client in self.clients.iter_mut().filter_map(Option::take) {
            verbs.disconnect(now, client.qp);
        }
        self.is_over = true;
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
    fn take_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}
