//! Doing changes, all or nothing.
//!
//! What can fail comes first and can be taken back: registering disks, listening, resizing. Only
//! then hosts see anything, and from there on nothing fails that the model did not rule out.

use super::change::{Change, Place, Step};
use crate::config::model::Listener;
use std::collections::BTreeMap;

/// A disk that is ready and that no host sees.
pub(crate) type Ticket = u32;

/// What is exported, to be changed. Errors are in words.
pub(crate) trait Exports<D> {
    /// Makes a disk ready.
    fn stage(&mut self, disk: D) -> Result<Ticket, String>;
    /// Drops a disk that is ready.
    fn unstage(&mut self, ticket: Ticket);
    /// Lets hosts come.
    fn open(&mut self, portid: u16, listener: &Listener) -> Result<(), String>;
    /// Lets no more hosts come.
    fn close(&mut self, portid: u16, listener: &Listener) -> Result<(), String>;
    /// Makes a namespace as large as this; `None`: as its disk.
    fn resize(&mut self, place: &Place, octets: Option<u64>) -> Result<(), String>;
    /// Does a change that cannot fail any more; `ticket` is the disk of a new namespace.
    fn commit(&mut self, change: &Change, ticket: Option<Ticket>) -> Result<(), String>;
}

/// What was done and can be taken back.
enum Prepared {
    Staged(Place, Ticket),
    Opened(u16, Listener),
    Resized(Place, Option<u64>),
}

/// Does `changes`, with a disk in `disks` for each namespace that comes.
///
/// Errors: in words; everything is then as it was. (Should the exports refuse what the model allows,
/// which is a mistake of ours, the words say what was done.)
pub(crate) fn transact<D>(
    exports: &mut dyn Exports<D>,
    changes: &[Change],
    mut disks: BTreeMap<Place, D>,
) -> Result<(), String> {
    let mut prepared = Vec::new();
    for change in changes {
        if let Err(why) = prepare(exports, change, &mut disks, &mut prepared) {
            take_back(exports, prepared);
            return Err(format!("{change}: {why}"));
        }
    }
    let mut tickets: BTreeMap<Place, Ticket> = BTreeMap::new();
    for done in prepared {
        if let Prepared::Staged(place, ticket) = done {
            tickets.insert(place, ticket);
        }
    }
    for change in changes.iter().filter(|change| !is_prepared(change)) {
        let place = if let Change::AddNamespace(place, _) = change { Some(place) } else { None };
        let ticket = place.and_then(|place| tickets.remove(place));
        if let Err(why) = exports.commit(change, ticket) {
            tickets.into_values().for_each(|ticket| exports.unstage(ticket));
            return Err(format!("{change}: {why}; what comes before it in the plan was done"));
        }
    }
    Ok(())
}

/// Done as a whole before anything is committed.
fn is_prepared(change: &Change) -> bool {
    matches!(change, Change::AddListener(..) | Change::Resize(..))
}

fn prepare<D>(
    exports: &mut dyn Exports<D>,
    change: &Change,
    disks: &mut BTreeMap<Place, D>,
    prepared: &mut Vec<Prepared>,
) -> Result<(), String> {
    if let Change::AddNamespace(place, _) = change {
        let disk = disks.remove(place).ok_or("its disk was not opened")?;
        prepared.push(Prepared::Staged(place.clone(), exports.stage(disk)?));
    }
    if let Change::AddListener(portid, listener) = change {
        exports.open(*portid, listener)?;
        prepared.push(Prepared::Opened(*portid, *listener));
    }
    if let Change::Resize(place, Step { from, to }) = change {
        exports.resize(place, *to)?;
        prepared.push(Prepared::Resized(place.clone(), *from));
    }
    Ok(())
}

/// The last first. What was possible a moment ago is possible again: a failure is only told.
fn take_back<D>(exports: &mut dyn Exports<D>, prepared: Vec<Prepared>) {
    for done in prepared.into_iter().rev() {
        let outcome = match done {
            Prepared::Staged(_, ticket) => {
                exports.unstage(ticket);
                Ok(())
            }
            Prepared::Opened(portid, listener) => exports.close(portid, &listener),
            Prepared::Resized(place, octets) => exports.resize(&place, octets),
        };
        if let Err(error) = outcome {
            tracing::error!(error, "a change could not be taken back");
        }
    }
}

#[cfg(test)]
#[path = "transact_tests.rs"]
mod tests;
