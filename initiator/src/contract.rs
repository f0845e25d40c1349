//! Timers and what they promise: the reconnect contract.
//!
//! | what happens | what the caller sees |
//! |---|---|
//! | a command without an answer for `io_timeout` | it is aborted; without an answer to that either, the connection is reset and the command retried |
//! | the connection is lost (transport retries exhausted, keep-alive unanswered, target gone) | new and outstanding commands wait; the host connects again every `reconnect_delay` |
//! | connected again | what waited is sent again, in submission order: reads, writes, flushes and the rest of the NVM commands that are offered here are idempotent |
//! | not connected again within `fast_io_fail` | waiting and new commands complete with [`HOST_PATHING`]; connecting goes on |
//! | not connected again within `ctrl_loss` | the host gives up: state `Dead`, every command completes with [`HOST_PATHING`] |
//! | a command retried `retries` times | completes with [`HOST_PATHING`] |
//!
//! An acknowledged command is never sent again. A write that was sent but not acknowledged may have
//! happened once, or more than once with the same data, or not at all. A Flush that waits across a
//! reconnect covers what the target acknowledged before it died only as far as the target's own
//! cache survived: hosts that need the guarantee use FUA, or flush again after an error.

use std::time::Duration;

/// The host's timers, with the names of `nvme connect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// A command without an answer is aborted after this long (Linux: `nvme_core.io_timeout`).
    pub io_timeout: Duration,
    /// Connecting, one attempt.
    pub connect_timeout: Duration,
    /// Between attempts to connect again (`--reconnect-delay`).
    pub reconnect_delay: Duration,
    /// Commands wait at most this long for a connection (`--fast_io_fail_tmo`).
    pub fast_io_fail: Duration,
    /// The host gives up after this long without a connection (`--ctrl-loss-tmo`).
    pub ctrl_loss: Duration,
    /// Keep Alive timeout told to the controller (`--keep-alive-tmo`); zero: none.
    pub keep_alive: Duration,
    /// Times that one command is sent again.
    pub retries: u8,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            io_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(3),
            reconnect_delay: Duration::from_secs(1),
            fast_io_fail: Duration::from_secs(30),
            ctrl_loss: Duration::from_secs(600),
            keep_alive: Duration::from_secs(15),
            retries: 5,
        }
    }
}
