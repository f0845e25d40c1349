//! A connection: its socket, its two halves, and how it begins and ends.

use super::frame::{Header, Op};
use super::receiving::Receiving;
use super::sending::Sending;
use super::{Fault, Shared, Stop};
use netstack::fabric::{
    ConnectParams, DisconnectReason, FabricEvent, Full, QpHandle, Work, WorkOp,
};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;
use verbs::WcStatus;

/// Receives that may be posted before the connection is accepted, which says how many.
const DEPTH_BEFORE: usize = 4096;
/// CM's reasons: nobody listens there; refused by the consumer. Source: IBTA 1.4, "REJ".
const REASON_INVALID_SERVICE: u16 = 8;
const REASON_CONSUMER: u16 = 28;

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The kernel connects.
    Connecting,
    /// Connected: the peer's consumer has not answered yet.
    Asked,
    /// Accepted by the kernel: the peer has said nothing yet.
    Greeting,
    /// Our consumer has not answered yet.
    Requested,
    Open,
    /// Over: with this, which is told last.
    Over(Option<FabricEvent>),
}

pub(super) struct Connection {
    pub(super) qp: QpHandle,
    pub(super) stream: TcpStream,
    pub(super) stage: Stage,
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    /// The peer's READs at once.
    pub(super) reads_granted: usize,
    receives_max: usize,
    peer: SocketAddr,
    port: u16,
    /// The handshake ends by then.
    pub(super) deadline: Option<Instant>,
    /// The kernel said that the peer sends no more.
    pub(super) ended: bool,
    /// It is in the list of those to be read, of those to be written, of those that are read in every
    /// turn.
    pub(super) is_ready: bool,
    pub(super) is_dirty: bool,
    pub(super) is_hot: bool,
    /// Turn in which octets came last.
    pub(super) heard: u64,
}

impl Connection {
    fn new(
        qp: QpHandle,
        stream: TcpStream,
        stage: Stage,
        (peer, port): (SocketAddr, u16),
        deadline: Instant,
    ) -> Connection {
        Connection {
            qp,
            stream,
            stage,
            sending: Sending::new(qp, DEPTH_BEFORE),
            receiving: Receiving::default(),
            reads_granted: 1,
            receives_max: DEPTH_BEFORE,
            peer,
            port,
            deadline: Some(deadline),
            ended: false,
            is_ready: false,
            is_dirty: false,
            is_hot: false,
            heard: 0,
        }
    }
    /// One that the kernel accepted.
    pub(super) fn accepted(
        qp: QpHandle,
        stream: TcpStream,
        from: (SocketAddr, u16),
        deadline: Instant,
    ) -> Connection {
        Connection::new(qp, stream, Stage::Greeting, from, deadline)
    }
    /// One that the kernel connects.
    pub(super) fn connecting(
        qp: QpHandle,
        stream: TcpStream,
        to: SocketAddr,
        deadline: Instant,
        params: ConnectParams,
    ) -> Connection {
        let mut it = Connection::new(qp, stream, Stage::Connecting, (to, to.port()), deadline);
        it.take_depths(&params);
        let header = Header { depth: params.read_depth, ..Header::new(Op::Connect, 0) };
        it.sending.control(&header, params.private);
        // Until the kernel says that it is connected.
        it.sending.is_blocked = true;
        it
    }
    fn take_depths(&mut self, params: &ConnectParams) {
        self.sending.depth = params.send_depth as usize;
        self.receives_max = params.recv_depth as usize;
        self.reads_granted = usize::from(params.read_depth.max(1));
    }

    /// The kernel has room, and so is connected. Errors: it could not.
    pub(super) fn writable(&mut self) -> Result<(), Stop> {
        if self.stage == Stage::Connecting {
            match self.stream.take_error() {
                Ok(None) => self.stage = Stage::Asked,
                Ok(Some(error)) | Err(error) => return Err(no_connection(&error)),
            }
        }
        self.sending.is_blocked = false;
        Ok(())
    }

