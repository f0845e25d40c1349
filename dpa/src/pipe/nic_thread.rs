//! The NIC's end of the pipe: a fabric run by a thread or a process of its own.

use super::PipeOptions;
use super::control::{Call, NicControl, Reply};
use super::descriptor::{Notice, Request};
use super::ends::NicEnds;
use netstack::fabric::{Fabric, FabricEvent, Full, QpHandle, Work, WorkOp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a fabric without a descriptor to sleep on is left alone.
const BLIND_NAP: Duration = Duration::from_micros(200);

/// Runs a fabric for the host at the other end of a pipe.
pub struct NicSide<F, C> {
    fabric: F,
    ends: NicEnds,
    control: C,
    options: PipeOptions,
    waiting: Waiting,
    busy_at: Instant,
    /// Somebody rang, and the ring was not seen empty since (with [`PipeOptions::rings_always`]).
    rung: bool,
    /// [`Fabric::activity`] after the last turn.
    activity: u64,
    time: TurnTime,
}

/// Work and events that could not go on yet.
#[derive(Default)]
struct Waiting {
    /// Work that found its queue full: one line for each queue, in order.
    stalled: Vec<(QpHandle, bool, VecDeque<Work>)>,
    stalled_len: usize,
    events: Vec<FabricEvent>,
    backlog: VecDeque<FabricEvent>,
}

/// What a turn did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// It found nothing.
    Idle,
    /// It found something that does not concern the host yet.
    Worked,
    /// It told the host something.
    Told,
}

/// Time spent in turns that found work.
#[derive(Default)]
struct TurnTime {
    busy: Duration,
    turns: u64,
    idle_turns: u64,
}

impl<F: Fabric, C: NicControl> NicSide<F, C> {
    /// Panics when the options say a batch of 0.
    #[must_use]
    pub fn new(fabric: F, ends: NicEnds, control: C, options: PipeOptions) -> NicSide<F, C> {
        assert!(options.batch > 0, "a batch of 0 takes no work");
        let (waiting, time) = (Waiting::default(), TurnTime::default());
        let busy_at = Instant::now();
        let (rung, activity) = (false, 0);
        NicSide { fabric, ends, control, options, waiting, busy_at, rung, activity, time }
    }

    /// Runs until `Stop`. The pipe's one loop: take work, poll, tell, send; sleep when idle.
    pub fn run(mut self) {
        let mut now = Instant::now();
        while let Some(turn) = self.turn(now) {
            let next = Instant::now();
            self.time.turns += 1;
            if turn == Turn::Idle {
                self.time.idle_turns += 1;
                self.idle(next);
            } else {
                self.busy_at = now;
                self.time.busy += next - now;
            }
            let hands_over = self.options.hands_over && turn == Turn::Told;
            if self.options.yields && hands_over {
                std::thread::yield_now();
            }
            let gone = self.options.yields && (hands_over || turn == Turn::Idle);
            now = if gone { Instant::now() } else { next };
        }
    }

    /// Takes work, polls, tells, sends. `None`: the host says that it is over.
    fn turn(&mut self, now: Instant) -> Option<Turn> {
        let took = self.take_requests(now)?;
        self.fabric.poll(now, &mut self.waiting.events);
        let told = self.tell();
        self.fabric.flush(now);
        let activity = self.fabric.activity();
        let moved = std::mem::replace(&mut self.activity, activity) != activity;
        Some(match (told, took || moved) {
            (true, _) => Turn::Told,
            (false, true) => Turn::Worked,
            (false, false) => Turn::Idle,
        })
    }

