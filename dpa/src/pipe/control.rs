//! The side channel: what does not fit a descriptor (private data, regions) or wants an answer.
//!
//! Every call is announced by a control descriptor in the ring, so it keeps its place among the
//! work around it, and one bell wakes the NIC for both.

use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{ConnectParams, FabricEvent, FabricLimits, QpHandle};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;

/// Calls that may wait.
pub(super) const CALLS_MAX: usize = 64;
/// Events with private data that may wait (more stay at the NIC).
pub(super) const NOTES_MAX: usize = 256;

/// From host to NIC.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the fabric's function of that name")]
pub enum Call {
    Register(Region, Access),
    Deregister(Mr),
    Listen(u16),
    Connect(SocketAddr, ConnectParams),
    Accept(QpHandle, ConnectParams),
    Reject(QpHandle, Vec<u8>),
    Disconnect(QpHandle),
    Counters,
    /// The NIC's loop ends.
    Stop,
}

/// Answers to `Register`, `Connect`, `Counters`; `Ready` comes first, once.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The NIC runs, and has these bounds.
    Ready(FabricLimits),
    /// To `Register`.
    Registered(Result<Mr, RegistryFull>),
    /// To `Connect`.
    Connecting(QpHandle),
    /// To `Counters`.
    Counters(Vec<(&'static str, u64)>),
}

/// The host's end of the side channel. Panics where it says so: a pipe whose other side is gone is
/// of no use.
pub trait HostControl: Send {
    /// Sends a call. False: the NIC is gone.
    fn send(&mut self, call: Call) -> bool;
    /// The next answer. Panics when the NIC is gone.
    fn reply(&mut self) -> Reply;
    /// The next event, which a descriptor announced. Panics when the NIC is gone.
    fn note(&mut self) -> FabricEvent;
    /// Whether the NIC still runs. Asked at every turn that finds nothing, and while a call
    /// waits for room.
    fn is_alive(&mut self) -> bool;
    /// After `Stop`: waits for the NIC's end.
    fn end(&mut self);
}

/// The NIC's end of the side channel.
pub trait NicControl: Send {
    /// The next call, which a descriptor announced. `Stop` when the host is gone.
    fn call(&mut self) -> Call;
    /// Answers. False: the host is gone.
    fn reply(&mut self, reply: Reply) -> bool;
    /// Passes an event on. Errors: there is no room for it now; it comes back.
    fn note(&mut self, event: FabricEvent) -> Result<(), FabricEvent>;
}

/// To a NIC on a thread of this process.
pub(super) struct ThreadHost {
    pub(super) calls: SyncSender<Call>,
    pub(super) replies: Receiver<Reply>,
    pub(super) notes: Receiver<FabricEvent>,
    pub(super) thread: Option<JoinHandle<()>>,
}

/// From a thread of this process.
pub(super) struct ThreadNic {
    pub(super) calls: Receiver<Call>,
    pub(super) replies: SyncSender<Reply>,
    pub(super) notes: SyncSender<FabricEvent>,
}

impl HostControl for ThreadHost {
    fn send(&mut self, call: Call) -> bool {
        self.calls.send(call).is_ok()
    }
    fn reply(&mut self) -> Reply {
        self.replies.recv().expect("the NIC thread ended")
    }
    fn note(&mut self) -> FabricEvent {
        self.notes.recv().expect("the NIC thread ended")
    }
    fn is_alive(&mut self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was already told by its own message.
            let _ = thread.join();
        }
    }
}

impl NicControl for ThreadNic {
    fn call(&mut self) -> Call {
        self.calls.recv().unwrap_or(Call::Stop)
    }
    fn reply(&mut self, reply: Reply) -> bool {
        self.replies.send(reply).is_ok()
    }
    fn note(&mut self, event: FabricEvent) -> Result<(), FabricEvent> {
        self.notes.try_send(event).map_err(|back| match back {
            TrySendError::Full(event) | TrySendError::Disconnected(event) => event,
        })
    }
}
