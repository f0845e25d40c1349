//! Every command completes exactly once, and within a bound once faults stop.

use super::Violation;
use std::collections::BTreeMap;

/// Commands of one host that were submitted and not yet completed.
#[derive(Debug)]
pub(crate) struct Commands<T> {
    outstanding: BTreeMap<u64, T>,
    next_tag: u64,
}

impl<T> Default for Commands<T> {
    fn default() -> Commands<T> {
        Commands { outstanding: BTreeMap::new(), next_tag: 1 }
    }
}

impl<T> Commands<T> {
    /// The tag of the next command. A tag is never used twice.
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }
    /// A command was submitted.
    pub(crate) fn submitted(&mut self, tag: u64, command: T) {
        assert!(self.outstanding.insert(tag, command).is_none(), "tag {tag} used twice");
    }
    /// A command completed.
    ///
    /// Errors: it was not outstanding.
    pub(crate) fn completed(&mut self, tag: u64) -> Result<T, Violation> {
        self.outstanding.remove(&tag).ok_or_else(|| {
            let detail = format!("command {tag} completed, and is not outstanding");
            Violation::new("each command completes exactly once", detail)
        })
    }
    /// The host is gone: what it had outstanding, by tag.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        std::mem::take(&mut self.outstanding).into_values().collect()
    }
    /// Outstanding commands, by tag.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.outstanding.values_mut()
    }
    /// How many.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.outstanding.len()
    }
    /// None.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }
    /// The oldest.
    #[must_use]
    pub(crate) fn oldest(&self) -> Option<(u64, &T)> {
        self.outstanding.first_key_value().map(|(tag, command)| (*tag, command))
    }
}
