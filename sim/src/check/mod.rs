//! What must hold, whatever happens. Each checker is small and knows nothing of the others.

mod blocks;
mod commands;
mod memory;

pub(crate) use blocks::{Blocks, Outcome};
pub(crate) use commands::Commands;
pub(crate) use memory::{Arena, Slot};

/// Something that must never be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// The rule that was broken.
    pub rule: &'static str,
    /// How.
    pub detail: String,
}

impl Violation {
    /// A broken rule.
    pub fn new(rule: &'static str, detail: impl Into<String>) -> Violation {
        Violation { rule, detail: detail.into() }
    }
}
