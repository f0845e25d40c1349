//! The test itself: messages posted while fewer than the depth are outstanding.

use super::exchange::{Dest, Values};
use super::{Goal, Verb};
use crate::rdma::{Fault, Memory, float, list, succeeded};
use netstack::endpoint::Endpoint;
use std::time::{Duration, Instant};
use verbs::{PostError, QpNum, Remote, Rkey, SendOp, SendWr, Wc, WrFlags};

/// What is posted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) verb: Verb,
    pub(super) bytes: u32,
    pub(super) depth: u32,
    pub(super) goal: Goal,
}

/// One direction of messages on one queue pair.
pub(super) struct Load {
    work: Work,
    qp: QpNum,
    remote: Remote,
    posted: u64,
    /// All up to this one.
    completed: u64,
    began: Instant,
    ended: Option<Instant>,
}

impl Load {
    pub(super) fn new(work: Work, qp: QpNum, peer: &Dest, now: Instant) -> Load {
        let remote = Remote { addr: peer.vaddr, rkey: Rkey(peer.rkey) };
        Load { work, qp, remote, posted: 0, completed: 0, began: now, ended: None }
    }

    /// Messages from one completion to the next: completions cost, but the queue must not run dry.
    fn moderation(&self) -> u64 {
        u64::from(self.work.depth / 4).max(1)
    }

    fn wants_more(&self, now: Instant) -> bool {
        match self.work.goal {
            Goal::Iterations(count) => self.posted < count,
            // The last one must be signalled.
            Goal::Time(time) => {
                now < self.began + time || !self.posted.is_multiple_of(self.moderation())
            }
        }
    }

    fn is_signaled(&self, number: u64) -> bool {
        let is_last = self.work.goal == Goal::Iterations(number);
        is_last || number.is_multiple_of(self.moderation())
    }

    /// Posts what there is room for.
    ///
    /// Errors: the peer granted no READs.
    pub(super) fn post(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        data: &Memory,
    ) -> Result<(), Fault> {
        while self.posted - self.completed < u64::from(self.work.depth) && self.wants_more(now) {
            let number = self.posted + 1;
            let remote = self.remote;
            let op = match self.work.verb {
                Verb::Send => SendOp::Send,
                Verb::Write => SendOp::RdmaWrite(remote),
                Verb::Read => SendOp::RdmaRead(remote),
                Verb::FetchAdd => SendOp::FetchAdd { remote, add: 1 },
                Verb::CompareSwap => SendOp::CompareSwap { remote, compare: 0, swap: 1 },
            };
            let flags = WrFlags { signaled: self.is_signaled(number), ..WrFlags::default() };
            let sges = list(data.sge(0, self.work.bytes));
            match verbs.post_send(self.qp, SendWr { wr_id: number, op, sges, flags }) {
                Ok(()) => self.posted = number,
                Err(PostError::Full) => return Ok(()),
                Err(PostError::Malformed) => {
                    let why =
                        "lets this side have no READs and atomics outstanding: give it --outs";
                    return Err(Fault::Peer(why.into()));
                }
                // Its end is told next.
                Err(PostError::NoSuchQp | PostError::WrongState) => return Ok(()),
            }
        }
        if self.posted == self.completed && !self.wants_more(now) {
            self.ended.get_or_insert(now);
        }
        Ok(())
    }

    /// A completion: everything up to it is done.
    ///
    /// Errors: work that failed.
    pub(super) fn completed(&mut self, wc: &Wc) -> Result<(), Fault> {
        succeeded(wc, format_args!("{} number {}", self.work.verb.name(), wc.wr_id))?;
        self.completed = self.completed.max(wc.wr_id);
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended.is_some()
    }
    /// Messages done: grows while the peer answers.
    pub(super) fn progress(&self) -> u64 {
        self.completed
    }
    /// When it is time to look at the clock again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.work.goal {
            Goal::Time(time) => Some(self.began + time),
            Goal::Iterations(_) => None,
        }
    }

    /// From the first post to the last completion.
    pub(super) fn values(&self) -> Values {
        let time = self.ended.map_or(Duration::ZERO, |at| at - self.began).as_secs_f64().max(1e-9);
        let (bytes, iterations) = (u64::from(self.work.bytes), self.completed);
        let per_second = float(iterations) / time;
        let average = per_second * float(bytes) / float(1 << 20);
        // No peak: it would take a clock reading for each message.
        Values { bytes, iterations, rates: [0.0, average, per_second / 1e6] }
    }
}
