//! What the responder owes: READ responses and atomics' results in PSN order, then at most one
//! cumulative acknowledgement, then a refusal. Source: IBTA 1.4, "Responder: Generating responses".
//!
//! An acknowledgement never overtakes a READ response with a lower PSN: the requester would take
//! it for the news that the response was lost.

use super::flow::Flow;
use super::path::Path;
use super::replay::ReadSpan;
use super::segment;
use super::sequence::Seq;
use crate::link::TxBatch;
use crate::qp::Cx;
use memory::{Access, Lkey, Sge};
use std::collections::VecDeque;
use std::time::Instant;
use verbs::SgeList;
use wire::roce::{Msn, NakCode, Syndrome};

/// One response to a READ or an atomic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    /// The rest of a READ: `seq` is the next packet's, `span` what is left.
    Read {
        seq: Seq,
        span: ReadSpan,
        starts: bool,
    },
    Atomic {
        seq: Seq,
        old: u64,
    },
}

/// The last words were said: the queue pair must go to the error state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Died;

/// Everything that the responder has to say and has not said.
#[derive(Debug)]
pub(super) struct Replies {
    jobs: VecDeque<Job>,
    /// READs and atomics of the peer at once.
    reads_max: usize,
    mtu: u32,
    /// Cumulative acknowledgement of this PSN.
    ack: Option<Seq>,
    nak: Option<(Seq, Syndrome)>,
    /// `nak` is the last word.
    is_fatal: bool,
}

impl Replies {
    pub(super) fn new(reads_max: u8, mtu: u32) -> Replies {
        let reads_max = usize::from(reads_max);
        let jobs = VecDeque::with_capacity(2 * reads_max + 1);
        Replies { jobs, reads_max, mtu, ack: None, nak: None, is_fatal: false }
    }
    /// Another READ or atomic is within the limit. Replays of duplicates may take as many places
    /// again, so that a duplicate in the network does not refuse a lawful request.
    pub(super) fn has_room(&self) -> bool {
        self.reads_max > 0 && self.jobs.len() < 2 * self.reads_max
    }
    pub(super) fn push_read(&mut self, seq: Seq, span: ReadSpan) {
        self.jobs.push_back(Job::Read { seq, span, starts: true });
    }
    pub(super) fn push_atomic(&mut self, seq: Seq, old: u64) {
        self.jobs.push_back(Job::Atomic { seq, old });
    }
    /// A READ, or the rest of one, was asked for again.
    pub(super) fn replay_read(&mut self, seq: Seq, span: ReadSpan) {
        self.replay(Job::Read { seq, span, starts: true });
    }
    /// An atomic's result was asked for again.
    pub(super) fn replay_atomic(&mut self, seq: Seq, old: u64) {
        self.replay(Job::Atomic { seq, old });
    }
    /// Takes the place of what answers the same PSNs, in PSN order. Dropped when too much is
    /// waiting: the peer will ask again.
    fn replay(&mut self, job: Job) {
        let (first, end) = job.psns(self.mtu);
        let mtu = self.mtu;
        self.jobs.retain(|other| {
            let (other_first, other_end) = other.psns(mtu);
            other_end <= first || end <= other_first
        });
        if self.jobs.len() < self.reads_max {
            let at = self.jobs.iter().position(|other| other.psns(mtu).0 > first);
            self.jobs.insert(at.unwrap_or(self.jobs.len()), job);
        }
    }
    /// Everything up to `seq` was executed, and the peer wants to know.
    pub(super) fn owe_ack(&mut self, seq: Seq) {
        self.ack = self.ack.max(Some(seq));
    }
    /// `seq` is refused, or missing; everything before it was executed.
    pub(super) fn owe_nak(&mut self, seq: Seq, syndrome: Syndrome) {
        self.nak = Some((seq, syndrome));
    }
    /// The same, and nothing follows.
    pub(super) fn owe_last_nak(&mut self, seq: Seq, code: NakCode) {
        self.nak = Some((seq, Syndrome::Nak(code)));
        self.is_fatal = true;
    }
    /// What was missing arrived. True: before the peer was told.
    pub(super) fn forget_nak(&mut self) -> bool {
        self.nak.take().is_some()
    }
    /// A last word is waiting: no more requests are executed.
    pub(super) fn is_fatal(&self) -> bool {
        self.is_fatal
    }
    /// Something may leave now.
    pub(super) fn is_ready(&self, now: Instant, flow: &Flow) -> bool {
        match self.jobs.front() {
            Some(Job::Read { .. }) => !flow.is_paused(now),
            Some(Job::Atomic { .. }) => true,
            None => self.ack.is_some() || self.nak.is_some(),
        }
    }
    pub(super) fn clear(&mut self) {
        self.jobs.clear();
        self.ack = None;
        self.nak = None;
        self.is_fatal = false;
    }

