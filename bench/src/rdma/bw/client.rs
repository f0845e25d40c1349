//! The side that leads: it greets, connects a second time, runs the test, and says the last word.

use super::control::{Control, Own};
use super::exchange::{Dest, Kind};
use super::load::{Load, Work};
use super::order::{Step, steps};
use super::side::{Line, Side};
use super::{BwReport, Goal, Verb};
use crate::rdma::{Dial, Event, Fault, PATIENCE, Tool, ended};
use memory::Access;
use netstack::endpoint::Endpoint;
use netstack::fabric::ConnectParams;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::QpNum;

/// The server closes the test's connection within this, or this side does.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What a client is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BwParams {
    /// What it does.
    pub verb: Verb,
    /// Octets of a message.
    pub bytes: u32,
    /// Server's address and port.
    pub to: SocketAddr,
    /// This side's address: told to the server.
    pub address: IpAddr,
    /// Path MTU of the link: told to the server.
    pub path_mtu_bytes: u32,
    /// How long. A perftest server of SEND counts messages, too: the same number as there.
    pub goal: Goal,
    /// Messages outstanding.
    pub depth: u32,
    /// READs and atomics outstanding.
    pub outs: u8,
}

/// perftest's client.
pub struct BwClient {
    params: BwParams,
    side: Side,
    steps: Vec<Step>,
    at: usize,
    dial: Dial,
    peer: Dest,
    load: Option<Load>,
    /// The peer is waited for until then.
    patience: Option<Instant>,
    progress: u64,
    is_over: bool,
}

impl BwClient {
    /// A client that connects when it is started.
    #[must_use]
    pub fn new(params: BwParams) -> BwClient {
        let own = Own::new(params.path_mtu_bytes, params.address, params.outs);
        BwClient {
            side: Side::new(params.verb, params.bytes, own),
            steps: steps(params.verb),
            params,
            at: 0,
            dial: Dial::default(),
            peer: Dest::default(),
            load: None,
            patience: None,
            progress: 0,
            is_over: false,
        }
    }

    /// What was measured. `None`: the test did not come to its end.
    #[must_use]
    pub fn report(&self) -> Option<BwReport> {
        let load = self.load.as_ref().filter(|load| load.is_done())?;
        Some(self.side.report(load.values(), "here"))
    }

    /// The step before is done.
    fn go_on(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        self.at += 1;
        self.begin(now, verbs)
    }

    fn begin(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        self.patience = Some(now + PATIENCE);
        match self.steps[self.at] {
            Step::Greet | Step::Connect => {
                // CM has its own.
                self.patience = None;
                self.connect(now, verbs)
            }
            Step::Say(kind) => self.side.say(verbs, kind),
            Step::Run => {
                let Some(qp) = self.side.test else { return Ok(()) };
                let BwParams { verb, depth, goal, .. } = self.params;
                let work = Work { verb, bytes: self.side.bytes, depth, goal };
                self.load = Some(Load::new(work, qp, &self.peer, now));
                Ok(())
            }
            Step::Close => {
                self.patience = Some(now + CLOSE_MAX);
                Ok(())
            }
        }
    }

    fn connect(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let is_first = self.steps[self.at] == Step::Greet;
        let params = if is_first {
            Control::params()
        } else {
            let (send_depth, read_depth) = (self.params.depth, self.params.outs);
            ConnectParams { private: vec![], send_depth, recv_depth: 1, read_depth }
        };
        let qp = verbs.connect(now, self.params.to, params);
        self.dial.qp = Some(qp);
        match &mut self.side.control {
            None => self.side.control = Some(Control::new(verbs, qp)?),
            Some(control) if is_first => control.renew(verbs, qp),
            Some(_) => {}
        }
        Ok(())
    }

    fn established(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        qp: QpNum,
        is_native: bool,
    ) -> Result<(), Fault> {
        self.dial = Dial::default();
        if self.steps[self.at] == Step::Connect {
            self.side.begin_test(qp);
            self.side.is_native = is_native;
        }
        self.go_on(now, verbs)
    }

    /// The peer's answer to what was said.
    fn hear(&mut self, now: Instant, verbs: &mut Endpoint, octets: &[u8]) -> Result<(), Fault> {
        let Step::Say(kind) = self.steps[self.at] else {
            return Err(Fault::Peer("said something before its turn".into()));
        };
        kind.check(octets)?;
        if kind == Kind::Dest {
            self.peer = Dest::parse(octets)?;
        }
        self.go_on(now, verbs)
    }

    fn run(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let Some(load) = self.load.as_mut().filter(|load| !load.is_done()) else { return Ok(()) };
        load.post(now, verbs, self.side.memory())?;
        if std::mem::replace(&mut self.progress, load.progress()) != self.progress {
            self.patience = Some(now + PATIENCE);
        }
        if load.is_done() {
            self.side.own.values = load.values();
            return self.go_on(now, verbs);
        }
        Ok(())
    }

    fn is_closing(&self) -> bool {
        self.steps[self.at] == Step::Close
    }
}

impl Tool for BwClient {
    fn start(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        self.side.open(verbs, 1, Access::LOCAL_READ)?;
        self.begin(now, verbs)
    }

    fn handle(&mut self, now: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault> {
        match event {
            Event::Open { qp, is_native } if self.dial.qp == Some(qp) => {
                self.established(now, verbs, qp, is_native)
            }
            Event::Refused { qp, reason } if self.dial.qp == Some(qp) => {
                self.dial.rejected(now, reason)
            }
            Event::Closed { qp, reason } => match self.side.line(qp) {
                Some(_) if self.is_closing() => {
                    self.interrupt(now, verbs);
                    Ok(())
                }
                None if self.dial.qp != Some(qp) => Ok(()),
                Some(_) | None => Err(ended(&format!("connection to {}", self.params.to), reason)),
            },
            Event::Done(wc) => match self.side.line(wc.qp) {
                Some(Line::Test) => self.load.as_mut().map_or(Ok(()), |load| load.completed(&wc)),
                Some(Line::Control) => match self.side.hear(verbs, &wc)? {
                    Some(octets) => self.hear(now, verbs, &octets),
                    None => Ok(()),
                },
                None => Ok(()),
            },
            Event::Asked { .. } | Event::Open { .. } | Event::Refused { .. } => Ok(()),
        }
    }

    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if self.dial.is_due(now) {
            self.connect(now, verbs)?;
        }
        self.run(now, verbs)
    }

    fn patience(&self) -> Option<Instant> {
        self.patience
    }

    fn handle_silence(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let what = match self.steps[self.at] {
            Step::Close => {
                self.interrupt(now, verbs);
                return Ok(());
            }
            Step::Run => "answers no more",
            Step::Say(_) => "does not answer; is it the same test, with -R?",
            Step::Greet | Step::Connect => "does not go on",
        };
        Err(Fault::Peer(format!("{what} (for {} s)", PATIENCE.as_secs())))
    }

    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        self.side.close(now, verbs);
        if let Some(qp) = self.dial.qp.take() {
            verbs.disconnect(now, qp);
        }
        self.is_over = true;
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
    fn deadline(&self) -> Option<Instant> {
        let load = self.load.as_ref().filter(|load| !load.is_done()).and_then(Load::deadline);
        [self.patience, self.dial.again_at, load].into_iter().flatten().min()
    }
}
