//! Cutting work requests and answers into packets, and making a packet again when it is lost.
//!
//! A packet's header is made of the work request, the octets that it covers, and its number:
//! nothing is stored per packet but [`super::sender::Sent`].

use super::NativeMachine;
use super::clock::Clock;
use super::psn;
use super::queue::{Work, is_send, wants_answer};
use super::reads::{Answer, Answered};
use super::sender::Source;
use crate::link::{Transmit, TxBatch};
use crate::qp::Cx;
use memory::{Access, Lkey, Registry, Sge, Stage};
use verbs::{SendOp, SgeList};
use wire::roce::native::{AtomicOp, NativeFlags, NativeHeader, Tail};
use wire::roce::{ImmDt, Msn, Opcode, Psn};

/// Payload octets that a SEND's packet may have beyond the path MTU: a command capsule and a block
/// of 4,096 octets travel as one packet.
const CAPSULE: u32 = 64;

/// A piece of a message, as one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) source: Source,
    pub(super) offset: u32,
    pub(super) len: u32,
    /// Nothing is left of the message.
    pub(super) last: bool,
    /// The following work request rides along as the immediate message.
    pub(super) fused: bool,
}

/// A message that fits a header.
fn is_immediate(work: &Work) -> bool {
    is_send(work.wr.op) && work.len as usize <= Tail::CAPACITY
}

impl NativeMachine {
    /// The next new packet, if there is anything to say.
    pub(super) fn next_piece(&self) -> Option<Piece> {
        let answer = self.answers.current().map(|(seq, answer, offset)| {
            let len = self.mtu.min(answer.len - offset);
            let len = if matches!(answer.what, Answered::Atomic { .. }) { 0 } else { len };
            let last = len == answer.len - offset || matches!(answer.what, Answered::Atomic { .. });
            Piece { source: Source::Answer(seq), offset, len, last, fused: false }
        });
        let work = || self.queue.current().map(|(seq, work, offset)| self.piece(seq, work, offset));
        if self.turn < TURN { answer.or_else(work) } else { work().or(answer) }
    }

    fn piece(&self, seq: u64, work: &Work, offset: u32) -> Piece {
        let source = Source::Work(seq);
        if wants_answer(work.wr.op) || is_immediate(work) {
            return Piece { source, offset: 0, len: 0, last: true, fused: false };
        }
        let most = if is_send(work.wr.op) { self.mtu + CAPSULE } else { self.mtu };
        let len = most.min(work.len - offset);
        let last = len == work.len - offset;
        let fused = last
            && matches!(work.wr.op, SendOp::RdmaWrite(_))
            && self.queue.after_current().is_some_and(is_immediate);
        Piece { source, offset, len, last, fused }
    }

    /// Gives the piece a number and moves the cursors on.
    pub(super) fn commit(&mut self, now: u64, piece: &Piece) -> u64 {
        let psn = self.sender.push(now, piece.source, piece.offset, piece.len, piece.fused);
        match piece.source {
            Source::Work(seq) => {
                let asks = self.queue.get(seq).is_some_and(|work| wants_answer(work.wr.op));
                if asks {
                    self.asked.push(seq);
                }
                self.queue.advance(psn, piece.len, piece.last, piece.fused);
                self.turn = if self.turn < TURN { TURN } else { self.turn + 1 };
                if self.turn >= 2 * TURN {
                    self.turn = 0;
                }
            }
            Source::Answer(_) => {
                self.answers.advance(psn, piece.len, piece.last);
                self.turn = if self.turn >= TURN { 0 } else { self.turn + 1 };
            }
        }
        psn
    }

    /// Makes the packet and appends it to `out`. `Err`: the local memory that it covers is not
    /// reachable any more; nothing was appended.
    pub(super) fn emit(
        &mut self,
        cx: &mut Cx<'_>,
        out: &mut TxBatch,
        psn: u64,
        piece: &Piece,
        ack_req: bool,
    ) -> Result<(), ()> {
        let mut header = self.header(cx, psn);
        header.bth.ack_req = ack_req;
        let first = NativeFlags::NONE.with_if(NativeFlags::FIRST, piece.offset == 0);
        let flags = first.with_if(NativeFlags::LAST, piece.last);
        header.flags = header.flags | flags;
        let payload = match piece.source {
            Source::Work(seq) => {
                let work = self.queue.get(seq).ok_or(())?;
                describe(&mut header, work, piece, cx.memory)?;
                if piece.fused {
                    let next = self.queue.get(seq + 1).ok_or(())?;
                    describe_message(&mut header, next, cx.memory)?;
                }
                let gathers = !wants_answer(work.wr.op) && !is_immediate(work);
                if gathers {
                    gather(&work.wr.sges, piece.offset, piece.len)
                } else {
                    SgeList::new()
                }
            }
            Source::Answer(seq) => {
                describe_answer(&mut header, self.answers.get(seq).ok_or(())?, piece)
            }
        };
        for &sge in &payload {
            let span = cx.memory.local(sge, Access::LOCAL_READ).map_err(|_| ())?;
            if piece.last && piece.offset == 0 {
                span.prefetch_stage(Stage::Cut);
            }
        }
        cx.counters.packets_out += 1;
        cx.counters.payload_bytes_out += u64::from(piece.len);
        self.receiver.on_piggyback();
        let header = header.emit();
        out.push(Transmit { to: self.dest, header, payload, pad: 0, trailer: self.trailer });
        Ok(())
    }

