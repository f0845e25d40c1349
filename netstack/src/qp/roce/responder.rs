//! The responder: request packets in PSN order become placed data, receives' completions and
//! replies. Source: IBTA 1.4, "Responder behaviour"; the checks are those of Linux rxe.

use super::landing::land;
use super::replay::{ReadSpan, Replay};
use super::replies::Replies;
use super::segment::{self, MESSAGE_BYTES_MAX};
use super::sequence::Seq;
use crate::qp::{Cx, QpConfig};
use memory::{Access, AccessError, Rkey};
use std::cmp::Ordering;
use verbs::{QpNum, RecvWr, Wc, WcOpcode, WcStatus};
use wire::roce::{Msn, NakCode, Operation, Packet, Position, RnrTimer, Syndrome, pad_count};

/// The place up to which requests were executed, and what is under way there.
pub(super) struct Responder {
    qpn: QpNum,
    mtu: u32,
    rnr_timer: RnrTimer,
    /// Next PSN to execute.
    expected: Seq,
    /// Messages executed.
    pub(super) msn: Msn,
    /// The message whose first packet came and whose last did not.
    message: Option<Message>,
    /// Beyond the newest packet that came before its turn and was dropped.
    dropped_end: Seq,
    /// The peer was told that `expected` is missing or not ready: silence until it comes.
    is_refusing: bool,
    pub(super) replies: Replies,
    replay: Replay,
}

enum Message {
    Send { receive: RecvWr, received: u32 },
    Write(Write),
}

/// An RDMA WRITE: where the next octet goes.
#[derive(Clone, Copy)]
struct Write {
    rkey: Rkey,
    addr: u64,
    rest: u32,
    total: u32,
}

/// Why a request is not executed.
enum Refusal {
    /// No receive is posted. The request may come again.
    NotReady,
    /// The peer is told why, and the queue pair dies. A receive that was taken completes with
    /// the status.
    Nak(NakCode, WcStatus),
}

const INVALID: Refusal = Refusal::Nak(NakCode::InvalidRequest, WcStatus::RemInvReqErr);

impl Responder {
    pub(super) fn new(config: &QpConfig) -> Responder {
        let attr = &config.attr;
        Responder {
            qpn: config.qpn,
            mtu: attr.path_mtu_bytes,
            rnr_timer: RnrTimer::new(attr.min_rnr_timer),
            expected: Seq::start(attr.rq_psn),
            msn: Msn::ZERO,
            message: None,
            dropped_end: Seq::start(attr.rq_psn),
            is_refusing: false,
            replies: Replies::new(attr.max_dest_rd_atomic, attr.path_mtu_bytes),
            replay: Replay::new(usize::from(attr.max_dest_rd_atomic)),
        }
    }

    /// A request packet of any kind.
    pub(super) fn handle_request(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) {
        if self.replies.is_fatal() {
            cx.counters.stale_in += 1;
            return;
        }
        let seq = Seq::near(self.expected, packet.bth.psn);
        if cfg!(feature = "sabotage-early-ack") && seq > self.expected {
            self.expected = seq; // Deliberately broken: acknowledges what never arrived.
        }
        match seq.cmp(&self.expected) {
            Ordering::Equal => self.on_expected(cx, packet),
            Ordering::Less => self.on_duplicate(cx, seq, packet),
            Ordering::Greater => {
                cx.counters.out_of_order_in += 1;
                self.dropped_end = self.dropped_end.max(seq + 1);
                self.refuse_once(Syndrome::Nak(NakCode::PsnSequenceError));
            }
        }
    }

    /// One refusal per gap, then silence: the peer goes back on the first.
    fn refuse_once(&mut self, syndrome: Syndrome) {
        if !self.is_refusing {
            self.is_refusing = true;
            self.replies.owe_nak(self.expected, syndrome);
        }
    }

    fn on_expected(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) {
        self.is_refusing = false;
        let was_untold = self.replies.forget_nak();
        let seq = self.expected;
        match self.execute(cx, packet) {
            Ok(psns) => {
                self.expected = seq + psns;
                let opcode = packet.bth.opcode;
                self.msn = self.msn.advance(u32::from(opcode.ends_message()));
                if packet.bth.ack_req && is_acknowledged(opcode.operation()) {
                    self.replies.owe_ack(seq);
                }
                // The gap closed before the peer heard of it, but what came before its turn is lost.
                if was_untold && self.dropped_end > self.expected {
                    self.refuse_once(Syndrome::Nak(NakCode::PsnSequenceError));
                }
            }
            Err(Refusal::NotReady) => self.refuse_once(Syndrome::RnrNak(self.rnr_timer)),
            Err(Refusal::Nak(code, status)) => self.die(cx, code, status),
        }
    }

