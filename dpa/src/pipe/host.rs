//! The host's end of the pipe: a fabric like any other, whose work another thread does.

use super::bell::{Bell, Ringer};
use super::control::{
    CALLS_MAX, Call, HostControl, NOTES_MAX, NicControl, Reply, ThreadHost, ThreadNic,
};
use super::descriptor::{Notice, Request};
use super::ends::{CONTROL_RESERVE, HostEnds, ends};
use super::nic_thread::NicSide;
use super::ring::{Consumer, Producer};
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How the pipe is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeOptions {
    /// Descriptors in each direction.
    pub depth: usize,
    /// How long the NIC thread spins without work before it sleeps. `Duration::MAX`: for ever.
    pub spin: Duration,
    /// Offer the processor to others at each turn without work: for a NIC that shares one with its
    /// host.
    pub yields: bool,
    /// With `yields`: also after each turn that told the host something. The host answers at once
    /// while more is on its way, so the two sides of a network work at the same time instead of in
    /// turns; each costs a switch.
    pub hands_over: bool,
    /// Descriptors that the NIC takes in one turn at most, so that packets get their turn too.
    pub batch: usize,
    /// For comparisons: ring for every piece of work, busy or not, and look at the ring only when
    /// somebody rang.
    pub rings_always: bool,
}

impl Default for PipeOptions {
    fn default() -> PipeOptions {
        let spin = Duration::from_micros(50);
        PipeOptions {
            depth: 1024,
            spin,
            yields: false,
            hands_over: false,
            batch: 256,
            rings_always: false,
        }
    }
}

/// A fabric that runs elsewhere (a thread, another process), behind the pipe.
///
/// `post` errs `Full` when the ring has no credit; work beyond a queue pair's own depth waits at
/// the NIC. Calls of the control path wait for the NIC's answer (tens of microseconds when it
/// sleeps).
pub struct PipeFabric {
    limits: FabricLimits,
    requests: RefCell<Requests>,
    notices: Consumer,
    bell: Bell,
    armed: Cell<bool>,
}

/// The way to the NIC.
struct Requests {
    ring: Producer,
    nic: Ringer,
    control: Box<dyn HostControl>,
    rings_always: bool,
}

impl PipeFabric {
    /// Starts a thread that makes a fabric with `make` and runs it.
    ///
    /// Errors: `make`'s; what `eventfd` or the thread's start say.
    pub fn spawn<F: Fabric>(
        options: PipeOptions,
        make: impl FnOnce() -> io::Result<F> + Send + 'static,
    ) -> io::Result<PipeFabric> {
        let (host_ends, nic_ends) = ends(options.depth)?;
        let (call_in, calls) = sync_channel(CALLS_MAX);
        let (replies, reply_out) = sync_channel(1);
        let (notes, note_out) = sync_channel(NOTES_MAX);
        let (started, outcome) = sync_channel::<io::Error>(1);
        let thread = std::thread::Builder::new().name("flexblk-nic".into()).spawn(move || {
            let mut control = ThreadNic { calls, replies, notes };
            match make() {
                Ok(fabric) => {
                    if control.reply(Reply::Ready(fabric.limits())) {
                        NicSide::new(fabric, nic_ends, control, options).run();
                    }
                }
                // The receiver waits for it, or is gone with the whole pipe.
                Err(error) => drop(started.send(error)),
            }
        })?;
        let limits = match reply_out.recv() {
            Ok(Reply::Ready(limits)) => limits,
            _ => return Err(outcome.recv().unwrap_or_else(|_| io::ErrorKind::Other.into())),
        };
        let thread = Some(thread);
        let control = ThreadHost { calls: call_in, replies: reply_out, notes: note_out, thread };
        Ok(PipeFabric::new(host_ends, Box::new(control), limits, options))
    }

    /// The host's end of a pipe that was set up elsewhere, after the NIC said `Ready`.
    #[must_use]
    pub fn new(
        ends: HostEnds,
        control: Box<dyn HostControl>,
        limits: FabricLimits,
        options: PipeOptions,
    ) -> PipeFabric {
        let HostEnds { requests: ring, notices, bell, nic } = ends;
        let requests = Requests { ring, nic, control, rings_always: options.rings_always };
        PipeFabric {
            limits,
            requests: RefCell::new(requests),
            notices,
            bell,
            armed: Cell::new(false),
        }
    }
}

impl Requests {
    /// Hands over what was pushed.
    fn publish(&mut self) {
        if self.ring.publish() {
            if self.rings_always { self.nic.ring_anyway() } else { self.nic.ring() }
        }
    }
    /// Sends a call in its place among the work. False: the NIC is gone.
    fn try_call(&mut self, call: Call) -> bool {
        if !self.control.send(call) {
            return false;
        }
        // A full ring empties as the NIC takes work; it cannot be waiting for us.
        while self.ring.push(Request::Control.encode()).is_err() {
            self.publish();
            if !self.control.is_alive() {
                return false;
            }
            std::thread::yield_now();
        }
        self.publish();
        true
    }
    /// The same. Panics when the NIC is gone.
    fn call(&mut self, call: Call) {
        assert!(self.try_call(call), "the NIC ended");
    }
    /// Sends a call and waits for its answer.
    fn ask(&mut self, call: Call) -> Reply {
        self.call(call);
        self.control.reply()
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
        let requests = self.requests.get_mut();
        let ring = &mut requests.ring;
        if ring.room() <= CONTROL_RESERVE && ring.room_now() <= CONTROL_RESERVE {
            return Err(Full(work));
        }
        ring.push(Request::Post(qp, work).encode()).map_err(|_| Full(work))?;
        if requests.rings_always {
            requests.publish();
        }
        Ok(())
    }
    fn poll(&mut self, _now: Instant, out: &mut Vec<FabricEvent>) {
        if self.armed.take() {
            self.bell.disarm();
        }
        let before = out.len();
        while let Some(descriptor) = self.notices.pop() {
            match Notice::decode(&descriptor) {
                Notice::Event(event) => out.push(event),
                Notice::Control => out.push(self.requests.get_mut().control.note()),
            }
        }
        self.notices.release_but(0);
        if out.len() == before {
            assert!(self.requests.get_mut().control.is_alive(), "the NIC ended");
        }
    }
    fn flush(&mut self, _now: Instant) {
        self.requests.get_mut().publish();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        Some(self.bell.fd())
    }
    fn has_pending(&self) -> bool {
        self.notices.is_ready()
    }
    /// Arms the bell, then looks once more.
    fn may_sleep(&self) -> bool {
        if !self.armed.replace(true) {
            self.bell.arm();
        }
        !self.notices.is_ready()
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
        // If it is gone, there is nobody to stop.
        let _ = requests.try_call(Call::Stop);
        requests.control.end();
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
