//! The native transport: one reliable packet stream per direction, selective repeat.
//!
//! Read first: `wire::roce::native` (the packet), then [`deliver`] and [`place`] (what arrives), [`packetize`]
//! (how it is cut), [`transmit`] (when it leaves), [`sender`] (what is lost). Verbs' semantics are
//! those of the RoCEv2 machine; what differs is underneath:
//!
//! - every packet carries its own address and is placed when it arrives, in order or not;
//!   completions, invalidation, atomics and READs happen in packet order;
//! - READ and atomic answers travel in the responder's own stream: no replay resources;
//! - a small SEND rides in a header, after an RDMA WRITE in the WRITE's last packet;
//! - acknowledgements ride on data; a packet of their own only on a gap, on request, or when
//!   nothing else leaves in time.
//!
//! Under loss a WRITE may become visible before an earlier one (never undo a later one): poll
//! completions, not memory.

mod ack;
mod clock;
mod deliver;
mod fault;
mod packetize;
mod place;
mod psn;
mod queue;
mod reads;
mod receiver;
mod rtt;
mod sender;
mod timer;
mod transmit;

use self::clock::Clock;
use self::deliver::Inbound;
use self::fault::Fault;
use self::queue::Queue;
use self::reads::{Answers, Asked};
use self::receiver::Receiver;
use self::rtt::Rtt;
use self::sender::Sender;
use self::timer::{Expiry, Patience, Timer};
use super::{Cx, Machine, QpConfig};
use crate::cc::CongestionControl;
use crate::link::{Trailer, TxBatch};
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{PostError, QpNum, SendWr, Wc, WcStatus};
use wire::roce::native::NativePacket;

/// One connected queue pair in native mode.
pub struct NativeMachine {
    qpn: QpNum,
    dest_qp: QpNum,
    dest: SocketAddr,
    trailer: Trailer,
    mtu: u32,
    rnr_retry: u8,
    min_rnr_timer: u8,
    clock: Clock,
    queue: Queue,
    asked: Asked,
    answers: Answers,
    sender: Sender,
    receiver: Receiver,
    inbound: Inbound,
    rtt: Rtt,
    timer: Timer,
    cc: Box<dyn CongestionControl>,
    /// Whose packets leave next: below [`packetize::TURN`] the answers'.
    turn: u8,
    /// Octets sent since the peer was last asked for an acknowledgement.
    unasked_bytes: u64,
    /// Congestion marks that the peer has reported, modulo 256.
    marks_seen: u8,
    /// The peer had no receive: silence until then.
    rnr_until: Option<Instant>,
    rnr_count: u8,
    /// Pacing holds the next packet until then.
    paced_until: Option<Instant>,
    probe: bool,
    /// What ended the peer's stream; told once all answers before it are acknowledged.
    poison: Option<Fault>,
    /// The receives in [`Cx`] are this queue pair's own, not shared.
    owns_receives: bool,
    failed: bool,
    /// The refusal that ended the connection, and whether it is to be sent (again).
    last_words: Option<Fault>,
    last_words_due: bool,
}

impl NativeMachine {
    /// A machine in RTS.
    #[must_use]
    pub fn new(config: QpConfig) -> NativeMachine {
        let attr = config.attr;
        NativeMachine {
            qpn: config.qpn,
            dest_qp: attr.dest_qp,
            dest: attr.dest,
            trailer: config.trailer,
            mtu: attr.path_mtu_bytes,
            rnr_retry: attr.rnr_retry,
            min_rnr_timer: attr.min_rnr_timer,
            clock: Clock::default(),
            queue: Queue::new(config.caps, attr.max_rd_atomic),
            asked: Asked::new(attr.max_rd_atomic),
            answers: Answers::new(attr.max_dest_rd_atomic),
            sender: Sender::new(psn::first(attr.sq_psn)),
            receiver: Receiver::new(psn::first(attr.rq_psn)),
            inbound: Inbound::new(),
            rtt: Rtt::default(),
            timer: Timer::new(Patience::new(attr.timeout, attr.retry_cnt, receiver::ACK_DELAY_US)),
            cc: config.cc,
            turn: 0,
            unasked_bytes: 0,
            marks_seen: 0,
            rnr_until: None,
            rnr_count: 0,
            paced_until: None,
            probe: false,
            poison: None,
            owns_receives: true,
            failed: false,
            last_words: None,
            last_words_due: false,
        }
    }

