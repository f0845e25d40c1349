//! The host's side of one connection.
//!
//! A machine that always says what to do next: send a message, ask for one, have something computed.
//! `handle_*` tells it that this was done; then it says the next [`Step`].

use crate::digest::Digest;
use crate::job::{Exponent, Job, Outcome};
use crate::response::{Names, Question};
use crate::secret::Secret;
use crate::tls::{self, TlsPsk};
use crate::{Random, sequence_number};
use std::sync::Arc;
use wire::fabrics::auth::{
    AuthMessage, Challenge, DhGroup, Failure, FailureReason, HashId, IdList, MESSAGE_BYTES_MAX,
    Negotiate, Offer, Reply, Success1,
};

/// What a host knows of one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostKeys {
    /// The host proves that it has it.
    pub host: Secret,
    /// The controller must prove that it has it.
    pub controller: Option<Secret>,
}

/// Why there is no trust.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostAuthError {
    /// The controller does not believe us.
    #[error("the controller refuses this host: {}; is the host's secret the one that the target has?", .0.as_str())]
    Refused(FailureReason),
    /// We do not believe the controller.
    #[error("the controller could not prove that it has the controller's secret")]
    Unproved,
    /// A message that does not belong here.
    #[error("the controller broke the authentication protocol: {}", .0.as_str())]
    Protocol(FailureReason),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Authentication Send of these octets; then [`HostSide::handle_sent`].
    Send(Vec<u8>),
    /// Authentication Receive with room for [`MESSAGE_BYTES_MAX`] octets; then
    /// [`HostSide::handle_received`].
    Receive,
    /// This is wanted; then [`HostSide::handle_agreed`].
    Compute(Job),
    /// Both sides are who they say.
    Done {
        /// Hash that was spoken.
        hash: HashId,
        /// Group that was spoken.
        group: DhGroup,
        /// The key for TLS that was asked for.
        generated: Option<TlsPsk>,
    },
    /// No trust: end the connection.
    Failed(HostAuthError),
}

/// The machine. See the module's page.
#[derive(Debug)]
pub struct HostSide {
    keys: Arc<HostKeys>,
    names: Names,
    transaction: u16,
    /// Whether a key for TLS is wanted (SC_C).
    concatenation: u8,
    generated: Option<TlsPsk>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Negotiate is on its way.
    Negotiating,
    /// The Challenge is awaited.
    Asked,
    /// Its answer is being computed.
    Agreeing(Talk),
    /// The Reply is on its way.
    Replying(Ending),
    /// Success1 is awaited.
    Claimed(Ending),
    /// The last message is on its way.
    Leaving(Result<(HashId, DhGroup), HostAuthError>),
}

#[derive(Debug)]
struct Talk {
    hash: HashId,
    group: DhGroup,
    challenge: Vec<u8>,
    sequence: u32,
    /// S2 and C2, for the controller.
    own: Option<(u32, Vec<u8>)>,
}

#[derive(Debug)]
struct Ending {
    hash: HashId,
    group: DhGroup,
    /// What the controller must answer.
    expected: Option<Digest>,
}

impl HostSide {
    /// Starts conversation `transaction`. The first step is to send Negotiate.
    #[must_use]
    pub fn start(keys: Arc<HostKeys>, names: Names, transaction: u16) -> (HostSide, Step) {
        HostSide::begin(keys, names, transaction, 0)
    }
    /// The same, to have a key for TLS made (secure channel concatenation): with a group, and without
    /// SHA-512, which TLS has no suite with.
    #[must_use]
    pub fn start_for_channel(
        keys: Arc<HostKeys>,
        names: Names,
        transaction: u16,
    ) -> (HostSide, Step) {
        HostSide::begin(keys, names, transaction, Negotiate::NEW_TLS_PSK)
    }
    fn begin(
        keys: Arc<HostKeys>,
        names: Names,
        transaction: u16,
        concatenation: u8,
    ) -> (HostSide, Step) {
        let is_plain = concatenation == 0;
        let hashes = HashId::ALL.iter().filter(|hash| is_plain || **hash != HashId::Sha512);
        let groups = DhGroup::ALL.iter().filter(|group| is_plain || **group != DhGroup::Null);
        let offer = Offer {
            hashes: IdList::new(hashes.map(|hash| hash.octet())),
            groups: IdList::new(groups.map(|group| group.octet())),
        };
        let negotiate = Negotiate { transaction, concatenation, offer: Some(offer) };
        let (generated, phase) = (None, Phase::Negotiating);
        let host = HostSide { keys, names, transaction, concatenation, generated, phase };
        (host, send(&AuthMessage::Negotiate(negotiate)))
    }

