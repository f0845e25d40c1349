//! The host's end of the pipe: a fabric like any other, whose work another thread does.

use super::bell::{Bell, Ringer, bell};
use super::control::{CALLS_MAX, Call, NOTES_MAX, Reply};
use super::descriptor::{Notice, Request};
use super::nic_thread::NicSide;
use super::ring::{Consumer, Producer, ring};
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Cells that only control calls may take, so that full work queues cannot lock them out.
const CONTROL_RESERVE: usize = 16;

/// How the pipe is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeOptions {
    /// Descriptors in each direction.
    pub depth: usize,
    /// How long the NIC thread spins without work before it sleeps. `Duration::MAX`: for ever.
    pub spin: Duration,
}

impl Default for PipeOptions {
    fn default() -> PipeOptions {
        PipeOptions { depth: 1024, spin: Duration::from_micros(50) }
    }
}

/// A fabric that runs on a thread of its own, behind the pipe.
///
/// `post` errs `Full` when the ring has no credit; work beyond a queue pair's own depth waits at
/// the NIC. Calls of the control path wait for the NIC's answer (tens of microseconds when it
/// sleeps).
pub struct PipeFabric {
    limits: FabricLimits,
    requests: RefCell<Requests>,
    notices: Consumer,
    notes: Receiver<FabricEvent>,
    bell: Bell,
    armed: Cell<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The way to the NIC.
struct Requests {
    ring: Producer,
    calls: SyncSender<Call>,
    replies: Receiver<Reply>,
    nic: Ringer,
}

impl PipeFabric {
    /// Starts a thread that makes a fabric with `make` and runs it.
    ///
    /// Errors: `make`'s; what `eventfd` or the thread's start say.
    pub fn spawn<F: Fabric>(
        options: PipeOptions,
        make: impl FnOnce() -> io::Result<F> + Send + 'static,
    ) -> io::Result<PipeFabric> {
        let (request_in, requests) = ring(options.depth.max(4 * CONTROL_RESERVE));
        let (notices, notice_out) = ring(options.depth);
        let (call_in, calls) = sync_channel(CALLS_MAX);
        let (replies, reply_out) = sync_channel(1);
        let (notes, note_out) = sync_channel(NOTES_MAX);
        let (nic_bell, nic) = bell()?;
        let (host_bell, host) = bell()?;
        let (started, outcome) = sync_channel::<io::Error>(1);
        let thread = std::thread::Builder::new().name("flexblk-nic".into()).spawn(move || {
            let fabric = match make() {
                Ok(fabric) => fabric,
                Err(error) => {
                    // The receiver waits for it, or is gone with the whole pipe.
                    let _ = started.send(error);
                    return;
                }
            };
            if replies.send(Reply::Ready(fabric.limits())).is_ok() {
                let bell = nic_bell;
                NicSide { fabric, requests, notices, calls, replies, notes, bell, host, options }
                    .run();
            }
        })?;
        let limits = match reply_out.recv() {
            Ok(Reply::Ready(limits)) => limits,
            _ => return Err(outcome.recv().unwrap_or_else(|_| io::ErrorKind::Other.into())),
        };
        Ok(PipeFabric {
            limits,
            requests: RefCell::new(Requests {
                ring: request_in,
                calls: call_in,
                replies: reply_out,
                nic,
            }),
            notices: notice_out,
            notes: note_out,
            bell: host_bell,
            armed: Cell::new(false),
            thread: Some(thread),
        })
    }
}

impl Requests {
    /// Sends a call in its place among the work.
    fn call(&mut self, call: Call) {
        self.calls.send(call).expect("the NIC thread ended");
        while self.ring.push(Request::Control.encode()).is_err() {
            self.ring.publish();
            self.nic.ring();
            std::thread::yield_now();
        }
        self.ring.publish();
        self.nic.ring();
    }
    /// Sends a call and waits for its answer.
    fn ask(&mut self, call: Call) -> Reply {
        self.call(call);
        self.replies.recv().expect("the NIC thread ended")
    }
}

impl Fabric for PipeFabric {
    fn limits(&self) -> FabricLimits {
        self.limits
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        match self.requests.get_mut().ask(Call::Register(region.clone(), access)) {
            Reply::Registered(outcome) => outcome,
            Reply::Ready(_) | Reply::Connecting(_) | Reply::Counters(_) => {
                unreachable!("answers come in the order of calls")
            }
        }
    }
    fn deregister(&mut self, mr: &Mr) {
        self.requests.get_mut().call(Call::Deregister(*mr));
    }
    fn listen(&mut self, port: u16) {
        self.requests.get_mut().call(Call::Listen(port));
    }
    fn connect(&mut self, _now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        match self.requests.get_mut().ask(Call::Connect(to, params)) {
            Reply::Connecting(qp) => qp,
            Reply::Ready(_) | Reply::Registered(_) | Reply::Counters(_) => {
                unreachable!("answers come in the order of calls")
            }
        }
    }
    fn accept(&mut self, _now: Instant, qp: QpHandle, params: ConnectParams) {
        self.requests.get_mut().call(Call::Accept(qp, params));
    }
    fn reject(&mut self, _now: Instant, qp: QpHandle, private: &[u8]) {
        self.requests.get_mut().call(Call::Reject(qp, private.to_vec()));
    }
    fn disconnect(&mut self, _now: Instant, qp: QpHandle) {
        self.requests.get_mut().call(Call::Disconnect(qp));
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        let ring = &mut self.requests.get_mut().ring;
        if ring.room() <= CONTROL_RESERVE && ring.room_now() <= CONTROL_RESERVE {
            return Err(Full(work));
        }
        ring.push(Request::Post(qp, work).encode()).map_err(|_| Full(work))
    }
    fn poll(&mut self, _now: Instant, out: &mut Vec<FabricEvent>) {
        if self.armed.take() {
            self.bell.disarm();
        }
        let before = out.len();
        while let Some(descriptor) = self.notices.pop() {
            match Notice::decode(&descriptor) {
                Notice::Event(event) => out.push(event),
                Notice::Control => {
                    out.push(self.notes.recv().expect("the NIC thread ended"));
                }
            }
        }
        self.notices.release_but(0);
        if out.len() == before {
            let alive = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
            assert!(alive, "the NIC thread ended");
        }
    }
    fn flush(&mut self, _now: Instant) {
        let requests = self.requests.get_mut();
        if requests.ring.publish() {
            requests.nic.ring();
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(self.bell.fd())
    }
    /// Asked before a sleep: arms the bell, then looks once more.
    fn has_pending(&self) -> bool {
        if !self.armed.replace(true) {
            self.bell.arm();
        }
        self.notices.is_ready()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let mut requests = self.requests.borrow_mut();
        if let Reply::Counters(all) = requests.ask(Call::Counters) {
            all.into_iter().for_each(|(name, value)| report(name, value));
        }
        report("pipe.nic_wakes", requests.nic.wakes());
    }
}

impl Drop for PipeFabric {
    fn drop(&mut self) {
        let requests = self.requests.get_mut();
        let running = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if running && requests.calls.send(Call::Stop).is_ok() {
            // A full ring empties as the thread takes work; it cannot be waiting for us.
            while requests.ring.push(Request::Control.encode()).is_err() {
                requests.ring.publish();
                requests.nic.ring();
                std::thread::yield_now();
            }
            requests.ring.publish();
            requests.nic.ring();
        }
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was already told by its own message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
