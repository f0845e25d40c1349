//! Waiting for something to happen: spin for a stated budget, then sleep.

use netstack::fabric::Fabric;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PollMode {
    /// Never sleep: lowest latency, one core.
    Busy,
    /// Spin for [`SPIN`], then sleep until something arrives.
    #[default]
    Adaptive,
}

/// Spin budget. A wake across cores costs about 30 µs on a virtual machine, so spinning for
/// that long at most doubles what waiting would have cost.
pub const SPIN: Duration = Duration::from_micros(50);

/// Longest sleep, so that a clock that jumps cannot hang anybody.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What a wait was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idled {
    /// The processor was not given away.
    Here,
    /// It was, for a moment or for long.
    Away,
}

/// Decides between spinning and sleeping, turn by turn.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    mode: PollMode,
    yields: bool,
    spin: Duration,
    quiet_since: Option<Instant>,
    sleeps: u64,
}

impl Waiter {
    /// A waiter of this mode.
    #[must_use]
    pub fn new(mode: PollMode) -> Waiter {
        Waiter { mode, yields: false, spin: SPIN, quiet_since: None, sleeps: 0 }
    }
    /// The same, but while it would spin it offers the processor to others: for a host that shares
    /// one with its network stack.
    #[must_use]
    pub fn yielding(self) -> Waiter {
        Waiter { yields: true, ..self }
    }
    /// The same with another spin budget than [`SPIN`].
    #[must_use]
    pub fn spinning(self, spin: Duration) -> Waiter {
        Waiter { spin, ..self }
    }

    /// Something happened: the whole budget is there again. For callers that go elsewhere between
    /// turns without [`Waiter::idle`].
    pub fn refresh(&mut self) {
        self.quiet_since = None;
    }

    /// The last turn was no idle one.
    #[cfg(test)]
    pub(crate) fn is_fresh(&self) -> bool {
        self.quiet_since.is_none()
    }
    /// System calls made to sleep.
    #[must_use]
    pub fn sleeps(&self) -> u64 {
        self.sleeps
    }

    /// After a turn: `progress` says whether anything happened in it. May sleep, at most until
    /// `deadline`.
    pub fn idle<F: Fabric>(
        &mut self,
        fabric: &F,
        progress: bool,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Idled {
        self.idle_or_woken(fabric, None, progress, now, deadline)
    }

    /// The same, also woken by `wake` becoming readable.
    pub fn idle_or_woken<F: Fabric>(
        &mut self,
        fabric: &F,
        wake: Option<BorrowedFd<'_>>,
        progress: bool,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Idled {
        if progress {
            self.quiet_since = None;
            return Idled::Here;
        }
        let since = *self.quiet_since.get_or_insert(now);
        let is_early = now.saturating_duration_since(since) < self.spin;
        if self.mode == PollMode::Busy || is_early {
            return self.spin();
        }
        if !fabric.may_sleep() {
            self.quiet_since = None;
            return Idled::Here;
        }
        self.sleeps += 1;
        let left = deadline.map_or(SLEEP_MAX, |at| at.saturating_duration_since(now));
        let left = left.min(SLEEP_MAX);
        let Some(fd) = fabric.fd() else {
            std::thread::sleep(left.min(SPIN));
            return Idled::Away;
        };
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let wake = wake.unwrap_or(fd);
        let mut fds = [PollFd::new(&fd, PollFlags::IN), PollFd::new(&wake, PollFlags::IN)];
        // An interrupted sleep is a short sleep.
        if poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            self.quiet_since = None;
        }
        Idled::Away
    }

    fn spin(&self) -> Idled {
        if !self.yields {
            std::hint::spin_loop();
            return Idled::Here;
        }
        std::thread::yield_now();
        Idled::Away
    }
}
