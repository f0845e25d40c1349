//! The controller's side of one connection.
//!
//! ```text
//!            Negotiate            Receive             Reply              Receive
//! Idle ───────> Agreeing ─> Challenge ──> Challenged ──> Verifying ─> Success ──> Idle, or
//!                  (job)                                    (job)          Proved ──Success2──> Idle
//! ```
//!
//! Whatever else comes leads to Failure, which the next Receive tells; then the connection ends.
//! Jobs are only there with a group. One conversation at a time: a Negotiate in the middle of one is
//! an incorrect message.

mod judge;

use crate::Random;
use crate::choice::Credentials;
use crate::digest::Digest;
use crate::job::{Agreement, Exponent, Job, Outcome};
use crate::response::Names;
use crate::tls::TlsPsk;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::fabrics::auth::{
    AuthMessage, Challenge, DhGroup, Failure, FailureReason, HashId, MESSAGE_BYTES_MAX, Success1,
};

/// A host has this long from Connect, or from Negotiate, to the end of the conversation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What became of a message of the host.
#[derive(Debug)]
pub enum Sent {
    /// The command is done.
    Taken,
    /// It is done once this was computed: see [`ControllerSide::handle_agreed`].
    Compute(Job),
    /// An earlier one is not done: nothing was taken.
    Busy,
    /// The host gave up: the connection ends after the command.
    Ended(FailureReason),
}

/// What the host was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// The conversation goes on.
    Next,
    /// It is over: the host is who it says.
    Authenticated,
    /// It failed: the connection ends after the command.
    Failed(FailureReason),
}

/// The machine. See the module's page.
#[derive(Debug)]
pub struct ControllerSide {
    credentials: Arc<Credentials>,
    names: Names,
    phase: Phase,
    transaction: u16,
    authenticated: bool,
    deadline: Option<Instant>,
    /// A key for TLS may be made of a conversation.
    may_concatenate: bool,
    /// Of this one, or of the last one that ended well.
    generated: Option<TlsPsk>,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Agreeing(Talk),
    Challenge(Talk),
    Challenged(Talk),
    Verifying(Talk, Claim),
    Success { hash: HashId, response: Option<Digest> },
    Proved,
    Failure(FailureReason),
}

/// What was agreed on, and what is asked.
#[derive(Debug)]
struct Talk {
    concatenation: u8,
    hash: HashId,
    group: DhGroup,
    challenge: Vec<u8>,
    sequence: u32,
    exponent: Option<Exponent>,
    public: Vec<u8>,
}

/// What a Reply says, without its group's value.
#[derive(Debug)]
struct Claim {
    response: Vec<u8>,
    sequence: u32,
    challenge: Option<Vec<u8>>,
}

impl ControllerSide {
    /// Of a connection whose Connect was executed at `now`: authentication is required.
    #[must_use]
    pub fn new(now: Instant, credentials: Arc<Credentials>, names: Names) -> ControllerSide {
        ControllerSide {
            credentials,
            names,
            phase: Phase::Idle,
            transaction: 0,
            authenticated: false,
            deadline: Some(now + TIMEOUT),
            may_concatenate: false,
            generated: None,
        }
    }
    /// The host may have a key for TLS made of a conversation (secure channel concatenation).
    #[must_use]
    pub fn with_concatenation(self, may_concatenate: bool) -> ControllerSide {
        ControllerSide { may_concatenate, ..self }
    }
    /// The key that the conversation made which ended well; once.
    pub fn take_generated(&mut self) -> Option<TlsPsk> {
        let is_over = self.authenticated && matches!(self.phase, Phase::Idle);
        self.generated.take_if(|_| is_over)
    }
    /// Commands other than those of authentication are served. Stays so while a host that was
    /// authenticated does it again.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }
    /// The host is to be given up then.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    /// The secrets changed: the next conversation goes by these.
    pub fn set_credentials(&mut self, credentials: Arc<Credentials>) {
        self.credentials = credentials;
    }

