//! Sleep and wake, only when idle: an armed flag in memory and an eventfd behind it.
//!
//! The sleeper arms, then looks at its ring once more, then sleeps. The other side publishes, then
//! looks at the flag. Both orders are kept by a full fence, so one of them always sees the other
//! (Dekker's argument; checked by loom). While the sleeper is busy the flag stays clear and ringing
//! is one load.

use super::lines::Lines;
#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The flag of one sleeper, without a way to wake it (that is [`Bell`]'s). A line of its own.
pub(super) struct Armed(Lines);

impl Armed {
    pub(super) fn new() -> Armed {
        Armed(Lines::own(1))
    }
    fn flag(&self) -> &AtomicU64 {
        &self.0.line(0)[0]
    }
    /// The sleeper is about to look at its ring for the last time before it sleeps.
    pub(super) fn arm(&self) {
        self.flag().store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
    /// The sleeper is awake.
    #[cfg_attr(feature = "loom", expect(dead_code, reason = "the models only fall asleep"))]
    pub(super) fn disarm(&self) {
        self.flag().store(0, Ordering::Relaxed);
    }
    /// After publishing: true when the sleeper must be woken, by the one that asked.
    pub(super) fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.flag().load(Ordering::Relaxed) != 0 && self.flag().swap(0, Ordering::Relaxed) != 0
    }
}

#[cfg(not(feature = "loom"))]
pub use eventfd::{Bell, Ringer, bell, bell_in};

#[cfg(not(feature = "loom"))]
mod eventfd {
    use super::{Armed, Lines};
    use memory::Region;
    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    struct Shared {
        armed: Armed,
        eventfd: OwnedFd,
        wakes: AtomicU64,
        sleeps: AtomicU64,
    }

    /// The sleeper's side.
    pub struct Bell {
        shared: Arc<Shared>,
    }

    /// The waker's side. Clone it for as many wakers as there are.
    #[derive(Clone)]
    pub struct Ringer {
        shared: Arc<Shared>,
    }

    /// A bell and its ringer. Errors: what `eventfd` says.
    pub fn bell() -> io::Result<(Bell, Ringer)> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(both(Armed::new(), fd))
    }

    /// Both ends of a bell between processes, of which each uses one: the flag is the line of
    /// `region` at `offset`, the eventfd was made by one and sent to the other.
    #[must_use]
    pub fn bell_in(region: &Region, offset: usize, eventfd: OwnedFd) -> (Bell, Ringer) {
        both(Armed(Lines::mapped(region, offset, 1)), eventfd)
    }

    fn both(armed: Armed, eventfd: OwnedFd) -> (Bell, Ringer) {
        let (wakes, sleeps) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { armed, eventfd, wakes, sleeps });
        (Bell { shared: Arc::clone(&shared) }, Ringer { shared })
    }

    impl Ringer {
        /// Wakes the sleeper if it sleeps or is about to. Call after publishing.
        pub fn ring(&self) {
            if self.shared.armed.must_wake() {
                self.ring_anyway();
            }
        }
        /// A system call whether anybody sleeps or not: the doorbell that the pipe does without.
        pub fn ring_anyway(&self) {
            self.shared.wakes.fetch_add(1, Ordering::Relaxed);
            // Fails only when the counter is at its end, and then it is readable.
            let _ = rustix::io::write(&self.shared.eventfd, &1_u64.to_ne_bytes());
        }
        /// System calls made to wake.
        #[must_use]
        pub fn wakes(&self) -> u64 {
            self.shared.wakes.load(Ordering::Relaxed)
        }
    }

    impl Bell {
        /// From here on the other side wakes us. Look at the ring once more before sleeping.
        pub fn arm(&self) {
            self.shared.armed.arm();
        }
        /// Awake again, after `arm`: takes a wake-up that was sent, and says whether one was. One that
        /// is on its way just now makes the next sleep short.
        pub fn disarm(&self) -> bool {
            self.shared.armed.disarm();
            self.take()
        }
        /// Whether somebody rang since it was last asked (a system call).
        pub fn take(&self) -> bool {
            rustix::io::read(&self.shared.eventfd, &mut [0; 8][..]).is_ok()
        }
        /// Descriptor that becomes readable when somebody rings.
        #[must_use]
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.shared.eventfd.as_fd()
        }
        /// Sleeps until somebody rings, `other` becomes readable, or `timeout` is over. The bell
        /// must be armed; it is disarmed on return, which says whether somebody rang.
        pub fn sleep(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> bool {
            self.shared.sleeps.fetch_add(1, Ordering::Relaxed);
            let own = self.fd();
            let other = other.unwrap_or(own);
            let mut fds = [PollFd::new(&own, PollFlags::IN), PollFd::new(&other, PollFlags::IN)];
            let timeout = timeout.map(|time| Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(time.subsec_nanos()),
            });
            // Whatever it returns, the caller looks at its rings and the link next.
            let _ = poll(&mut fds, timeout.as_ref());
            self.disarm()
        }
        /// Times slept.
        #[must_use]
        pub fn sleeps(&self) -> u64 {
            self.shared.sleeps.load(Ordering::Relaxed)
        }
    }
}

#[cfg(all(test, feature = "loom"))]
mod model {
    use super::super::ring::{Descriptor, ring};
    use super::*;

    /// Goal, in every interleaving: a descriptor published while the consumer falls asleep is
    /// either seen by its last look, or the producer is told to wake it.
    #[test]
    fn loom_no_wake_is_lost() {
        loom::model(|| {
            let (mut producer, consumer) = ring(2);
            let armed = loom::sync::Arc::new(Armed::new());
            let sleeper = {
                let armed = armed.clone();
                loom::thread::spawn(move || {
                    armed.arm();
                    !consumer.is_ready()
                })
            };
            producer.push(Descriptor::default()).unwrap();
            producer.publish();
            let rang = armed.must_wake();
            let sleeps = sleeper.join().unwrap();
            assert!(rang || !sleeps, "asleep with a descriptor waiting and nobody rang");
        });
    }
}
