//! Delivery in order: what others can see (completions, invalidation, atomics, answers) happens in the
//! order of the packets, whose payload [`super::place`] placed as they arrived.

use super::NativeMachine;
use super::fault::Fault;
use super::place::Unplaced;
use super::psn::WINDOW;
use super::reads::Answered;
use super::receiver::{Arrival, Early};
use crate::qp::Cx;
use memory::{Access, AccessError, Rkey};
use std::collections::VecDeque;
use verbs::{ReceiveQueue, RecvWr, Wc, WcOpcode, WcStatus};
use wire::roce::Opcode;
use wire::roce::native::{AtomicOp, NativeFlags, NativeHeader};

/// Receives that were taken for messages whose turn has not come, by number.
#[derive(Debug)]
pub(super) struct Inbound {
    taken: VecDeque<RecvWr>,
    /// Number of the message that takes the next receive, 24 bits.
    base: u32,
    /// Octets of the current message that were delivered.
    progress: u32,
}

impl Inbound {
    pub(super) fn new() -> Inbound {
        Inbound { taken: VecDeque::with_capacity(4), base: 0, progress: 0 }
    }
    /// Asks the cache for the next receive.
    #[inline]
    pub(super) fn prefetch(&self) {
        memory::prefetch_value(self.taken.as_slices().0.as_ptr());
    }
    /// The receive of message `msn`, taken from `receives` with all before it.
    pub(super) fn receive(
        &mut self,
        receives: &mut ReceiveQueue,
        msn: u32,
    ) -> Result<&RecvWr, Unplaced> {
        let steps = msn.wrapping_sub(self.base) & 0xff_ffff;
        if u64::from(steps) >= WINDOW {
            return Err(Fault::Invalid.into());
        }
        let steps = steps as usize;
        while self.taken.len() <= steps {
            self.taken.push_back(receives.take().ok_or(Unplaced::NotReady)?);
        }
        Ok(&self.taken[steps])
    }
    /// The receive of the message whose turn it is.
    pub(super) fn pop(&mut self) -> Option<RecvWr> {
        let wr = self.taken.pop_front()?;
        if self.taken.is_empty() {
            // From the front of its memory again: the line that was used last.
            self.taken.clear();
        }
        self.base = (self.base + 1) & 0xff_ffff;
        Some(wr)
    }
}

impl NativeMachine {
    /// A data packet: place it, then deliver all whose turn it is.
    pub(super) fn on_data(&mut self, cx: &mut Cx<'_>, header: &NativeHeader, payload: &[u8]) {
        let now = self.clock.us(cx.now);
        let (psn, arrival) = self.receiver.classify(header.bth.psn);
        match arrival {
            Arrival::Duplicate => {
                cx.counters.duplicates_in += 1;
                return self.receiver.ask();
            }
            Arrival::Beyond => {
                cx.counters.stale_in += 1;
                return;
            }
            Arrival::Next | Arrival::Early => {}
        }
        if self.poison.is_some() {
            return;
        }
        // Deliberately broken in that build: acknowledges what was not placed.
        let skips = cfg!(feature = "sabotage-early-ack") && arrival == Arrival::Early;
        let placed = if skips { Ok(()) } else { self.place(cx, psn, header, payload) };
        let fault = match placed {
            Ok(()) => None,
            Err(Unplaced::Fault(fault)) => Some(fault),
            Err(Unplaced::NotReady) => return self.receiver.refuse(psn),
        };
        cx.counters.payload_bytes_in += payload.len() as u64;
        self.receiver.owe(now, payload.len(), header.bth.ack_req);
        let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if arrival == Arrival::Early {
            cx.counters.out_of_order_in += 1;
            let header = *header;
            return self.receiver.keep(psn, Early { header, payload_len, fault });
        }
        if !self.deliver_or_poison(cx, header, payload_len, fault) {
            return;
        }
        while let Some(early) = self.receiver.take_next() {
            if !self.deliver_or_poison(cx, &early.header, early.payload_len, early.fault) {
                return;
            }
        }
    }

    /// False: the stream ends at this packet.
    fn deliver_or_poison(
        &mut self,
        cx: &mut Cx<'_>,
        header: &NativeHeader,
        payload_len: u32,
        fault: Option<Fault>,
    ) -> bool {
        let outcome = fault.map_or_else(|| self.deliver(cx, header, payload_len), Err);
        match outcome {
            Ok(()) => self.receiver.step(),
            Err(fault) => self.on_fault(cx, fault),
        }
        outcome.is_ok()
    }

    /// The packet's turn has come, and it was placed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other opcodes are all refused")]
    fn deliver(&mut self, cx: &mut Cx<'_>, h: &NativeHeader, len: u32) -> Result<(), Fault> {
        match h.bth.opcode {
            Opcode::NativeSend | Opcode::NativeWrite => self.deliver_message(cx, h, len),
            Opcode::NativeReadRequest => self.deliver_read(cx, h),
            Opcode::NativeAtomicRequest => self.deliver_atomic(cx, h),
            Opcode::NativeReadResponse => self.deliver_answer(h, len),
            Opcode::NativeAtomicResponse => self.deliver_answer(h, 8),
            _ => Err(Fault::Invalid),
        }
    }