    /// Says what may be said. `msn` goes into every AETH. Errors: the last word was said.
    pub(super) fn emit(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        flow: &mut Flow,
        msn: Msn,
        out: &mut TxBatch,
    ) -> Result<(), Died> {
        while out.room() > 0 && self.is_ready(cx.now, flow) {
            match self.jobs.front().copied() {
                Some(Job::Read { seq, span, starts }) => {
                    if !self.emit_read(cx, path, flow, msn, (seq, span, starts), out) {
                        break;
                    }
                }
                Some(Job::Atomic { seq, old }) => {
                    out.push(path.atomic_ack(seq, msn, old));
                    self.said(cx, seq);
                    self.jobs.pop_front();
                }
                None => self.emit_ack(cx, path, msn, out)?,
            }
        }
        Ok(())
    }

    /// One packet of a READ response. False: pacing holds it.
    fn emit_read(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        flow: &mut Flow,
        msn: Msn,
        (seq, span, starts): (Seq, ReadSpan, bool),
        out: &mut TxBatch,
    ) -> bool {
        let bytes = span.len.min(self.mtu);
        let open = cx.memory.remote(span.rkey, span.addr, bytes, Access::REMOTE_READ);
        if bytes > 0 && open.is_err() {
            cx.counters.access_errors_in += 1;
            self.jobs.clear();
            self.owe_last_nak(seq, NakCode::RemoteAccess);
            return true;
        }
        if !flow.release(cx.now, bytes) {
            return false;
        }
        let ends = bytes == span.len;
        let mut payload = SgeList::new();
        if bytes > 0 {
            // Header-only TX: the link gathers from the registration that the peer named.
            payload.push(Sge { addr: span.addr, length: bytes, lkey: Lkey(span.rkey.0) });
        }
        out.push(path.read_response(seq, segment::position(starts, ends), msn, payload, bytes));
        flow.on_send(cx.now, bytes);
        cx.counters.payload_bytes_out += u64::from(bytes);
        self.said(cx, seq);
        if ends {
            self.jobs.pop_front();
        } else if let Some(job) = self.jobs.front_mut() {
            let rest = ReadSpan {
                addr: span.addr.wrapping_add(u64::from(bytes)),
                len: span.len - bytes,
                ..span
            };
            *job = Job::Read { seq: seq + 1, span: rest, starts: false };
        }
        true
    }

    /// A response with PSN `seq` left; it acknowledges everything before it.
    fn said(&mut self, cx: &mut Cx<'_>, seq: Seq) {
        cx.counters.packets_out += 1;
        if self.ack.is_some_and(|ack| ack <= seq) {
            self.ack = None;
        }
    }

    /// The refusal, which acknowledges what is before it, or else the acknowledgement.
    fn emit_ack(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        msn: Msn,
        out: &mut TxBatch,
    ) -> Result<(), Died> {
        cx.counters.packets_out += 1;
        let ack = self.ack.take();
        if let Some((seq, syndrome)) = self.nak.take() {
            let is_rnr = matches!(syndrome, Syndrome::RnrNak(_));
            cx.counters.rnr_naks_out += u64::from(is_rnr);
            cx.counters.naks_out += u64::from(!is_rnr);
            out.push(path.ack(seq, syndrome, msn));
            return if self.is_fatal { Err(Died) } else { Ok(()) };
        }
        if let Some(seq) = ack {
            cx.counters.acks_out += 1;
            out.push(path.ack(seq, Syndrome::ACK, msn));
        }
        Ok(())
    }
}

impl Job {
    /// First PSN, and one past the last.
    fn psns(&self, mtu: u32) -> (Seq, Seq) {
        match *self {
            Job::Read { seq, span, .. } => (seq, seq + segment::packets(span.len, mtu)),
            Job::Atomic { seq, .. } => (seq, seq + 1),
        }
    }
}
