//! Tools that speak verbs with tools of others: `rdma-ping` with rping, `rdma-bw` with perftest.
//!
//! Read first: [`Tool`] (what a machine is), then [`ping`] or [`bw`] (what is spoken), [`drive`] (the
//! loop that runs one on a NIC). The machines are pure: time is an argument, the endpoint is theirs
//! to call, and nothing blocks.

pub mod bw;
mod drive;
mod memory;
pub mod ping;
#[cfg(test)]
mod tests;

pub use drive::drive;
pub(crate) use memory::Memory;

use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::DisconnectReason;
use std::time::{Duration, Instant};
use verbs::{QpNum, SendOp, SendWr, Sge, SgeList, Wc, WcStatus, WrFlags};

/// An answer that does not come for this long never will.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// A server that is not there yet is asked again after this long.
const RETRY: Duration = Duration::from_millis(100);
/// So often at most.
const RETRIES_MAX: u32 = 50;
/// CM's reason for "nobody listens there". Source: IBTA 1.4, "Rejection Reason Codes".
const NOBODY_LISTENS: u16 = 8;

/// Why a tool did not do all that was asked, in words: what happened, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The peer broke the tool's protocol. Its fault.
    #[error("the peer {0}")]
    Peer(String),
    /// The connection could not be made, or broke. The network's fault, or that of who ended it.
    #[error("{0}")]
    Connection(String),
    /// Parameters that cannot be met. The caller's fault.
    #[error("{0}")]
    Misuse(String),
}

/// One tool on one endpoint: a machine that is told what happened and calls the endpoint.
///
/// Calls in a turn: each event and each completion in the endpoint's order, then `handle_turn`.
pub trait Tool {
    /// Before the first turn.
    ///
    /// Errors: memory; parameters that cannot be met.
    fn start(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault>;
    /// Something happened to a connection.
    fn handle_event(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        event: ConnEvent,
    ) -> Result<(), Fault>;
    /// A work request completed.
    fn handle_completion(
        &mut self,
        now: Instant,
        verbs: &mut Endpoint,
        wc: &Wc,
    ) -> Result<(), Fault>;
    /// Everything that happened was told: time to post, and to look at the clock.
    fn handle_turn(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault>;
    /// Its user wants it to end: what was begun is ended in order.
    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint);
    /// Done: connections are closed, or will be by what is queued.
    fn is_over(&self) -> bool;
    /// When `handle_turn` wants to be called even if nothing happens.
    fn deadline(&self) -> Option<Instant>;
    /// A line for its user, oldest first.
    fn take_note(&mut self) -> Option<String>;
}

/// A signalled work request of one element.
fn one(wr_id: u64, op: SendOp, sge: Sge) -> SendWr {
    let flags = WrFlags { signaled: true, ..WrFlags::default() };
    SendWr { wr_id, op, sges: list(sge), flags }
}

fn list(sge: Sge) -> SgeList {
    SgeList::from_buf_and_len([sge, Sge::default()], 1)
}

/// Why a work request failed, in words.
fn failed(what: &str, wc: &Wc) -> Fault {
    let hint = match wc.status {
        WcStatus::RemAccessErr => ": the peer's memory is not open to it, or too short",
        WcStatus::LocLenErr => ": a message was longer than -s; give both sides the same",
        WcStatus::RemInvReqErr => {
            ": the peer finds it invalid; are sizes and READs outstanding the same on both sides?"
        }
        WcStatus::RetryExcErr => ": no answer from the peer",
        WcStatus::RnrRetryExcErr => ": the peer has no receive posted",
        WcStatus::Success
        | WcStatus::LocQpOpErr
        | WcStatus::LocProtErr
        | WcStatus::WrFlushErr
        | WcStatus::BadRespErr
        | WcStatus::LocAccessErr
        | WcStatus::RemOpErr
        | WcStatus::GeneralErr => "",
    };
    Fault::Connection(format!("{what} failed with status {:?}{hint}", wc.status))
}

/// Why a connection ended, in words.
fn ended(what: &str, reason: DisconnectReason) -> Fault {
    let why = match reason {
        DisconnectReason::Peer => "the peer ended it".into(),
        DisconnectReason::Local => "it was ended here".into(),
        DisconnectReason::Timeout => "no answer from the peer".into(),
        DisconnectReason::Error(status) => format!("it broke ({status:?})"),
        DisconnectReason::Insecure(why) => why.into(),
    };
    Fault::Connection(format!("{what}: {why}"))
}

/// Connects to a server that may not be there yet: perftest's listens anew for each connection.
#[derive(Debug, Default)]
struct Dial {
    qp: Option<QpNum>,
    tries: u32,
    again_at: Option<Instant>,
}

impl Dial {
    /// Notes a rejection: whether it is worth another try.
    fn rejected(&mut self, now: Instant, reason: u16) -> Result<(), Fault> {
        self.qp = None;
        if reason != NOBODY_LISTENS {
            return Err(Fault::Peer(format!("refused the connection, CM reason {reason}")));
        }
        self.tries += 1;
        if self.tries > RETRIES_MAX {
            let why = "nobody listens at that port: is the server running, with the same -p?";
            return Err(Fault::Connection(why.into()));
        }
        self.again_at = Some(now + RETRY);
        Ok(())
    }
    /// It is time for another try.
    fn is_due(&mut self, now: Instant) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
