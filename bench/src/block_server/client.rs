//! The client's application: a closed loop of blocks over one or many connections.

use super::{ANSWER_BYTES, ANSWER_LEN, HEADER_LEN, Header, Work, mix};
use crate::load::{LATENCY_MAX_NS, Observer, Stage};
use hdrhistogram::Histogram;
use initiator::Waiter;
use initiator::wait::Idled;
use memory::{Access, Mr, Region, Sge};
use netstack::fabric::{Fabric, FabricEvent, Full, Gather, QpHandle, Work as Posted, WorkOp};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connecting all has this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections asked for at once.
const CONNECTING_MAX: usize = 32;
/// An answer that does not come for this long never will.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// In the tokens of requests.
const REQUEST: u64 = 1 << 63;

/// How long, and how to wait between turns that find nothing.
pub struct Pacing {
    /// Not measured, before.
    pub ramp: Duration,
    /// Measured.
    pub time: Duration,
    /// What it does in turns without work.
    pub waiter: Waiter,
}

/// What a run did.
pub struct Outcome {
    /// Blocks answered in the measured time.
    pub blocks: u64,
    /// Blocks answered, ever.
    pub blocks_ever: u64,
    /// Measured.
    pub time: Duration,
    /// Nanoseconds from request to answer.
    pub latency: Histogram<u64>,
    /// Blocks that the server refused, ever.
    pub refused: u64,
}

struct Connection {
    qp: QpHandle,
    in_flight: u32,
}

/// A client with connections.
pub struct Client<F> {
    fabric: F,
    work: Work,
    requests: Region,
    requests_mr: Mr,
    answers: Region,
    answers_mr: Mr,
    connections: Vec<Connection>,
    by_qp: HashMap<QpHandle, u32>,
    /// Connection and time of each request on its way.
    slots: Vec<(u32, Instant)>,
    /// CRC of each slot's block.
    sums: Vec<u32>,
    next_connection: usize,
    number: u64,
    events: Vec<FabricEvent>,
    free: Vec<u32>,
}

impl<F: Fabric> Client<F> {
    /// Connects to the server at `to`.
    ///
    /// Errors: memory, refusals, no answer in time.
    pub fn connect(mut fabric: F, work: Work, to: SocketAddr) -> io::Result<Client<F>> {
        let stride = Client::<F>::stride(&work);
        let requests = Region::allocate(stride * work.depth as usize)?;
        let receives = (work.connections * work.recv_depth) as usize;
        let answers = Region::allocate(receives * ANSWER_LEN)?;
        let mut register =
            |region| fabric.register(region, Access::LOCAL_WRITE).map_err(io::Error::other);
        let (requests_mr, answers_mr) = (register(&requests)?, register(&answers)?);
        let mut client = Client {
            fabric,
            work,
            requests,
            requests_mr,
            answers,
            answers_mr,
            connections: Vec::new(),
            by_qp: HashMap::new(),
            slots: vec![(0, Instant::now()); work.depth as usize],
            sums: Vec::new(),
            next_connection: 0,
            number: 0,
            events: Vec::new(),
            free: (0..work.depth).collect(),
        };
        client.fill();
        client.open(to)?;
        Ok(client)
    }
    fn stride(work: &Work) -> usize {
        (work.message_bytes() as usize).next_multiple_of(64)
    }
    /// The fabric, for what only its owner knows.
    pub fn fabric(&self) -> &F {
        &self.fabric
    }

    /// Random blocks: what compresses would flatter caches.
    fn fill(&mut self) {
        let stride = Client::<F>::stride(&self.work);
        let mut block = vec![0; self.work.block_bytes as usize];
        for slot in 0..self.work.depth as usize {
            for (at, word) in block.chunks_mut(8).enumerate() {
                word.copy_from_slice(&mix((slot << 32 | at) as u64).to_le_bytes()[..word.len()]);
            }
            self.requests.write(slot * stride + HEADER_LEN, &block);
            self.sums.push(crc32c::crc32c(&block));
        }
    }

    /// Makes every block another than its CRC says.
    #[cfg(test)]
    pub(super) fn spoil(&mut self) {
        self.sums.iter_mut().for_each(|sum| *sum ^= 1);
    }

    fn open(&mut self, to: SocketAddr) -> io::Result<()> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        let (mut asked, mut open) = (0, 0);
        while open < self.work.connections as usize {
            let now = Instant::now();
            while asked < self.work.connections as usize && asked - open < CONNECTING_MAX {
                self.ask(now, to);
                asked += 1;
            }
            self.fabric.poll(now, &mut self.events);
            for event in self.events.drain(..) {
                match event {
                    FabricEvent::Established { .. } => open += 1,
                    FabricEvent::Rejected { reason, .. } => {
                        return Err(io::Error::other(format!("{to} refuses (reason {reason})")));
                    }
                    FabricEvent::Disconnected { reason, .. } => {
                        return Err(io::Error::other(format!("{to}: {reason:?}")));
                    }
                    FabricEvent::ConnectRequest { .. }
                    | FabricEvent::Recv { .. }
                    | FabricEvent::Done { .. } => {}
                }
            }
            self.fabric.flush(now);
            if now > until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{to}: no answer")));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn ask(&mut self, now: Instant, to: SocketAddr) {
        let number = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        let qp = self.fabric.connect(now, to, self.work.connect_params());
        self.connections.push(Connection { qp, in_flight: 0 });
        self.by_qp.insert(qp, number);
        for recv in number * self.work.recv_depth..(number + 1) * self.work.recv_depth {
            self.post_receive(qp, recv);
        }
    }

