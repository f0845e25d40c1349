//! Sleep and wake, only when idle: an armed flag in memory and an eventfd behind it.
//!
//! The sleeper arms, then looks at its ring once more, then sleeps. The other side publishes, then
//! looks at the flag. Both orders are kept by a full fence, so one of them always sees the other
//! (Dekker's argument; checked by loom). While the sleeper is busy the flag stays clear and ringing
//! is one load.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// The flag of one sleeper, without a way to wake it (that is [`Bell`]'s).
#[derive(Debug)]
pub(super) struct Armed(AtomicBool);

impl Armed {
    pub(super) fn new() -> Armed {
        Armed(AtomicBool::new(false))
    }
    /// The sleeper is about to look at its ring for the last time before it sleeps.
    pub(super) fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
    /// The sleeper is awake.
    #[cfg_attr(feature = "loom", expect(dead_code, reason = "the models only fall asleep"))]
    pub(super) fn disarm(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
    /// After publishing: true when the sleeper must be woken, by the one that asked.
    pub(super) fn must_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(not(feature = "loom"))]
pub use eventfd::{Bell, Ringer, bell};

#[cfg(not(feature = "loom"))]
mod eventfd {
    use super::Armed;
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    struct Shared {
        armed: Armed,
        file: File,
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
        // SAFETY: eventfd takes no pointers.
        let raw = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else has.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(raw) });
        let (wakes, sleeps) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { armed: Armed::new(), file, wakes, sleeps });
        Ok((Bell { shared: Arc::clone(&shared) }, Ringer { shared }))
    }

    impl Ringer {
        /// Wakes the sleeper if it sleeps or is about to. Call after publishing.
        pub fn ring(&self) {
            if self.shared.armed.must_wake() {
                self.shared.wakes.fetch_add(1, Ordering::Relaxed);
                // Fails only when the counter is at its end, and then it is readable.
                let _ = (&self.shared.file).write(&1_u64.to_ne_bytes());
            }
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
        /// Awake again, after `arm`: takes a wake-up that was sent, if one was. One that is on its
        /// way just now makes the next sleep short.
        pub fn disarm(&self) {
            self.shared.armed.disarm();
            let _ = (&self.shared.file).read(&mut [0; 8]);
        }
        /// Descriptor that becomes readable when somebody rings.
        #[must_use]
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.shared.file.as_fd()
        }
        /// Sleeps until somebody rings, `other` becomes readable, or `timeout` is over. The bell
        /// must be armed; it is disarmed on return.
        pub fn sleep(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) {
            self.shared.sleeps.fetch_add(1, Ordering::Relaxed);
            let wait = |fd: Option<BorrowedFd<'_>>| libc::pollfd {
                fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
                events: libc::POLLIN,
                revents: 0,
            };
            let mut fds = [wait(Some(self.fd())), wait(other)];
            let timeout = timeout.map(|time| libc::timespec {
                tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: libc::c_long::from(
                    i32::try_from(time.subsec_nanos()).unwrap_or(999_999_999),
                ),
            });
            let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: two pollfds and a timespec (or null), all alive through the call. Whatever it
            // returns, the caller looks at its rings and the link next.
            unsafe { libc::ppoll(fds.as_mut_ptr(), 2, timeout, std::ptr::null()) };
            self.disarm();
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
