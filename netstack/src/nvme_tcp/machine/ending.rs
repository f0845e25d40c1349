//! How a connection ends: the last PDU, and the work that was not done.

use super::{Machine, Place, Side, Stage};
use crate::fabric::{DisconnectReason, FabricEvent};
use crate::nvme_tcp::outbox::Then;
use crate::nvme_tcp::tls::TlsFault;
use crate::nvme_tcp::{Shared, Stop};
use verbs::WcStatus;
use wire::nvme_tcp::{PduFault, PduKind, TermReq, field};

/// CM's reason: nobody listens there. Source: IBTA 1.4, "REJ".
pub(crate) const REASON_INVALID_SERVICE: u16 = 8;

impl Machine {
    /// This side ends it.
    pub(crate) fn disconnect(&mut self, shared: &mut Shared) {
        let (qp, reason) = (self.qp, DisconnectReason::Local);
        self.finish(Some(FabricEvent::Disconnected { qp, reason }), shared);
    }
    /// Something else does. What the outbox holds then is to be handed over once, as far as it goes.
    pub(crate) fn end(&mut self, stop: Stop, shared: &mut Shared) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        let qp = self.qp;
        let reason = match stop {
            Stop::Gone => DisconnectReason::Peer,
            Stop::Timeout => DisconnectReason::Timeout,
            Stop::NoListener => {
                let (reason, private) = (REASON_INVALID_SERVICE, Vec::new());
                return self.finish(Some(FabricEvent::Rejected { qp, reason, private }), shared);
            }
            Stop::Fault(fault) => {
                tracing::warn!(peer = %self.peer, %fault, "the peer broke NVMe/TCP");
                shared.counts.faults += 1;
                let kind = self.term_kind();
                let faulty = self.framer.header();
                self.outbox.octets(|octets| TermReq::encode(fault, kind, faulty, octets));
                DisconnectReason::Error(WcStatus::BadRespErr)
            }
            Stop::Overdue => {
                tracing::warn!(peer = %self.peer, "the peer does not finish what it began");
                shared.counts.overdue += 1;
                // No status says it better: there is less than the length says.
                let (fault, kind) = (PduFault::field(field::PLEN), self.term_kind());
                let begun = self.framer.header();
                self.outbox.octets(|octets| TermReq::encode(fault, kind, begun, octets));
                DisconnectReason::Timeout
            }
            Stop::Told(term) => {
                tracing::warn!(peer = %self.peer, %term, "the peer says that we broke NVMe/TCP");
                shared.counts.faults += 1;
                DisconnectReason::Error(WcStatus::RemInvReqErr)
            }
            Stop::Digest => {
                tracing::warn!(peer = %self.peer, "data came with a wrong digest");
                shared.counts.faults += 1;
                DisconnectReason::Error(WcStatus::BadRespErr)
            }
            Stop::Insecure(fault) => {
                tracing::warn!(peer = %self.peer, %fault, "no TLS");
                shared.counts.tls_failures += 1;
                shared.counts.tls_refused_plain += u64::from(fault == TlsFault::Plain);
                DisconnectReason::Insecure(fault.words())
            }
            Stop::Broken(status) => DisconnectReason::Error(status),
        };
        // Who never sent a first command is not known to anybody.
        let is_known = match self.side {
            Side::Host(_) => true,
            Side::Controller(_) => !matches!(self.stage, Stage::Greeting | Stage::Expecting),
        };
        let last = is_known.then_some(FabricEvent::Disconnected { qp, reason });
        self.finish(last, shared);
    }
    fn term_kind(&self) -> PduKind {
        match self.side {
            Side::Host(_) => PduKind::H2cTermReq,
            Side::Controller(_) => PduKind::C2hTermReq,
        }
    }
    /// With `last` told last. The work follows with [`Machine::flush`].
    pub(super) fn finish(&mut self, last: Option<FabricEvent>, _shared: &mut Shared) {
        if !matches!(self.stage, Stage::Over(_)) {
            self.stage = Stage::Over(last);
        }
    }

    /// Reports all work that was not: it is flushed. Nothing is sent any more.
    pub(crate) fn flush(&mut self, shared: &mut Shared) {
        let (qp, status) = (self.qp, WcStatus::WrFlushErr);
        let events = &mut shared.events;
        let mut tell = |token| events.push(FabricEvent::Done { qp, token, status });
        for then in self.outbox.abandon() {
            if let Then::Work { token, .. } = then {
                tell(token);
            }
        }
        if let Side::Controller(controller) = &mut self.side {
            controller.abandon().for_each(&mut tell);
        }
        if let Some(landing) = self.landing.take() {
            if let Place::Receive(work) = landing.place {
                tell(work.token);
            }
            if let Some(work) = landing.response {
                tell(work.token);
            }
        }
        self.receives.drain(..).for_each(|work| tell(work.token));
        (self.waiting, self.outstanding) = (None, 0);
        self.stash = Vec::new();
    }
}
