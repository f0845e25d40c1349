//! The side whose memory is read and written.

use super::{ADVERT, ADVERT_BYTES, Advert, DATA, RECEIVES, SIZES};
use super::{params, pattern, receive, receive_at, shown};
use crate::load::LATENCY_MAX_NS;
use crate::rdma::{Dial, Event, Fault, Memory, PATIENCE, Tool};
use crate::rdma::{ended, float, one, succeeded, wire_mode};
use hdrhistogram::Histogram;
use memory::Access;
use netstack::endpoint::Endpoint;
use serde::Serialize;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{QpNum, SendOp, Wc};

/// Where data comes back to, behind what is sent.
const SINK: usize = DATA + (64 << 10);
const MEMORY_LEN: usize = SINK + (64 << 10);
/// Id of SENDs; receives have 0 and 1.
const SENT: u64 = RECEIVES;

/// What a client is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PingParams {
    /// Server's address and port.
    pub to: SocketAddr,
    /// Pings; 0: until interrupted.
    pub count: u64,
    /// Octets of data, of [`SIZES`].
    pub bytes: u32,
    /// Compares what comes back with what was sent.
    pub validates: bool,
    /// Tells what comes back.
    pub is_verbose: bool,
}

/// What a client measured. A ping is from the first advert to the second "go ahead": four SENDs, a
/// READ and a WRITE, one after the other.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PingReport {
    pub pings: u64,
    pub bytes: u32,
    pub is_validated: bool,
    /// The wire mode: "native" or "RoCEv2".
    pub wire: &'static str,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connecting,
    /// The data was advertised.
    Source,
    /// The place for it was.
    Sink,
    Over,
}

/// rping's client.
pub struct PingClient {
    params: PingParams,
    memory: Option<Memory>,
    dial: Dial,
    state: State,
    is_native: bool,
    /// This ping's data.
    data: Vec<u8>,
    began: Option<Instant>,
    /// The peer is waited for until then.
    patience: Option<Instant>,
    latency: Histogram<u64>,
    notes: VecDeque<String>,
}

impl PingClient {
    /// A client that connects when it is started.
    #[must_use]
    pub fn new(params: PingParams) -> PingClient {
        PingClient {
            params,
            memory: None,
            dial: Dial::default(),
            state: State::Connecting,
            is_native: false,
            data: Vec::new(),
            began: None,
            patience: None,
            latency: Histogram::new_with_max(LATENCY_MAX_NS, 3).expect("valid bounds"),
            notes: VecDeque::new(),
        }
    }

    /// What was measured so far.
    #[must_use]
    pub fn report(&self) -> PingReport {
        let us = |ns: u64| float(ns) / 1e3;
        let quantile = |q| us(self.latency.value_at_quantile(q));
        PingReport {
            pings: self.latency.len(),
            bytes: self.params.bytes,
            is_validated: self.params.validates,
            wire: wire_mode(self.is_native),
            min_us: us(self.latency.min()),
            mean_us: self.latency.mean() / 1e3,
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: us(self.latency.max()),
        }
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("made at the start")
    }

    fn connect(&mut self, now: Instant, verbs: &mut Endpoint) {
        let qp = verbs.connect(now, self.params.to, params());
        self.dial.qp = Some(qp);
        self.patience = None;
        for which in 0..RECEIVES {
            self.receive(verbs, qp, which);
        }
    }

    fn receive(&self, verbs: &mut Endpoint, qp: QpNum, which: u64) {
        // One for each that was taken: there is room, unless the connection is gone, which is told.
        let _ = verbs.post_recv(qp, receive(which, self.memory(), receive_at(which)));
    }

    fn advertise(&mut self, now: Instant, verbs: &mut Endpoint, state: State) -> Result<(), Fault> {
        let Some(qp) = self.dial.qp else { return Ok(()) };
        let place = if state == State::Source { DATA } else { SINK };
        let advert = Advert { remote: self.memory().remote(place), bytes: self.params.bytes };
        self.memory().write(ADVERT, &advert.to_octets());
        let sge = self.memory().sge(ADVERT, ADVERT_BYTES);
        let posted = verbs.post_send(qp, one(SENT, SendOp::Send, sge));
        posted.map_err(|_| Fault::Peer("answers what it does not acknowledge".into()))?;
        (self.state, self.patience) = (state, Some(now + PATIENCE));
        Ok(())
    }