    fn die(&mut self, cx: &mut Cx<'_>, code: NakCode, status: WcStatus) {
        match code {
            NakCode::InvalidRequest => cx.counters.invalid_requests_in += 1,
            NakCode::RemoteAccess => cx.counters.access_errors_in += 1,
            NakCode::PsnSequenceError
            | NakCode::RemoteOperational
            | NakCode::InvalidRdRequest
            | NakCode::Other(_) => {}
        }
        if let Some(Message::Send { receive, .. }) = self.message.take() {
            cx.wcs.push(self.completion(receive.wr_id, status));
        }
        self.replies.owe_last_nak(self.expected, code);
    }

    /// Executes the expected packet; returns the PSNs that it takes.
    fn execute(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Result<u32, Refusal> {
        let opcode = packet.bth.opcode;
        if packet.pad_count != pad_count(packet.payload.len()) {
            return Err(INVALID);
        }
        if opcode.begins_message() && self.message.is_some() {
            return Err(INVALID);
        }
        match opcode.operation() {
            Operation::Send => self.on_send(cx, packet, opcode.position()),
            Operation::RdmaWrite => self.on_write(cx, packet, opcode.position()),
            Operation::RdmaReadRequest => self.on_read(cx, packet),
            Operation::CompareSwap | Operation::FetchAdd => self.on_atomic(cx, packet),
            Operation::Flush
            | Operation::AtomicWrite
            | Operation::RdmaReadResponse
            | Operation::Acknowledge
            | Operation::AtomicAcknowledge
            | Operation::DatagramSend
            | Operation::CongestionNotification
            | Operation::Native => Err(INVALID),
        }
    }

    /// First and middle packets carry one MTU; last ones 1 to it; only ones 0 to it.
    fn check_len(&self, position: Position, len: u32) -> Result<(), Refusal> {
        let fits = match position {
            Position::First | Position::Middle => len == self.mtu,
            Position::Last => (1..=self.mtu).contains(&len),
            Position::Only => len <= self.mtu,
        };
        if fits { Ok(()) } else { Err(INVALID) }
    }

    fn on_send(
        &mut self,
        cx: &mut Cx<'_>,
        packet: &Packet<'_>,
        position: Position,
    ) -> Result<u32, Refusal> {
        let len = u32::try_from(packet.payload.len()).map_err(|_| INVALID)?;
        self.check_len(position, len)?;
        if segment::starts(position) {
            let receive = cx.receives.take().ok_or(Refusal::NotReady)?;
            self.message = Some(Message::Send { receive, received: 0 });
        }
        let Some(Message::Send { receive, received }) = &mut self.message else {
            return Err(INVALID);
        };
        let total = received
            .checked_add(len)
            .filter(|&total| total <= MESSAGE_BYTES_MAX && u64::from(total) <= receive.capacity());
        let total = total.ok_or(Refusal::Nak(NakCode::InvalidRequest, WcStatus::LocLenErr))?;
        land(cx.memory, cx.place, &receive.sges, *received, packet.payload)
            .map_err(|_| Refusal::Nak(NakCode::RemoteOperational, WcStatus::LocProtErr))?;
        cx.counters.payload_bytes_in += u64::from(len);
        *received = total;
        if segment::ends(position) {
            self.finish_send(cx, packet, total)?;
        }
        Ok(1)
    }

    fn finish_send(
        &mut self,
        cx: &mut Cx<'_>,
        packet: &Packet<'_>,
        total: u32,
    ) -> Result<(), Refusal> {
        let invalidated = packet.ext.ieth.map(|ieth| Rkey(ieth.0));
        if let Some(rkey) = invalidated {
            cx.memory
                .invalidate(rkey)
                .map_err(|_| Refusal::Nak(NakCode::RemoteOperational, WcStatus::RemInvReqErr))?;
        }
        if let Some(Message::Send { receive, .. }) = self.message.take() {
            cx.wcs.push(Wc {
                byte_len: total,
                imm: immediate(packet),
                invalidated,
                solicited: packet.bth.solicited,
                ..self.completion(receive.wr_id, WcStatus::Success)
            });
        }
        Ok(())
    }

    fn on_write(
        &mut self,
        cx: &mut Cx<'_>,
        packet: &Packet<'_>,
        position: Position,
    ) -> Result<u32, Refusal> {
        let len = u32::try_from(packet.payload.len()).map_err(|_| INVALID)?;
        self.check_len(position, len)?;
        let write = self.write_of(cx, packet, position)?;
        let fits = if segment::ends(position) { len == write.rest } else { len < write.rest };
        if !fits {
            return Err(INVALID);
        }
        let immediate = immediate(packet);
        if immediate.is_some() && cx.receives.is_empty() {
            return Err(Refusal::NotReady);
        }
        if len > 0 {
            let span = cx.memory.remote(write.rkey, write.addr, len, Access::REMOTE_WRITE);
            cx.place.place(span.map_err(refusal_of)?, packet.payload);
        }
        cx.counters.payload_bytes_in += u64::from(len);
        let rest = write.rest - len;
        let addr = write.addr.wrapping_add(u64::from(len));
        let is_open = !segment::ends(position);
        self.message = is_open.then_some(Message::Write(Write { addr, rest, ..write }));
        if let (Some(imm), Some(receive)) = (immediate, immediate.and_then(|_| cx.receives.take()))
        {
            cx.wcs.push(Wc {
                opcode: WcOpcode::RecvRdmaWithImm,
                byte_len: write.total,
                imm: Some(imm),
                solicited: packet.bth.solicited,
                ..self.completion(receive.wr_id, WcStatus::Success)
            });
        }
        Ok(1)
    }

    /// The WRITE that the packet starts or continues.
    fn write_of(
        &self,
        cx: &Cx<'_>,
        packet: &Packet<'_>,
        position: Position,
    ) -> Result<Write, Refusal> {
        if !segment::starts(position) {
            return match self.message {
                Some(Message::Write(write)) => Ok(write),
                Some(Message::Send { .. }) | None => Err(INVALID),
            };
        }
        let reth = packet.ext.reth.ok_or(INVALID)?;
        let (rkey, addr, total) = (Rkey(reth.rkey), reth.addr, reth.len);
        if total > MESSAGE_BYTES_MAX {
            return Err(INVALID);
        }
        // The whole span, before the first octet is placed. An only packet's is checked there.
        if position == Position::First {
            cx.memory.remote(rkey, addr, total, Access::REMOTE_WRITE).map_err(refusal_of)?;
        }
        Ok(Write { rkey, addr, rest: total, total })
    }

    fn on_read(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Result<u32, Refusal> {
        let span = read_span(packet).ok_or(INVALID)?;
        if span.len > MESSAGE_BYTES_MAX || !self.replies.has_room() {
            return Err(INVALID);
        }
        if span.len > 0 {
            let open = cx.memory.remote(span.rkey, span.addr, span.len, Access::REMOTE_READ);
            open.map_err(refusal_of)?;
        }
        self.replay.save_read(self.expected, span);
        self.replies.push_read(self.expected, span);
        Ok(segment::packets(span.len, self.mtu))
    }

    fn on_atomic(&mut self, cx: &mut Cx<'_>, packet: &Packet<'_>) -> Result<u32, Refusal> {
        let atomic = packet.ext.atomic.ok_or(INVALID)?;
        if !self.replies.has_room() {
            return Err(INVALID);
        }
        let swaps = packet.bth.opcode.operation() == Operation::CompareSwap;
        let old = cx.memory.atomic(Rkey(atomic.rkey), atomic.addr, |old| match swaps {
            true if old == atomic.compare => atomic.swap_add,
            true => old,
            false => old.wrapping_add(atomic.swap_add),
        });
        let old = old.map_err(refusal_of)?;
        self.replay.save_atomic(self.expected, old);
        self.replies.push_atomic(self.expected, old);
        Ok(1)
    }

    /// Executed before. READs are read again, atomics' results sent again, the rest acknowledged
    /// again.
    fn on_duplicate(&mut self, cx: &mut Cx<'_>, seq: Seq, packet: &Packet<'_>) {
        cx.counters.duplicates_in += 1;
        let operation = packet.bth.opcode.operation();
        if is_acknowledged(operation) {
            self.replies.owe_ack(self.expected.previous());
        } else if operation == Operation::RdmaReadRequest {
            let known = |span: &ReadSpan| self.replay.knows_read(seq, *span, self.mtu);
            if let Some(span) = read_span(packet).filter(known) {
                self.replies.replay_read(seq, span);
            }
        } else if let Some(old) = self.replay.atomic(seq) {
            self.replies.replay_atomic(seq, old);
        }
    }

    /// The receive under way is flushed, and nothing more is said.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>) {
        if let Some(Message::Send { receive, .. }) = self.message.take() {
            cx.wcs.push(self.completion(receive.wr_id, WcStatus::WrFlushErr));
        }
        self.replies.clear();
    }

    /// A receive's completion.
    pub(super) fn completion(&self, wr_id: u64, status: WcStatus) -> Wc {
        Wc { wr_id, status, opcode: WcOpcode::Recv, qp: self.qpn, ..Wc::default() }
    }
}

/// Answered by an acknowledgement, not by a response of its own.
fn is_acknowledged(operation: Operation) -> bool {
    matches!(operation, Operation::Send | Operation::RdmaWrite)
}

fn read_span(packet: &Packet<'_>) -> Option<ReadSpan> {
    let reth = packet.ext.reth?;
    Some(ReadSpan { rkey: Rkey(reth.rkey), addr: reth.addr, len: reth.len })
}

/// Immediate data as a number; the wire has it big endian.
fn immediate(packet: &Packet<'_>) -> Option<u32> {
    packet.ext.imm.map(|imm| u32::from_be_bytes(imm.0))
}

/// Whose fault a failed key is: the peer's.
fn refusal_of(error: AccessError) -> Refusal {
    match error {
        AccessError::Misaligned => INVALID,
        AccessError::BadKey | AccessError::OutOfBounds | AccessError::Denied => {
            Refusal::Nak(NakCode::RemoteAccess, WcStatus::LocAccessErr)
        }
    }
}
