//! What other threads ask of the polling thread: done between two turns, rung for by a bell.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Work on `T`, which another thread owns.
type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Wakes the polling thread. While it polls, this costs it one load in each turn.
struct Bell {
    is_rung: AtomicBool,
    /// Readable since it was rung, for the sleep.
    fd: OwnedFd,
}

/// The asking end.
pub(crate) struct Asker<T> {
    jobs: Sender<Job<T>>,
    bell: Arc<Bell>,
}

/// The polling thread's end.
pub(crate) struct Jobs<T> {
    jobs: Receiver<Job<T>>,
    bell: Arc<Bell>,
}

/// Both ends. Errors: no descriptors left.
pub(crate) fn jobs<T>() -> std::io::Result<(Asker<T>, Jobs<T>)> {
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let bell = Arc::new(Bell { is_rung: AtomicBool::new(false), fd });
    let (sender, receiver) = channel();
    Ok((Asker { jobs: sender, bell: Arc::clone(&bell) }, Jobs { jobs: receiver, bell }))
}

impl<T> Asker<T> {
    /// Has `work` done on the polling thread and returns its result. `None`: that thread is gone.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = channel();
        let job: Job<T> = Box::new(move |of| {
            // The asker waits: it is there.
            let _ = answer.send(work(of));
        });
        self.jobs.send(job).ok()?;
        self.bell.is_rung.store(true, Ordering::Release);
        // It fails when it was rung more often than it can count: then it is rung.
        let _ = rustix::io::write(&self.bell.fd, &1u64.to_ne_bytes());
        answered.recv().ok()
    }
}

impl<T> Jobs<T> {
    /// Does what was asked for. Nearly always nothing was.
    #[inline]
    pub(crate) fn run(&self, of: &mut T) {
        if self.bell.is_rung.load(Ordering::Relaxed) {
            self.run_all(of);
        }
    }
    #[cold]
    fn run_all(&self, of: &mut T) {
        // In this order: what is asked from here on rings again.
        self.bell.is_rung.swap(false, Ordering::AcqRel);
        let _ = rustix::io::read(&self.bell.fd, &mut [0; 8]);
        while let Ok(job) = self.jobs.try_recv() {
            job(of);
        }
    }
    /// Readable when something was asked for.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    /// Goal: a sleeping thread is woken, each job is done once with its own answer, and an asker does
    /// not wait for a thread that is gone.
    #[test]
    fn jobs_are_done_and_wake() {
        let (asker, jobs) = jobs::<u64>().unwrap();
        let asking = std::thread::spawn(move || {
            let sums: Vec<_> = (1..=100).map(|n| asker.ask(move |sum| *sum += n)).collect();
            (sums, asker.ask(|sum| *sum), asker)
        });
        let mut sum = 0;
        while !asking.is_finished() {
            let bell = jobs.bell();
            let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&timeout)).unwrap();
            jobs.run(&mut sum);
        }
        let (sums, last, asker) = asking.join().unwrap();
        assert!(sums.iter().all(Option::is_some));
        assert_eq!(last, Some(5050));
        drop(jobs);
        assert_eq!(asker.ask(|sum| *sum), None);
    }
}