    /// A message of the host came.
    pub fn handle_send(&mut self, now: Instant, octets: &[u8], random: Random<'_>) -> Sent {
        if matches!(self.phase, Phase::Agreeing(_) | Phase::Verifying(..)) {
            return Sent::Busy;
        }
        // A host that was authenticated and begins anything here has to end it, too.
        self.deadline.get_or_insert(now + TIMEOUT);
        let message = match AuthMessage::decode(octets) {
            Ok(message) => message,
            Err(reason) => return self.fail(reason),
        };
        let is_new = matches!(message, AuthMessage::Negotiate(_));
        if !is_new && message.transaction() != self.transaction {
            return self.fail(FailureReason::IncorrectPayload);
        }
        match (message, std::mem::replace(&mut self.phase, Phase::Idle)) {
            (AuthMessage::Negotiate(message), Phase::Idle) => self.negotiate(&message, random),
            (AuthMessage::Reply(reply), Phase::Challenged(talk)) => self.reply(talk, &reply),
            (AuthMessage::Success2 { .. }, Phase::Proved) => {
                self.finish();
                Sent::Taken
            }
            (AuthMessage::Failure2(failure), phase) if !matches!(phase, Phase::Idle) => {
                let reason = FailureReason::from_octet(failure.reason);
                let reason = reason.unwrap_or(FailureReason::Failed);
                self.fail(reason);
                Sent::Ended(reason)
            }
            // An earlier failure is what the host is to hear of.
            (_, Phase::Failure(reason)) => self.fail(reason),
            _ => self.fail(FailureReason::IncorrectMessage),
        }
    }

    /// What [`Sent::Compute`] asked for is here: the command that brought it is done.
    pub fn handle_agreed(&mut self, outcome: Outcome) {
        let Agreement { public, shared } = match outcome {
            Ok(agreement) => agreement,
            Err(reason) => {
                self.fail(reason);
                return;
            }
        };
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Agreeing(talk) => self.phase = Phase::Challenge(Talk { public, ..talk }),
            Phase::Verifying(talk, claim) => {
                self.verify(&talk, &claim, shared.as_ref().map(|shared| shared.as_slice()));
            }
            // Nobody asked: the owner's bug, harmless.
            other @ (Phase::Idle
            | Phase::Challenge(_)
            | Phase::Challenged(_)
            | Phase::Success { .. }
            | Phase::Proved
            | Phase::Failure(_)) => self.phase = other,
        }
    }

    /// The host asks for a message and has room for `room` octets: appends it to `out`.
    ///
    /// Errors: `None`, the room is too small; nothing changed.
    pub fn handle_receive(&mut self, room: usize, out: &mut Vec<u8>) -> Option<Received> {
        let transaction = self.transaction;
        let message = match &self.phase {
            Phase::Challenge(talk) => AuthMessage::Challenge(Challenge {
                transaction,
                hash: talk.hash.octet(),
                group: talk.group.octet(),
                sequence: talk.sequence,
                challenge: &talk.challenge,
                dh_value: &talk.public,
            }),
            Phase::Success { hash, response } => AuthMessage::Success1(Success1 {
                transaction,
                digest_bytes: u8::try_from(hash.digest_bytes()).unwrap_or(u8::MAX),
                response: response.as_ref().map(Digest::octets),
            }),
            Phase::Failure(reason) => failure1(transaction, *reason),
            // Nothing was asked that this could answer.
            Phase::Idle
            | Phase::Agreeing(_)
            | Phase::Challenged(_)
            | Phase::Verifying(..)
            | Phase::Proved => failure1(transaction, FailureReason::IncorrectMessage),
        };
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let octets = message.encode(&mut buffer);
        if octets.len() > room {
            return None;
        }
        out.extend_from_slice(octets);
        Some(self.given())
    }

    /// Moves on from what was just given.
    fn given(&mut self) -> Received {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Challenge(talk) => {
                self.phase = Phase::Challenged(talk);
                Received::Next
            }
            Phase::Success { response: Some(_), .. } => {
                self.phase = Phase::Proved;
                Received::Next
            }
            Phase::Success { response: None, .. } => {
                self.finish();
                Received::Authenticated
            }
            Phase::Failure(reason) => {
                self.fail(reason);
                Received::Failed(reason)
            }
            Phase::Idle
            | Phase::Agreeing(_)
            | Phase::Challenged(_)
            | Phase::Verifying(..)
            | Phase::Proved => {
                self.fail(FailureReason::IncorrectMessage);
                Received::Failed(FailureReason::IncorrectMessage)
            }
        }
    }

    fn finish(&mut self) {
        self.phase = Phase::Idle;
        self.authenticated = true;
        self.deadline = None;
    }
    fn fail(&mut self, reason: FailureReason) -> Sent {
        self.generated = None;
        self.phase = Phase::Failure(reason);
        Sent::Taken
    }
}

fn failure1(transaction: u16, reason: FailureReason) -> AuthMessage<'static> {
    AuthMessage::Failure1(Failure { transaction, reason: reason.octet() })
}
