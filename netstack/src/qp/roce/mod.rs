//! RoCEv2 reliable connection, as Linux rxe speaks it: go-back-N.
//!
//! Read first: [`requester`] (posted sends to packets), [`completer`] (answers to completions),
//! [`responder`] (the peer's requests), [`replies`] (what is owed to it). The others are each one
//! piece of state: [`window`], [`timer`], [`early`], [`recovery`], [`rnr`], [`replay`], [`flow`]; and pure
//! functions: [`sequence`], [`segment`], [`path`], [`landing`]. This parent only routes.
//! Source: IBTA 1.4, "Transport Layer", and Annex A17 "RoCEv2".

mod completer;
mod early;
mod flow;
mod landing;
mod path;
mod recovery;
mod replay;
mod replies;
mod requester;
mod responder;
mod rnr;
mod segment;
mod sequence;
mod timer;
mod window;
mod wqe;

#[cfg(test)]
mod tests;

use super::{Cx, Machine, QpConfig};
use crate::link::TxBatch;
use flow::Flow;
use path::Path;
use requester::Requester;
use responder::Responder;
use std::time::Instant;
use verbs::{PostError, SendWr, WcStatus};
use wire::roce::{Opcode, Operation, Packet};

/// What a connection may differ in beyond its attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Request PSNs that may be unacknowledged. Linux rxe has 128 (a READ counts when it starts).
    pub unacked_psns_max: u32,
    /// The receives in [`Cx`] are this queue pair's own: `fail` flushes them. False for a shared
    /// receive queue, whose receives belong to nobody until taken.
    pub owns_receives: bool,
    /// The peer is one of ours: it answers as soon as it is polled, so the early timer may be short.
    pub peer_is_flexblk: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { unacked_psns_max: 128, owns_receives: true, peer_is_flexblk: false }
    }
}

/// A connected RoCEv2 queue pair (RTS) as a pure machine.
pub struct RoceMachine {
    requester: Requester,
    responder: Responder,
    path: Path,
    flow: Flow,
    owns_receives: bool,
    is_failed: bool,
}

impl RoceMachine {
    /// With the default [`Options`].
    #[must_use]
    pub fn new(config: QpConfig) -> RoceMachine {
        RoceMachine::with_options(config, Options::default())
    }

    /// Panics if the path MTU is none of 256, 512, 1,024, 2,048 and 4,096.
    #[must_use]
    pub fn with_options(config: QpConfig, options: Options) -> RoceMachine {
        let mtu = config.attr.path_mtu_bytes;
        assert!(matches!(mtu, 256 | 512 | 1024 | 2048 | 4096), "path MTU of {mtu}");
        RoceMachine {
            requester: Requester::new(&config, options),
            responder: Responder::new(&config),
            path: Path::new(&config),
            flow: Flow::new(config.cc),
            owns_receives: options.owns_receives,
            is_failed: false,
        }
    }

    fn on_response(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Result<(), WcStatus> {
        let (bth, flow, requester) = (&packet.bth, &mut self.flow, &mut self.requester);
        match (packet.ext.atomic_ack, packet.ext.aeth) {
            (Some(old), _) => requester.handle_atomic_ack(cx, flow, bth.psn, old),
            (None, Some(aeth)) if bth.opcode == Opcode::Acknowledge => {
                requester.handle_ack(cx, flow, bth.psn, aeth.syndrome)
            }
            (None, _) => requester.handle_read_response(cx, flow, packet),
        }
    }

    fn fail_on_error(&mut self, cx: &mut Cx<'_>, result: Result<(), WcStatus>) {
        if let Err(status) = result {
            self.fail(cx, status);
        }
    }
}

impl Machine for RoceMachine {
    type Packet<'p> = Packet<'p>;

    fn post_send(&mut self, wr: SendWr) -> Result<(), PostError> {
        self.requester.post(wr)
    }

    fn handle_packet(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) {
        cx.counters.packets_in += 1;
        if self.is_failed {
            cx.counters.stale_in += 1;
            return;
        }
        match packet.bth.opcode.operation() {
            Operation::RdmaReadResponse | Operation::Acknowledge | Operation::AtomicAcknowledge => {
                let result = self.on_response(cx, packet);
                self.fail_on_error(cx, result);
            }
            Operation::Send
            | Operation::RdmaWrite
            | Operation::RdmaReadRequest
            | Operation::CompareSwap
            | Operation::FetchAdd
            | Operation::Flush
            | Operation::AtomicWrite => self.responder.handle_request(cx, packet),
            Operation::DatagramSend | Operation::CongestionNotification | Operation::Native => {
                cx.counters.stale_in += 1;
            }
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.is_failed {
            return;
        }
        self.flow.handle_timeout(cx.now);
        let result = self.requester.handle_timeout(cx, &mut self.flow);
        self.fail_on_error(cx, result);
    }

    fn handle_cnp(&mut self, now: Instant) {
        self.flow.cc.on_cnp(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.is_failed {
            return None;
        }
        let requester = &self.requester;
        let deadlines = [
            requester.timer.deadline(),
            requester.early.deadline(),
            requester.recovery.deadline(),
            requester.rnr.deadline(),
            self.flow.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        if self.is_failed {
            self.fail(cx, WcStatus::WrFlushErr); // what was posted since
            return;
        }
        let (path, flow, msn) = (&self.path, &mut self.flow, self.responder.msn);
        if self.responder.replies.emit(cx, path, flow, msn, out).is_err() {
            self.fail(cx, WcStatus::WrFlushErr);
        } else if !self.responder.replies.is_fatal() {
            let result = self.requester.emit(cx, &self.path, &mut self.flow, out);
            self.fail_on_error(cx, result);
        }
    }

    fn wants_transmit(&self, now: Instant) -> bool {
        if self.is_failed {
            return !self.requester.is_idle();
        }
        let replies = &self.responder.replies;
        replies.is_ready(now, &self.flow)
            || (!replies.is_fatal() && self.requester.is_ready(now, &self.flow))
    }

    fn fail(&mut self, cx: &mut Cx<'_>, status: WcStatus) {
        let status = if self.is_failed { WcStatus::WrFlushErr } else { status };
        self.is_failed = true;
        self.requester.flush(cx, status);
        self.responder.flush(cx);
        while let Some(receive) = self.owns_receives.then(|| cx.receives.take()).flatten() {
            cx.wcs.push(self.responder.completion(receive.wr_id, WcStatus::WrFlushErr));
        }
    }

    fn is_failed(&self) -> bool {
        self.is_failed
    }

    fn is_idle(&self) -> bool {
        self.requester.is_idle()
    }
}
