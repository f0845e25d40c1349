//! The asynchronous face: futures for callers, one polling thread behind them.
//!
//! The thread owns the connection and shares nothing; requests come by channel, a wake-up by
//! eventfd only when the thread may be asleep. This face copies data once in or out of registered
//! memory: callers that cannot afford it use the polled face.

use crate::host::{Completion, HostState};
use crate::io::{IoOp, NamespaceInfo};
use crate::session::{Session, SessionError};
use crate::wait::{PollMode, Waiter};
use memory::{BufferPool, DmaBuf, Mr};
use netstack::fabric::Fabric;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;
use wire::nvme::Status;

/// Requests with data in flight at once; further ones wait in the channel.
const BUFFERS: u32 = 64;

type Reply = oneshot::Sender<Result<Vec<u8>, SessionError>>;

struct Request {
    op: IoOp,
    offset: u64,
    length: u32,
    data: Vec<u8>,
    reply: Reply,
}

/// A remote namespace with `async` calls. Cheap calls from any runtime; dropping it disconnects.
pub struct AsyncNamespace {
    info: NamespaceInfo,
    requests: Option<mpsc::Sender<Request>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl AsyncNamespace {
    /// Moves `session` to a thread of its own and opens `nsid` there.
    ///
    /// Errors: the namespace does not exist, or memory or threads ran out.
    pub fn new<F: Fabric + Send + 'static>(
        mut session: Session<F>,
        nsid: u32,
        mode: PollMode,
    ) -> Result<AsyncNamespace, SessionError> {
        let info = session.namespace(nsid)?;
        let pool = BufferPool::new(BUFFERS, info.max_transfer_bytes as usize, 0)?;
        let mr = session.host().register(pool.region()).map_err(io::Error::other)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wake = Arc::new(wake.map_err(io::Error::from)?);
        let (requests, inbox) = mpsc::channel();
        let worker = Worker {
            session,
            info,
            pool,
            mr,
            inbox,
            wake: Arc::clone(&wake),
            waiter: Waiter::new(mode),
            flying: HashMap::new(),
            next_tag: 0,
            open: true,
        };
        let thread =
            std::thread::Builder::new().name("flexblk-host".into()).spawn(move || worker.run())?;
        Ok(AsyncNamespace { info, requests: Some(requests), wake, thread: Some(thread) })
    }

    /// What the namespace looks like.
    #[must_use]
    pub fn info(&self) -> &NamespaceInfo {
        &self.info
    }
    /// Reads `length` octets (whole blocks, at most the largest transfer).
    ///
    /// Errors: `BadIo`, or the connection's or the controller's.
    pub async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, SessionError> {
        self.request(IoOp::Read, offset, length, Vec::new()).await
    }
    /// Writes `data` (whole blocks, at most the largest transfer); durable when done if `durable`.
    ///
    /// Errors: `BadIo`, or the connection's or the controller's.
    pub async fn write(
        &self,
        offset: u64,
        data: Vec<u8>,
        durable: bool,
    ) -> Result<(), SessionError> {
        let op = if durable { IoOp::WriteDurable } else { IoOp::Write };
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.request(op, offset, length, data).await.map(drop)
    }
    /// Everything acknowledged becomes durable.
    ///
    /// Errors: the connection's or the controller's.
    pub async fn flush(&self) -> Result<(), SessionError> {
        self.request(IoOp::Flush, 0, 0, Vec::new()).await.map(drop)
    }

    async fn request(
        &self,
        op: IoOp,
        offset: u64,
        length: u32,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, SessionError> {
        let (reply, answer) = oneshot::channel();
        let gone = || SessionError::Io(io::ErrorKind::BrokenPipe.into());
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Request { op, offset, length, data, reply }).map_err(|_| gone())?;
        wake(&self.wake);
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for AsyncNamespace {
    fn drop(&mut self) {
        self.requests = None;
        wake(&self.wake);
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has reported itself.
            let _ = thread.join();
        }
    }
}

fn wake(fd: &OwnedFd) {
    // The counter being full means that a wake-up is pending already.
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

struct Worker<F: Fabric> {
    session: Session<F>,
    info: NamespaceInfo,
    pool: BufferPool,
    mr: Mr,
    inbox: mpsc::Receiver<Request>,
    wake: Arc<OwnedFd>,
    waiter: Waiter,
    flying: HashMap<u64, (Request, Option<DmaBuf>)>,
    next_tag: u64,
    open: bool,
}

impl<F: Fabric> Worker<F> {
    fn run(mut self) {
        let mut done = Vec::new();
        while self.open || !self.flying.is_empty() {
            let now = Instant::now();
            let started = self.take_requests(now);
            self.session.host().turn(now);
            self.session.host().poll_done(&mut done);
            let progress = started || !done.is_empty();
            for completion in done.drain(..) {
                self.finish(&completion);
            }
            self.wait(now, progress);
        }
        self.session.close();
    }

    fn wait(&mut self, now: Instant, progress: bool) {
        let wake = Arc::clone(&self.wake);
        let deadline = self.session.host().poll_timeout();
        let fabric = self.session.host().fabric();
        self.waiter.idle_or_woken(fabric, Some(wake.as_fd()), progress, now, deadline);
        // Level-triggered: empty the counter, whatever it was.
        let _ = rustix::io::read(wake.as_fd(), &mut [0; 8]);
    }

    fn take_requests(&mut self, now: Instant) -> bool {
        let mut any = false;
        while self.pool.available() > 0 && self.open {
            match self.inbox.try_recv() {
                Ok(request) => self.start(now, request),
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => self.open = false,
            }
            any = true;
        }
        any
    }

    fn start(&mut self, now: Instant, request: Request) {
        let buffer = self.pool.get(request.length as usize);
        let addr = buffer.as_ref().map_or(self.mr.addr, DmaBuf::addr);
        self.next_tag += 1;
        let tag = self.next_tag;
        let command =
            self.info.command(tag, request.op, request.offset, request.length, &self.mr, addr);
        let (Some(mut buffer), Ok(command)) = (buffer, command) else {
            let bad =
                command.err().unwrap_or(crate::BadIo::BadLength(self.info.max_transfer_bytes));
            // A caller that went away does not want to know.
            let _ = request.reply.send(Err(bad.into()));
            return;
        };
        buffer.write(0, &request.data);
        let sent = self.session.host().submit(now, 0, command);
        if sent.is_err() {
            self.pool.put(buffer);
            let _ = request.reply.send(Err(io::Error::from(io::ErrorKind::WouldBlock).into()));
            return;
        }
        self.flying.insert(tag, (request, Some(buffer)));
    }

    fn finish(&mut self, completion: &Completion) {
        let Some((request, buffer)) = self.flying.remove(&completion.tag) else { return };
        let result = if completion.status.is_success() {
            let read = buffer.as_ref().filter(|_| request.op == IoOp::Read);
            Ok(read.map_or(Vec::new(), |buffer| buffer.bytes().to_vec()))
        } else if completion.status.is(Status::HOST_PATHING)
            && self.session.host().state() != HostState::Live
        {
            let error = self.session.host().error().cloned();
            let target = self.session.host().target();
            Err(error.unwrap_or(crate::HostError::Lost(target)).into())
        } else {
            Err(SessionError::Status { what: "command", status: completion.status })
        };
        if let Some(buffer) = buffer {
            self.pool.put(buffer);
        }
        let _ = request.reply.send(result);
    }
}