    /// A message was sent, and its command succeeded.
    pub fn handle_sent(&mut self) -> Step {
        match std::mem::replace(&mut self.phase, Phase::Asked) {
            Phase::Negotiating => Step::Receive,
            Phase::Replying(ending) => {
                self.phase = Phase::Claimed(ending);
                Step::Receive
            }
            Phase::Leaving(Ok((hash, group))) => self.done(hash, group),
            Phase::Leaving(Err(why)) => Step::Failed(why),
            // Nothing was to be sent: the owner's bug, told as a failure.
            Phase::Asked | Phase::Agreeing(_) | Phase::Claimed(_) => {
                Step::Failed(HostAuthError::Protocol(FailureReason::IncorrectMessage))
            }
        }
    }

    /// A message came.
    pub fn handle_received(&mut self, octets: &[u8], random: Random<'_>) -> Step {
        let message = match AuthMessage::decode(octets) {
            Ok(message) if message.transaction() == self.transaction => message,
            Ok(_) => return self.leave(HostAuthError::Protocol(FailureReason::IncorrectPayload)),
            Err(reason) => return self.leave(HostAuthError::Protocol(reason)),
        };
        match (message, std::mem::replace(&mut self.phase, Phase::Asked)) {
            (AuthMessage::Failure1(failure), _) => {
                let reason = FailureReason::from_octet(failure.reason);
                Step::Failed(HostAuthError::Refused(reason.unwrap_or(FailureReason::Failed)))
            }
            (AuthMessage::Challenge(challenge), Phase::Asked) => {
                self.challenged(&challenge, random)
            }
            (AuthMessage::Success1(success), Phase::Claimed(end)) => self.believed(&success, &end),
            _ => self.leave(HostAuthError::Protocol(FailureReason::IncorrectMessage)),
        }
    }

    fn challenged(&mut self, message: &Challenge<'_>, random: Random<'_>) -> Step {
        let bad = |reason| HostAuthError::Protocol(reason);
        let Some(hash) = HashId::from_octet(message.hash) else {
            return self.leave(bad(FailureReason::HashNotUsable));
        };
        let Some(group) = DhGroup::from_octet(message.group) else {
            return self.leave(bad(FailureReason::GroupNotUsable));
        };
        let is_long = message.challenge.len() == hash.digest_bytes();
        if !is_long || message.dh_value.len() != group.value_bytes() {
            return self.leave(bad(FailureReason::IncorrectPayload));
        }
        let must_prove = self.keys.controller.is_some();
        // A challenge that is only part of the key has the number 0: nobody answers it.
        let own = (must_prove || self.concatenation != 0).then(|| {
            let mut challenge = vec![0; hash.digest_bytes()];
            random(&mut challenge);
            (if must_prove { sequence_number(&mut *random) } else { 0 }, challenge)
        });
        let challenge = message.challenge.to_vec();
        let talk = Talk { hash, group, challenge, sequence: message.sequence, own };
        // What was not offered makes no key.
        if self.concatenation != 0 && group == DhGroup::Null {
            return self.leave(bad(FailureReason::GroupNotUsable));
        }
        if self.concatenation != 0 && hash == HashId::Sha512 {
            return self.leave(bad(FailureReason::HashNotUsable));
        }
        if group == DhGroup::Null {
            return self.reply(&talk, &[], None);
        }
        let exponent = Exponent::new(random);
        let peer = Some(message.dh_value.to_vec());
        self.phase = Phase::Agreeing(talk);
        Step::Compute(Job { group, exponent, wants_public: true, peer })
    }

