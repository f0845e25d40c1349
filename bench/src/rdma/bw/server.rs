//! The side that is written to, read from, or sent to.
//!
//! The client leads. It is answered with the same kind of message each time; the test's connection is
//! closed when it has said its last word, which it waits for.

use super::arrivals::Arrivals;
use super::control::{Control, Own};
use super::exchange::{Kind, REPORT_VALUES, Values};
use super::side::{Line, Side};
use super::{BwReport, Verb};
use crate::rdma::{Event, Fault, Tool, ended, list, succeeded};
use memory::Access;
use netstack::endpoint::Endpoint;
use netstack::fabric::{ConnectParams, DisconnectReason};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use verbs::{QpNum, RecvWr, Wc};

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

/// perftest's server.
pub struct BwServer {
    params: BwServerParams,
    side: Side,
    arrivals: Arrivals,
    stage: Stage,
    /// What the client measured.
    values: Option<Values>,
    measured: Option<BwReport>,
    /// The client must have moved until then.
    patience: Option<Instant>,
    /// Packets in when it was last looked.
    packets: u64,
    is_over: bool,
}

impl BwServer {
    /// A server for one client, which listens when it is started.
    #[must_use]
    pub fn new(params: BwServerParams) -> BwServer {
        let own = Own::new(params.path_mtu_bytes, params.address, params.outs);
        BwServer {
            side: Side::new(params.verb, params.bytes, own),
            params,
            arrivals: Arrivals::default(),
            stage: Stage::Greeting(Kind::Version),
            values: None,
            measured: None,
            patience: None,
            packets: 0,
            is_over: false,
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
        let octets = self.side.memory().read(0, 8);
        u64::from_le_bytes(octets.try_into().expect("eight"))
    }

    fn accept(&mut self, now: Instant, verbs: &mut Endpoint, qp: QpNum) -> Result<(), Fault> {
        self.patience = Some(now + SILENCE_MAX);
        if self.side.control.is_none() {
            self.side.control = Some(Control::new(verbs, qp)?);
            verbs.accept(now, qp, Control::params());
        } else if self.side.test.is_none() && self.stage == Stage::Ready {
            self.side.begin_test(qp);
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
        let sges = list(self.side.memory().sge(0, self.side.bytes));
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
        kind.check(octets)?;
        if let Kind::Report(number) = kind {
            let values = self.values.get_or_insert_default();
            values.set(number, octets)?;
            // The client's own: there is nothing to measure here.
            self.side.own.values = *values;
        }
        self.stage = self.after(kind);
        self.side.say(verbs, kind)
    }

    fn after(&self, kind: Kind) -> Stage {
        let has_received = self.arrivals.count() > 0;
        match kind {
            Kind::Version => Stage::Greeting(Kind::PageBytes),
            Kind::PageBytes => Stage::Greeting(Kind::CacheLineBytes),
            Kind::CacheLineBytes => Stage::Greeting(Kind::Mtu),
            Kind::Dest if self.stage == Stage::Last || has_received => Stage::Over,
            Kind::Mtu | Kind::Dest => Stage::Ready,
            Kind::Report(number) if number + 1 < REPORT_VALUES => Stage::Report(number + 1),
            Kind::Report(_) => Stage::Last,
        }
    }

    /// The test's connection: messages that arrived.
    fn arrived(&mut self, now: Instant, verbs: &mut Endpoint, wc: &Wc) -> Result<(), Fault> {
        succeeded(wc, "the test")?;
        self.receive(verbs, wc.qp);
        self.patience = Some(now + SILENCE_MAX);
        self.arrivals.add(now, wc.byte_len);
        Ok(())
    }

    /// The last word was answered: the client waits for the end of the test's connection.
    fn close_test(&mut self, now: Instant, verbs: &mut Endpoint) {
        let Some(qp) = self.side.test.take() else { return };
        let measured = if self.values.is_some() { "peer" } else { "here" };
        let values = self.values.unwrap_or_else(|| self.arrivals.values());
        self.measured = Some(self.side.report(values, measured));
        verbs.disconnect(now, qp);
        self.patience = Some(now + CLOSE_MAX);
    }

    fn closed(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        line: Line,
        reason: DisconnectReason,
    ) -> Result<(), Fault> {
        if self.stage != Stage::Over {
            return Err(ended("the client's connection", reason));
        }
        // After the last word, a client may close things in any order.
        self.close_test(now, verbs);
        if line == Line::Control {
            self.side.control = None;
            self.is_over = true;
        }
        Ok(())
    }
}

impl Tool for BwServer {
    fn start(&mut self, _now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let access = Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC;
        // perftest walks through a page with messages that are shorter.
        self.side.open(verbs, 4096, access)?;
        verbs.listen(self.params.port);
        Ok(())
    }

    fn handle(&mut self, now: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault> {
        match event {
            Event::Asked { qp } => self.accept(now, verbs, qp),
            Event::Open { qp, is_native } => {
                if self.side.test == Some(qp) {
                    self.side.is_native = is_native;
                }
                Ok(())
            }
            Event::Closed { qp, reason } => match self.side.line(qp) {
                Some(line) => self.closed(now, verbs, line, reason),
                None => Ok(()),
            },
            Event::Done(wc) => match self.side.line(wc.qp) {
                Some(Line::Test) => self.arrived(now, verbs, &wc),
                Some(Line::Control) => match self.side.hear(verbs, &wc)? {
                    Some(octets) => self.hear(now, verbs, &octets),
                    None => Ok(()),
                },
                None => Ok(()),
            },
            Event::Refused { .. } => Ok(()),
        }
    }

    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
        let is_settled = self.side.control.as_ref().is_some_and(Control::is_settled);
        if self.stage == Stage::Over && is_settled {
            self.close_test(now, verbs);
        }
        Ok(())
    }

    fn patience(&self) -> Option<Instant> {
        self.patience
    }

    fn handle_silence(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault> {
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
        self.side.close(now, verbs);
        self.is_over = true;
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
}
