//! Hosts that must prove who they are, before and instead of anything else.
//!
//! The conversation is a machine of the crate `auth`, one for each connection. What it wants computed
//! goes to a helper, on a thread of its own: the command that asked for it is answered later, and
//! nobody else waits. A connection has one job at most, so there are never more than connections.
//! Source: NVMe Base 2.1, "NVMe In-band Authentication"; refusals follow Linux nvmet.

use super::Reactor;
use crate::access::Keyring;
use crate::controller::{AUTH_SEND_BYTES_MAX, unknown_type};
use crate::fault::{Fault, field};
use crate::queue::{Computing, Proof, QueueState};
use crate::subsystem::ExportError;
use auth::{ControllerSide, Credentials, Helper, Names, Outcome, Received, Sent};
use netstack::fabric::Fabric;
use std::sync::Arc;
use std::time::Instant;
use wire::fabrics::ConnectResult;
use wire::fabrics::auth::{AuthCmd, SECURITY_PROTOCOL, SECURITY_SPECIFIC};
use wire::nvme::{FabricsType, Sqe, Status};

/// Room that a host may name for an answer. Linux's host says 4 KiB.
const ROOM_MAX: u32 = 64 << 10;

/// A command that is served before the host has proved anything.
pub(super) fn is_authentication(sqe: &Sqe) -> bool {
    let kind = sqe.fabrics_type();
    matches!(kind, Some(FabricsType::AuthenticationSend | FabricsType::AuthenticationReceive))
}

impl<F: Fabric> Reactor<F> {
    /// Says what host `host_nqn` must prove before it may use subsystem `nqn`; `None`: nothing. Whether
    /// it may use it at all, [`Self::set_hosts`] says. A connected host that proved itself stays
    /// connected, and proves the new secret when it authenticates again; one that did not have to loses
    /// its controllers.
    ///
    /// Errors: no such subsystem.
    pub fn set_credentials(
        &mut self,
        nqn: &str,
        host_nqn: &str,
        credentials: Option<Credentials>,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let credentials = credentials.map(Arc::new);
        self.subsystems[at].keyring_mut().set(host_nqn, credentials.clone());
        let Some(credentials) = credentials else { return Ok(()) };
        let controllers = self.controllers.iter();
        let theirs: Vec<u32> = controllers
            .filter(|(_, c)| c.subsystem == at && c.host_nqn == host_nqn)
            .map(|(index, _)| index)
            .collect();
        for controller in theirs {
            let mut is_unproved = false;
            for queue in self.controllers[controller].queues() {
                match self.queues.get_mut(queue).and_then(|queue| queue.proof.as_mut()) {
                    Some(proof) => proof.side.set_credentials(Arc::clone(&credentials)),
                    None => is_unproved = true,
                }
            }
            if is_unproved {
                self.end_controller(controller);
            }
        }
        Ok(())
    }
    /// Randomness and powers come from `helper` from now on; before, from the operating system and a
    /// thread.
    pub fn set_auth_helper(&mut self, helper: Box<dyn Helper>) {
        self.helper = helper;
    }

    /// Connection `index` became part of a controller: locks it, if its host must prove itself.
    /// Returns what Connect's answer says of that.
    pub(super) fn demand_proof(
        &mut self,
        now: Instant,
        index: u32,
        host_nqn: &str,
        subsystem: usize,
    ) -> u16 {
        let subsystem = &self.subsystems[subsystem];
        let keyring: &Keyring = subsystem.keyring();
        let Some(credentials) = keyring.get(host_nqn) else { return 0 };
        let names = Names { host: host_nqn.to_owned(), subsystem: subsystem.nqn().to_owned() };
        if self.came_with_generated(index) {
            return 0;
        }
        let side = ControllerSide::new(now, Arc::clone(credentials), names)
            .with_concatenation(self.may_make_key(index));
        let deadline = side.deadline();
        let queue = &mut self.queues[index];
        queue.proof = Some(Box::new(Proof { side, computing: None }));
        queue.is_locked = true;
        self.note_deadline(deadline);
        ConnectResult::AUTHENTICATE
    }

