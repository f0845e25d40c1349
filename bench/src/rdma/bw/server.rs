//! The side that is written to, read from, or sent to.
//!
//! The client leads. It is answered with the same kind of message each time; the test's connection is
//! closed when it has said its last word, which it waits for.

use super::arrivals::Arrivals;
use super::control::{Control, Own};
use super::exchange::{self, Dest, Kind, REPORT_VALUES, Values};
use super::{ATOMIC_BYTES, BYTES_MAX, BwReport, Verb};
use crate::rdma::{Fault, Memory, Tool, ended, failed, list};
use memory::Access;
use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::ConnectParams;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use verbs::{QpNum, RecvWr, Wc, WcStatus};

/// A client that says nothing, and to which nothing happens, for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A client has this long to close what is left when the test is over.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What a server is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BwServerParams {
    /// What its client does.
    pub verb: Verb,
    /// Octets of a message, as its client has them.
    pub bytes: u32,
    /// Service's port.
    pub port: u16,
    /// This side's address: told to the client.
    pub address: IpAddr,
    /// Path MTU of the link: told to the client.
    pub path_mtu_bytes: u32,
    /// Receives posted at once (SEND).
    pub receives: u32,
    /// READs and atomics of the client at once.
    pub outs: u8,
}

/// What the client says next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// This, then the next of the order.
    Greeting(Kind),
    /// Queue pairs, as often as it likes; or a report's first value.
    Ready,
    /// A report's next value.
    Report(usize),
    /// Its last word.
    Last,
    /// Nothing: its last word was answered.
    Over,
}

/// The connection that the test runs on.
struct Test {
    qp: QpNum,
    is_native: bool,
    arrivals: Arrivals,
}

/// perftest's server.
pub struct BwServer {
    params: BwServerParams,
    own: Own,
    control: Option<Control>,
    test: Option<Test>,
    data: Option<Memory>,
    stage: Stage,
    /// What the client measured.
    values: Option<Values>,
    measured: Option<BwReport>,
    /// The client must have moved until then.
    patience: Option<Instant>,
    /// Packets in when it was last looked.
    packets: u64,
    is_over: bool,
    notes: VecDeque<String>,
}

impl BwServer {
    /// A server for one client, which listens when it is started.
    #[must_use]
    pub fn new(mut params: BwServerParams) -> BwServer {
        if params.verb.is_atomic() {
            params.bytes = ATOMIC_BYTES;
        }
        BwServer {
            params,
            own: Own { path_mtu_bytes: params.path_mtu_bytes, ..Own::default() },
            control: None,
            test: None,
            data: None,
            stage: Stage::Greeting(Kind::Version),
            values: None,
            measured: None,
            patience: None,
            packets: 0,
            is_over: false,
            notes: VecDeque::new(),
        }
    }

    /// What the client measured, or for SEND what arrived here. `None`: there was no whole test.
    #[must_use]
    pub fn report(&self) -> Option<&BwReport> {
        self.measured.as_ref()
    }

    /// The first eight octets of its memory, as the client's atomics see them.
    #[cfg(test)]
    pub(crate) fn first_word(&self) -> u64 {
        let octets = self.memory().read(0, 8);
        u64::from_le_bytes(octets.try_into().expect("eight"))
    }

    fn memory(&self) -> &Memory {
        self.data.as_ref().expect("made at the start")
    }

    fn accept(&mut self, now: Instant, verbs: &mut Endpoint, qp: QpNum) -> Result<(), Fault> {
        self.patience = Some(now + SILENCE_MAX);
        if self.control.is_none() {
            self.control = Some(Control::new(verbs, qp)?);
            verbs.accept(now, qp, Control::params());
        } else if self.test.is_none() && self.stage == Stage::Ready {
            self.test = Some(Test { qp, is_native: false, arrivals: Arrivals::default() });
            self.own.dest.qpn = qp.get();
            if self.params.verb == Verb::Send {
                (0..self.params.receives).for_each(|_| self.receive(verbs, qp));
            }
            let (send_depth, recv_depth) = (1, self.params.receives);
            let read_depth = self.params.outs;
            let params = ConnectParams { private: vec![], send_depth, recv_depth, read_depth };
            verbs.accept(now, qp, params);
        } else {
            // Another client: the one that is here is served first.
            verbs.reject(now, qp, &[]);
        }
        Ok(())
    }

