//! The early timer: when the peer is silent for longer than it ever was, the oldest packet is sent
//! again, once, long before the retransmission timer.
//!
//! A gap in the middle is told by what comes behind it. Of a lost tail (the last packet of a
//! message, its acknowledgement, the end of a READ's response) nobody tells, and the retransmission
//! timer is made for dead peers, not for lost packets: Linux asks for half a second. One packet more
//! is what the question costs. Whatever was lost, its answer moves the connection on: a packet that
//! was missing is executed, one that was not is acknowledged again with all that came after it.
//! Source: the idea is RFC 8985's tail loss probe. That probes with the newest packet, which only a
//! receiver that keeps what comes early can use; a go-back-N responder needs the oldest.

use super::path::{Path, Request};
use super::requester::{Planned, Requester, opens};
use super::sequence::Seq;
use crate::link::TxBatch;
use crate::qp::Cx;
use memory::Access;
use std::time::{Duration, Instant};
use verbs::SgeList;

/// Never earlier than this: a thread that was not scheduled is no loss.
const WAIT_MIN: Duration = Duration::from_micros(500);
/// With a foreign peer nor earlier than this part of the retransmission timer, which it asked for as
/// the scale of its delays. (One that is emulated, or has its interrupts late, counts what comes
/// twice as an error of the network.)
const PART_OF_TIMEOUT: u32 = 4;
/// Nor than so many of the longest round trips of late.
const LONGEST_TIMES: u32 = 4;
/// Each probe doubles the next wait, up to this, until a round trip is certain: on a path that is
/// longer than the first wait, everything is asked for again, and then none ever would be.
/// Source: Karn and Partridge, "Improving Round-Trip Time Estimates in Reliable Transport Protocols".
const BACKOFF_MAX: u32 = 16;
/// With each round trip the longest of late shrinks by this part.
const LONGEST_FADES: u32 = 1024;

/// When to ask, and what was asked.
#[derive(Debug)]
pub(super) struct EarlyTimer {
    /// Least wait. `None`: the retransmission timer is off, or as short.
    least: Option<Duration>,
    /// A round trip that is seldom exceeded.
    longest: Duration,
    backoff: u32,
    deadline: Option<Instant>,
    /// The probe is to leave.
    is_due: bool,
    probe: Option<Probe>,
}

/// A probe that left: its end, and that of everything sent before it.
#[derive(Clone, Copy, Debug)]
struct Probe {
    end: Seq,
    sent_end: Seq,
}