    fn post_receive(&mut self, qp: QpHandle, recv: u32) {
        let addr = self.answers_mr.addr + u64::from(recv) * u64::from(ANSWER_BYTES);
        let sge = Sge { addr, length: ANSWER_BYTES, lkey: self.answers_mr.lkey };
        let (token, local) = (u64::from(recv), Gather::one(sge));
        self.post(qp, Posted { token, op: WorkOp::Recv, local, signaled: true });
    }

    fn post(&mut self, qp: QpHandle, mut work: Posted) {
        while let Err(Full(back)) = self.fabric.post(qp, work) {
            work = back;
            self.fabric.flush(Instant::now());
            std::thread::yield_now();
        }
    }

    /// Runs the load. `observer` hears of stages and turns.
    ///
    /// Errors: the connection ended, or an answer did not come.
    pub fn run(&mut self, pacing: Pacing, observer: &mut dyn Observer) -> io::Result<Outcome> {
        let Pacing { ramp, time, mut waiter } = pacing;
        let begin = Instant::now();
        let (measure_from, end) = (begin + ramp, begin + ramp + time);
        let latency = Histogram::new_with_max(LATENCY_MAX_NS, 3).map_err(io::Error::other)?;
        let mut outcome = Outcome { blocks: 0, blocks_ever: 0, time, latency, refused: 0 };
        let (mut stage, mut now, mut last_answer) = (Stage::Ramp, begin, begin);
        let mut activity = 0;
        while now < end || self.free.len() < self.work.depth as usize {
            let from = now;
            if now < end {
                self.send_all(now);
            }
            self.fabric.poll(now, &mut self.events);
            let arrived = !self.events.is_empty();
            self.take(&mut outcome, stage)?;
            self.fabric.flush(now);
            now = Instant::now();
            let did_work =
                arrived | (std::mem::replace(&mut activity, self.fabric.activity()) != activity);
            observer.turn(from, now, did_work);
            if stage == Stage::Ramp && now >= measure_from {
                stage = Stage::Measuring;
                self.stage(stage, observer);
            } else if stage == Stage::Measuring && now >= end {
                stage = Stage::Over;
                outcome.time = now - measure_from;
                self.stage(stage, observer);
            }
            if arrived {
                last_answer = now;
            } else if now > last_answer + ANSWER_TIMEOUT {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"));
            }
            let deadline = self.fabric.poll_timeout();
            if waiter.idle(&self.fabric, did_work, now, deadline) == Idled::Away {
                now = Instant::now();
            }
        }
        Ok(outcome)
    }

    fn stage(&mut self, stage: Stage, observer: &mut dyn Observer) {
        let fabric = &self.fabric;
        observer.stage(stage, &mut |report| fabric.counters(report));
    }

    fn send_all(&mut self, now: Instant) {
        while let Some(slot) = self.free.pop() {
            let Some(connection) = self.pick() else {
                self.free.push(slot);
                return;
            };
            self.send(now, slot, connection);
        }
    }
    /// The next connection in turn that has room.
    fn pick(&mut self) -> Option<usize> {
        for _ in 0..self.connections.len() {
            self.next_connection = (self.next_connection + 1) % self.connections.len();
            if self.connections[self.next_connection].in_flight < self.work.recv_depth {
                return Some(self.next_connection);
            }
        }
        None
    }
    fn send(&mut self, now: Instant, slot: u32, connection: usize) {
        self.number += 1;
        let (key, crc) = (mix(self.number), self.sums[slot as usize]);
        let offset = slot as usize * Client::<F>::stride(&self.work);
        self.requests.write(offset, &Header { tag: slot, key, crc }.encode());
        self.slots[slot as usize] = (u32::try_from(connection).unwrap_or(0), now);
        let length = self.work.message_bytes();
        let sge = Sge {
            addr: self.requests_mr.addr + offset as u64,
            length,
            lkey: self.requests_mr.lkey,
        };
        let connection = &mut self.connections[connection];
        connection.in_flight += 1;
        let (qp, op) = (connection.qp, WorkOp::Send { invalidate: None });
        let token = REQUEST | u64::from(slot);
        self.post(qp, Posted { token, op, local: Gather::one(sge), signaled: false });
    }

    fn take(&mut self, outcome: &mut Outcome, stage: Stage) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let now = Instant::now();
        for event in events.drain(..) {
            match event {
                FabricEvent::Recv { qp, token, .. } => {
                    self.answered(now, qp, token, outcome, stage)
                }
                FabricEvent::Disconnected { reason, .. } => {
                    return Err(io::Error::other(format!("the connection ended: {reason:?}")));
                }
                FabricEvent::ConnectRequest { .. }
                | FabricEvent::Established { .. }
                | FabricEvent::Rejected { .. }
                | FabricEvent::Done { .. } => {}
            }
        }
        self.events = events;
        Ok(())
    }

    fn answered(
        &mut self,
        now: Instant,
        qp: QpHandle,
        token: u64,
        outcome: &mut Outcome,
        stage: Stage,
    ) {
        let recv = u32::try_from(token).unwrap_or(0);
        let mut octets = [0; ANSWER_LEN];
        self.answers.read(recv as usize * ANSWER_LEN, &mut octets);
        self.post_receive(qp, recv);
        let [a, b, c, d, status @ ..] = octets;
        let slot = u32::from_le_bytes([a, b, c, d]).min(self.work.depth - 1);
        let (connection, sent) = self.slots[slot as usize];
        self.connections[connection as usize].in_flight -= 1;
        self.free.push(slot);
        if status != [0; 4] {
            outcome.refused += 1;
        }
        outcome.blocks_ever += 1;
        if stage == Stage::Measuring {
            outcome.blocks += 1;
            let ns = u64::try_from((now - sent).as_nanos()).unwrap_or(LATENCY_MAX_NS);
            outcome.latency.saturating_record(ns);
        }
    }
}
