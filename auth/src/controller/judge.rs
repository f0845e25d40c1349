//! What the controller makes of a host's words: what is agreed on, and whether its proof holds.

use super::{Claim, ControllerSide, Phase, Sent, Talk};
use crate::choice::choose;
use crate::job::{Exponent, Job};
use crate::response::Question;
use crate::{Random, sequence_number, tls};
use wire::fabrics::auth::{DhGroup, FailureReason, HashId, Negotiate, Reply};

impl ControllerSide {
    pub(super) fn negotiate(&mut self, message: &Negotiate, random: Random<'_>) -> Sent {
        self.transaction = message.transaction;
        self.generated = None;
        let concatenation = message.concatenation;
        let is_wanted = concatenation == Negotiate::NEW_TLS_PSK;
        if concatenation != 0 && !(is_wanted && self.may_concatenate) {
            return self.fail(FailureReason::ConcatenationMismatch);
        }
        let Some(offer) = message.offer else {
            return self.fail(FailureReason::ProtocolNotUsable);
        };
        let (hash, group) = match choose(&self.credentials, &offer) {
            Ok(choice) => choice,
            Err(reason) => return self.fail(reason),
        };
        // No key comes of nothing that was agreed on, and none for a hash that TLS has no suite with.
        if is_wanted && group == DhGroup::Null {
            return self.fail(FailureReason::GroupNotUsable);
        }
        if is_wanted && hash == HashId::Sha512 {
            return self.fail(FailureReason::HashNotUsable);
        }
        let mut challenge = vec![0; hash.digest_bytes()];
        random(&mut challenge);
        let sequence = sequence_number(&mut *random);
        let exponent = (group != DhGroup::Null).then(|| Exponent::new(random));
        let job = exponent.clone().map(|exponent| Job {
            group,
            exponent,
            wants_public: true,
            peer: None,
        });
        let public = Vec::new();
        let talk = Talk { concatenation, hash, group, challenge, sequence, exponent, public };
        match job {
            None => {
                self.phase = Phase::Challenge(talk);
                Sent::Taken
            }
            Some(job) => {
                self.phase = Phase::Agreeing(talk);
                Sent::Compute(job)
            }
        }
    }

    pub(super) fn reply(&mut self, talk: Talk, reply: &Reply<'_>) -> Sent {
        let is_long = reply.response.len() == talk.hash.digest_bytes();
        if !is_long || reply.dh_value.len() != talk.group.value_bytes() {
            return self.fail(FailureReason::IncorrectPayload);
        }
        let claim = Claim {
            response: reply.response.to_vec(),
            sequence: reply.sequence,
            challenge: reply.challenge.map(<[u8]>::to_vec),
        };
        match talk.exponent.clone() {
            None => {
                self.verify(&talk, &claim, None);
                Sent::Taken
            }
            Some(exponent) => {
                let peer = Some(reply.dh_value.to_vec());
                let job = Job { group: talk.group, exponent, wants_public: false, peer };
                self.phase = Phase::Verifying(talk, claim);
                Sent::Compute(job)
            }
        }
    }

    pub(super) fn verify(&mut self, talk: &Talk, claim: &Claim, shared: Option<&[u8]>) {
        let question = Question {
            hash: talk.hash,
            challenge: &talk.challenge,
            shared,
            sequence: talk.sequence,
            transaction: self.transaction,
            concatenation: talk.concatenation,
        };
        let expected = question.host_response(&self.credentials.host, &self.names);
        if !expected.is(&claim.response) {
            self.fail(FailureReason::Failed);
            return;
        }
        // Sequence number 0: a challenge that is not for the controller to answer.
        let challenge = claim.challenge.as_deref().filter(|_| claim.sequence != 0);
        let response = match (challenge, &self.credentials.controller) {
            (None, _) => None,
            // Our own question, sent back for us to answer; or a proof that we cannot give.
            (Some(challenge), _) if challenge == talk.challenge => {
                self.fail(FailureReason::Failed);
                return;
            }
            (Some(_), None) => {
                self.fail(FailureReason::Failed);
                return;
            }
            (Some(challenge), Some(secret)) => {
                let question = Question { challenge, sequence: claim.sequence, ..question };
                Some(question.controller_response(secret, &self.names))
            }
        };
        if talk.concatenation != 0 {
            let psk = claim.challenge.as_deref().and_then(|own| question.generated_psk(own));
            self.generated = psk.and_then(|psk| tls::of_generated(talk.hash, &psk, &self.names));
            if self.generated.is_none() {
                self.fail(FailureReason::IncorrectPayload);
                return;
            }
        }
        self.phase = Phase::Success { hash: talk.hash, response };
    }
}
