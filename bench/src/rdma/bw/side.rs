//! What both sides of a test have: two connections, memory, and what they say of themselves.

use super::control::{Control, Own};
use super::exchange::{Kind, Values};
use super::{ATOMIC_BYTES, BYTES_MAX, BwReport, Verb};
use crate::rdma::{Fault, Memory, wire_mode};
use memory::Access;
use netstack::endpoint::Endpoint;
use std::time::Instant;
use verbs::{QpNum, Wc};

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    Control,
    Test,
}

/// One side of a test.
pub(super) struct Side {
    verb: Verb,
    /// Octets of a message.
    pub(super) bytes: u32,
    pub(super) own: Own,
    pub(super) control: Option<Control>,
    pub(super) test: Option<QpNum>,
    /// The wire mode of the test's connection.
    pub(super) is_native: bool,
    data: Option<Memory>,
}

impl Side {
    pub(super) fn new(verb: Verb, bytes: u32, own: Own) -> Side {
        let bytes = if verb.is_atomic() { ATOMIC_BYTES } else { bytes };
        Side { verb, bytes, own, control: None, test: None, is_native: false, data: None }
    }

    /// Takes memory of a multiple of `unit` octets; the peer is told of it.
    ///
    /// Errors: messages that are too long, or of nothing; no memory.
    pub(super) fn open(
        &mut self,
        verbs: &mut Endpoint,
        unit: usize,
        access: Access,
    ) -> Result<(), Fault> {
        if self.bytes == 0 || self.bytes > BYTES_MAX {
            return Err(Fault::Misuse(format!("-s: 1 to {BYTES_MAX} octets")));
        }
        let data = Memory::new(verbs, (self.bytes as usize).next_multiple_of(unit), access)?;
        let remote = data.remote(0);
        (self.own.dest.rkey, self.own.dest.vaddr) = (remote.rkey.0, remote.addr);
        self.data = Some(data);
        Ok(())
    }

    /// Panics before `open`.
    pub(super) fn memory(&self) -> &Memory {
        self.data.as_ref().expect("made at the start")
    }

    /// The test runs on this connection: the peer is told.
    pub(super) fn begin_test(&mut self, qp: QpNum) {
        (self.test, self.own.dest.qpn) = (Some(qp), qp.get());
    }

    /// What `qp` is for. `None`: it is none of ours.
    pub(super) fn line(&self, qp: QpNum) -> Option<Line> {
        if self.test == Some(qp) {
            return Some(Line::Test);
        }
        self.control.as_ref().filter(|control| control.qp == qp).map(|_| Line::Control)
    }

    /// Says what belongs to `kind`. Panics before there is a connection.
    ///
    /// Errors: the peer's, it asks on without hearing the answers.
    pub(super) fn say(&mut self, verbs: &mut Endpoint, kind: Kind) -> Result<(), Fault> {
        self.control.as_mut().expect("connected before a word").say(verbs, kind, &self.own)
    }

    /// A completion of the first connection; a message of the peer, if it is one.
    ///
    /// Errors: work that failed.
    pub(super) fn hear(&mut self, verbs: &mut Endpoint, wc: &Wc) -> Result<Option<Vec<u8>>, Fault> {
        self.control.as_mut().map_or(Ok(None), |control| control.completed(verbs, wc))
    }

    /// Ends what is connected.
    pub(super) fn close(&mut self, now: Instant, verbs: &mut Endpoint) {
        let control = self.control.take().map(|control| control.qp);
        for qp in [self.test.take(), control].into_iter().flatten() {
            verbs.disconnect(now, qp);
        }
    }

    pub(super) fn report(&self, values: Values, measured: &'static str) -> BwReport {
        let [peak, average, rate] = values.rates;
        BwReport {
            verb: self.verb.name(),
            bytes: values.bytes,
            iterations: values.iterations,
            bw_peak_mib_per_s: peak,
            bw_average_mib_per_s: average,
            msg_rate_mpps: rate,
            wire: wire_mode(self.is_native),
            measured,
        }
    }
}
