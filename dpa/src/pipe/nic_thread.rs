//! The NIC's end of the pipe: a fabric run by a thread of its own.

use super::PipeOptions;
use super::bell::{Bell, Ringer};
use super::control::{Call, Reply};
use super::descriptor::{Notice, Request};
use super::ring::{Consumer, Producer};
use netstack::fabric::{Fabric, FabricEvent, Full, QpHandle, Work, WorkOp};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Descriptors taken in one turn at most, so that packets get their turn too.
const REQUESTS_PER_TURN: usize = 256;
/// How long a fabric without a descriptor to sleep on is left alone.
const BLIND_NAP: Duration = Duration::from_micros(200);

/// Everything that the NIC thread owns.
pub(super) struct NicSide<F> {
    pub(super) fabric: F,
    pub(super) requests: Consumer,
    pub(super) notices: Producer,
    pub(super) calls: Receiver<Call>,
    pub(super) replies: SyncSender<Reply>,
    pub(super) notes: SyncSender<FabricEvent>,
    pub(super) bell: Bell,
    pub(super) host: Ringer,
    pub(super) options: PipeOptions,
}

/// Work and events that could not go on yet.
#[derive(Default)]
struct Waiting {
    /// Work that found its queue full: one line for each queue, in order.
    stalled: Vec<(QpHandle, bool, VecDeque<Work>)>,
    stalled_len: usize,
    events: Vec<FabricEvent>,
    backlog: VecDeque<FabricEvent>,
    stop: bool,
}

impl<F: Fabric> NicSide<F> {
    /// Runs until `Stop`. The pipe's one loop: take work, poll, tell, send; sleep when idle.
    pub(super) fn run(mut self) {
        let mut waiting = Waiting::default();
        let mut busy_at = Instant::now();
        while !waiting.stop {
            let now = Instant::now();
            let took = self.take_requests(now, &mut waiting);
            self.fabric.poll(now, &mut waiting.events);
            let told = self.tell(&mut waiting);
            self.fabric.flush(now);
            if took || told {
                busy_at = now;
            } else if now.duration_since(busy_at) >= self.options.spin {
                self.sleep(now, &waiting);
            } else {
                std::hint::spin_loop();
            }
        }
    }

    fn take_requests(&mut self, now: Instant, waiting: &mut Waiting) -> bool {
        self.retry(waiting);
        let mut took = 0;
        while took < REQUESTS_PER_TURN
            && let Some(descriptor) = self.requests.pop()
        {
            took += 1;
            match Request::decode(&descriptor) {
                Request::Post(qp, work) => self.post(qp, work, waiting),
                Request::Control => {
                    let call = self.calls.recv().unwrap_or(Call::Stop);
                    waiting.stop |= self.control(now, call);
                }
            }
        }
        // Stalled work keeps its credits, so what can pile up here is bounded by the ring.
        self.requests.release_but(waiting.stalled_len);
        took > 0
    }

    fn post(&mut self, qp: QpHandle, work: Work, waiting: &mut Waiting) {
        let is_recv = work.op == WorkOp::Recv;
        let line = waiting.stalled.iter_mut().find(|line| (line.0, line.1) == (qp, is_recv));
        if let Some((_, _, line)) = line {
            line.push_back(work);
            waiting.stalled_len += 1;
        } else if let Err(Full(work)) = self.fabric.post(qp, work) {
            waiting.stalled.push((qp, is_recv, VecDeque::from([work])));
            waiting.stalled_len += 1;
        }
    }

    fn retry(&mut self, waiting: &mut Waiting) {
        for (qp, _, line) in &mut waiting.stalled {
            while let Some(work) = line.pop_front() {
                if let Err(Full(work)) = self.fabric.post(*qp, work) {
                    line.push_front(work);
                    break;
                }
                waiting.stalled_len -= 1;
            }
        }
        waiting.stalled.retain(|(_, _, line)| !line.is_empty());
    }

    /// Carries a call out; true for `Stop`. The host waits for each reply, so there is room.
    fn control(&mut self, now: Instant, call: Call) -> bool {
        let reply = match call {
            Call::Register(region, access) => {
                Some(Reply::Registered(self.fabric.register(&region, access)))
            }
            Call::Connect(to, params) => {
                Some(Reply::Connecting(self.fabric.connect(now, to, params)))
            }
            Call::Counters => Some(Reply::Counters(self.counters())),
            Call::Deregister(mr) => {
                self.fabric.deregister(&mr);
                None
            }
            Call::Listen(port) => {
                self.fabric.listen(port);
                None
            }
            Call::Accept(qp, params) => {
                self.fabric.accept(now, qp, params);
                None
            }
            Call::Reject(qp, private) => {
                self.fabric.reject(now, qp, &private);
                None
            }
            Call::Disconnect(qp) => {
                self.fabric.disconnect(now, qp);
                None
            }
            Call::Stop => return true,
        };
        reply.is_some_and(|reply| self.replies.send(reply).is_err())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = Vec::new();
        self.fabric.counters(&mut |name, value| all.push((name, value)));
        all.push(("pipe.nic_sleeps", self.bell.sleeps()));
        all.push(("pipe.host_wakes", self.host.wakes()));
        all
    }

    /// Passes events on, in order, as far as there is room.
    fn tell(&mut self, waiting: &mut Waiting) -> bool {
        waiting.backlog.extend(waiting.events.drain(..));
        while let Some(event) = waiting.backlog.pop_front() {
            if self.notices.room() == 0 {
                waiting.backlog.push_front(event);
                break;
            }
            let notice = Notice::Event(event);
            let descriptor = notice.encode();
            if Notice::decode(&descriptor) == Notice::Control
                && let Notice::Event(event) = notice
                && let Err(back) = self.notes.try_send(event)
            {
                use std::sync::mpsc::TrySendError::{Disconnected, Full};
                let (Full(event) | Disconnected(event)) = back;
                waiting.backlog.push_front(event);
                break;
            }
            let pushed = self.notices.push(descriptor);
            assert!(pushed.is_ok(), "there was room");
        }
        let told = self.notices.publish();
        if told {
            self.host.ring();
        }
        told
    }

    fn sleep(&mut self, now: Instant, waiting: &Waiting) {
        self.bell.arm();
        let waits = self.requests.is_ready() || self.fabric.has_pending();
        if waits || !waiting.backlog.is_empty() {
            self.bell.disarm();
            return;
        }
        let timer = self.fabric.poll_timeout().map(|at| at.saturating_duration_since(now));
        let nap = match (self.fabric.fd(), timer) {
            (None, timer) => Some(timer.map_or(BLIND_NAP, |timer| timer.min(BLIND_NAP))),
            (Some(_), timer) => timer,
        };
        self.bell.sleep(self.fabric.fd(), nap);
    }
}
