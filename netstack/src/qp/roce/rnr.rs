//! "Receiver not ready": how long to wait, and how often.

use super::timer::Exhausted;
use std::time::Instant;
use wire::roce::RnrTimer;

/// Retries without end.
const FOR_EVER: u8 = 7;

/// The requester's wait for a receive of the peer.
#[derive(Debug)]
pub(super) struct RnrWait {
    until: Option<Instant>,
    retries: u8,
    retries_left: u8,
}

impl RnrWait {
    /// `retries` 0 to 6; 7 is without end.
    pub(super) fn new(retries: u8) -> RnrWait {
        RnrWait { until: None, retries, retries_left: retries }
    }
    /// The peer asked for a pause.
    pub(super) fn start(&mut self, now: Instant, timer: RnrTimer) -> Result<(), Exhausted> {
        if self.retries < FOR_EVER {
            self.retries_left = self.retries_left.checked_sub(1).ok_or(Exhausted)?;
        }
        self.until = Some(now + timer.duration());
        Ok(())
    }
    /// The peer took a message: all retries are there again.
    pub(super) fn on_progress(&mut self) {
        self.retries_left = self.retries;
    }
    /// The pause is not over.
    pub(super) fn waits(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
    /// Ends the pause if its time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if !self.waits(now) {
            self.until = None;
        }
    }
    pub(super) fn stop(&mut self) {
        self.until = None;
    }
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: seven means without end, less is exact.
    #[test]
    fn retries_are_counted() {
        let now = Instant::now();
        let mut wait = RnrWait::new(2);
        assert_eq!(
            [(); 3].map(|()| wait.start(now, RnrTimer::new(1)).is_ok()),
            [true, true, false]
        );
        let mut wait = RnrWait::new(7);
        assert!((0..100).all(|_| wait.start(now, RnrTimer::new(1)).is_ok()));
    }
}