    fn begin(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if self.params.count != 0 && self.latency.len() >= self.params.count {
            self.interrupt(now, verbs);
            return Ok(());
        }
        self.data = pattern(self.latency.len(), self.params.bytes);
        self.memory().write(DATA, &self.data);
        self.began = Some(now);
        self.advertise(now, verbs, State::Source)
    }

    fn finish(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let took = now.saturating_duration_since(self.began.unwrap_or(now));
        if self.params.validates || self.params.is_verbose {
            let back = self.memory().read(SINK, self.data.len());
            if self.params.validates && back != self.data {
                let (ping, at) = (self.latency.len(), first_difference(&back, &self.data));
                let why = format!("wrote other data back: ping {ping} differs at octet {at}");
                return Err(Fault::Peer(why));
            }
            if self.params.is_verbose {
                self.notes.push_back(format!("ping data: {}", shown(&back)));
            }
        }
        self.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.begin(now, verbs)
    }

    fn completed(&mut self, now: Instant, verbs: &mut Endpoint, wc: &Wc) -> Result<(), Fault> {
        succeeded(wc, if wc.wr_id == SENT { "SEND" } else { "a receive" })?;
        if wc.wr_id == SENT {
            return Ok(());
        }
        if wc.byte_len != ADVERT_BYTES {
            let why = format!("sent {} octets for \"go ahead\", not {ADVERT_BYTES}", wc.byte_len);
            return Err(Fault::Peer(why));
        }
        self.receive(verbs, wc.qp, wc.wr_id);
        match self.state {
            State::Source => self.advertise(now, verbs, State::Sink),
            State::Sink => self.finish(now, verbs),
            State::Connecting => Err(Fault::Peer("said \"go ahead\" before its turn".into())),
            State::Over => Ok(()),
        }
    }
}

fn first_difference(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

impl Tool for PingClient {
    fn start(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if !SIZES.contains(&self.params.bytes) {
            let (least, most) = (SIZES.start(), SIZES.end());
            return Err(Fault::Misuse(format!("-S: {least} to {most} octets")));
        }
        let access = Access::REMOTE_READ | Access::REMOTE_WRITE;
        self.memory = Some(Memory::new(verbs, MEMORY_LEN, access)?);
        self.connect(now, verbs);
        Ok(())
    }

    fn handle(&mut self, now: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault> {
        match event {
            Event::Open { qp, is_native } if self.dial.qp == Some(qp) => {
                self.is_native = is_native;
                self.begin(now, verbs)
            }
            Event::Refused { qp, reason } if self.dial.qp == Some(qp) => {
                self.dial.rejected(now, reason)
            }
            Event::Closed { qp, reason } if self.dial.qp == Some(qp) => {
                let pings = self.latency.len();
                Err(ended(&format!("connection to {} after {pings} pings", self.params.to), reason))
            }
            Event::Done(wc) if self.dial.qp == Some(wc.qp) => self.completed(now, verbs, &wc),
            Event::Asked { .. }
            | Event::Open { .. }
            | Event::Refused { .. }
            | Event::Closed { .. }
            | Event::Done(_) => Ok(()),
        }
    }

    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if self.dial.is_due(now) {
            self.connect(now, verbs);
        }
        Ok(())
    }

    fn patience(&self) -> Option<Instant> {
        self.patience
    }
    fn handle_silence(&mut self, _now: Instant, _verbs: &mut Endpoint) -> Result<(), Fault> {
        let (ping, wait) = (self.latency.len(), PATIENCE.as_secs());
        Err(Fault::Peer(format!("does not go on with ping {ping} for {wait} s")))
    }

    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        if let Some(qp) = self.dial.qp.take() {
            verbs.disconnect(now, qp);
        }
        self.state = State::Over;
    }
    fn is_over(&self) -> bool {
        self.state == State::Over
    }
    fn deadline(&self) -> Option<Instant> {
        [self.patience, self.dial.again_at].into_iter().flatten().min()
    }
    fn take_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}
