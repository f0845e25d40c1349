//! Tools that speak verbs with tools of others: `rdma-ping` with rping, `rdma-bw` with perftest.
//!
//! Read first: [`Tool`] (what a machine is), then [`ping`] or [`bw`] (what is spoken), [`drive`] (the
//! loop that runs one on a NIC). The machines are pure: time is an argument, the endpoint is theirs
//! to call, and nothing blocks.

pub mod bw;
mod dial;
mod drive;
mod memory;
pub mod ping;
#[cfg(test)]
mod tests;

use dial::Dial;
pub use drive::drive;
pub(crate) use memory::Memory;

use netstack::endpoint::{ConnEvent, Endpoint};
use netstack::fabric::DisconnectReason;
use std::time::{Duration, Instant};
use verbs::{QpNum, SendOp, SendWr, Sge, SgeList, Wc, WcStatus, WrFlags};

/// An answer that does not come for this long never will.
pub const PATIENCE: Duration = Duration::from_secs(10);

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

/// What happens to the connections of a tool and to the work that it posted.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Event {
    /// A peer wants a connection: it is accepted or rejected.
    Asked { qp: QpNum },
    /// A connection is there.
    Open { qp: QpNum, is_native: bool },
    /// The peer wants none, by CM's reason.
    Refused { qp: QpNum, reason: u16 },
    /// A connection ended.
    Closed { qp: QpNum, reason: DisconnectReason },
    /// Work completed. What was flushed is not told: its connection's end is.
    Done(Wc),
}

impl From<ConnEvent> for Event {
    fn from(event: ConnEvent) -> Event {
        match event {
            ConnEvent::ConnectRequest { qp, .. } => Event::Asked { qp },
            ConnEvent::Established { qp, is_native, .. } => Event::Open { qp, is_native },
            ConnEvent::Rejected { qp, reason, .. } => Event::Refused { qp, reason },
            ConnEvent::Disconnected { qp, reason } => Event::Closed { qp, reason },
        }
    }
}

/// One tool on one endpoint: a machine that is told what happened and calls the endpoint.
///
/// Calls in a turn: each event in the endpoint's order, then `handle_turn`, then `handle_silence` if
/// its patience has ended.
pub trait Tool {
    /// Before the first turn.
    ///
    /// Errors: memory; parameters that cannot be met.
    fn start(&mut self, now: Instant, verbs: &mut Endpoint) -> Result<(), Fault>;
    /// Something happened.
    fn handle(&mut self, now: Instant, verbs: &mut Endpoint, event: Event) -> Result<(), Fault>;
    /// Everything that happened was told: time to post, and to look at the clock.
    fn handle_turn(&mut self, _now: Instant, _verbs: &mut Endpoint) -> Result<(), Fault> {
        Ok(())
    }
    /// Until when its peer is waited for.
    fn patience(&self) -> Option<Instant> {
        None
    }
    /// The peer let that moment pass: an error, a milder end, or another moment.
    fn handle_silence(&mut self, _now: Instant, _verbs: &mut Endpoint) -> Result<(), Fault> {
        Ok(())
    }
    /// Its user wants it to end: what was begun is ended in order.
    fn interrupt(&mut self, now: Instant, verbs: &mut Endpoint);
    /// Done: connections are closed, or will be by what is queued.
    fn is_over(&self) -> bool;
    /// When it wants a turn even if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        self.patience()
    }
    /// A line for its user, oldest first.
    fn take_note(&mut self) -> Option<String> {
        None
    }
}

/// A signalled work request of one element.
fn one(wr_id: u64, op: SendOp, sge: Sge) -> SendWr {
    let flags = WrFlags { signaled: true, ..WrFlags::default() };
    SendWr { wr_id, op, sges: list(sge), flags }
}

fn list(sge: Sge) -> SgeList {
    SgeList::from_buf_and_len([sge, Sge::default()], 1)
}

/// Errors: why the work, which is `what`, failed.
fn succeeded(wc: &Wc, what: impl std::fmt::Display) -> Result<(), Fault> {
    if wc.status == WcStatus::Success {
        return Ok(());
    }
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
    Err(Fault::Connection(format!("{what} failed with status {:?}{hint}", wc.status)))
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

/// The wire mode as reports have it.
fn wire_mode(is_native: bool) -> &'static str {
    if is_native { "native" } else { "RoCEv2" }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