    fn receive(&self, verbs: &mut Endpoint, qp: QpNum) {
        let sges = list(self.memory().sge(0, self.params.bytes));
        // One for each that was taken: there is room, unless the connection is gone, which is told.
        let _ = verbs.post_recv(qp, RecvWr { wr_id: 0, sges });
    }

    /// A message of the client, and its answer.
    fn hear(&mut self, now: Instant, verbs: &mut Endpoint, octets: &[u8]) -> Result<(), Fault> {
        let value = Kind::Report(0).len();
        let kind = match self.stage {
            Stage::Greeting(kind) => kind,
            // SEND has no report: this side has seen it itself.
            Stage::Ready if octets.len() == value && self.params.verb != Verb::Send => {
                Kind::Report(0)
            }
            Stage::Report(number) => Kind::Report(number),
            Stage::Ready | Stage::Last => Kind::Dest,
            Stage::Over => return Err(Fault::Peer("goes on after the end of the test".into())),
        };
        tracing::debug!(?kind, len = octets.len(), "the client says");
        self.patience = Some(now + SILENCE_MAX);
        self.check(kind, octets)?;
        self.stage = self.after(kind);
        if let Kind::Report(number) = kind
            && let Some(values) = self.values
        {
            // The client's own: there is nothing to measure here.
            self.own.values = values;
            self.stage =
                if number + 1 < REPORT_VALUES { Stage::Report(number + 1) } else { Stage::Last };
        }
        let own = self.own;
        let control = self.control.as_mut().expect("it said something");
        control.say(verbs, kind, &own)
    }

    fn check(&mut self, kind: Kind, octets: &[u8]) -> Result<(), Fault> {
        match kind {
            Kind::Version => exchange::check_version(octets),
            Kind::Mtu => exchange::check_mtu(octets),
            Kind::PageBytes | Kind::CacheLineBytes => kind.check(octets),
            Kind::Dest => Dest::parse(octets).map(|_| ()),
            Kind::Report(number) => self.values.get_or_insert_default().set(number, octets),
        }
    }

    fn after(&self, kind: Kind) -> Stage {
        let has_received = self.test.as_ref().is_some_and(|test| test.arrivals.count() > 0);
        match kind {
            Kind::Version => Stage::Greeting(Kind::PageBytes),
            Kind::PageBytes => Stage::Greeting(Kind::CacheLineBytes),
            Kind::CacheLineBytes => Stage::Greeting(Kind::Mtu),
            Kind::Dest if self.stage == Stage::Last || has_received => Stage::Over,
            Kind::Mtu | Kind::Dest | Kind::Report(_) => Stage::Ready,
        }
    }

    /// The test's connection: messages that arrived.
    fn arrived(&mut self, now: Instant, verbs: &mut Endpoint, wc: &Wc) -> Result<(), Fault> {
        if wc.status == WcStatus::WrFlushErr {
            return Ok(());
        }
        if wc.status != WcStatus::Success {
            return Err(failed("the test", wc));
        }
        self.receive(verbs, wc.qp);
        self.patience = Some(now + SILENCE_MAX);
        let Some(test) = &mut self.test else { return Ok(()) };
        test.arrivals.add(now, wc.byte_len);
        Ok(())
    }