    /// What is the same in all packets of now; the opcode is the caller's to set.
    pub(super) fn header(&mut self, cx: &Cx<'_>, psn: u64) -> NativeHeader {
        let now = self.clock.us(cx.now);
        let psn = Psn::new(psn::on_wire(psn));
        let mut header = NativeHeader::new(Opcode::NativeProbe, self.dest_qp, psn);
        header.flags = NativeFlags::ACK_VALID;
        header.ecn_count = self.receiver.marks();
        header.ack_psn = Psn::new(psn::on_wire(self.receiver.expected()));
        header.timestamp_us = Clock::stamp(now);
        header.echo_us = self.receiver.take_echo(now);
        header
    }
}

/// Packets that one of answers and own work may send in a row while the other waits.
pub(super) const TURN: u8 = 16;

fn describe(h: &mut NativeHeader, work: &Work, piece: &Piece, memory: &Registry) -> Result<(), ()> {
    h.message_len = work.len;
    h.msn = Msn::new(work.msn);
    match work.wr.op {
        SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_) => {
            h.bth.opcode = Opcode::NativeSend;
            if is_immediate(work) {
                h.message_len = 0;
                return describe_message(h, work, memory);
            }
            h.addr = u64::from(piece.offset);
            operands(h, work);
        }
        SendOp::RdmaWrite(remote) | SendOp::RdmaWriteWithImm(remote, _) => {
            h.bth.opcode = Opcode::NativeWrite;
            h.addr = remote.addr.wrapping_add(u64::from(piece.offset));
            h.rkey = remote.rkey.0;
            if piece.last {
                operands(h, work);
            }
        }
        SendOp::RdmaRead(remote) => {
            h.bth.opcode = Opcode::NativeReadRequest;
            (h.addr, h.rkey) = (remote.addr, remote.rkey.0);
        }
        SendOp::CompareSwap { remote, compare, swap } => {
            h.bth.opcode = Opcode::NativeAtomicRequest;
            (h.addr, h.rkey) = (remote.addr, remote.rkey.0);
            h.atomic = Some(AtomicOp::CompareSwap);
            h.tail = Tail::from_operands(swap, compare);
        }
        SendOp::FetchAdd { remote, add } => {
            h.bth.opcode = Opcode::NativeAtomicRequest;
            (h.addr, h.rkey) = (remote.addr, remote.rkey.0);
            h.tail = Tail::from_operands(add, 0);
            h.atomic = Some(AtomicOp::FetchAdd);
        }
        SendOp::LocalInv(_) => return Err(()),
    }
    Ok(())
}

/// A message of up to 16 octets into the header. Like immediate data these are control octets:
/// the one place where the transport reads what it sends.
fn describe_message(h: &mut NativeHeader, work: &Work, memory: &Registry) -> Result<(), ()> {
    let mut octets = [0; Tail::CAPACITY];
    let mut at = 0;
    for &sge in &work.wr.sges {
        let span = memory.local(sge, Access::LOCAL_READ).map_err(|_| ())?;
        span.read(octets.get_mut(at..at + span.len()).ok_or(())?);
        at += span.len();
    }
    h.tail = Tail::new(octets.get(..at).ok_or(())?).ok_or(())?;
    h.msn = Msn::new(work.msn);
    h.flags = h.flags | NativeFlags::IMMEDIATE_MESSAGE;
    operands(h, work);
    Ok(())
}

/// Immediate data, the key to invalidate, and the solicited bit.
fn operands(h: &mut NativeHeader, work: &Work) {
    h.flags = h.flags.with_if(NativeFlags::SOLICITED, work.wr.flags.solicited);
    match work.wr.op {
        SendOp::SendWithImm(imm) | SendOp::RdmaWriteWithImm(_, imm) => {
            h.immediate = ImmDt(imm.to_be_bytes());
            h.flags = h.flags | NativeFlags::IMMEDIATE_DATA;
        }
        SendOp::SendWithInv(rkey) => {
            h.invalidate = rkey.0;
            h.flags = h.flags | NativeFlags::INVALIDATE;
        }
        SendOp::Send
        | SendOp::RdmaWrite(_)
        | SendOp::RdmaRead(_)
        | SendOp::CompareSwap { .. }
        | SendOp::FetchAdd { .. }
        | SendOp::LocalInv(_) => {}
    }
}

fn describe_answer(h: &mut NativeHeader, answer: &Answer, piece: &Piece) -> SgeList {
    h.msn = Msn::new(answer.msn);
    h.message_len = answer.len;
    match answer.what {
        Answered::Read { addr, rkey } => {
            h.bth.opcode = Opcode::NativeReadResponse;
            h.addr = u64::from(piece.offset);
            if piece.len == 0 {
                return SgeList::new();
            }
            // One registration has one key: what the peer names is what the link gathers by.
            let addr = addr.wrapping_add(h.addr);
            SgeList::from_slice(&[Sge { addr, length: piece.len, lkey: Lkey(rkey.0) }])
        }
        Answered::Atomic { original } => {
            h.bth.opcode = Opcode::NativeAtomicResponse;
            h.tail = Tail::from_operands(original, 0);
            SgeList::new()
        }
    }
}

/// The elements that cover `len` octets from `offset` on.
fn gather(sges: &SgeList, offset: u32, len: u32) -> SgeList {
    let (mut skip, mut rest) = (offset, len);
    let mut list = SgeList::new();
    for &sge in sges {
        if rest == 0 {
            break;
        }
        if skip >= sge.length {
            skip -= sge.length;
            continue;
        }
        let piece = sge.slice(skip, rest);
        (skip, rest) = (0, rest - piece.length);
        list.push(piece);
    }
    list
}
