//! Completion queues and shared receive queues, and the places reserved in them.
//!
//! A completion queue cannot overrun: each queue pair reserves twice what it can hold, and posts no
//! more while so many of its completions wait to be polled. (Once is for work that is outstanding,
//! once for completions that wait: between two polls, each post moves one from the first to the
//! second at most.)

use super::{DEFAULT_CQ, Endpoint};
use verbs::{Cq, CqId, PostError, QpNum, ReceiveQueue, RecvWr, SrqId, Wc, WcOpcode};

/// A completion queue and what is promised of it.
pub(super) struct CqState {
    queue: Cq,
    reserved: usize,
}

/// A shared receive queue.
pub(super) struct SrqState {
    pub(super) queue: ReceiveQueue,
    capacity: u32,
    /// Posted, and not polled as completions yet.
    owed: u32,
    /// Its queue pairs' receive completions all go there.
    cq: Option<CqId>,
    pub(super) users: u32,
}

impl CqState {
    pub(super) fn new(capacity: usize) -> CqState {
        CqState { queue: Cq::new(capacity), reserved: 0 }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.reserved == 0
    }
    fn reserve(&mut self, places: u32) -> bool {
        let reserved = self.reserved + places as usize;
        let fits = reserved <= self.queue.capacity();
        if fits {
            self.reserved = reserved;
        }
        fits
    }
    fn release(&mut self, places: u32) {
        let left = self.reserved.checked_sub(places as usize);
        self.reserved = left.expect("released what was reserved");
    }
}

/// Places for queues of `depth`.
fn places(depth: u32) -> u32 {
    depth.saturating_mul(2)
}

pub(super) fn srq_queue(srqs: &mut [Option<SrqState>], srq: SrqId) -> Option<&mut ReceiveQueue> {
    let state = srqs.get_mut(srq.0 as usize)?.as_mut()?;
    Some(&mut state.queue)
}

impl Endpoint {
    /// Takes completions of connections made by `connect` and `accept`, oldest first, and appends
    /// them to `into`.
    pub fn poll_wc(&mut self, into: &mut Vec<Wc>) {
        into.extend(std::iter::from_fn(|| self.next_wc()));
    }

    /// The oldest of these completions.
    #[inline]
    pub fn next_wc(&mut self) -> Option<Wc> {
        self.poll_one(DEFAULT_CQ)
    }

    /// Takes up to `max` completions of a completion queue. Returns how many.
    pub fn poll_cq(&mut self, cq: CqId, max: usize, into: &mut Vec<Wc>) -> usize {
        let before = into.len();
        into.extend(std::iter::from_fn(|| self.poll_one(cq)).take(max));
        into.len() - before
    }

    #[inline]
    fn poll_one(&mut self, cq: CqId) -> Option<Wc> {
        let wc = self.cqs.get_mut(cq.0 as usize)?.as_mut()?.queue.poll()?;
        if let Some(qp) = self.qps.get_mut(wc.qp.get()) {
            qp.unpolled -= 1;
            let srq = qp.srq;
            if !is_receive(&wc) {
                qp.sends_unpolled -= 1;
            } else if let Some(state) = srq.and_then(|srq| self.srqs.get_mut(srq.0 as usize)) {
                let state = state.as_mut().expect("a queue pair uses it");
                state.owed -= 1;
            } else {
                qp.receives_owed -= 1;
            }
        }
        Some(wc)
    }

    /// Moves what a machine completed to its completion queues.
    pub(super) fn route_completions(&mut self, key: u32) {
        let Some(qp) = self.qps.get_mut(key) else { return self.wcs.clear() };
        for wc in self.wcs.drain(..) {
            let cq = if is_receive(&wc) { qp.recv_cq } else { qp.send_cq };
            let state = self.cqs.get_mut(cq.0 as usize).and_then(Option::as_mut);
            let state = state.expect("a completion queue lives as long as its queue pairs");
            qp.unpolled += 1;
            qp.sends_unpolled += u32::from(!is_receive(&wc));
            state.queue.push(wc);
        }
    }

    /// Reserves the places of a queue pair. False, and nothing reserved, when there are too few.
    pub(super) fn reserve(&mut self, key: u32) -> bool {
        let Some(qp) = self.qps.get(key) else { return false };
        let (send, recv) = (places(qp.caps.max_send_wr), places(qp.caps.max_recv_wr));
        let (send_cq, recv_cq, srq) = (qp.send_cq, qp.recv_cq, qp.srq);
        if !self.cq_mut(send_cq).is_some_and(|cq| cq.reserve(send)) {
            return false;
        }
        let fits = match srq {
            None => self.cq_mut(recv_cq).is_some_and(|cq| cq.reserve(recv)),
            Some(srq) => self.attach(srq, recv_cq),
        };
        if !fits && let Some(cq) = self.cq_mut(send_cq) {
            cq.release(send);
        }
        fits
    }

