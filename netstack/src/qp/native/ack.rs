//! Acknowledgements, both ways: what the peer says of our packets, what we say of its.

use super::NativeMachine;
use super::clock::Clock;
use super::fault::Fault;
use super::psn;
use crate::cc::AckSample;
use crate::link::{Transmit, TxBatch};
use crate::qp::{Cx, Machine};
use std::time::Duration;
use verbs::{SgeList, WcStatus};
use wire::roce::native::{NativeAck, NativeFlags, NativeHeader};
use wire::roce::{NakCode, Opcode, Psn, RnrTimer, Syndrome};

impl NativeMachine {
    /// A packet with a number, or a probe; it carries an acknowledgement as well.
    pub(super) fn on_packet(&mut self, cx: &mut Cx<'_>, h: &NativeHeader, payload: &[u8]) {
        self.clock.start(cx.now);
        let now = self.clock.us(cx.now);
        self.note_marks(cx, h.bth.fecn);
        self.receiver.note(now, h.timestamp_us, h.bth.fecn);
        if h.flags.contains(NativeFlags::ACK_VALID) {
            self.on_cumulative(cx, h.ack_psn, h.echo_us, h.ecn_count, 0);
        }
        if h.bth.opcode == Opcode::NativeProbe {
            self.receiver.ask();
        } else {
            self.on_data(cx, h, payload);
        }
    }

    /// An acknowledgement of its own: gaps, no receive, or a refusal.
    pub(super) fn on_ack(&mut self, cx: &mut Cx<'_>, ack: &NativeAck) {
        self.clock.start(cx.now);
        let now = self.clock.us(cx.now);
        cx.counters.acks_in += 1;
        self.note_marks(cx, ack.bth.fecn);
        self.receiver.note(now, ack.timestamp_us, ack.bth.fecn);
        let base = psn::extend(self.sender.una(), ack.ack_psn.get());
        let stale = base < self.sender.una();
        let mut sacked = 0;
        if !stale && base <= self.sender.next() {
            sacked =
                ack.sack.iter().map(|i| self.sender.acknowledge_one(base + u64::from(i))).sum();
        }
        self.on_cumulative(cx, ack.ack_psn, ack.echo_us, ack.ecn_count, sacked);
        self.detect_losses(cx);
        match ack.syndrome {
            Syndrome::RnrNak(timer) if !stale => self.on_not_ready(cx, timer),
            Syndrome::Nak(code) => self.on_refused(cx, code),
            Syndrome::Ack { .. } | Syndrome::RnrNak(_) | Syndrome::Reserved(_) => {}
        }
    }

    fn note_marks(&mut self, cx: &mut Cx<'_>, marked: bool) {
        cx.counters.ecn_marks_in += u64::from(marked);
    }

    /// Everything before `upto` arrived, and `sacked` octets beyond were newly told of.
    fn on_cumulative(&mut self, cx: &mut Cx<'_>, upto: Psn, echo: u32, marks: u8, sacked: u64) {
        let now = self.clock.us(cx.now);
        let before = self.sender.una();
        let upto = psn::extend(before, upto.get());
        let Some(bytes) = self.sender.acknowledge(upto) else {
            cx.counters.invalid_requests_in += 1;
            return;
        };
        let rtt = (echo != 0).then(|| self.rtt.sample(Clock::stamp(now), echo)).flatten();
        let marked = marks != self.marks_seen;
        self.marks_seen = marks;
        let (acked, moved) = (bytes + sacked, self.sender.una() > before);
        if acked > 0 || rtt.is_some() {
            self.cc.on_ack(&AckSample {
                now: cx.now,
                acked_bytes: acked,
                in_flight_bytes: self.sender.in_flight_bytes(),
                rtt: rtt.map(Duration::from_micros),
                ecn: marked,
            });
        }
        if moved {
            self.answers.release(self.sender.una());
            self.rnr_count = 0;
        }
        // With nothing in flight the peer owes an answer: that it speaks at all is progress.
        if moved || acked > 0 || self.sender.is_empty() {
            let awaiting = self.is_awaiting() && self.rnr_until.is_none();
            self.timer.on_progress(now, awaiting);
        }
    }

