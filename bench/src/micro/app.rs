//! The application's end: it starts its engine, and has a fabric.

use super::engine::Hello;
use super::socket::Socket;
use super::words::{self, WireNote, WireReply};
use dpa::pipe::{Call, HostControl, PipeFabric, Reply, SharedPipe};
use memory::Region;
use netstack::fabric::FabricEvent;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Turns without work between two looks whether the engine still runs (a system call).
const LOOKS: u32 = 1 << 14;
/// An engine that was told to stop has this long.
const FAREWELL: Duration = Duration::from_secs(2);

/// Starts `program`, whose standard input is to be given to [`super::engine::run`], and connects to
/// it. The process must have called [`memory::share_all`] before it allocated any memory that it will
/// register.
///
/// Errors: the program's start, and what keeps the engine from running.
pub fn start(program: &mut Command, hello: &Hello) -> io::Result<PipeFabric> {
    let (near, far) = Socket::pair()?;
    let engine = program.stdin(Stdio::from(far.into_fd())).spawn()?;
    // The command holds the engine's end, too: while it does, this end hears of no death.
    program.stdin(Stdio::null());
    connect(near.into_fd(), Some(engine), hello)
}

/// Connects to an engine at the other end of `socket`.
///
/// Errors: memory and descriptors; what keeps the engine from running.
pub fn connect(socket: OwnedFd, engine: Option<Child>, hello: &Hello) -> io::Result<PipeFabric> {
    let socket = Socket::new(socket);
    let depth = hello.pipe.depth;
    let region = Region::allocate_shared(SharedPipe::bytes(depth))?;
    let fresh = || eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
    let (nic_eventfd, host_eventfd) = (fresh()?, fresh()?);
    let (notes, note_in) = Socket::pair()?;
    let memory = region.shared_fd().ok_or(io::ErrorKind::InvalidData)?;
    let fds = [memory, nic_eventfd.as_fd(), host_eventfd.as_fd(), note_in.as_fd()];
    socket.send(hello, &fds)?;
    let limits = match words::reply(socket.receive::<WireReply>()?.0)? {
        Reply::Ready(limits) => limits,
        Reply::Registered(_) | Reply::Connecting(_) | Reply::Counters(_) => {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let ends = SharedPipe { region: &region, depth, nic_eventfd, host_eventfd }.host_ends();
    let control = SocketControl { socket, notes, engine, looks: 0 };
    Ok(PipeFabric::new(ends, Box::new(control), limits, hello.pipe.options()))
}

struct SocketControl {
    socket: Socket,
    notes: Socket,
    engine: Option<Child>,
    looks: u32,
}

impl HostControl for SocketControl {
    fn send(&mut self, call: Call) -> bool {
        let (call, region) = words::wire_call(call).expect("memory of `share_all`");
        let fd = region.as_ref().and_then(words::descriptor);
        let fds: Vec<_> = fd.into_iter().collect();
        self.socket.send(&call, &fds).is_ok()
    }
    fn reply(&mut self) -> Reply {
        let (wire, _) = self.socket.receive::<WireReply>().expect("the engine ended");
        words::reply(wire).expect("only a beginning fails")
    }
    fn note(&mut self) -> FabricEvent {
        let (wire, _) = self.notes.receive::<WireNote>().expect("the engine ended");
        words::note(wire)
    }
    fn is_alive(&mut self) -> bool {
        self.looks = (self.looks + 1) % LOOKS;
        let Some(engine) = &mut self.engine else { return true };
        self.looks != 0 || matches!(engine.try_wait(), Ok(None))
    }
    fn end(&mut self) {
        let Some(mut engine) = self.engine.take() else { return };
        let until = Instant::now() + FAREWELL;
        while matches!(engine.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It is gone, or does not listen: either way this cannot do harm.
        let _ = engine.kill();
        let _ = engine.wait();
    }
}