    /// Executes Authentication Send or Receive. `data` is what the host sent.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        index: u32,
        slot: u16,
        sqe: &Sqe,
        data: &[u8],
    ) {
        let command = AuthCmd::decode(sqe);
        if self.queues[index].proof.is_none() {
            self.fail(index, slot, sqe, unknown_type());
        } else if let Err(fault) = check(&command) {
            self.fail(index, slot, sqe, fault);
        } else if sqe.fabrics_type() == Some(FabricsType::AuthenticationSend) {
            self.take_message(now, index, slot, sqe, data);
        } else {
            self.give_message(now, index, slot, sqe, command.length);
        }
    }

    fn take_message(&mut self, now: Instant, index: u32, slot: u16, sqe: &Sqe, data: &[u8]) {
        if data.is_empty() {
            return self.fail(index, slot, sqe, Fault::invalid_field(AuthCmd::LENGTH_AT));
        }
        let Reactor { queues, helper, .. } = self;
        let Some(proof) = queues[index].proof.as_mut() else { return };
        let sent = proof.side.handle_send(now, data, &mut |octets| helper.fill(octets));
        let deadline = proof.side.deadline();
        self.note_deadline(deadline);
        match sent {
            Sent::Taken => self.answer_auth(now, index, slot, sqe),
            Sent::Busy => {
                let early = Fault::at(Status::COMMAND_SEQUENCE, field::NONE);
                self.fail(index, slot, sqe, early);
            }
            Sent::Ended(reason) => {
                self.note_unproved(index, reason.as_str());
                self.queues[index].close_after(slot);
                self.answer_auth(now, index, slot, sqe);
            }
            Sent::Compute(job) => {
                let tag = u64::from(self.next_job) << 32 | u64::from(index);
                self.next_job = self.next_job.wrapping_add(1);
                let queue = &mut self.queues[index];
                queue.spend_capsule(slot, &mut self.actions);
                if let Some(proof) = queue.proof.as_mut() {
                    proof.computing = Some(Computing { tag, slot, sqe: *sqe });
                }
                self.jobs_outstanding += 1;
                self.helper.submit(tag, job);
            }
        }
    }

    fn give_message(&mut self, now: Instant, index: u32, slot: u16, sqe: &Sqe, room: u32) {
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        let proof = self.queues[index].proof.as_mut();
        let given = proof.and_then(|proof| proof.side.handle_receive(room as usize, &mut reply));
        if let Some(Received::Failed(reason)) = given {
            self.note_unproved(index, reason.as_str());
            self.queues[index].close_after(slot);
        }
        match given {
            None => self.fail(index, slot, sqe, Fault::invalid_field(AuthCmd::LENGTH_AT)),
            Some(_) => {
                // The host described more memory than a message needs, and gets all of it.
                reply.resize(room as usize, 0);
                self.send_reply(index, slot, sqe, 0, &reply);
            }
        }
        self.reply = reply;
        self.note_proof(now, index);
    }

    fn answer_auth(&mut self, now: Instant, index: u32, slot: u16, sqe: &Sqe) {
        self.answer(index, slot, sqe, Ok(0));
        self.note_proof(now, index);
    }

    /// The conversation of connection `index` moved on.
    fn note_proof(&mut self, now: Instant, index: u32) {
        let queue = &mut self.queues[index];
        let Some(proof) = &mut queue.proof else { return };
        let generated = proof.side.take_generated();
        if queue.is_locked && proof.side.is_authenticated() {
            queue.is_locked = false;
            self.counters.authenticated += 1;
            let (host, subsystem) = self.parties(index);
            let qid = self.queues[index].qid;
            tracing::info!(host, subsystem, qid, "host authenticated");
        }
        if let Some(psk) = generated {
            self.keep_generated(now, psk);
        }
    }
    /// Connection `index` ends because its host did not prove who it is.
    pub(super) fn note_unproved(&mut self, index: u32, reason: &str) {
        self.counters.authentication_failures += 1;
        let (host, subsystem) = self.parties(index);
        let queue = &self.queues[index];
        let (qid, from) = (queue.qid, queue.from);
        tracing::warn!(host, subsystem, qid, %from, reason, "host not authenticated");
    }
    fn parties(&self, index: u32) -> (&str, &str) {
        let Some(at) = self.queues[index].attachment else { return ("", "") };
        (&self.controllers[at.controller].host_nqn, self.subsystems[at.subsystem].nqn())
    }

    /// Takes what the helper is done with. True if there was anything.
    pub(super) fn poll_helper(&mut self, now: Instant) -> bool {
        let mut did_work = false;
        while let Some((tag, outcome)) = self.helper.poll() {
            self.jobs_outstanding = self.jobs_outstanding.saturating_sub(1);
            self.handle_computed(now, tag, outcome);
            did_work = true;
        }
        did_work
    }
    fn handle_computed(&mut self, now: Instant, tag: u64, outcome: Outcome) {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is the connection")]
        let index = tag as u32;
        // The connection may have ended meanwhile, and its place may be another's.
        let Some(queue) = self.queues.get_mut(index) else { return };
        let Some(proof) = queue.proof.as_mut() else { return };
        let Some(computing) = proof.computing.take_if(|computing| computing.tag == tag) else {
            return;
        };
        proof.side.handle_agreed(outcome);
        if queue.state == QueueState::Open {
            self.answer_auth(now, index, computing.slot, &computing.sqe);
        } else {
            queue.abandon(computing.slot, &mut self.actions);
        }
        self.after_release(now, index);
    }
}

/// The fields that both commands have.
fn check(command: &AuthCmd) -> Result<(), Fault> {
    let [first, second] = command.specific.map(|octet| octet == SECURITY_SPECIFIC);
    let at = if command.protocol != SECURITY_PROTOCOL {
        AuthCmd::PROTOCOL_AT
    } else if !first {
        AuthCmd::SPECIFIC_AT
    } else if !second {
        AuthCmd::SPECIFIC_AT + 1
    } else if command.length == 0 || command.length > ROOM_MAX.max(AUTH_SEND_BYTES_MAX) {
        AuthCmd::LENGTH_AT
    } else {
        return Ok(());
    };
    Err(Fault::invalid_field(at))
}