    /// The peer dropped a message for lack of a receive.
    fn on_not_ready(&mut self, cx: &mut Cx<'_>, timer: RnrTimer) {
        cx.counters.rnr_naks_in += 1;
        if self.rnr_until.is_some() || self.sender.is_empty() {
            return;
        }
        self.rnr_count = self.rnr_count.saturating_add(1);
        if self.rnr_retry < 7 && self.rnr_count > self.rnr_retry {
            return self.fail(cx, WcStatus::RnrRetryExcErr);
        }
        // What is in flight meets the same fate: wait at least until it has.
        let wait = timer.duration().max(Duration::from_micros(self.rtt.smoothed_us()));
        self.rnr_until = Some(cx.now + wait);
        self.timer.stop();
    }

    /// The peer refused a request. Everything before it was acknowledged.
    fn on_refused(&mut self, cx: &mut Cx<'_>, code: NakCode) {
        cx.counters.naks_in += 1;
        if self.sender.is_empty() {
            return;
        }
        self.complete_sends(cx);
        self.fail(
            cx,
            match code {
                NakCode::RemoteAccess => WcStatus::RemAccessErr,
                NakCode::InvalidRequest => WcStatus::RemInvReqErr,
                NakCode::PsnSequenceError
                | NakCode::RemoteOperational
                | NakCode::InvalidRdRequest
                | NakCode::Other(_) => WcStatus::RemOpErr,
            },
        );
    }

    /// Sends what is owed.
    pub(super) fn transmit_ack(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        let mut ack = self.ack(cx);
        if let Some(psn) = self.receiver.take_refused() {
            cx.counters.rnr_naks_out += 1;
            ack.syndrome = Syndrome::RnrNak(RnrTimer::new(self.min_rnr_timer));
            ack.nak_psn = Psn::new(psn::on_wire(psn));
        }
        self.receiver.on_acknowledged();
        cx.counters.acks_out += 1;
        self.push_ack(cx, out, &ack);
    }

    /// Tells the peer why the connection is over.
    pub(super) fn transmit_last_words(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        let Some(fault) = self.last_words.filter(|_| self.last_words_due && out.room() > 0) else {
            return;
        };
        self.last_words_due = false;
        let mut ack = self.ack(cx);
        ack.syndrome = Syndrome::Nak(Fault::nak(fault));
        ack.nak_psn = ack.ack_psn;
        cx.counters.naks_out += 1;
        self.push_ack(cx, out, &ack);
    }

    fn ack(&mut self, cx: &Cx<'_>) -> NativeAck {
        let now = self.clock.us(cx.now);
        let psn = Psn::new(psn::on_wire(self.sender.next()));
        let expected = Psn::new(psn::on_wire(self.receiver.expected()));
        let mut ack = NativeAck::new(self.dest_qp, psn, expected);
        ack.ecn_count = self.receiver.marks();
        ack.timestamp_us = Clock::stamp(now);
        ack.echo_us = self.receiver.take_echo(now);
        ack.sack = self.receiver.sack();
        ack
    }

    fn push_ack(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch, ack: &NativeAck) {
        cx.counters.packets_out += 1;
        let (to, trailer, payload) = (self.dest, self.trailer, SgeList::new());
        out.push(Transmit { to, header: ack.emit(), payload, pad: 0, trailer });
    }

    /// Asks the peer to say where it stands.
    pub(super) fn transmit_probe(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        self.probe = false;
        let mut header = self.header(cx, self.sender.next());
        header.bth.ack_req = true;
        cx.counters.packets_out += 1;
        self.receiver.on_piggyback();
        let (to, trailer, payload) = (self.dest, self.trailer, SgeList::new());
        out.push(Transmit { to, header: header.emit(), payload, pad: 0, trailer });
    }
}
