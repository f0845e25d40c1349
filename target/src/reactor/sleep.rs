//! Waiting, when there is nothing to do. The only file of this crate that blocks.

use super::Reactor;
use netstack::fabric::Fabric;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long a thread goes on polling after the last work before it sleeps: a wake costs tens of
/// microseconds, a spin costs a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpinBudget {
    budget: Option<Duration>,
    idle_since: Option<Instant>,
}

impl SpinBudget {
    /// Polls for `budget` after the last work, then sleeps.
    #[must_use]
    pub fn adaptive(budget: Duration) -> SpinBudget {
        SpinBudget { budget: Some(budget), idle_since: None }
    }
    /// Never sleeps.
    #[must_use]
    pub fn busy() -> SpinBudget {
        SpinBudget { budget: None, idle_since: None }
    }
    /// A turn ended at `now`. True: sleep before the next.
    pub fn handle_turn(&mut self, now: Instant, did_work: bool) -> bool {
        if did_work {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        self.budget.is_some_and(|budget| now.saturating_duration_since(since) >= budget)
    }
}

impl<F: Fabric> Reactor<F> {
    /// Sleeps until the fabric or a disk has something, or `until` (`None`: no limit). `now` is the
    /// caller's clock. `until` is [`super::Turn::next_timeout`], in which disks without a descriptor
    /// say when they must be polled. Returns at once if the fabric has no descriptor.
    ///
    /// Errors: what `poll` says, except an interruption, which only ends the sleep.
    pub fn wait(&mut self, now: Instant, until: Option<Instant>) -> io::Result<()> {
        self.wait_or_bell(now, until, None)
    }
    /// The same, and the sleep ends too when `bell` is readable.
    pub fn wait_or_bell(
        &mut self,
        now: Instant,
        until: Option<Instant>,
        bell: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let Some(fabric) = self.fabric.fd() else { return Ok(()) };
        if !self.fabric.may_sleep() {
            return Ok(());
        }
        self.counters.sleeps += 1;
        let busy = self.backends.iter().filter(|disk| !disk.is_idle());
        let disks = busy.filter_map(|disk| disk.backend.fd());
        let helper = self.helper.fd().filter(|_| self.jobs_outstanding > 0);
        let fds: Vec<_> = disks.chain([fabric]).chain(bell).chain(helper).collect();
        let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let timeout = until.map(|until| timespec(until.saturating_duration_since(now)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a thread sleeps only after its whole budget passed without work.
    #[test]
    fn sleeps_after_the_budget() {
        let start = crate::test_clock();
        let mut spin = SpinBudget::adaptive(Duration::from_micros(50));
        assert!(!spin.handle_turn(start, false));
        assert!(!spin.handle_turn(start + Duration::from_micros(49), false));
        assert!(spin.handle_turn(start + Duration::from_micros(50), false));
        assert!(!spin.handle_turn(start + Duration::from_micros(51), true));
        assert!(!spin.handle_turn(start + Duration::from_micros(120), false));
        assert!(!SpinBudget::busy().handle_turn(start + Duration::from_secs(9), false));
    }
}
