//! A queue pair's machine handles an input, and the endpoint sees to what follows from it.

use super::{Endpoint, QpMachine, completions};
use crate::Place;
use crate::fabric::DisconnectReason;
use crate::qp::Cx;
use std::time::Instant;
use verbs::{QpState, WcStatus};

impl Endpoint {
    /// All packets of a burst were handled: what follows from them is seen to, once for a run of
    /// packets of one queue pair.
    pub fn end_burst(&mut self, now: Instant) {
        if let Some(key) = self.unsettled.take() {
            self.follow_up(key, now);
        }
    }

    /// Lets a machine handle a packet of a burst.
    #[inline]
    pub(super) fn run_in_burst(
        &mut self,
        key: u32,
        now: Instant,
        place: &mut dyn Place,
        f: impl FnOnce(&mut QpMachine, &mut Cx<'_>),
    ) {
        if self.unsettled != Some(key) {
            self.end_burst(now);
            self.unsettled = Some(key);
        }
        self.handle(key, now, place, f);
    }

    /// Lets a queue pair's machine handle an input, and sees to what follows from it. `None`: it has
    /// no machine.
    #[inline]
    pub(super) fn run<R>(
        &mut self,
        key: u32,
        now: Instant,
        place: &mut dyn Place,
        f: impl FnOnce(&mut QpMachine, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        self.end_burst(now);
        let result = self.handle(key, now, place, f);
        self.follow_up(key, now);
        result
    }

    #[inline]
    fn handle<R>(
        &mut self,
        key: u32,
        now: Instant,
        place: &mut dyn Place,
        f: impl FnOnce(&mut QpMachine, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let qp = self.qps.get_mut(key)?;
        let machine = qp.machine.as_mut()?;
        let receives = match qp.srq {
            None => &mut qp.receives,
            Some(srq) => completions::srq_queue(&mut self.srqs, srq)?,
        };
        let mut cx = Cx {
            now,
            memory: &mut self.memory,
            place,
            receives,
            wcs: &mut self.wcs,
            counters: &mut self.qp_counters,
        };
        Some(f(machine, &mut cx))
    }

    /// What follows when a machine has handled something: completions, its place in the ready list,
    /// its timer, its end.
    fn follow_up(&mut self, key: u32, now: Instant) {
        let Some(qp) = self.qps.get_mut(key) else { return };
        let Some(machine) = qp.machine.as_mut() else { return };
        let wants_transmit = qp.may_transmit && machine.wants_transmit(now);
        let has_failed = machine.is_failed() && qp.state != QpState::Err;
        let timeout = machine.poll_timeout();
        self.timers.set(self.qps.index(key), timeout);
        if wants_transmit {
            self.enqueue(key);
        }
        if has_failed {
            self.on_failed(key);
        }
        if !self.wcs.is_empty() {
            self.route_completions(key);
        }
        if has_failed && !wants_transmit {
            self.finish(now, key);
        }
    }

    /// The machine is in error since now: why, as its first failed work request says.
    fn on_failed(&mut self, key: u32) {
        let flushed = |status| status == WcStatus::Success || status == WcStatus::WrFlushErr;
        let status = self.wcs.iter().map(|wc| wc.status).find(|&status| !flushed(status));
        let Some(qp) = self.qps.get_mut(key) else { return };
        qp.state = QpState::Err;
        qp.end.get_or_insert(match status {
            Some(WcStatus::RetryExcErr | WcStatus::RnrRetryExcErr) => DisconnectReason::Timeout,
            Some(status) => DisconnectReason::Error(status),
            None => DisconnectReason::Error(WcStatus::WrFlushErr),
        });
    }

    /// The last packet of a failed queue pair has left: the peer's CM is told, and the owner.
    pub(super) fn finish(&mut self, now: Instant, key: u32) {
        let Some(qp) = self.qps.get_mut(key) else { return };
        if let Some(id) = qp.connection.take() {
            self.cm.disconnect(now, id);
        } else if !qp.is_cm {
            return;
        }
        if !qp.is_over {
            qp.is_over = true;
            self.ends.push_back(qp.qpn);
        }
    }

    #[inline]
    pub(super) fn enqueue(&mut self, key: u32) {
        if let Some(qp) = self.qps.get_mut(key).filter(|qp| !qp.is_queued) {
            qp.is_queued = true;
            self.ready.push_back(key);
        }
    }
}