    fn idle(&mut self, now: Instant) {
        if now.duration_since(self.busy_at) >= self.options.spin {
            self.sleep(now);
        } else if self.options.yields {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }

    fn take_requests(&mut self, now: Instant) -> Option<bool> {
        self.retry();
        let mut took = 0;
        while took < self.options.batch
            && let Some(descriptor) = self.next_request()
        {
            took += 1;
            match Request::decode(&descriptor) {
                Request::Post(qp, work) => self.post(qp, work),
                Request::Control => {
                    let call = self.control.call();
                    self.carry_out(now, call)?;
                }
            }
        }
        // Stalled work keeps its credits, so what can pile up here is bounded by the ring.
        self.ends.requests.release_but(self.waiting.stalled_len);
        Some(took > 0)
    }

    fn next_request(&mut self) -> Option<super::ring::Descriptor> {
        if !self.options.rings_always {
            return self.ends.requests.pop();
        }
        if !self.rung && !self.ends.bell.take() {
            return None;
        }
        // One look at the bell takes all rings so far: what they were for may be more than a batch.
        let next = self.ends.requests.pop();
        self.rung = next.is_some();
        next
    }

    fn post(&mut self, qp: QpHandle, work: Work) {
        let waiting = &mut self.waiting;
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

    fn retry(&mut self) {
        let Waiting { stalled, stalled_len, .. } = &mut self.waiting;
        for (qp, _, line) in &mut *stalled {
            while let Some(work) = line.pop_front() {
                if let Err(Full(work)) = self.fabric.post(*qp, work) {
                    line.push_front(work);
                    break;
                }
                *stalled_len -= 1;
            }
        }
        stalled.retain(|(_, _, line)| !line.is_empty());
    }

    /// `None` for `Stop`, or when the host is gone. The host waits for each reply, so there is room.
    fn carry_out(&mut self, now: Instant, call: Call) -> Option<()> {
        let fabric = &mut self.fabric;
        let reply = match call {
            Call::Register(region, access) => Reply::Registered(fabric.register(&region, access)),
            Call::Connect(to, params) => Reply::Connecting(fabric.connect(now, to, params)),
            Call::Counters => Reply::Counters(self.counters()),
            Call::Stop => return None,
            Call::Deregister(_)
            | Call::Listen(_)
            | Call::Accept(..)
            | Call::Reject(..)
            | Call::Disconnect(_) => {
                self.carry_out_silently(now, call);
                return Some(());
            }
        };
        self.control.reply(reply).then_some(())
    }

    /// Calls without an answer.
    fn carry_out_silently(&mut self, now: Instant, call: Call) {
        let fabric = &mut self.fabric;
        match call {
            Call::Deregister(mr) => fabric.deregister(&mr),
            Call::Listen(port) => fabric.listen(port),
            Call::Accept(qp, params) => fabric.accept(now, qp, params),
            Call::Reject(qp, private) => fabric.reject(now, qp, &private),
            Call::Disconnect(qp) => fabric.disconnect(now, qp),
            Call::Register(..) | Call::Connect(..) | Call::Counters | Call::Stop => {}
        }
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = Vec::new();
        self.fabric.counters(&mut |name, value| all.push((name, value)));
        let busy_ns = u64::try_from(self.time.busy.as_nanos()).unwrap_or(u64::MAX);
        all.extend([
            ("pipe.nic_sleeps", self.ends.bell.sleeps()),
            ("pipe.host_wakes", self.ends.host.wakes()),
            ("pipe.nic_busy_ns", busy_ns),
            ("pipe.nic_turns", self.time.turns),
            ("pipe.nic_idle_turns", self.time.idle_turns),
        ]);
        all
    }

    /// Passes events on, in order, as far as there is room.
    fn tell(&mut self) -> bool {
        let waiting = &mut self.waiting;
        waiting.backlog.extend(waiting.events.drain(..));
        while let Some(event) = waiting.backlog.pop_front() {
            if self.ends.notices.room() == 0 {
                waiting.backlog.push_front(event);
                break;
            }
            let notice = Notice::Event(event);
            let descriptor = notice.encode();
            if Notice::decode(&descriptor) == Notice::Control
                && let Notice::Event(event) = notice
                && let Err(event) = self.control.note(event)
            {
                waiting.backlog.push_front(event);
                break;
            }
            let pushed = self.ends.notices.push(descriptor);
            assert!(pushed.is_ok(), "there was room");
        }
        let told = self.ends.notices.publish();
        if told {
            self.ends.host.ring();
        }
        told
    }

    fn sleep(&mut self, now: Instant) {
        self.ends.bell.arm();
        let waits = self.ends.requests.is_ready() || !self.fabric.may_sleep();
        if waits || !self.waiting.backlog.is_empty() {
            self.rung |= self.ends.bell.disarm();
            return;
        }
        let timer = self.fabric.poll_timeout().map(|at| at.saturating_duration_since(now));
        let nap = match (self.fabric.fd(), timer) {
            (None, timer) => Some(timer.map_or(BLIND_NAP, |timer| timer.min(BLIND_NAP))),
            (Some(_), timer) => timer,
        };
        self.rung |= self.ends.bell.sleep(self.fabric.fd(), nap);
    }
}
