//! The requester: posted sends become request packets, acknowledgements and responses become
//! completions. Source: IBTA 1.4, "Requester behaviour"; go-back-N as Linux rxe expects it.

use super::Options;
use super::early::EarlyTimer;
use super::flow::Flow;
use super::path::{Path, Request};
use super::recovery::{Recovery, Verdict};
use super::rnr::RnrWait;
use super::segment::{self, MESSAGE_BYTES_MAX};
use super::sequence::Seq;
use super::timer::RetransmitTimer;
use super::window::Window;
use super::wqe::Wqe;
use crate::cc::{AckSample, Loss};
use crate::link::TxBatch;
use crate::qp::{Cx, QpConfig};
use memory::{Access, Registry, Rkey, Sge};
use std::collections::VecDeque;
use std::time::Instant;
use verbs::{PostError, QpNum, SendOp, SendWr, SgeList, WcStatus};
use wire::roce::Position;

/// Everything posted and not completed, the place up to which it was sent, and why no more is.
pub(super) struct Requester {
    pub(super) qpn: QpNum,
    pub(super) mtu: u32,
    /// Not completed, oldest first. PSNs are assigned when posted.
    pub(super) queue: VecDeque<Wqe>,
    depth: usize,
    sges_max: usize,
    /// First PSN of the next post.
    end: Seq,
    pub(super) window: Window,
    /// Next packet to send.
    cursor: Cursor,
    /// READs and atomics before the cursor whose response is missing.
    reads_out: u8,
    reads_max: u8,
    pub(super) timer: RetransmitTimer,
    pub(super) early: EarlyTimer,
    pub(super) rnr: RnrWait,
    pub(super) recovery: Recovery,
    /// A local key of the request under the cursor does not open. It waits until it is the
    /// oldest, so that what was posted before it completes first.
    is_held: bool,
}

/// A packet of a request in the queue.
#[derive(Clone, Copy, Default)]
struct Cursor {
    index: usize,
    packet: u32,
}

/// One packet of a request.
pub(super) struct Planned {
    pub(super) position: Position,
    /// Numbers that it takes: more than one for a READ.
    pub(super) psns: u32,
    /// Octets already landed (READ) or sent before it.
    pub(super) offset: u32,
    /// Octets that it carries, or that its response will.
    pub(super) bytes: u32,
    /// Where they are.
    pub(super) sges: SgeList,
    is_read: bool,
}

impl Requester {
    pub(super) fn new(config: &QpConfig, options: Options) -> Requester {
        let attr = &config.attr;
        let depth = config.caps.max_send_wr as usize;
        Requester {
            qpn: config.qpn,
            mtu: attr.path_mtu_bytes,
            queue: VecDeque::with_capacity(depth),
            depth,
            sges_max: config.caps.max_send_sge as usize,
            end: Seq::start(attr.sq_psn),
            window: Window::new(Seq::start(attr.sq_psn), options.unacked_psns_max),
            cursor: Cursor::default(),
            reads_out: 0,
            reads_max: attr.max_rd_atomic,
            timer: RetransmitTimer::new(attr.timeout, attr.retry_cnt),
            early: EarlyTimer::new(attr.timeout, options.peer_is_flexblk),
            rnr: RnrWait::new(attr.rnr_retry),
            recovery: Recovery::default(),
            is_held: false,
        }
    }

