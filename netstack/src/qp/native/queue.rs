//! The send queue: work requests from post to completion, in order.

use std::collections::VecDeque;
use verbs::{PostError, QpCaps, QpNum, SendOp, SendWr, Wc, WcOpcode, WcStatus};

/// Longest message. Source: IBTA 1.4, "Message size": 2^31 octets.
const MESSAGE_MAX: u64 = 1 << 31;

/// One posted work request.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wr: SendWr,
    /// Octets of its message.
    pub(super) len: u32,
    /// READ and atomic: number among this side's requests. Messages that take a receive: number
    /// among those.
    pub(super) msn: u32,
    /// Beyond its last packet, once all of it was cut into packets.
    end: Option<u64>,
    /// READ and atomic: the answer has arrived, in order.
    answered: bool,
    /// READ: octets of the answer that were delivered.
    pub(super) landed: u32,
}

/// A READ or an atomic: needs an answer.
pub(super) fn wants_answer(op: SendOp) -> bool {
    match op {
        SendOp::RdmaRead(_) | SendOp::CompareSwap { .. } | SendOp::FetchAdd { .. } => true,
        SendOp::Send
        | SendOp::SendWithImm(_)
        | SendOp::SendWithInv(_)
        | SendOp::RdmaWrite(_)
        | SendOp::RdmaWriteWithImm(..)
        | SendOp::LocalInv(_) => false,
    }
}

/// A SEND of any kind.
pub(super) fn is_send(op: SendOp) -> bool {
    matches!(op, SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_))
}

fn opcode(op: SendOp) -> WcOpcode {
    match op {
        SendOp::Send | SendOp::SendWithImm(_) | SendOp::SendWithInv(_) => WcOpcode::Send,
        SendOp::RdmaWrite(_) | SendOp::RdmaWriteWithImm(..) => WcOpcode::RdmaWrite,
        SendOp::RdmaRead(_) => WcOpcode::RdmaRead,
        SendOp::CompareSwap { .. } => WcOpcode::CompSwap,
        SendOp::FetchAdd { .. } => WcOpcode::FetchAdd,
        SendOp::LocalInv(_) => WcOpcode::LocalInv,
    }
}

impl Work {
    /// Its completion. The queue pair number is the caller's to add.
    pub(super) fn completion(&self, status: WcStatus) -> Wc {
        let landed = wants_answer(self.wr.op) && status == WcStatus::Success;
        Wc {
            wr_id: self.wr.wr_id,
            status,
            opcode: opcode(self.wr.op),
            byte_len: if landed { self.len } else { 0 },
            ..Wc::default()
        }
    }
    fn is_done(&self, una: u64) -> bool {
        self.end.is_some_and(|end| end <= una) && (self.answered || !wants_answer(self.wr.op))
    }
}

/// Work requests by sequence number, the oldest at `base`; those from `cursor` on are not yet
/// (wholly) cut into packets.
#[derive(Debug)]
pub(super) struct Queue {
    works: VecDeque<Work>,
    base: u64,
    cursor: u64,
    /// Octets of the work at the cursor that were cut already.
    offset: u32,
    caps: QpCaps,
    reads_max: u32,
    /// READs and atomics whose answer is due.
    reads_out: u32,
    /// Numbers given to messages that take a receive, and to READs and atomics.
    next_receive: u32,
    next_read: u32,
    /// Work whose local memory is not reachable: fails once it is the oldest.
    broken: Option<u64>,
}

impl Queue {
    pub(super) fn new(caps: QpCaps, reads_max: u8) -> Queue {
        Queue {
            works: VecDeque::with_capacity(caps.max_send_wr as usize),
            base: 0,
            cursor: 0,
            offset: 0,
            caps,
            reads_max: u32::from(reads_max),
            reads_out: 0,
            next_receive: 0,
            next_read: 0,
            broken: None,
        }
    }

    /// Adds one at the end. Errors: `Full`, `Malformed`: the caller's fault, nothing happened.
    pub(super) fn post(&mut self, wr: SendWr) -> Result<(), PostError> {
        if self.works.len() >= self.caps.max_send_wr as usize {
            return Err(PostError::Full);
        }
        let (len, sges) = (wr.len(), wr.sges.len());
        let fits = sges <= self.caps.max_send_sge as usize && len <= MESSAGE_MAX;
        let shape = match wr.op {
            SendOp::CompareSwap { .. } | SendOp::FetchAdd { .. } => {
                len == 8 && sges == 1 && self.reads_max > 0
            }
            SendOp::RdmaRead(_) => self.reads_max > 0,
            SendOp::LocalInv(_) => sges == 0,
            SendOp::Send
            | SendOp::SendWithImm(_)
            | SendOp::SendWithInv(_)
            | SendOp::RdmaWrite(_)
            | SendOp::RdmaWriteWithImm(..) => true,
        };
        let Some(len) = u32::try_from(len).ok().filter(|_| fits && shape) else {
            return Err(PostError::Malformed);
        };
        let msn = self.number(wr.op);
        self.works.push_back(Work { wr, len, msn, end: None, answered: false, landed: 0 });
        Ok(())
    }