    /// The last word was answered: the client waits for the end of the test's connection.
    fn close_test(&mut self, now: Instant, verbs: &mut Endpoint) {
        let Some(test) = self.test.take() else { return };
        self.measured = Some(self.measure(&test));
        verbs.disconnect(now, test.qp);
        self.patience = Some(now + CLOSE_MAX);
    }

    fn measure(&self, test: &Test) -> BwReport {
        let values = self.values.unwrap_or_else(|| test.arrivals.values());
        let [peak, average, rate] = values.rates;
        BwReport {
            verb: self.params.verb.name(),
            bytes: values.bytes,
            iterations: values.iterations,
            bw_peak_mib_per_s: peak,
            bw_average_mib_per_s: average,
            msg_rate_mpps: rate,
            wire: if test.is_native { "native" } else { "RoCEv2" },
            measured: if self.values.is_some() { "peer" } else { "here" },
        }
    }
}

impl Tool for BwServer {
    fn start(&mut self, _now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        if self.params.bytes == 0 || self.params.bytes > BYTES_MAX {
            return Err(Fault::Misuse(format!("-s: 1 to {BYTES_MAX} octets")));
        }
        let access = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        // perftest walks through a page with messages that are shorter.
        let len = (self.params.bytes as usize).next_multiple_of(4096);
        let data = Memory::new(verbs, len, access)?;
        let remote = data.remote(0);
        let gid = match self.params.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let out_reads = u32::from(self.params.outs);
        let (rkey, vaddr) = (remote.rkey.0, remote.addr);
        self.own.dest = Dest { out_reads, rkey, vaddr, gid, ..Dest::default() };
        self.data = Some(data);
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
            ConnEvent::ConnectRequest { qp, .. } => self.accept(now, verbs, qp)?,
            ConnEvent::Established { qp, is_native, .. } => {
                if let Some(test) = self.test.as_mut().filter(|test| test.qp == qp) {
                    test.is_native = is_native;
                }
            }
            ConnEvent::Disconnected { qp, reason } => {
                let is_control = self.control.as_ref().is_some_and(|control| control.qp == qp);
                let is_test = self.test.as_ref().is_some_and(|test| test.qp == qp);
                // After the last word, a client may close things in any order.
                if is_control && self.stage == Stage::Over {
                    self.close_test(now, verbs);
                    self.control = None;
                    self.is_over = true;
                } else if is_test && self.stage == Stage::Over {
                    self.close_test(now, verbs);
                } else if is_control || is_test {
                    return Err(ended("the client's connection", reason));
                }
            }
            ConnEvent::Rejected { .. } => {}
        }
        Ok(())
    }

    fn handle_completion(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        wc: &Wc,
    ) -> Result<(), Fault> {
        if self.test.as_ref().is_some_and(|test| test.qp == wc.qp) {
            return self.arrived(now, verbs, wc);
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
        let is_settled = self.control.as_ref().is_some_and(Control::is_settled);
        if self.stage == Stage::Over && self.test.is_some() && is_settled {
            self.close_test(now, verbs);
        }
        if self.patience.is_none_or(|at| now < at) {
            return Ok(());
        }
        if self.stage == Stage::Over {
            // All was said; who does not close is left.
            self.interrupt(now, verbs);
            return Ok(());
        }
        // Writes and READs are no events here, but their packets are counted.
        let packets = verbs.qp_counters().packets_in;
        if std::mem::replace(&mut self.packets, packets) != packets {
            self.patience = Some(now + SILENCE_MAX);
            return Ok(());
        }
        Err(Fault::Peer(format!("said nothing for {} s", SILENCE_MAX.as_secs())))
    }

    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint) {
        verbs.unlisten(self.params.port);
        let control = self.control.take().map(|control| control.qp);
        let test = self.test.take().map(|test| test.qp);
        for qp in [test, control].into_iter().flatten() {
            verbs.disconnect(now, qp);
        }
        self.is_over = true;
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
    fn deadline(&self) -> Option<Instant> {
        self.patience
    }
    fn take_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}
