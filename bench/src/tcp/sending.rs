//! The sending half of a connection: work to frames, frames to `writev`, and what is done when.

use super::frame::{HEADER_LEN, Header, Op};
use super::{Fault, Shared, Stop};
use memory::DmaBuf;
use netstack::fabric::{FabricEvent, Full, Gather, QpHandle, Work, WorkOp};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use verbs::{Remote, WcStatus};

/// Octets of one message at most.
pub(super) const MESSAGE_BYTES_MAX: u32 = 1 << 30;
/// Frames of one `writev`: each is a header and two pieces at most, and the kernel takes 1,024.
const FRAMES_MAX: usize = 340;

/// Where a frame's payload is.
enum Source {
    Nothing,
    Octets(Vec<u8>),
    Local(Gather),
    Peers { from: Remote, length: u32 },
}

/// What follows when a frame was handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// This work is done.
    Done(u64),
    /// A READ of the peer is.
    Replied,
}

struct Frame {
    header: [u8; HEADER_LEN],
    source: Source,
    /// Header and payload.
    length: u64,
    sent: u64,
    then: Then,
}

/// Work that was not reported yet.
struct Pending {
    token: u64,
    signaled: bool,
    done: bool,
    /// How it failed, if it was this one.
    status: Option<WcStatus>,
}

/// A READ on its way.
pub(super) struct PendingRead {
    number: u64,
    pub(super) local: Gather,
    pub(super) length: u32,
}

pub(super) struct Sending {
    qp: QpHandle,
    frames: VecDeque<Frame>,
    /// Work behind a READ that is one too many, or from before the connection is open.
    waiting: VecDeque<(u64, Work)>,
    /// In posting order; it is reported in this order too.
    pending: VecDeque<Pending>,
    /// Number of the first of them.
    first: u64,
    /// Work at once.
    pub(super) depth: usize,
    pub(super) reads: VecDeque<PendingRead>,
    /// READs that the peer lets us have.
    pub(super) reads_max: usize,
    is_open: bool,
    /// READs of the peer that were not answered yet.
    pub(super) replies: usize,
    /// The kernel has no room.
    pub(super) is_blocked: bool,
    /// The kernel takes no more: reading will tell why.
    pub(super) is_dead: bool,
}

impl Sending {
    pub(super) fn new(qp: QpHandle, depth: usize) -> Sending {
        Sending {
            qp,
            frames: VecDeque::new(),
            waiting: VecDeque::new(),
            pending: VecDeque::new(),
            first: 0,
            depth,
            reads: VecDeque::new(),
            reads_max: 0,
            is_open: false,
            replies: 0,
            is_blocked: false,
            is_dead: false,
        }
    }

    /// Anything that `write` would try to hand over.
    pub(super) fn wants_to_write(&self) -> bool {
        !self.frames.is_empty() && !self.is_blocked && !self.is_dead
    }

