//! What breaks, and what is done about it: the machine behind [`crate::contract`].

use super::bringup::Phase;
use super::own::{OWN_TAGS, TAG_ABORT, TAG_KEEP_ALIVE, own};
use super::{Host, HostError};
use crate::commands;
use netstack::fabric::{DisconnectReason, Fabric, QpHandle};
use std::time::{Duration, Instant};
use wire::nvme::Status;

/// After an Abort, the aborted command must answer within this, or the connection is reset.
const ABORT_GRACE: Duration = Duration::from_secs(2);

/// One command being aborted.
pub(super) struct Abort {
    lane: usize,
    cid: u16,
    until: Instant,
}

/// When to try again, and when to give up.
pub(super) struct Recovery {
    /// Nothing before this.
    retry_at: Option<Instant>,
    /// This attempt has failed at this time.
    attempt_until: Option<Instant>,
    /// Not connected since.
    down_since: Instant,
    /// Was live before: a refusal is worth another try.
    was_live: bool,
    /// Waiting commands were already failed in this outage.
    failed_fast: bool,
    /// I/O queues granted by the controller.
    pub(super) io_lanes: usize,
}

impl Recovery {
    pub(super) fn new(now: Instant) -> Recovery {
        Recovery {
            retry_at: Some(now),
            attempt_until: None,
            down_since: now,
            was_live: false,
            failed_fast: false,
            io_lanes: 0,
        }
    }
    pub(super) fn attempt(&mut self, now: Instant, timeout: Duration) {
        self.retry_at = None;
        self.attempt_until = Some(now + timeout);
    }
    pub(super) fn on_live(&mut self, _now: Instant) {
        self.attempt_until = None;
        self.was_live = true;
        self.failed_fast = false;
    }
}

