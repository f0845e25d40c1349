//! Keys for TLS that conversations made (secure channel concatenation): a host proves itself on an admin
//! queue without TLS, comes again with the key that both sides made of it, and has proved itself then.
//!
//! Each is known while connections use it, and a while before the first does.
//! Source: NVMe Base 2.1, "Secure channel concatenation"; NVMe TCP Transport Specification 1.1,
//! "Transport Layer Security".

use super::Reactor;
use super::channel::shared;
use crate::subsystem::Port;
use auth::TlsPsk;
use netstack::fabric::{Fabric, Security};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use wire::fabrics::TransportKind;

/// A key that no connection uses is known for so long after it was made.
const UNUSED: Duration = Duration::from_secs(30);

/// One of them.
#[derive(Debug)]
pub(super) struct Generated {
    identity: String,
    until: Instant,
}

impl<F: Fabric> Reactor<F> {
    /// Of a conversation on connection `index` a key may be made: it is an admin queue without TLS, at a
    /// port that speaks TLS.
    pub(super) fn may_make_key(&self, index: u32) -> bool {
        let queue = &self.queues[index];
        let speaks_tls = |port: &Port| {
            let is_its = port.id == queue.port_id && port.transport == TransportKind::Tcp;
            is_its && self.channels.of(&port.address) != Security::None
        };
        let is_plain = self.fabric.identity_of(queue.qp).is_none();
        queue.qid == 0 && is_plain && self.all_ports().any(speaks_tls)
    }
    /// The host of connection `index` has proved who it is by the key that it came with.
    pub(super) fn came_with_generated(&self, index: u32) -> bool {
        self.fabric.identity_of(self.queues[index].qp).is_some_and(auth::is_generated)
    }
    /// A conversation made a key: its host may come with it now.
    pub(super) fn keep_generated(&mut self, now: Instant, psk: TlsPsk) {
        let (identity, until) = (psk.identity.clone(), now + UNUSED);
        self.fabric.set_psk(&identity, Some(shared(psk)));
        self.generated.push(Generated { identity, until });
        self.counters.tls_generated += 1;
        self.note_deadline(Some(until));
    }
    /// Forgets those that had their time and are not used.
    pub(super) fn forget_generated(&mut self, now: Instant) {
        if self.generated.is_empty() {
            return;
        }
        let Reactor { generated, fabric, queues, .. } = self;
        let identities = queues.iter().filter_map(|(_, queue)| fabric.identity_of(queue.qp));
        let used: BTreeSet<String> = identities.map(str::to_owned).collect();
        generated.retain(|key| {
            let is_known = key.until > now || used.contains(&key.identity);
            if !is_known {
                fabric.set_psk(&key.identity, None);
            }
            is_known
        });
    }
    /// When to look for those next; what is used is looked at when its connections end.
    pub(super) fn generated_until(&self, now: Instant) -> Option<Instant> {
        self.generated.iter().map(|key| key.until).filter(|until| *until > now).min()
    }
}