    /// The same machine on a shared receive queue, whose receives belong to nobody until taken:
    /// `fail` leaves them there.
    #[must_use]
    pub fn with_shared_receives(self) -> NativeMachine {
        NativeMachine { owns_receives: false, ..self }
    }

    /// Asks the cache for the front of the queues.
    #[inline]
    pub(crate) fn prefetch_queues(&self) {
        self.queue.prefetch();
        self.sender.prefetch();
        self.inbound.prefetch();
        memory::prefetch_value((&raw const *self.cc).cast::<u64>());
    }

    /// The peer owes this side something: an acknowledgement or an answer.
    fn is_awaiting(&self) -> bool {
        !self.sender.is_empty() || self.queue.reads_out() > 0
    }

    /// Completes what is done, oldest first.
    fn complete_sends(&mut self, cx: &mut Cx<'_>) {
        loop {
            self.queue.complete(self.sender.una(), self.qpn, cx.wcs);
            if self.queue.is_broken() {
                return self.fail(cx, WcStatus::LocProtErr);
            }
            let Some(rkey) = self.queue.due_invalidate() else { return };
            if cx.memory.invalidate(rkey).is_err() {
                return self.fail(cx, WcStatus::LocQpOpErr);
            }
            if let Some(work) = self.queue.pop()
                && work.wr.flags.signaled
            {
                cx.wcs.push(Wc { qp: self.qpn, ..work.completion(WcStatus::Success) });
            }
        }
    }

    /// The peer's stream ends here. It is told so after the answers to what came before.
    fn on_fault(&mut self, cx: &mut Cx<'_>, fault: Fault) {
        match fault {
            Fault::Access => cx.counters.access_errors_in += 1,
            Fault::Invalid | Fault::TooLong | Fault::BadAnswer | Fault::Invalidate => {
                cx.counters.invalid_requests_in += 1;
            }
            Fault::ReceiveMemory | Fault::LandingMemory => {}
        }
        self.poison = Some(fault);
        self.settle_fault(cx);
    }

    /// Ends the connection once every answer before the fault is acknowledged.
    fn settle_fault(&mut self, cx: &mut Cx<'_>) {
        let Some(fault) = self.poison.filter(|_| self.answers.is_empty() && !self.failed) else {
            return;
        };
        let status = fault.receive_status();
        if status != WcStatus::WrFlushErr
            && let Some(wr) = self.inbound.pop()
        {
            cx.wcs.push(Wc { wr_id: wr.wr_id, status, ..self.receive_wc() });
        }
        self.refuse(cx, fault);
    }

    /// Ends the connection and tells the peer why.
    fn refuse(&mut self, cx: &mut Cx<'_>, fault: Fault) {
        self.fail(cx, fault.send_status());
        (self.last_words, self.last_words_due) = (Some(fault), true);
    }

    fn receive_wc(&self) -> Wc {
        Wc { opcode: verbs::WcOpcode::Recv, qp: self.qpn, ..Wc::default() }
    }

    /// Data may leave at all.
    fn is_held(&self, now: Instant) -> bool {
        self.rnr_until.is_some_and(|at| at > now) || self.paced_until.is_some_and(|at| at > now)
    }
}

impl Machine for NativeMachine {
    type Packet<'p> = NativePacket<'p>;

    fn post_send(&mut self, wr: SendWr) -> Result<(), PostError> {
        if self.failed {
            return Err(PostError::WrongState);
        }
        self.queue.post(wr)
    }