    pub(super) fn accept(&mut self, params: ConnectParams, events: &mut Vec<FabricEvent>) {
        if self.stage != Stage::Requested {
            return;
        }
        self.take_depths(&params);
        let header = Header { depth: params.read_depth, ..Header::new(Op::Accept, 0) };
        self.sending.control(&header, params.private);
        self.open(Vec::new(), events);
    }
    fn open(&mut self, private: Vec<u8>, events: &mut Vec<FabricEvent>) {
        self.stage = Stage::Open;
        self.deadline = None;
        self.sending.open();
        let read_depth = u8::try_from(self.sending.reads_max).unwrap_or(u8::MAX);
        events.push(FabricEvent::Established { qp: self.qp, private, read_depth });
    }
    /// A frame of the handshake came.
    pub(super) fn answered(
        &mut self,
        header: &Header,
        private: Vec<u8>,
        shared: &mut Shared,
    ) -> Result<(), Stop> {
        self.sending.reads_max = usize::from(header.depth);
        if header.op == Op::Accept {
            self.open(private, &mut shared.events);
        } else if header.op == Op::Reject {
            return Err(Stop::Rejected { reason: header.reason, private });
        } else {
            let (qp, from, port, read_depth) = (self.qp, self.peer, self.port, header.depth);
            (self.stage, self.deadline) = (Stage::Requested, None);
            let event = FabricEvent::ConnectRequest { qp, from, port, private, read_depth };
            shared.events.push(event);
        }
        Ok(())
    }
    pub(super) fn reject(&mut self, private: &[u8], shared: &mut Shared) {
        if self.stage != Stage::Requested {
            return;
        }
        let header = Header { reason: REASON_CONSUMER, ..Header::new(Op::Reject, 0) };
        self.sending.control(&header, private.to_vec());
        self.finish(None, shared);
    }

    pub(super) fn post(
        &mut self,
        work: Work,
        events: &mut Vec<FabricEvent>,
    ) -> Result<(), Full<Work>> {
        if matches!(self.stage, Stage::Over(_)) {
            let (qp, token, status) = (self.qp, work.token, WcStatus::WrFlushErr);
            events.push(FabricEvent::Done { qp, token, status });
            return Ok(());
        }
        if work.op != WorkOp::Recv {
            return self.sending.post(work, events);
        }
        if self.receiving.receives.len() >= self.receives_max {
            return Err(Full(work));
        }
        self.receiving.receives.push_back(work);
        Ok(())
    }

    /// This side ends it.
    pub(super) fn disconnect(&mut self, shared: &mut Shared) {
        let (qp, reason) = (self.qp, DisconnectReason::Local);
        self.finish(Some(FabricEvent::Disconnected { qp, reason }), shared);
    }
    /// Something else does.
    pub(super) fn end(&mut self, stop: Stop, shared: &mut Shared) {
        let qp = self.qp;
        let reason = match stop {
            Stop::Gone => DisconnectReason::Peer,
            Stop::Timeout => DisconnectReason::Timeout,
            Stop::Fault(Fault { here, there, read }) => {
                let reason = u16::from(there as u8);
                let header = Header { reason, depth: read.into(), ..Header::new(Op::Error, 0) };
                self.sending.last(&header);
                DisconnectReason::Error(here)
            }
            Stop::Told { status, read } => {
                if read {
                    self.sending.fail_read(status);
                }
                DisconnectReason::Error(status)
            }
            Stop::Rejected { reason, private } => {
                return self.finish(Some(FabricEvent::Rejected { qp, reason, private }), shared);
            }
        };
        // Who never asked for anything is not known to anybody.
        let is_known = self.stage != Stage::Greeting;
        let last = is_known.then_some(FabricEvent::Disconnected { qp, reason });
        self.finish(last, shared);
    }
    fn finish(&mut self, last: Option<FabricEvent>, shared: &mut Shared) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        // What the kernel does not take now, the peer never gets.
        let _ = self.sending.write(&self.stream, shared);
        let _ = self.stream.shutdown(Shutdown::Write);
        self.sending.flush(&mut shared.events);
        self.flush_receives(&mut shared.events);
        self.stage = Stage::Over(last);
    }
}

/// How it ends when the kernel cannot connect.
pub(super) fn no_connection(error: &std::io::Error) -> Stop {
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return Stop::Rejected { reason: REASON_INVALID_SERVICE, private: Vec::new() };
    }
    Stop::Timeout
}