    pub(super) fn post(
        &mut self,
        work: Work,
        events: &mut Vec<FabricEvent>,
    ) -> Result<(), Full<Work>> {
        if self.pending.len() >= self.depth {
            return Err(Full(work));
        }
        if work.local.len() > u64::from(MESSAGE_BYTES_MAX) {
            let (qp, token, status) = (self.qp, work.token, WcStatus::LocQpOpErr);
            events.push(FabricEvent::Done { qp, token, status });
            return Ok(());
        }
        let number = self.first + self.pending.len() as u64;
        let (token, signaled) = (work.token, work.signaled);
        self.pending.push_back(Pending { token, signaled, done: false, status: None });
        self.waiting.push_back((number, work));
        self.admit();
        Ok(())
    }
    /// The handshake is over.
    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.admit();
    }

    /// Makes frames of what may go.
    fn admit(&mut self) {
        while self.is_open {
            let Some((number, work)) = self.waiting.front().copied() else { return };
            let is_read = matches!(work.op, WorkOp::RdmaRead(_));
            if is_read && self.reads.len() >= self.reads_max {
                return;
            }
            self.waiting.pop_front();
            self.frame(number, work);
        }
    }
    fn frame(&mut self, number: u64, work: Work) {
        #[expect(clippy::cast_possible_truncation, reason = "checked when it was posted")]
        let length = work.local.len() as u32;
        let (op, remote) = match work.op {
            WorkOp::Send { invalidate: None } => (Op::Send, Remote::default()),
            WorkOp::Send { invalidate: Some(rkey) } => {
                (Op::SendInvalidate, Remote { addr: 0, rkey })
            }
            WorkOp::RdmaWrite(remote) => (Op::Write, remote),
            WorkOp::RdmaRead(remote) => (Op::ReadRequest, remote),
            WorkOp::Recv => unreachable!("receives are not sent"),
        };
        let header = Header { key: remote.rkey.0, addr: remote.addr, ..Header::new(op, length) };
        if op == Op::ReadRequest {
            self.reads.push_back(PendingRead { number, local: work.local, length });
            self.queue(&header, Source::Nothing, 0, Then::Nothing);
        } else {
            self.queue(&header, Source::Local(work.local), length, Then::Done(number));
        }
    }
    /// A frame of the handshake, or of its opposite.
    pub(super) fn control(&mut self, header: &Header, mut private: Vec<u8>) {
        private.truncate(super::frame::PRIVATE_MAX as usize);
        let length = u32::try_from(private.len()).unwrap_or(0);
        let header = Header { length, ..*header };
        self.queue(&header, Source::Octets(private), length, Then::Nothing);
    }
    /// The last frame: of what was posted, nothing follows that has not begun.
    pub(super) fn last(&mut self, header: &Header) {
        self.frames.retain(|frame| frame.sent > 0 || frame.then == Then::Replied);
        self.control(header, Vec::new());
    }
    /// The answer to a peer's READ.
    pub(super) fn reply(&mut self, from: Remote, length: u32) {
        self.replies += 1;
        let header = Header::new(Op::ReadResponse, length);
        self.queue(&header, Source::Peers { from, length }, length, Then::Replied);
    }
    fn queue(&mut self, header: &Header, source: Source, payload: u32, then: Then) {
        let length = HEADER_LEN as u64 + u64::from(payload);
        self.frames.push_back(Frame { header: header.encode(), source, length, sent: 0, then });
    }

    /// Hands over what the kernel takes. Errors: memory that a key does not open.
    pub(super) fn write(&mut self, stream: &TcpStream, shared: &mut Shared) -> Result<(), Stop> {
        while self.wants_to_write() {
            let mut pieces = std::mem::take(&mut shared.pieces);
            let gathered = self.gather(shared, &mut pieces);
            let written = gathered.map(|frames| self.write_once(stream, shared, frames, &pieces));
            pieces.clear();
            shared.pieces = pieces;
            written?;
        }
        Ok(())
    }

    /// The payload of as many frames as one call takes, up to the first whose memory is closed.
    fn gather(&mut self, shared: &Shared, pieces: &mut Vec<DmaBuf>) -> Result<usize, Stop> {
        for (at, frame) in self.frames.iter().take(FRAMES_MAX).enumerate() {
            let before = pieces.len();
            let found = match &frame.source {
                Source::Nothing | Source::Octets(_) => Ok(()),
                Source::Local(local) => shared.memory.gather(local, pieces),
                Source::Peers { from, length } => {
                    shared.memory.readable(*from, *length).map(|piece| pieces.push(piece))
                }
            };
            if found.is_err() {
                pieces.truncate(before);
                return if at > 0 { Ok(at) } else { Err(self.closed()) };
            }
        }
        Ok(self.frames.len().min(FRAMES_MAX))
    }
    /// The first frame's memory is not open any more.
    fn closed(&mut self) -> Stop {
        let frame = self.frames.pop_front().expect("it was looked at");
        // In the middle of one, nothing that follows would be understood.
        self.is_dead |= frame.sent > 0;
        match frame.then {
            Then::Done(number) => {
                self.fail(number, WcStatus::LocProtErr);
                Fault::stop(WcStatus::LocProtErr, WcStatus::RemOpErr)
            }
            Then::Replied | Then::Nothing => {
                // Later answers would be taken for this one.
                self.frames.clear();
                let (here, there) = (WcStatus::LocAccessErr, WcStatus::RemAccessErr);
                Stop::Fault(Fault { here, there, read: true })
            }
        }
    }

    fn write_once(
        &mut self,
        mut stream: &TcpStream,
        shared: &mut Shared,
        frames: usize,
        pieces: &[DmaBuf],
    ) {
        let mut slices = Vec::with_capacity(3 * frames);
        let (mut pieces, mut offered) = (pieces.iter(), 0);
        for frame in self.frames.iter().take(frames) {
            offered += frame.length - frame.sent;
            let mut skip = usize::try_from(frame.sent).unwrap_or(usize::MAX);
            let mut push = |octets| push(&mut slices, octets, &mut skip);
            push(&frame.header);
            match &frame.source {
                Source::Nothing => {}
                Source::Octets(octets) => push(octets),
                Source::Local(local) => {
                    pieces.by_ref().take(local.iter().count()).for_each(|p| push(p.bytes()));
                }
                Source::Peers { .. } => pieces.by_ref().take(1).for_each(|p| push(p.bytes())),
            }
        }
        shared.counts.tx_syscalls += 1;
        match stream.write_vectored(&slices) {
            Ok(count) => {
                let count = count as u64;
                shared.counts.tx_bytes += count;
                self.handed_over(count, &mut shared.events);
                self.is_blocked = count < offered;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_blocked = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.is_dead = true,
        }
    }
    fn handed_over(&mut self, mut count: u64, events: &mut Vec<FabricEvent>) {
        while let Some(frame) = self.frames.front_mut() {
            let now = count.min(frame.length - frame.sent);
            frame.sent += now;
            count -= now;
            if frame.sent < frame.length {
                return;
            }
            let then = frame.then;
            self.frames.pop_front();
            match then {
                Then::Nothing => {}
                Then::Done(number) => self.done(number, events),
                Then::Replied => self.replies -= 1,
            }
        }
    }

    /// The oldest READ landed.
    pub(super) fn read_landed(&mut self, events: &mut Vec<FabricEvent>) {
        if let Some(read) = self.reads.pop_front() {
            self.done(read.number, events);
            self.admit();
        }
    }
    fn done(&mut self, number: u64, events: &mut Vec<FabricEvent>) {
        if let Some(pending) = self.pending_mut(number) {
            pending.done = true;
        }
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.done) {
            self.first += 1;
            if pending.signaled {
                let (qp, token, status) = (self.qp, pending.token, WcStatus::Success);
                events.push(FabricEvent::Done { qp, token, status });
            }
        }
    }
    fn fail(&mut self, number: u64, status: WcStatus) {
        if let Some(pending) = self.pending_mut(number) {
            pending.status = Some(status);
        }
    }
    /// The oldest READ failed.
    pub(super) fn fail_read(&mut self, status: WcStatus) {
        if let Some(number) = self.reads.front().map(|read| read.number) {
            self.fail(number, status);
        }
    }
    fn pending_mut(&mut self, number: u64) -> Option<&mut Pending> {
        self.pending.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
    /// Reports all that was not: it failed, or is flushed.
    pub(super) fn flush(&mut self, events: &mut Vec<FabricEvent>) {
        self.waiting.clear();
        self.frames.clear();
        self.reads.clear();
        for Pending { token, status, .. } in self.pending.drain(..) {
            let status = status.unwrap_or(WcStatus::WrFlushErr);
            events.push(FabricEvent::Done { qp: self.qp, token, status });
        }
    }
}

/// What is left of `octets` after `skip` of this frame.
fn push<'p>(slices: &mut Vec<IoSlice<'p>>, octets: &'p [u8], skip: &mut usize) {
    let (_, rest) = octets.split_at(octets.len().min(*skip));
    *skip -= octets.len() - rest.len();
    if !rest.is_empty() {
        slices.push(IoSlice::new(rest));
    }
}
