//! A configuration that changes while the target runs.
//!
//! Read first: `change` and `diff` (what has to change, as values), `transact` (doing it, all or nothing), then
//! `control` (the thread that owns the model and hears `socket`), `exports` (the reactor's side),
//! `state` (what outlives a restart). `client` and `verbs` are the other end of the socket.

pub(crate) mod change;
mod change_text;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod exports;
pub(crate) mod jobs;
pub(crate) mod protocol;
pub(crate) mod rows;
pub(crate) mod socket;
pub(crate) mod state;
pub(crate) mod transact;
pub(crate) mod verbs;

#[cfg(test)]
mod tests;
