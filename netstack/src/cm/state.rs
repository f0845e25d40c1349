//! The states of a connection as a table: (state, event) to (next state, act).
//!
//! Source: IBTA 1.4, chapter "Communication management", "State diagrams". Duplicates are events
//! like all others, which is why every handler is idempotent.

/// Where a connection is. A closed one is no connection; the passive side then remembers it in
/// [`super::time_wait`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Active side: REQ sent.
    ReqSent,
    /// Passive side: the application is asked.
    Requested,
    /// Passive side: REP sent.
    RepSent,
    /// Both sides may send.
    Established,
    /// This side hung up.
    DreqSent,
}

/// What happens to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// REQ again: the peer has not seen the answer.
    Req,
    /// REP, the first or again.
    Rep,
    /// RTU.
    Rtu,
    /// REJ.
    Rej,
    /// MRA: the peer is at it.
    Mra,
    /// DREQ.
    Dreq,
    /// DREP.
    Drep,
    /// A data packet arrived: the peer has seen the REP, even if its RTU was lost.
    Data,
    /// No answer in time; may be sent again.
    Timer,
    /// No answer in time, and no retry left.
    Spent,
    /// The application accepts.
    Accept,
    /// The application rejects.
    Reject,
    /// The application, or a failed queue pair, ends it.
    Disconnect,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Nothing.
    Ignore,
    /// Send the last message again.
    Again,
    /// Wait longer, as the MRA says.
    Extend,
    /// Send MRA.
    SendMra,
    /// Send REP.
    SendRep,
    /// Send REJ with the application's private data.
    SendRej,
    /// Send RTU; tell that the peer accepted.
    Establish,
    /// Tell that the peer is ready.
    Ready,
    /// Tell that the peer refused.
    Refused,
    /// Tell that the peer is gone.
    Gone,
    /// Send DREP; tell that the peer is gone.
    HangUp,
    /// Send REJ (timeout); tell that the peer does not answer.
    GiveUp,
    /// Send REJ; whoever ended it knows.
    Abandon,
    /// Send DREQ; whoever ended it knows.
    SendDreq,
    /// Send DREP; nobody waits for the end.
    Cross,
    /// Nobody waits for the end.
    Forget,
}

/// The next state (`None`: closed) and what is to be done. What a state does not expect is
/// ignored.
pub(crate) const fn step(state: State, event: Event) -> (Option<State>, Act) {
    use Event::{
        Accept, Data, Disconnect, Drep, Dreq, Mra, Rej, Reject, Rep, Req, Rtu, Spent, Timer,
    };
    use State::{DreqSent, Established, RepSent, ReqSent, Requested};
    match (state, event) {
        (ReqSent, Rep) => (Some(Established), Act::Establish),
        (ReqSent, Rej) => (None, Act::Refused),

        (Requested, Req) => (Some(Requested), Act::SendMra),
        (Requested, Accept) => (Some(RepSent), Act::SendRep),
        (Requested, Reject) => (None, Act::SendRej),
        (Requested, Timer) => (None, Act::GiveUp),

        (RepSent, Req) => (Some(RepSent), Act::Again),
        (RepSent, Rtu | Data) => (Some(Established), Act::Ready),

        (Established, Rep) => (Some(Established), Act::Again),

        (DreqSent, Drep | Rej | Spent) => (None, Act::Forget),
        (DreqSent, Dreq) => (None, Act::Cross),
        (DreqSent, Timer) => (Some(DreqSent), Act::Again),

        (ReqSent | RepSent, Mra) => (Some(state), Act::Extend),
        (ReqSent | RepSent, Timer) => (Some(state), Act::Again),
        (ReqSent | Requested | RepSent, Spent) => (None, Act::GiveUp),
        (Requested | RepSent | Established, Rej) => (None, Act::Gone),
        (ReqSent | Requested | RepSent | Established, Dreq) => (None, Act::HangUp),
        (ReqSent | Requested, Disconnect) => (None, Act::Abandon),
        (RepSent | Established, Disconnect) => (Some(DreqSent), Act::SendDreq),

        (state, _) => (Some(state), Act::Ignore),
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