    /// Queues a send. Errors: `Full`; `Malformed` when it has too many elements, is too long, is a
    /// READ or an atomic on a connection that allows none, or an atomic without one element of 8.
    pub(super) fn post(&mut self, wr: SendWr) -> Result<(), PostError> {
        if self.queue.len() >= self.depth {
            return Err(PostError::Full);
        }
        let len = u32::try_from(wr.len()).map_err(|_| PostError::Malformed)?;
        if len > MESSAGE_BYTES_MAX || wr.sges.len() > self.sges_max {
            return Err(PostError::Malformed);
        }
        let wqe = Wqe::new(wr, self.end, len, self.mtu);
        if wqe.awaits_response() && self.reads_max == 0 {
            return Err(PostError::Malformed);
        }
        if wqe.is_atomic() && (wqe.wr.sges.len() != 1 || len != 8) {
            return Err(PostError::Malformed);
        }
        self.end = wqe.end();
        self.queue.push_back(wqe);
        Ok(())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The packet under the cursor may leave (or the local work under it may be done) now.
    pub(super) fn is_ready(&self, now: Instant, flow: &Flow) -> bool {
        if self.early.is_due() {
            return true;
        }
        let Some(wqe) = self.queue.get(self.cursor.index) else { return false };
        if self.rnr.waits(now) || (self.is_held && self.cursor.index > 0) {
            return false;
        }
        if wqe.is_local() {
            return self.cursor.index == 0;
        }
        if self.cursor.packet == 0 && wqe.wr.flags.fence && self.reads_out > 0 {
            return false;
        }
        if wqe.awaits_response() && self.reads_out >= self.reads_max {
            return false;
        }
        // A READ larger than the window may leave while the window is not full.
        let bytes = wqe.len.saturating_sub(self.cursor.packet * self.mtu).min(self.mtu);
        !flow.is_paused(now) && self.window.admits(bytes, flow.cc.window_bytes())
    }

    /// Sends what may leave. Errors: the status with which the oldest send fails.
    pub(super) fn emit(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        flow: &mut Flow,
        out: &mut TxBatch,
    ) -> Result<(), WcStatus> {
        if out.room() > 0 && self.early.is_due() {
            self.probe(cx, path, out);
        }
        while out.room() > 0 && self.is_ready(cx.now, flow) {
            if !self.step(cx, path, flow, out)? {
                break;
            }
        }
        Ok(())
    }

    /// Does what is under the cursor. False: it cannot be done now.
    fn step(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        flow: &mut Flow,
        out: &mut TxBatch,
    ) -> Result<bool, WcStatus> {
        let wqe = &self.queue[self.cursor.index];
        if let SendOp::LocalInv(rkey) = wqe.wr.op {
            return self.invalidate_local(cx, rkey);
        }
        let planned = self.plan(wqe, self.cursor.packet);
        let access = if wqe.awaits_response() { Access::LOCAL_WRITE } else { Access::LOCAL_READ };
        if !opens(cx.memory, &planned.sges, access) {
            self.is_held = true;
            return if self.cursor.index == 0 { Err(WcStatus::LocProtErr) } else { Ok(false) };
        }
        self.is_held = false;
        let carried = if wqe.awaits_response() { 0 } else { planned.bytes };
        if !flow.release(cx.now, carried) {
            return Ok(false);
        }
        self.send(cx, path, flow, planned, out);
        Ok(true)
    }

    /// Packet `index` of a request.
    pub(super) fn plan(&self, wqe: &Wqe, index: u32) -> Planned {
        let is_read = matches!(wqe.wr.op, SendOp::RdmaRead(_));
        let offset = index * self.mtu;
        let rest = wqe.len - offset;
        let psns = if is_read { wqe.packets - index } else { 1 };
        let bytes = if is_read { rest } else { rest.min(self.mtu) };
        let ends = index + psns == wqe.packets;
        let position = if is_read { Position::Only } else { segment::position(index == 0, ends) };
        let sges = segment::slice(&wqe.wr.sges, offset, bytes);
        Planned { position, psns, offset, bytes, sges, is_read }
    }

    fn send(
        &mut self,
        cx: &mut Cx<'_>,
        path: &Path,
        flow: &mut Flow,
        planned: Planned,
        out: &mut TxBatch,
    ) {
        let Planned { position, psns, offset, bytes, sges, is_read } = planned;
        let wqe = &mut self.queue[self.cursor.index];
        let seq = wqe.first + self.cursor.packet;
        assert!(seq == self.window.next(), "the cursor and the window are one place");
        let again = self.window.on_send(psns, bytes);
        let is_full = !self.window.admits(self.mtu, flow.cc.window_bytes());
        let ack_req = self.window.asks_for_ack(segment::ends(position), is_full);
        let request = Request { seq, position, offset, bytes, ack_req };
        let carried = if wqe.awaits_response() { 0 } else { bytes };
        let payload = if wqe.awaits_response() { SgeList::new() } else { sges };
        out.push(path.request(&wqe.wr, &request, payload));
        flow.on_send(cx.now, carried);
        cx.counters.packets_out += 1;
        cx.counters.payload_bytes_out += u64::from(carried);
        cx.counters.retransmitted_packets += u64::from(again);
        if segment::ends(position) {
            wqe.sent_at = (!again).then_some(cx.now);
            self.reads_out += u8::from(is_read || wqe.is_atomic());
            self.cursor = Cursor { index: self.cursor.index + 1, packet: 0 };
        } else {
            self.cursor.packet += 1;
        }
        self.timer.arm(cx.now);
        self.early.on_send(cx.now);
        self.recovery.on_send(cx.now);
    }

    /// LOCAL_INV: everything before it is done.
    fn invalidate_local(&mut self, cx: &mut Cx<'_>, rkey: Rkey) -> Result<bool, WcStatus> {
        cx.memory.invalidate(rkey).map_err(|_| WcStatus::LocQpOpErr)?;
        self.retire(cx, 0);
        Ok(true)
    }

    /// Everything before `upto` is acknowledged, READs and atomics excepted: those only by their
    /// responses. Returns true when one of them was passed over: its response is missing.
    pub(super) fn acknowledge(&mut self, cx: &mut Cx<'_>, flow: &mut Flow, upto: Seq) -> bool {
        let (before, mut bytes, mut sent_at, mut gap) = (self.window.una(), 0, None, false);
        let mut una = before;
        while let Some(head) = self.queue.front() {
            if head.first >= upto || una >= upto {
                break;
            }
            gap = head.awaits_response();
            if gap {
                break;
            }
            let to = upto.min(head.end());
            bytes += head.octets_before(to, self.mtu) - head.octets_before(una, self.mtu);
            una = to;
            if una < head.end() {
                break;
            }
            sent_at = head.sent_at;
            self.retire(cx, 0);
        }
        if una > before {
            self.on_progress(cx.now, flow, una, bytes, sent_at);
        }
        gap
    }

    /// The oldest request is done.
    pub(super) fn retire(&mut self, cx: &mut Cx<'_>, byte_len: u32) {
        let wqe = self.queue.pop_front().expect("the oldest request is there");
        if self.cursor.index > 0 {
            self.cursor.index -= 1;
            self.reads_out -= u8::from(wqe.awaits_response());
        } else {
            self.cursor.packet = 0;
        }
        if wqe.wr.flags.signaled {
            cx.wcs.push(wqe.completion(self.qpn, WcStatus::Success, byte_len));
        }
    }

    /// `una` moved on: `bytes` of payload were newly acknowledged, the newest sent at `sent_at`.
    pub(super) fn on_progress(
        &mut self,
        now: Instant,
        flow: &mut Flow,
        una: Seq,
        bytes: u64,
        sent_at: Option<Instant>,
    ) {
        self.window.on_ack(una, bytes);
        if let (0, Some(head)) = (self.cursor.index, self.queue.front()) {
            let done = una.max(head.first).index_from(head.first);
            self.cursor.packet = self.cursor.packet.max(done);
        }
        let rtt = sent_at.map(|at| now.saturating_duration_since(at));
        self.recovery.on_progress(rtt);
        if self.early.on_progress(una, rtt) {
            self.recovery.suspect(now, una);
        }
        self.rnr.on_progress();
        self.timer.on_progress();
        if self.window.is_in_flight() {
            self.timer.arm(now);
            self.early.on_send(now);
        }
        flow.cc.on_ack(&AckSample {
            now,
            acked_bytes: bytes,
            in_flight_bytes: self.window.in_flight_bytes(),
            rtt,
            ecn: false,
        });
    }

    /// Something sent is missing at the peer, or its response here: sends again from the oldest
    /// unacknowledged packet, once per gap and round trip. Errors: all retries are used up.
    pub(super) fn on_gap(&mut self, now: Instant, flow: &mut Flow) -> Result<(), WcStatus> {
        if !self.window.is_in_flight() {
            return Ok(());
        }
        match self.recovery.on_gap(now, self.window.una()) {
            Verdict::Wait => Ok(()),
            Verdict::GoBack => self.retry(now, flow, Loss::Gap { packets: 1 }),
        }
    }

    fn retry(&mut self, now: Instant, flow: &mut Flow, loss: Loss) -> Result<(), WcStatus> {
        self.timer.on_retry().map_err(|_| WcStatus::RetryExcErr)?;
        flow.cc.on_loss(now, loss);
        self.go_back();
        Ok(())
    }

    /// The cursor returns to the oldest unacknowledged packet.
    pub(super) fn go_back(&mut self) {
        self.window.go_back();
        let una = self.window.una();
        let packet = self.queue.front().map_or(0, |head| una.index_from(head.first));
        self.cursor = Cursor { index: 0, packet };
        self.reads_out = 0;
        self.is_held = false;
        self.timer.stop();
        self.early.stop();
        self.recovery.on_go_back();
    }

    /// Timers. Errors: all retries are used up.
    pub(super) fn handle_timeout(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &mut Flow,
    ) -> Result<(), WcStatus> {
        self.rnr.handle_timeout(cx.now);
        self.early.handle_timeout(cx.now);
        if !self.timer.expired(cx.now) {
            let is_due = self.recovery.take_due(cx.now);
            return if is_due { self.on_gap(cx.now, flow) } else { Ok(()) };
        }
        cx.counters.timeouts += 1;
        self.recovery.on_timeout();
        self.timer.on_expiry();
        self.retry(cx.now, flow, Loss::Timeout)
    }

    /// Completes everything: the oldest with `status`, the rest as flushed.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>, status: WcStatus) {
        let mut status = status;
        for wqe in self.queue.drain(..) {
            cx.wcs.push(wqe.completion(self.qpn, status, 0));
            status = WcStatus::WrFlushErr;
        }
        self.cursor = Cursor::default();
        self.timer.stop();
        self.early.stop();
        self.rnr.stop();
        self.recovery.stop();
    }
}

pub(super) fn opens(memory: &Registry, sges: &[Sge], access: Access) -> bool {
    sges.iter().all(|&sge| memory.local(sge, access).is_ok())
}
