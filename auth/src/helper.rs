//! Who computes: on a thread of its own, so that a conversation holds up nobody's I/O.
//!
//! The edge of this crate: here are the operating system's randomness and the only thread.

use crate::job::{Job, Outcome};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Randomness, and somebody who computes [`Job`]s.
///
/// `submit` takes a job with a tag, `poll` gives outcomes with theirs, in any order, each once.
pub trait Helper {
    /// Fills `octets` with unpredictable ones. Panics when the system has none to give.
    fn fill(&mut self, octets: &mut [u8]);
    /// Takes a job.
    fn submit(&mut self, tag: u64, job: Job);
    /// A job that is done.
    fn poll(&mut self) -> Option<(u64, Outcome)>;
    /// Readable when `poll` may have something; `None`: it has it at once.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Fills `octets` from the operating system's randomness. Panics when there is none: nothing that is
/// secret can be made then.
pub fn system_random(octets: &mut [u8]) {
    getrandom::fill(octets).expect("the operating system has randomness");
}

/// The operating system's randomness, and a thread that is started with the first job. It computes one
/// job after another: hosts that authenticate wait for each other, never anybody else for them.
#[derive(Default)]
pub struct SystemHelper {
    thread: Option<Thread>,
    /// Computed here, where no thread could be had.
    done: VecDeque<(u64, Outcome)>,
}

struct Thread {
    jobs: Sender<(u64, Job)>,
    done: Receiver<(u64, Outcome)>,
    bell: Arc<OwnedFd>,
}

impl Thread {
    fn start() -> io::Result<Thread> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let bell = Arc::new(eventfd(0, flags)?);
        let (jobs, todo) = channel::<(u64, Job)>();
        let (out, done) = channel();
        let ring = Arc::clone(&bell);
        let work = move || {
            // Ends when the helper is dropped.
            for (tag, job) in todo {
                if out.send((tag, job.compute())).is_err() {
                    return;
                }
                // A bell that is full has been rung.
                let _ = rustix::io::write(&ring, &1_u64.to_ne_bytes());
            }
        };
        std::thread::Builder::new().name("authentication".into()).spawn(work)?;
        Ok(Thread { jobs, done, bell })
    }
}

impl Helper for SystemHelper {
    fn fill(&mut self, octets: &mut [u8]) {
        system_random(octets);
    }
    fn submit(&mut self, tag: u64, job: Job) {
        if self.thread.is_none() {
            self.thread = Thread::start().ok();
        }
        let job = match &self.thread {
            Some(thread) => match thread.jobs.send((tag, job)) {
                Ok(()) => return,
                Err(back) => back.0.1,
            },
            None => job,
        };
        self.done.push_back((tag, job.compute()));
    }
    fn poll(&mut self) -> Option<(u64, Outcome)> {
        let thread = self.thread.as_ref();
        let done = thread.and_then(|thread| {
            // Quiet first: what arrives in between rings again.
            let _ = rustix::io::read(&thread.bell, &mut [0_u8; 8]);
            thread.done.try_recv().ok()
        });
        done.or_else(|| self.done.pop_front())
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.thread.as_ref().map(|thread| thread.bell.as_fd())
    }
}

/// For tests and simulations: computes at once, with randomness that `F` makes.
pub struct InlineHelper<F> {
    random: F,
    done: VecDeque<(u64, Outcome)>,
}

impl<F: FnMut(&mut [u8])> InlineHelper<F> {
    /// A helper with this source.
    pub fn new(random: F) -> InlineHelper<F> {
        InlineHelper { random, done: VecDeque::new() }
    }
}

impl<F: FnMut(&mut [u8])> Helper for InlineHelper<F> {
    fn fill(&mut self, octets: &mut [u8]) {
        (self.random)(octets);
    }
    fn submit(&mut self, tag: u64, job: Job) {
        self.done.push_back((tag, job.compute()));
    }
    fn poll(&mut self) -> Option<(u64, Outcome)> {
        self.done.pop_front()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
