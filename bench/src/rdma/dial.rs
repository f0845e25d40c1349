//! Connects to a server that may not be there yet: perftest's listens anew for each connection.

use super::Fault;
use std::time::{Duration, Instant};
use verbs::QpNum;

/// A server that is not there yet is asked again after this long.
const RETRY: Duration = Duration::from_millis(100);
/// So often at most.
const RETRIES_MAX: u32 = 50;
/// CM's reason for "nobody listens there". Source: IBTA 1.4, "Rejection Reason Codes".
const NOBODY_LISTENS: u16 = 8;

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Dial {
    /// The connection that is dialled, or was.
    pub(super) qp: Option<QpNum>,
    tries: u32,
    /// When to dial again.
    pub(super) again_at: Option<Instant>,
}

impl Dial {
    /// Notes a rejection: whether it is worth another try.
    pub(super) fn rejected(&mut self, now: Instant, reason: u16) -> Result<(), Fault> {
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
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.again_at.take_if(|at| *at <= now).is_some()
    }
}