    /// Messages that take a receive count apart from READs and atomics; 24 bits of both travel.
    fn number(&mut self, op: SendOp) -> u32 {
        let counter = if wants_answer(op) {
            &mut self.next_read
        } else if is_send(op) || matches!(op, SendOp::RdmaWriteWithImm(..)) {
            &mut self.next_receive
        } else {
            return 0;
        };
        let msn = *counter;
        *counter = (msn + 1) & 0xff_ffff;
        msn
    }

    /// Asks the cache for the oldest work.
    #[inline]
    pub(super) fn prefetch(&self) {
        memory::prefetch_value(self.works.as_slices().0.as_ptr());
    }
    pub(super) fn is_empty(&self) -> bool {
        self.works.is_empty()
    }
    pub(super) fn reads_out(&self) -> u32 {
        self.reads_out
    }
    /// The work of that sequence number, if it is still in the queue.
    pub(super) fn get(&self, seq: u64) -> Option<&Work> {
        self.works.get(index(seq.checked_sub(self.base)?))
    }
    /// The work at the cursor with its sequence number and the octets already cut, if it may start.
    pub(super) fn current(&self) -> Option<(u64, &Work, u32)> {
        let work = self.works.get(index(self.cursor - self.base))?;
        self.may_start(work).then_some((self.cursor, work, self.offset))
    }
    /// The work after the cursor, if it may start as well.
    pub(super) fn after_current(&self) -> Option<&Work> {
        let work = self.works.get(index(self.cursor - self.base) + 1)?;
        self.may_start(work).then_some(work)
    }
    fn may_start(&self, work: &Work) -> bool {
        let fenced = work.wr.flags.fence && self.reads_out > 0;
        let deep = wants_answer(work.wr.op) && self.reads_out >= self.reads_max;
        let local = matches!(work.wr.op, SendOp::LocalInv(_));
        !(fenced || deep || local || self.broken.is_some())
    }

    /// `len` more octets of the current work were cut into packet `psn`. `last`: nothing of it is
    /// left; `fused`: the following work went along.
    pub(super) fn advance(&mut self, psn: u64, len: u32, last: bool, fused: bool) {
        self.offset += len;
        if !last {
            return;
        }
        for _ in 0..=u32::from(fused) {
            let work = &mut self.works[index(self.cursor - self.base)];
            work.end = Some(psn + 1);
            self.reads_out += u32::from(wants_answer(work.wr.op));
            self.cursor += 1;
        }
        self.offset = 0;
    }

    /// `len` octets of the answer to that READ or atomic were delivered; `last`: all of them.
    pub(super) fn answer(&mut self, seq: u64, len: u32, last: bool) {
        let work = &mut self.works[index(seq - self.base)];
        work.landed += len;
        if last {
            assert!(!work.answered, "one answer per request");
            work.answered = true;
            self.reads_out -= 1;
        }
    }

    /// The work's local memory turned out unreachable: nothing after it starts, and it fails as
    /// soon as everything before it is done.
    pub(super) fn break_at(&mut self, seq: u64) {
        self.broken = Some(self.broken.map_or(seq, |at| at.min(seq)));
    }
    /// The oldest work is the broken one.
    pub(super) fn is_broken(&self) -> bool {
        self.broken == Some(self.base) && !self.works.is_empty()
    }

    /// The local key to invalidate now, if a local invalidate is the oldest work.
    pub(super) fn due_invalidate(&self) -> Option<verbs::Rkey> {
        match self.works.front()?.wr.op {
            SendOp::LocalInv(rkey) => Some(rkey),
            SendOp::Send
            | SendOp::SendWithImm(_)
            | SendOp::SendWithInv(_)
            | SendOp::RdmaWrite(_)
            | SendOp::RdmaWriteWithImm(..)
            | SendOp::RdmaRead(_)
            | SendOp::CompareSwap { .. }
            | SendOp::FetchAdd { .. } => None,
        }
    }
    /// Takes the oldest while all their packets are before `una` and their answers are there, and
    /// tells of those that want it.
    pub(super) fn complete(&mut self, una: u64, qp: QpNum, wcs: &mut Vec<Wc>) {
        while let Some(work) = self.works.front()
            && work.is_done(una)
            && self.broken != Some(self.base)
        {
            if work.wr.flags.signaled {
                wcs.push(Wc { qp, ..work.completion(WcStatus::Success) });
            }
            self.drop_oldest();
        }
    }
    fn drop_oldest(&mut self) {
        self.works.pop_front();
        self.move_base();
    }
    /// Takes the oldest, done or not.
    pub(super) fn pop(&mut self) -> Option<Work> {
        let work = self.works.pop_front()?;
        self.move_base();
        Some(work)
    }
    fn move_base(&mut self) {
        self.base += 1;
        if self.cursor < self.base {
            (self.cursor, self.offset) = (self.base, 0);
        }
        if self.works.is_empty() {
            // From the front of its memory again: the lines that were used last.
            self.works.clear();
        }
    }
}

fn index(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}