    fn handle_packet(&mut self, cx: &mut Cx<'_>, packet: &NativePacket<'_>) {
        cx.counters.packets_in += 1;
        if self.failed {
            cx.counters.stale_in += 1;
            self.last_words_due |= self.last_words.is_some();
            return;
        }
        match packet {
            NativePacket::Data { header, payload } => self.on_packet(cx, header, payload),
            NativePacket::Ack(ack) => self.on_ack(cx, ack),
        }
        if !self.failed {
            self.complete_sends(cx);
            self.settle_fault(cx);
            // The packet that acknowledged a READ's request may have answered it as well.
            if !self.is_awaiting() {
                self.timer.stop();
            }
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.failed {
            return;
        }
        self.clock.start(cx.now);
        let now = self.clock.us(cx.now);
        self.receiver.on_time(now);
        if self.paced_until.is_some_and(|at| at <= cx.now) {
            self.paced_until = None;
        }
        if self.rnr_until.is_some_and(|at| at <= cx.now) {
            self.rnr_until = None;
            self.sender.all_lost();
            self.timer.on_sent(now);
        }
        if self.sender.suspect_us().is_some_and(|at| at <= now) {
            self.detect_losses(cx);
        }
        if let Some(release) = self.paced_until.filter(|_| self.sender.in_flight_bytes() == 0) {
            self.timer.hold(self.clock.us(release));
        }
        match self.timer.expire(now, &self.rtt) {
            None => {}
            Some(Expiry::GiveUp) => self.fail(cx, WcStatus::RetryExcErr),
            Some(expiry) => self.on_expiry(cx, expiry),
        }
    }

    fn handle_cnp(&mut self, now: Instant) {
        self.cc.on_cnp(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.failed {
            return None;
        }
        let ours =
            [self.receiver.due_us(), self.sender.suspect_us(), self.timer.deadline(&self.rtt)];
        let ours = ours.into_iter().flatten().min().map(|us| self.clock.at(us));
        [ours, self.rnr_until, self.paced_until].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, cx: &mut Cx<'_>, out: &mut TxBatch) {
        self.clock.start(cx.now);
        if self.failed {
            return self.transmit_last_words(cx, out);
        }
        self.complete_sends(cx);
        if !self.is_held(cx.now) {
            self.transmit_data(cx, out);
        }
        if self.failed {
            return;
        }
        if self.probe && out.room() > 0 {
            self.transmit_probe(cx, out);
        }
        let now = self.clock.us(cx.now);
        if self.receiver.is_due(now) && out.room() > 0 {
            self.transmit_ack(cx, out);
        }
    }

    fn wants_transmit(&self, now: Instant) -> bool {
        if self.failed {
            return self.last_words_due;
        }
        let due = self.probe || self.receiver.is_due(self.clock.us(now));
        // Whether pacing lets it leave now is `poll_transmit`'s to find out: when it does not, that
        // arms the timer. A release that moved away after the timer rang would else arm none.
        let data = || {
            let new = || self.next_piece().is_some_and(|piece| self.has_window(&piece));
            self.sender.first_lost().is_some() || new()
        };
        due || self.queue.due_invalidate().is_some() || (!self.is_held(now) && data())
    }

    fn fail(&mut self, cx: &mut Cx<'_>, status: WcStatus) {
        (self.last_words, self.last_words_due) = (None, false);
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        let mut status = status;
        while let Some(work) = self.queue.pop() {
            cx.wcs.push(Wc { qp: self.qpn, ..work.completion(status) });
            status = WcStatus::WrFlushErr;
        }
        let flushed = Wc { status: WcStatus::WrFlushErr, ..self.receive_wc() };
        let own = |cx: &mut Cx<'_>| self.owns_receives.then(|| cx.receives.take()).flatten();
        while let Some(wr) = self.inbound.pop().or_else(|| own(cx)) {
            cx.wcs.push(Wc { wr_id: wr.wr_id, ..flushed });
        }
    }

    fn is_failed(&self) -> bool {
        self.failed
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "tests: small numbers and readable ratios"
)]
mod tests;