    /// Gives the places of a queue pair back. Its completions may still wait: nobody else's places
    /// are counted with them, since a queue pair is destroyed only when they were polled or purged.
    pub(super) fn unreserve(&mut self, key: u32) {
        let Some(qp) = self.qps.get(key) else { return };
        let (send, recv) = (places(qp.caps.max_send_wr), places(qp.caps.max_recv_wr));
        let (send_cq, recv_cq, srq) = (qp.send_cq, qp.recv_cq, qp.srq);
        if let Some(cq) = self.cq_mut(send_cq) {
            cq.release(send);
        }
        match srq {
            Some(srq) => {
                if let Some(state) = self.srq_mut(srq) {
                    state.users -= 1;
                }
            }
            None => {
                if let Some(cq) = self.cq_mut(recv_cq) {
                    cq.release(recv);
                }
            }
        }
    }

    /// A shared receive queue reserves its places once, in the completion queue of its first
    /// queue pair; others must use the same.
    fn attach(&mut self, srq: SrqId, recv_cq: CqId) -> bool {
        let Some(state) = self.srq_mut(srq) else { return false };
        let (cq, needed) = (state.cq, places(state.capacity));
        let fits = match cq {
            Some(cq) => cq == recv_cq,
            None => self.cq_mut(recv_cq).is_some_and(|cq| cq.reserve(needed)),
        };
        if fits && let Some(state) = self.srq_mut(srq) {
            state.cq = Some(recv_cq);
            state.users += 1;
        }
        fits
    }

    /// A shared receive queue is gone.
    pub(super) fn detach(&mut self, srq: SrqId) {
        let Some(state) = self.srqs.get_mut(srq.0 as usize).and_then(Option::take) else { return };
        if let Some(cq) = state.cq.and_then(|cq| self.cq_mut(cq)) {
            cq.release(places(state.capacity));
        }
    }

    /// Takes the completions of a queue pair out of its queues, as destroying it does.
    pub(super) fn purge(&mut self, key: u32) {
        let Some((send_cq, recv_cq)) = self.qps.get(key).map(|qp| (qp.send_cq, qp.recv_cq)) else {
            return;
        };
        for cq in [send_cq, recv_cq] {
            let Some(waiting) = self.cq_mut(cq).map(|cq| cq.queue.len()) else { continue };
            for _ in 0..waiting {
                let Some(wc) = self.cq_mut(cq).and_then(|cq| cq.queue.poll()) else { break };
                if wc.qp != QpNum::new(key) {
                    self.cq_mut(cq).expect("polled just now").queue.push(wc);
                } else if is_receive(&wc) {
                    let srq = self.qps.get(key).and_then(|qp| qp.srq);
                    if let Some(state) = srq.and_then(|srq| self.srq_mut(srq)) {
                        state.owed -= 1;
                    }
                }
            }
        }
    }

    pub(super) fn cq_mut(&mut self, cq: CqId) -> Option<&mut CqState> {
        self.cqs.get_mut(cq.0 as usize)?.as_mut()
    }

    fn srq_mut(&mut self, srq: SrqId) -> Option<&mut SrqState> {
        self.srqs.get_mut(srq.0 as usize)?.as_mut()
    }

    /// Posts to a shared receive queue. Errors: `Full`, or `NoSuchQp` when there is none.
    pub fn post_srq_recv(&mut self, srq: SrqId, wr: RecvWr) -> Result<(), PostError> {
        let state = self.srq_mut(srq).ok_or(PostError::NoSuchQp)?;
        if state.owed >= places(state.capacity) {
            return Err(PostError::Full);
        }
        state.queue.post(wr)?;
        state.owed += 1;
        Ok(())
    }

    pub(super) fn add_srq(&mut self, capacity: u32) -> SrqId {
        let queue = ReceiveQueue::new(capacity as usize);
        let state = SrqState { queue, capacity, owed: 0, cq: None, users: 0 };
        self.srqs.push(Some(state));
        SrqId(u32::try_from(self.srqs.len() - 1).expect("fewer than 2^32"))
    }
}

fn is_receive(wc: &Wc) -> bool {
    matches!(wc.opcode, WcOpcode::Recv | WcOpcode::RecvRdmaWithImm)
}
