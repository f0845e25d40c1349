//! When payload may leave: congestion control and pacing, shared by requests and READ responses.

use crate::cc::CongestionControl;
use std::time::Instant;

/// One connection's congestion control, and the pause that it asked for.
pub(super) struct Flow {
    pub(super) cc: Box<dyn CongestionControl>,
    paused_until: Option<Instant>,
}

impl Flow {
    pub(super) fn new(cc: Box<dyn CongestionControl>) -> Flow {
        Flow { cc, paused_until: None }
    }
    /// Pacing holds everything that carries payload.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
    /// Asks for leave to send `bytes` now. On `false` the pause is noted as a timer.
    pub(super) fn release(&mut self, now: Instant, bytes: u32) -> bool {
        if bytes == 0 {
            return true;
        }
        let at = self.cc.release_at(now, u64::from(bytes));
        self.paused_until = (at > now).then_some(at);
        self.paused_until.is_none()
    }
    /// `bytes` left.
    pub(super) fn on_send(&mut self, now: Instant, bytes: u32) {
        if bytes > 0 {
            self.cc.on_send(now, u64::from(bytes));
        }
    }
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if !self.is_paused(now) {
            self.paused_until = None;
        }
    }
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.paused_until
    }
}