impl EarlyTimer {
    /// `timeout` is the retransmission timer's code: 4.096 µs × 2^timeout, 0 is off.
    pub(super) fn new(timeout: u8, peer_is_flexblk: bool) -> EarlyTimer {
        let code = timeout & 0x1f;
        let timeout = Duration::from_nanos(4096 << code);
        let part = if peer_is_flexblk { Duration::ZERO } else { timeout / PART_OF_TIMEOUT };
        let least = part.max(WAIT_MIN);
        EarlyTimer {
            least: (code != 0 && least < timeout).then_some(least),
            longest: Duration::ZERO,
            backoff: 1,
            deadline: None,
            is_due: false,
            probe: None,
        }
    }
    /// A packet left at `now`; the wait begins again. One probe is all until there is progress.
    pub(super) fn on_send(&mut self, now: Instant) {
        if self.probe.is_none() {
            let wait = self.least.map(|least| least.max(LONGEST_TIMES * self.longest));
            let wait = wait.map(|wait| wait * self.backoff);
            self.deadline = wait.map(|wait| now + wait);
        }
    }
    /// Everything before `una` is acknowledged; `rtt`: a round trip that is certain. True: what was
    /// sent before the probe and behind it has not arrived, unless an answer is still under way.
    pub(super) fn on_progress(&mut self, una: Seq, rtt: Option<Duration>) -> bool {
        if let Some(rtt) = rtt {
            self.longest = rtt.max(self.longest - self.longest / LONGEST_FADES);
            self.backoff = 1;
        }
        self.is_due = false;
        self.deadline = None;
        let Some(probe) = self.probe.filter(|probe| una >= probe.end) else { return false };
        self.probe = None;
        una < probe.sent_end
    }
    /// The probe, up to `end`, leaves; before it `sent_end` was reached.
    pub(super) fn on_probe(&mut self, end: Seq, sent_end: Seq) {
        self.is_due = false;
        self.probe = Some(Probe { end, sent_end });
    }
    /// Everything is sent again, or nothing is awaited.
    pub(super) fn stop(&mut self) {
        self.deadline = None;
        self.is_due = false;
        self.probe = None;
    }
    /// The deadline may have passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.is_due = true;
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        }
    }
    /// The probe is to leave.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Requester {
    /// Sends the oldest unacknowledged packet once more, and asks for an answer. Of a READ: asks for
    /// the rest of it. If its memory is gone, whoever goes back finds out.
    pub(super) fn probe(&mut self, cx: &mut Cx<'_>, path: &Path, out: &mut TxBatch) {
        let seq = self.window.una();
        let (end, sent_end) = (seq, self.window.sent_end());
        self.early.on_probe(end, sent_end);
        let Some(head) = self.queue.front().filter(|head| !head.is_local()) else { return };
        let planned = self.plan(head, seq.index_from(head.first));
        let Planned { position, psns, offset, bytes, sges, .. } = planned;
        let awaits = head.awaits_response();
        let access = if awaits { Access::LOCAL_WRITE } else { Access::LOCAL_READ };
        if !opens(cx.memory, &sges, access) {
            return;
        }
        let request = Request { seq, position, offset, bytes, ack_req: true };
        let payload = if awaits { SgeList::new() } else { sges };
        out.push(path.request(&head.wr, &request, payload));
        self.early.on_probe(seq + psns, sent_end);
        cx.counters.packets_out += 1;
        cx.counters.probes_out += 1;
        cx.counters.retransmitted_packets += 1;
        // Its answer may be to either of the two: no certain round trip.
        if let Some(head) = self.queue.front_mut() {
            head.sent_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the wait is a quarter of the timeout (a peer of ours has none of that), never below half
    /// a millisecond, and four of the longest round trips where those are longer; a timer that is off
    /// or as short has none.
    #[test]
    fn waits() {
        let start = Instant::now();
        let wait_for = |code: u8, rtt_us: u64, peer_is_flexblk| {
            let mut timer = EarlyTimer::new(code, peer_is_flexblk);
            timer.on_progress(Seq::start(0), Some(Duration::from_micros(rtt_us)));
            timer.on_send(start);
            timer.deadline().map(|at| (at - start).as_micros())
        };
        let wait = |code, rtt_us| wait_for(code, rtt_us, false);
        assert_eq!([wait_for(17, 20, true), wait_for(17, 200, true)], [Some(500), Some(800)]);
        assert_eq!(wait(14, 20), Some(16_777));
        assert_eq!(wait(17, 20), Some(134_217));
        assert_eq!(wait(14, 5_000), Some(20_000));
        assert_eq!(wait(8, 20), Some(500));
        assert_eq!([wait(0, 20), wait(6, 20)], [None; 2]);
    }

    /// Goal: on a path that is longer than the first wait, where every round trip is uncertain because of
    /// a probe, the waits grow until none is sent too early; with a certain one they are short again.
    #[test]
    fn waits_grow_until_a_round_trip_is_certain() {
        let (start, mut timer, mut seq) =
            (Instant::now(), EarlyTimer::new(17, true), Seq::start(0));
        let mut wait = |timer: &mut EarlyTimer, rtt| {
            timer.on_send(start);
            let deadline = timer.deadline().unwrap();
            timer.handle_timeout(deadline);
            timer.on_probe(seq + 1, seq + 1);
            seq = seq + 1;
            timer.on_progress(seq, rtt);
            (deadline - start).as_micros()
        };
        let waits = [(); 6].map(|()| wait(&mut timer, None));
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000]);
        wait(&mut timer, Some(Duration::from_micros(900)));
        assert_eq!(wait(&mut timer, None), 3600);
    }

    /// Goal: one probe until there is progress; afterwards it is known whether what was sent before
    /// it is missing too.
    #[test]
    fn one_probe_and_its_answer() {
        let (start, first) = (Instant::now(), Seq::start(7));
        let at = |ms| start + Duration::from_millis(ms);
        for (una, is_behind) in [(first + 1, true), (first + 2, true), (first + 3, false)] {
            let mut timer = EarlyTimer::new(14, false);
            timer.on_send(start);
            timer.handle_timeout(at(16));
            assert!(!timer.is_due());
            timer.handle_timeout(at(17));
            assert!(timer.is_due());
            timer.on_probe(first + 1, first + 3);
            timer.on_send(at(18));
            assert_eq!((timer.is_due(), timer.deadline()), (false, None), "one probe");
            assert!(!timer.on_progress(first, None), "no news of the probe");
            assert_eq!(timer.on_progress(una, None), is_behind);
            timer.on_send(at(19));
            assert!(timer.deadline().is_some());
        }
    }
}
