//! The side that reads and writes.

use super::{ADVERT_BYTES, ADVERT_LEN, Advert, SIZES, shown};
use crate::rdma::{Fault, Memory, Tool, ended, failed, list, one};
use memory::Access;
use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::{ConnectParams, DisconnectReason};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use verbs::{PostError, QpNum, RecvWr, SendOp, Wc, WcStatus};

/// Clients at once.
const CLIENTS_MAX: usize = 16;
/// A client that does nothing for this long is sent away: clients of rping never rest.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Memory of one client: receives at 0 and 64, the "go ahead" at 128, data from 256 on.
const STRIDE: usize = (64 << 10) + 256;
const RECEIVE_STRIDE: usize = 64;
const RECEIVES: usize = 2;
const GO_AHEAD: usize = 128;
const DATA: usize = 256;

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
const SENT: u64 = RECEIVE + RECEIVES as u64;
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
        let offset = at * STRIDE + usize::try_from(which).unwrap_or(0) * RECEIVE_STRIDE;
        // Longer than an advert, so that one that is too long is told from a good one.
        let sges = list(self.memory().sge(offset, ADVERT_BYTES * 2));
        verbs.post_recv(client.qp, RecvWr { wr_id: wr_id(at, RECEIVE + which), sges })
    }

    fn accept(&mut self, now: Instant, verbs: &mut Endpoint, qp: QpNum) {
        let limit = if self.params.is_persistent { CLIENTS_MAX } else { 1 };
        let Some(at) = self.clients[..limit].iter().position(Option::is_none) else {
            self.notes.push_back("a client was refused: too many at once".into());
            return verbs.reject(now, qp, &[]);
        };
        self.clients[at] = Some(Client { qp, state: State::Source, pings: 0, moved: now });
        for which in 0..RECEIVES as u64 {
            // A new queue pair has room; one that is gone already tells so.
            let _ = self.receive(verbs, at, which);
        }
        let params = ConnectParams { private: vec![], send_depth: 8, recv_depth: 4, read_depth: 1 };
        verbs.accept(now, qp, params);
    }

    /// A client has left, or was shown the door.
    fn forget(&mut self, at: usize) -> Option<Client> {
        let client = self.clients[at].take()?;
        self.is_over = !self.params.is_persistent;
        Some(client)
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
        let offset = at * STRIDE + usize::try_from(which).unwrap_or(0) * RECEIVE_STRIDE;
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
        let sge = self.memory().sge(at * STRIDE + GO_AHEAD, ADVERT_BYTES);
        verbs.post_send(client.qp, one(wr_id(at, SENT), SendOp::Send, sge)).map_err(out_of_turn)
    }

    fn step(&mut self, verbs: &mut Endpoint, at: usize, kind: u64, wc: &Wc) -> Result<(), Fault> {
        let Some(client) = self.clients[at] else { return Ok(()) };
        if wc.status != WcStatus::Success {
            let what = match kind {
                READ => "RDMA READ of the client's data",
                WRITTEN => "RDMA WRITE to the client",
                SENT => "SEND to the client",
                _ => "a receive",
            };
            return Err(failed(what, wc));
        }
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

    fn handle_event(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        event: ConnEvent,
    ) -> Result<(), Fault> {
        match event {
            ConnEvent::ConnectRequest { qp, .. } => self.accept(now, verbs, qp),
            ConnEvent::Disconnected { qp, reason } => {
                let Some(at) = self.client_of(qp) else { return Ok(()) };
                let client = self.forget(at).expect("found above");
                if client.state == State::Source && reason == DisconnectReason::Peer {
                    self.notes.push_back(format!("a client left after {} pings", client.pings));
                    return Ok(());
                }
                let fault = ended("the client's connection", reason);
                if !self.params.is_persistent {
                    return Err(fault);
                }
                self.notes.push_back(format!("after {} pings {fault}", client.pings));
            }
            ConnEvent::Established { .. } | ConnEvent::Rejected { .. } => {}
        }
        Ok(())
    }

    fn handle_completion(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        wc: &Wc,
    ) -> Result<(), Fault> {
        // What is flushed belongs to a connection whose end is told next.
        let Some(at) = self.client_of(wc.qp).filter(|_| wc.status != WcStatus::WrFlushErr) else {
            return Ok(());
        };
        if let Some(client) = &mut self.clients[at] {
            client.moved = now;
        }
        let outcome = self.step(verbs, at, wc.wr_id & 0xff, wc);
        self.settle(now, verbs, at, outcome)
    }

    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
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
    fn deadline(&self) -> Option<Instant> {
        self.clients.iter().flatten().map(|client| client.moved + IDLE_MAX).min()
    }
    fn take_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}
