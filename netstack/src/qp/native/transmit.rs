//! What leaves and when: windows, pacing, and packets that are lost and sent again.

use super::NativeMachine;
use super::fault::Fault;
use super::packetize::Piece;
use super::sender::Source;
use super::timer::Expiry;
use crate::cc::Loss;
use crate::link::TxBatch;
use crate::qp::Cx;

impl NativeMachine {
    /// Sends what was lost, then what is new, while there is room.
    pub(super) fn transmit_data(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        let now = self.clock.us(cx.now);
        while out.room() > 0 && !self.failed {
            let lost = self.sender.first_lost();
            let piece = match lost {
                Some(psn) => self.sent_piece(psn),
                None => self.next_piece().filter(|piece| self.has_window(piece)),
            };
            let Some(piece) = piece else { return };
            let release = self.cc.release_at(cx.now, u64::from(piece.len));
            if release > cx.now {
                self.paced_until = Some(release);
                return;
            }
            match lost {
                Some(psn) => self.retransmit(cx, out, psn, &piece),
                None => self.transmit_new(cx, out, &piece),
            }
            self.cc.on_send(cx.now, u64::from(piece.len));
            self.timer.on_sent(now);
        }
    }

    pub(super) fn has_window(&self, piece: &Piece) -> bool {
        let in_flight = self.sender.in_flight_bytes();
        let fits = in_flight + u64::from(piece.len) <= self.cc.window_bytes();
        self.sender.has_room() && (fits || in_flight == 0)
    }

    /// A packet of the window, as it was cut.
    fn sent_piece(&self, psn: u64) -> Option<Piece> {
        let sent = self.sender.sent(psn);
        let total = match sent.source {
            Source::Work(seq) => self.queue.get(seq)?.len,
            Source::Answer(seq) => self.answers.get(seq)?.len,
        };
        let (source, offset, len) = (sent.source, sent.offset, sent.len);
        // Requests and immediate messages have no payload and are always whole.
        let last = len == 0 || offset + len == total;
        Some(Piece { source, offset, len, last, fused: sent.fused })
    }

    fn transmit_new(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch, piece: &Piece) {
        let now = self.clock.us(cx.now);
        let ack_req = self.asks_for_ack(piece);
        // Cut first: what is queued after this piece decides whether an answer will come soon.
        let psn = self.commit(now, piece);
        if self.emit(cx, out, psn, piece, ack_req).is_err() {
            match piece.source {
                Source::Work(seq) => self.on_broken(cx, seq),
                // This host took the memory away between the READ and its answer.
                Source::Answer(_) => self.refuse(cx, Fault::ReceiveMemory),
            }
        }
    }

    fn retransmit(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch, psn: u64, piece: &Piece) {
        let now = self.clock.us(cx.now);
        self.sender.resend(now, psn);
        cx.counters.retransmitted_packets += 1;
        if self.emit(cx, out, psn, piece, true).is_err() {
            match piece.source {
                Source::Work(seq) => self.on_broken(cx, seq),
                // The peer may have all of it, and have told so: ask where it stands.
                Source::Answer(_) => self.transmit_probe(cx, out),
            }
        }
    }

    /// The local memory of a work request is not reachable: it fails in its turn.
    fn on_broken(&mut self, cx: &mut Cx<'_>, seq: u64) {
        self.queue.break_at(seq);
        self.complete_sends(cx);
    }

    /// Whether this packet asks for an acknowledgement at once: when the window would close, or
    /// when it ends a WRITE that nothing follows, to which the peer's application has no answer.
    fn asks_for_ack(&mut self, piece: &Piece) -> bool {
        let bytes = u64::from(piece.len);
        let window = self.cc.window_bytes();
        let idle = self.sender.in_flight_bytes() == 0;
        self.unasked_bytes = bytes + if idle { 0 } else { self.unasked_bytes };
        let closes = self.sender.in_flight_bytes() + 2 * bytes > window;
        let ends = match piece.source {
            Source::Work(seq) => {
                let next = seq + 1 + u64::from(piece.fused);
                let write = self.queue.get(seq).is_some_and(|work| {
                    work.wr.flags.signaled && matches!(work.wr.op, verbs::SendOp::RdmaWrite(_))
                });
                write && piece.last && !piece.fused && self.queue.get(next).is_none()
            }
            Source::Answer(_) => false,
        };
        let asks = closes || ends || (bytes > 0 && self.unasked_bytes >= window / 4);
        if asks {
            self.unasked_bytes = 0;
        }
        asks
    }

    /// Looks for packets that must be lost.
    pub(super) fn detect_losses(&mut self, cx: &mut Cx<'_>) {
        let now = self.clock.us(cx.now);
        let packets = self.sender.detect_losses(now, self.rtt.reorder_us());
        if packets > 0 {
            self.cc.on_loss(cx.now, Loss::Gap { packets });
        }
    }

    pub(super) fn on_expiry(&mut self, cx: &mut Cx<'_>, expiry: Expiry) {
        if expiry == Expiry::Timeout {
            cx.counters.timeouts += 1;
            self.cc.on_loss(cx.now, Loss::Timeout);
        } else {
            cx.counters.probes_out += 1;
        }
        self.receiver.ask_for_missing();
        if self.sender.is_empty() {
            self.probe = true;
            return;
        }
        self.sender.probe_newest();
        if expiry == Expiry::Timeout {
            self.sender.probe_oldest();
        }
    }
}