    /// What [`Step::Compute`] asked for is here.
    pub fn handle_agreed(&mut self, outcome: Outcome) -> Step {
        match (outcome, std::mem::replace(&mut self.phase, Phase::Asked)) {
            (Ok(agreement), Phase::Agreeing(talk)) => {
                let shared = agreement.shared.as_ref().map(|shared| shared.as_slice());
                self.reply(&talk, &agreement.public, shared)
            }
            (Err(reason), _) => self.leave(HostAuthError::Protocol(reason)),
            (Ok(_), _) => self.leave(HostAuthError::Protocol(FailureReason::IncorrectMessage)),
        }
    }

    fn reply(&mut self, talk: &Talk, public: &[u8], shared: Option<&[u8]>) -> Step {
        let question = Question {
            hash: talk.hash,
            challenge: &talk.challenge,
            shared,
            sequence: talk.sequence,
            transaction: self.transaction,
            concatenation: self.concatenation,
        };
        if let (Some((_, own)), true) = (&talk.own, self.concatenation != 0) {
            let psk = question.generated_psk(own);
            self.generated = psk.and_then(|psk| tls::of_generated(talk.hash, &psk, &self.names));
        }
        let response = question.host_response(&self.keys.host, &self.names);
        let expected = match (&talk.own, &self.keys.controller) {
            (Some((sequence, challenge)), Some(secret)) => {
                let question = Question { challenge, sequence: *sequence, ..question };
                Some(question.controller_response(secret, &self.names))
            }
            _ => None,
        };
        let reply = Reply {
            transaction: self.transaction,
            sequence: talk.own.as_ref().map_or(0, |(sequence, _)| *sequence),
            response: response.octets(),
            challenge: talk.own.as_ref().map(|(_, challenge)| challenge.as_slice()),
            dh_value: public,
        };
        let step = send(&AuthMessage::Reply(reply));
        self.phase = Phase::Replying(Ending { hash: talk.hash, group: talk.group, expected });
        step
    }

    fn believed(&mut self, success: &Success1<'_>, end: &Ending) -> Step {
        if usize::from(success.digest_bytes) != end.hash.digest_bytes() {
            return self.leave(HostAuthError::Protocol(FailureReason::IncorrectPayload));
        }
        let Some(expected) = &end.expected else {
            return self.done(end.hash, end.group);
        };
        // A controller that sends no answer has none.
        if !success.response.is_some_and(|response| expected.is(response)) {
            return self.leave(HostAuthError::Unproved);
        }
        self.phase = Phase::Leaving(Ok((end.hash, end.group)));
        send(&AuthMessage::Success2 { transaction: self.transaction })
    }

    fn done(&mut self, hash: HashId, group: DhGroup) -> Step {
        Step::Done { hash, group, generated: self.generated.take() }
    }
    /// Tells the controller why, and fails.
    fn leave(&mut self, why: HostAuthError) -> Step {
        let reason = match why {
            HostAuthError::Refused(reason) | HostAuthError::Protocol(reason) => reason,
            HostAuthError::Unproved => FailureReason::Failed,
        };
        self.phase = Phase::Leaving(Err(why));
        let failure = Failure { transaction: self.transaction, reason: reason.octet() };
        send(&AuthMessage::Failure2(failure))
    }
}

fn send(message: &AuthMessage<'_>) -> Step {
    Step::Send(message.encode(&mut [0; MESSAGE_BYTES_MAX]).to_vec())
}
