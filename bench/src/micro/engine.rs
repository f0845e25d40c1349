//! The engine: one single-threaded run-to-completion loop that serves one application.

use super::socket::Socket;
use super::words::{self, WireCall, WireNote, WireReply};
use crate::compare::meter::{Counts, count_process};
use crate::stack::{NicSpec, PipeSpec, nic, pin};
use dpa::pipe::{Call, NicControl, NicSide, Reply, SharedPipe};
use memory::Region;
use netstack::fabric::{Fabric, FabricEvent};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;

/// The first message of an application. With it come: the pipe's memory, the eventfds that wake
/// the engine and the application, and the socket for events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// What to run.
    pub nic: NicSpec,
    /// Over which pipe.
    pub pipe: PipeSpec,
    /// On which processor.
    pub cpu: Option<usize>,
}

/// Serves the application at the other end of `socket` until it says stop, or is gone.
///
/// Errors: an application that does not say hello properly.
pub fn run(socket: OwnedFd) -> io::Result<()> {
    let socket = Socket::new(socket);
    let (hello, fds) = socket.receive::<Hello>()?;
    let fds: [OwnedFd; 4] = fds.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    let [memory, nic_eventfd, host_eventfd, notes] = fds;
    let depth = hello.pipe.depth;
    let opened = pin(hello.cpu)
        .and_then(|()| Region::map_shared(memory, SharedPipe::bytes(depth)))
        .and_then(|region| Ok((region, nic(&hello.nic)?)));
    let (region, nic) = match opened {
        Ok(opened) => opened,
        Err(error) => return socket.send(&WireReply::Failed(error.to_string()), &[]),
    };
    let ends = SharedPipe { region: &region, depth, nic_eventfd, host_eventfd }.nic_ends();
    let mut control = SocketControl { socket, notes: Socket::new(notes) };
    if control.reply(Reply::Ready(nic.limits())) {
        NicSide::new(nic, ends, control, hello.pipe.options()).run();
    }
    Ok(())
}

struct SocketControl {
    socket: Socket,
    notes: Socket,
}

impl NicControl for SocketControl {
    fn call(&mut self) -> Call {
        let received = self.socket.receive::<WireCall>();
        match received.and_then(|(wire, fds)| words::call(wire, fds)) {
            Ok(call) => call,
            Err(error) => {
                tracing::debug!(%error, "the application is gone, or talks nonsense");
                Call::Stop
            }
        }
    }
    fn reply(&mut self, reply: Reply) -> bool {
        let reply = if let Reply::Counters(all) = reply { counters(all) } else { reply };
        self.socket.send(&words::wire_reply(reply), &[]).is_ok()
    }
    fn note(&mut self, event: FabricEvent) -> Result<(), FabricEvent> {
        let wire: Option<WireNote> = words::wire_note(&event);
        match wire.map(|wire| self.notes.try_send(&wire)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Err(event),
            // Whoever does not listen any more misses nothing.
            Some(Ok(()) | Err(_)) | None => Ok(()),
        }
    }
}

/// The stack's counters, and what this process used.
fn counters(mut all: Vec<(&'static str, u64)>) -> Reply {
    let mut own = Counts::new();
    count_process(std::process::id(), "engine", &mut own);
    for name in ["engine.user_us", "engine.system_us", "engine.switches", "engine.resident_bytes"] {
        let count = own.get(name).copied().unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        all.push((name, count as u64));
    }
    Reply::Counters(all)
}
