//! Proving who this host is, and having the controller prove who it is, on each queue after its Connect.
//!
//! The conversation is a machine of the crate `auth`; here its steps become commands. Powers are
//! computed in place: a host that connects has nothing else to do, and the largest group takes tens of
//! milliseconds for each queue.
//! Source: NVMe Base 2.1, "NVMe In-band Authentication".

use super::bringup::Step;
use super::own::SCRATCH_BYTES;
use super::{Host, HostError};
use auth::{FailureReason, HostAuthError, HostSide, Names, system_random};
use netstack::fabric::Fabric;
use std::sync::Arc;
use std::time::Instant;
use wire::fabrics::ConnectResult;
use wire::fabrics::auth::{AuthCmd, MESSAGE_BYTES_MAX};
use wire::nvme::Cid;

/// Identifiers are given when a command gets its slot.
const NO_CID: Cid = Cid(0);

impl<F: Fabric> Host<F> {
    /// Queue `lane` is connected; the controller's answer demands `authentication`. A controller that
    /// demands none is asked for its proof all the same, if there is a secret for it.
    pub(super) fn authenticate(&mut self, now: Instant, lane: usize, authentication: u16) {
        let addr = self.options.target;
        let wants_channel = self.options.concatenate && !self.is_secured;
        if authentication & ConnectResult::AUTHENTICATE_FOR_CHANNEL != 0 && !wants_channel {
            return self.break_down(now, HostError::ChannelWanted(addr));
        }
        let is_demanded = authentication & ConnectResult::AUTHENTICATE != 0;
        match self.options.keys.clone() {
            None if is_demanded || wants_channel => {
                self.break_down(now, HostError::SecretWanted(addr))
            }
            // With a key that was made of it, both have proved themselves already.
            Some(keys)
                if is_demanded
                    || (keys.controller.is_some() && !self.is_secured)
                    || wants_channel =>
            {
                let names = Names {
                    host: self.options.hostnqn.clone(),
                    subsystem: self.options.subnqn.clone(),
                };
                self.conversations = self.conversations.wrapping_add(1);
                let transaction = self.conversations;
                let (proof, step) = if wants_channel {
                    HostSide::start_for_channel(Arc::clone(&keys), names, transaction)
                } else {
                    HostSide::start(Arc::clone(&keys), names, transaction)
                };
                self.proof = Some(proof);
                self.do_auth_step(now, lane, step);
            }
            Some(_) | None => self.on_trusted(now, lane),
        }
    }

    fn do_auth_step(&mut self, now: Instant, lane: usize, step: auth::Step) {
        match step {
            auth::Step::Send(octets) => {
                self.scratch.region().write(0, &octets);
                let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
                let data = self.scratch.data(len, true);
                let sqe = AuthCmd::new(len).send(NO_CID);
                self.step(now, lane, Step::AuthSend(lane), sqe, Some(data));
            }
            auth::Step::Receive => {
                // What is left in there must not pass for an answer.
                self.scratch.region().write(0, &[0; MESSAGE_BYTES_MAX]);
                let len = u32::try_from(SCRATCH_BYTES).unwrap_or(u32::MAX);
                let data = self.scratch.data(len, false);
                let sqe = AuthCmd::new(len).receive(NO_CID);
                self.step(now, lane, Step::AuthReceive(lane), sqe, Some(data));
            }
            auth::Step::Compute(job) => {
                let outcome = job.compute();
                if let Some(proof) = &mut self.proof {
                    let step = proof.handle_agreed(outcome);
                    self.do_auth_step(now, lane, step);
                }
            }
            auth::Step::Done { hash, group, generated } => {
                self.proof = None;
                let (hash, group) = (hash.as_str(), group.as_str());
                tracing::debug!(queue = lane, hash, group, "host: authenticated");
                match generated {
                    Some(psk) => self.secure(now, psk),
                    // Without the key that was asked for, nothing goes on.
                    None if self.options.concatenate && !self.is_secured => {
                        let reason = FailureReason::ConcatenationMismatch;
                        self.distrust(now, HostAuthError::Protocol(reason));
                    }
                    None => self.on_trusted(now, lane),
                }
            }
            auth::Step::Failed(why) => self.distrust(now, why),
        }
    }

    /// A key was made: all is connected again, with TLS.
    fn secure(&mut self, now: Instant, psk: auth::TlsPsk) {
        tracing::debug!(identity = psk.identity, "host: a key for TLS was made");
        self.fabric.set_own_psks(vec![crate::edge::shared_psk(psk)]);
        self.is_secured = true;
        self.start_again(now);
    }
    /// A message reached the controller.
    pub(super) fn on_auth_sent(&mut self, now: Instant, lane: usize) {
        if let Some(proof) = &mut self.proof {
            let step = proof.handle_sent();
            self.do_auth_step(now, lane, step);
        }
    }
    /// A message of the controller lies in the scratch memory.
    pub(super) fn on_auth_received(&mut self, now: Instant, lane: usize) {
        let mut octets = [0; MESSAGE_BYTES_MAX];
        self.scratch.region().read(0, &mut octets);
        if let Some(proof) = &mut self.proof {
            let step = proof.handle_received(&octets, &mut system_random);
            self.do_auth_step(now, lane, step);
        }
    }

    /// One side does not believe the other.
    pub(super) fn distrust(&mut self, now: Instant, why: HostAuthError) {
        self.proof = None;
        let addr = self.options.target;
        self.break_down(now, HostError::Authentication { addr, why });
    }
}
