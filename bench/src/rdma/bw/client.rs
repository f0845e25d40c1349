//! The side that leads: it greets, connects a second time, runs the test, and says the last word.

use super::control::{Control, Own};
use super::exchange::{self, Dest, Kind};
use super::load::{Load, Work};
use super::order::{Step, steps};
use super::{ATOMIC_BYTES, BYTES_MAX, BwReport, Goal, Verb};
use crate::rdma::{Dial, Fault, Memory, PATIENCE, Tool, ended};
use memory::Access;
use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::ConnectParams;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use verbs::{QpNum, Wc};

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
    own: Own,
    steps: Vec<Step>,
    at: usize,
    dial: Dial,
    control: Option<Control>,
    test: Option<QpNum>,
    is_native: bool,
    data: Option<Memory>,
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
    pub fn new(mut params: BwParams) -> BwClient {
        if params.verb.is_atomic() {
            params.bytes = ATOMIC_BYTES;
        }
        BwClient {
            own: Own { path_mtu_bytes: params.path_mtu_bytes, ..Own::default() },
            steps: steps(params.verb),
            params,
            at: 0,
            dial: Dial::default(),
            control: None,
            test: None,
            is_native: false,
            data: None,
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
        let values = self.load.as_ref().filter(|load| load.is_done())?.values();
        let [peak, average, rate] = values.rates;
        Some(BwReport {
            verb: self.params.verb.name(),
            bytes: values.bytes,
            iterations: values.iterations,
            bw_peak_mib_per_s: peak,
            bw_average_mib_per_s: average,
            msg_rate_mpps: rate,
            wire: if self.is_native { "native" } else { "RoCEv2" },
            measured: "here",
        })
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
            Step::Say(kind) => {
                let own = self.own;
                let control = self.control.as_mut().expect("made by the first step");
                control.say(verbs, kind, &own)
            }
            Step::Run => {
                let Some(qp) = self.test else { return Ok(()) };
                let BwParams { verb, bytes, depth, goal, .. } = self.params;
                let work = Work { verb, bytes, depth, goal };
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
        match &mut self.control {
            None => self.control = Some(Control::new(verbs, qp)?),
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
            (self.test, self.is_native, self.own.dest.qpn) = (Some(qp), is_native, qp.get());
        }
        self.go_on(now, verbs)
    }

    /// The peer's answer to what was said.
    fn hear(&mut self, now: Instant, verbs: &mut Endpoint, octets: &[u8]) -> Result<(), Fault> {
        let Step::Say(kind) = self.steps[self.at] else {
            return Err(Fault::Peer("said something before its turn".into()));
        };
        match kind {
            Kind::Version => exchange::check_version(octets)?,
            Kind::Mtu => exchange::check_mtu(octets)?,
            Kind::PageBytes | Kind::CacheLineBytes | Kind::Report(_) => kind.check(octets)?,
            Kind::Dest => self.peer = Dest::parse(octets)?,
        }
        self.go_on(now, verbs)
    }

    fn run(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let Some(load) = self.load.as_mut().filter(|load| !load.is_done()) else { return Ok(()) };
        let data = self.data.as_ref().expect("made at the start");
        load.post(now, verbs, data)?;
        if std::mem::replace(&mut self.progress, load.progress()) != self.progress {
            self.patience = Some(now + PATIENCE);
        }
        if load.is_done() {
            self.own.values = load.values();
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
        if self.params.bytes == 0 || self.params.bytes > BYTES_MAX {
            return Err(Fault::Misuse(format!("-s: 1 to {BYTES_MAX} octets")));
        }
        let data = Memory::new(verbs, self.params.bytes as usize, Access::LOCAL_READ)?;
        let remote = data.remote(0);
        let gid = match self.params.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let out_reads = u32::from(self.params.outs);
        let (rkey, vaddr) = (remote.rkey.0, remote.addr);
        self.own.dest = Dest { out_reads, rkey, vaddr, gid, ..Dest::default() };
        self.data = Some(data);
        self.begin(now, verbs)
    }

    fn handle_event(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        event: ConnEvent,
    ) -> Result<(), Fault> {
        let is_control = |qp| self.control.as_ref().is_some_and(|control| control.qp == qp);
        match event {
            ConnEvent::Established { qp, is_native, .. } if self.dial.qp == Some(qp) => {
                self.established(now, verbs, qp, is_native)
            }
            ConnEvent::Rejected { qp, reason, .. } if self.dial.qp == Some(qp) => {
                self.dial.rejected(now, reason)
            }
            ConnEvent::Disconnected { qp, .. } if self.is_closing() => {
                if self.test == Some(qp) || is_control(qp) {
                    self.interrupt(now, verbs);
                }
                Ok(())
            }
            ConnEvent::Disconnected { qp, reason } => {
                if self.dial.qp == Some(qp) || self.test == Some(qp) || is_control(qp) {
                    return Err(ended(&format!("connection to {}", self.params.to), reason));
                }
                Ok(())
            }
            ConnEvent::ConnectRequest { .. }
            | ConnEvent::Established { .. }
            | ConnEvent::Rejected { .. } => Ok(()),
        }
    }

    fn handle_completion(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        wc: &Wc,
    ) -> Result<(), Fault> {
        if self.test == Some(wc.qp) {
            return self.load.as_mut().map_or(Ok(()), |load| load.completed(wc));
        }
        let Some(control) = self.control.as_mut().filter(|control| control.qp == wc.qp) else {
            return Ok(());
        };
        match control.completed(verbs, wc)? {
            Some(octets) => self.hear(now, verbs, &octets),
            None => Ok(()),
        }
    }

    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if self.dial.is_due(now) {
            self.connect(now, verbs)?;
        }
        self.run(now, verbs)?;
        if self.patience.is_none_or(|at| now < at) || self.is_over {
            return Ok(());
        }
        if self.is_closing() {
            self.interrupt(now, verbs);
            return Ok(());
        }
        let what = match self.steps[self.at] {
            Step::Run => "answers no more",
            Step::Say(_) => "does not answer; is it the same test, with -R?",
            Step::Greet | Step::Connect | Step::Close => "does not go on",
        };
        Err(Fault::Peer(format!("{what} (for {} s)", PATIENCE.as_secs())))
    }

    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        let control = self.control.take().map(|control| control.qp);
        for qp in [self.test.take(), control, self.dial.qp.take()].into_iter().flatten() {
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
    fn take_note(&mut self) -> Option<String> {
        None
    }
}