    fn deliver_message(
        &mut self,
        cx: &mut Cx<'_>,
        h: &NativeHeader,
        len: u32,
    ) -> Result<(), Fault> {
        let send = h.bth.opcode == Opcode::NativeSend;
        let done = self.inbound.progress.checked_add(len).ok_or(Fault::Invalid)?;
        let last = h.flags.contains(NativeFlags::LAST);
        let first = self.inbound.progress == 0;
        let starts = h.flags.contains(NativeFlags::FIRST) == first;
        let placed_in_order = !send || h.addr == u64::from(self.inbound.progress);
        let ends = if last { done == h.message_len } else { done < h.message_len && len > 0 };
        if !(starts && ends && placed_in_order) {
            return Err(Fault::Invalid);
        }
        self.inbound.progress = if last { 0 } else { done };
        if !last {
            return Ok(());
        }
        if h.flags.contains(NativeFlags::IMMEDIATE_MESSAGE) {
            let len = u32::try_from(h.tail.as_slice().len()).map_err(|_| Fault::Invalid)?;
            self.complete_receive(cx, h, WcOpcode::Recv, len)
        } else if send {
            self.complete_receive(cx, h, WcOpcode::Recv, done)
        } else if h.flags.contains(NativeFlags::IMMEDIATE_DATA) {
            self.complete_receive(cx, h, WcOpcode::RecvRdmaWithImm, done)
        } else {
            Ok(())
        }
    }

    fn complete_receive(
        &mut self,
        cx: &mut Cx<'_>,
        h: &NativeHeader,
        opcode: WcOpcode,
        byte_len: u32,
    ) -> Result<(), Fault> {
        if h.msn.get() != self.inbound.base {
            return Err(Fault::Invalid);
        }
        let invalidated = h.flags.contains(NativeFlags::INVALIDATE).then_some(Rkey(h.invalidate));
        if let Some(rkey) = invalidated {
            cx.memory.invalidate(rkey).map_err(|_| Fault::Invalidate)?;
        }
        let wr = self.inbound.pop().ok_or(Fault::Invalid)?;
        let imm = h.flags.contains(NativeFlags::IMMEDIATE_DATA);
        cx.wcs.push(Wc {
            wr_id: wr.wr_id,
            status: WcStatus::Success,
            opcode,
            byte_len,
            qp: self.qpn,
            imm: imm.then(|| u32::from_be_bytes(h.immediate.0)),
            invalidated,
            solicited: h.flags.contains(NativeFlags::SOLICITED),
        });
        Ok(())
    }

    fn deliver_read(&mut self, cx: &mut Cx<'_>, h: &NativeHeader) -> Result<(), Fault> {
        if self.answers.is_full() || h.message_len > 1 << 31 {
            return Err(Fault::Invalid);
        }
        let (addr, rkey) = (h.addr, Rkey(h.rkey));
        if h.message_len > 0 {
            let span = cx.memory.remote(rkey, addr, h.message_len, Access::REMOTE_READ);
            span.map_err(|_| Fault::Access)?;
        }
        self.answers.push(Answered::Read { addr, rkey }, h.msn.get(), h.message_len);
        Ok(())
    }

    fn deliver_atomic(&mut self, cx: &mut Cx<'_>, h: &NativeHeader) -> Result<(), Fault> {
        if self.answers.is_full() {
            return Err(Fault::Invalid);
        }
        let (operand, compare) = h.tail.operands();
        let atomic = h.atomic.ok_or(Fault::Invalid)?;
        let change = |old: u64| match atomic {
            AtomicOp::FetchAdd => old.wrapping_add(operand),
            AtomicOp::CompareSwap if old == compare => operand,
            AtomicOp::CompareSwap => old,
        };
        let original = cx.memory.atomic(Rkey(h.rkey), h.addr, change).map_err(|e| match e {
            AccessError::Misaligned => Fault::Invalid,
            AccessError::BadKey | AccessError::OutOfBounds | AccessError::Denied => Fault::Access,
        })?;
        self.answers.push(Answered::Atomic { original }, h.msn.get(), 8);
        Ok(())
    }

    fn deliver_answer(&mut self, h: &NativeHeader, len: u32) -> Result<(), Fault> {
        let seq = self.asked.oldest(h.msn.get()).ok_or(Fault::BadAnswer)?;
        let work = self.queue.get(seq).ok_or(Fault::BadAnswer)?;
        let done = work.landed.checked_add(len).ok_or(Fault::BadAnswer)?;
        let last = h.flags.contains(NativeFlags::LAST);
        if h.addr != u64::from(work.landed) || last != (done == work.len) || (len == 0 && !last) {
            return Err(Fault::BadAnswer);
        }
        self.queue.answer(seq, len, last);
        if last {
            self.asked.pop();
        }
        Ok(())
    }
}
