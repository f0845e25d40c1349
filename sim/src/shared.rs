//! What all actors of a run share: time, network, the history of blocks, the story.

use crate::check::{Blocks, Outcome, Violation};
use crate::io::Io;
use crate::net::SharedNet;
use crate::pattern::Value;
use crate::plan::Plan;
use crate::trace::Trace;
use std::time::Instant;

/// What all actors share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) base: Instant,
    pub(crate) now: Instant,
    pub(crate) net: SharedNet,
    pub(crate) blocks: Blocks,
    pub(crate) trace: Trace,
    pub(crate) next_value: Value,
    /// Writes without an answer: when they cannot happen any more.
    pub(crate) abandoned: Vec<(Instant, Io)>,
    pub(crate) completed: u64,
    pub(crate) octets: u64,
}

impl Shared {
    pub(crate) fn note(&mut self, what: &'static str, numbers: [u64; 4]) {
        let at = self.now.saturating_duration_since(self.base).as_nanos();
        self.trace.note(u64::try_from(at).unwrap_or(u64::MAX), what, numbers);
    }
    /// Writes whose time is over did not happen, or did before now.
    pub(crate) fn expire_abandoned(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let (over, kept): (Vec<_>, Vec<_>) =
            self.abandoned.drain(..).partition(|(until, _)| *until <= now);
        self.abandoned = kept;
        for (_, io) in over {
            let end = self.blocks.tick();
            io.end(&mut self.blocks, end, Outcome::Failed)?;
        }
        Ok(())
    }
}