impl<F: Fabric> Host<F> {
    /// Ends the association: queues are disconnected, what is outstanding fails.
    pub fn disconnect(&mut self, now: Instant) {
        if let Some(paths) = &mut self.paths {
            paths.disconnect(now);
        }
        if !matches!(self.phase, Phase::Dead | Phase::Closed) {
            self.close_lanes(now);
            self.fail_everything();
            self.phase = Phase::Closed;
            self.fabric.flush(now);
        }
    }
    /// All connections are gone (after `disconnect`, this takes the peer's goodbye).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_path_closed()
            && self.paths.iter().flat_map(|paths| paths.others()).all(Host::is_closed)
    }
    fn is_path_closed(&self) -> bool {
        self.lanes.iter().all(|lane| lane.qp.is_none())
    }

    /// A path that gave up tries again, as if it had been live before.
    pub(super) fn revive(&mut self, now: Instant) {
        self.recovery = Recovery::new(now);
        self.recovery.was_live = true;
        self.recovery.retry_at = Some(now + self.options.timers.reconnect_delay);
        self.phase = Phase::Closing;
    }

    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let down = matches!(self.phase, Phase::Down);
        let waits = !matches!(self.phase, Phase::Live | Phase::Closed | Phase::Dead);
        let fail = (waits && !self.recovery.failed_fast)
            .then(|| self.recovery.down_since + self.options.timers.fast_io_fail);
        let ready = if let Phase::Bringup(super::bringup::Step::ReadyAgain(at)) = self.phase {
            Some(at)
        } else {
            None
        };
        let aborts = self.aborts.iter().map(|abort| abort.until).min();
        let retry = self.recovery.retry_at.filter(|_| down);
        let connects = matches!(self.phase, Phase::Bringup(_));
        let attempt = self.recovery.attempt_until.filter(|_| connects);
        [retry, attempt, fail, ready, aborts].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Live => {
                self.expire_commands(now);
                self.check_aborts(now);
                self.keep_alive(now);
                self.poll_ana(now);
            }
            Phase::Down if self.recovery.retry_at.is_some_and(|at| at <= now) => self.bring_up(now),
            Phase::Bringup(_) if self.recovery.attempt_until.is_some_and(|at| at <= now) => {
                self.break_down(now, HostError::NoAnswer(self.options.target));
            }
            Phase::Bringup(_) => self.poll_ready(now),
            Phase::Closing if self.is_path_closed() => self.phase = Phase::Down,
            Phase::Down | Phase::Closing | Phase::Closed | Phase::Dead => {}
        }
        self.give_up(now);
    }

    pub(super) fn on_disconnected(&mut self, now: Instant, qp: QpHandle, reason: DisconnectReason) {
        let Some(lane) = self.lane_of(qp) else { return };
        self.lanes[lane].qp = None;
        self.lanes[lane].ready = false;
        let addr = self.options.target;
        let error = match (self.phase, reason) {
            (Phase::Bringup(_), DisconnectReason::Timeout) => HostError::NoAnswer(addr),
            (Phase::Bringup(_) | Phase::Live, DisconnectReason::Insecure(why)) => {
                HostError::Insecure { addr, why }
            }
            (Phase::Bringup(_) | Phase::Live, _) => HostError::Lost(addr),
            (Phase::Down | Phase::Closing | Phase::Closed | Phase::Dead, _) => return,
        };
        self.break_down(now, error);
    }

    pub(super) fn on_fault(&mut self, now: Instant, what: String) {
        self.break_down(now, HostError::Protocol(what));
    }

    /// Takes every connection down, keeps the commands, and schedules the next attempt.
    pub(super) fn break_down(&mut self, now: Instant, error: HostError) {
        if matches!(self.phase, Phase::Dead | Phase::Closed | Phase::Closing) {
            return;
        }
        if self.phase == Phase::Live {
            self.recovery.down_since = now;
        }
        // A first connection that the target's own word refused will be refused again.
        let refused = matches!(
            error,
            HostError::Command { .. }
                | HostError::NoListener(_)
                | HostError::Refused { .. }
                | HostError::BadNqn(_)
                | HostError::NoSubsystem { .. }
                | HostError::SecretWanted(_)
                | HostError::ChannelWanted(_)
                | HostError::Authentication { .. }
                | HostError::Insecure { .. }
        );
        tracing::info!(target = %self.options.target, %error, "host: connection down");
        self.error = Some(error);
        self.is_secured = false;
        self.close_lanes(now);
        self.ana.forget();
        self.keep_commands();
        self.recovery.attempt_until = None;
        let first = !self.recovery.was_live;
        let delay = if self.recovery.retry_at.is_none() && self.phase == Phase::Live {
            Duration::ZERO
        } else {
            self.options.timers.reconnect_delay
        };
        self.recovery.retry_at = Some(now + delay);
        self.phase = Phase::Closing;
        if first && refused {
            self.phase = Phase::Dead;
            self.fail_everything();
        }
    }

    /// Takes the connection down to make it anew at once: nothing failed.
    pub(super) fn start_again(&mut self, now: Instant) {
        self.close_lanes(now);
        self.keep_commands();
        self.recovery.attempt_until = None;
        self.recovery.retry_at = Some(now);
        self.phase = Phase::Closing;
    }

    fn close_lanes(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.ready = false;
            lane.unposted.clear();
            if let Some(qp) = lane.qp {
                self.fabric.disconnect(now, qp);
            }
        }
        self.aborts.clear();
        self.keep_alive_at = None;
    }

    /// Moves outstanding commands in front of the waiting ones; those sent too often fail.
    fn keep_commands(&mut self) {
        for lane in 0..self.lanes.len() {
            let lost = self.lanes[lane].queue.reset();
            for mut command in lost.into_iter().rev() {
                if command.tag & OWN_TAGS != 0 {
                    continue;
                }
                command.attempts = command.attempts.saturating_add(1);
                if command.attempts > self.options.timers.retries {
                    self.complete(command, Status::HOST_PATHING, 0);
                } else {
                    self.lanes[lane].waiting.push_front(command);
                }
            }
        }
    }

    fn fail_everything(&mut self) {
        for lane in 0..self.lanes.len() {
            let lost = self.lanes[lane].queue.reset();
            let waiting = std::mem::take(&mut self.lanes[lane].waiting);
            for command in lost.into_iter().chain(waiting) {
                self.complete(command, Status::HOST_PATHING, 0);
            }
        }
    }

    /// Fails what waited too long for a connection; after `ctrl_loss`, everything and for good.
    fn give_up(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Live | Phase::Dead | Phase::Closed) {
            return;
        }
        let timers = self.options.timers;
        if now >= self.recovery.down_since + timers.ctrl_loss {
            self.close_lanes(now);
            self.phase = Phase::Dead;
        }
        if now >= self.recovery.down_since + timers.fast_io_fail || self.phase == Phase::Dead {
            self.recovery.failed_fast = true;
            for lane in 0..self.lanes.len() {
                for command in std::mem::take(&mut self.lanes[lane].waiting) {
                    self.complete(command, Status::HOST_PATHING, 0);
                }
            }
        }
    }

    fn expire_commands(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            while let Some(cid) = self.lanes[lane].queue.poll_expired(now) {
                if lane == 0 {
                    // Nothing above the admin queue could abort it.
                    return self.break_down(now, HostError::NoAnswer(self.options.target));
                }
                self.aborts.push(Abort { lane, cid, until: now + ABORT_GRACE });
                let abort = commands::abort(self.lanes[lane].queue.qid(), cid);
                // A full admin queue leaves it to the grace period.
                let _ = self.start(now, 0, own(TAG_ABORT, abort, None));
            }
        }
    }

    fn check_aborts(&mut self, now: Instant) {
        let lanes = &self.lanes;
        self.aborts.retain(|abort| lanes[abort.lane].queue.is_outstanding(abort.cid));
        if self.aborts.iter().any(|abort| abort.until <= now) {
            self.break_down(now, HostError::NoAnswer(self.options.target));
        }
    }

    pub(super) fn arm_keep_alive(&mut self, now: Instant) {
        let timeout = self.options.timers.keep_alive;
        self.keep_alive_at = (!timeout.is_zero()).then(|| now + timeout / 2);
    }

    fn keep_alive(&mut self, now: Instant) {
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.arm_keep_alive(now);
            // A full admin queue is traffic enough.
            let _ = self.start(now, 0, own(TAG_KEEP_ALIVE, commands::keep_alive(), None));
        }
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
