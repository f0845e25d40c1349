//! What happened, by name.

use super::Reactor;
use netstack::fabric::Fabric;

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Calls of `turn`.
    pub turns: u64,
    /// Those in which nothing happened.
    pub idle_turns: u64,
    /// Capsules received.
    pub capsules: u64,
    /// I/O commands answered.
    pub io_commands: u64,
    /// Admin and Fabrics commands answered.
    pub admin_commands: u64,
    /// Commands answered with an error.
    pub failed_commands: u64,
    /// System calls made to sleep.
    pub sleeps: u64,
    /// Capsules that are none: their connections were ended.
    pub bad_capsules: u64,
    /// Octets of in-capsule data that were copied a second time, because their blocks were not to be
    /// had before the receive ring was needed again. The target makes no other copies.
    pub incapsule_copied_bytes: u64,
    /// Work that found a queue of the fabric full at first.
    pub posts_blocked: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused.
    pub rejected_connections: u64,
    /// Commands ended because their host lost its registration.
    pub preempted_commands: u64,
    /// Changes of reservations that could not be kept, and so were refused.
    pub reservations_not_kept: u64,
    /// Connections ended, by either side.
    pub disconnected: u64,
    /// Controllers made.
    pub controllers: u64,
    /// Controllers whose hosts were silent for too long.
    pub keep_alive_expired: u64,
    /// Connections that ended because no Connect came.
    pub connects_expired: u64,
    /// Connections whose hosts proved who they are, each time.
    pub authenticated: u64,
    /// Connections ended because their hosts did not: wrong, or not in time.
    pub authentication_failures: u64,
    /// Connects refused: without TLS from hosts that have a key, or as another than the key is for.
    pub tls_refused: u64,
    /// Keys for TLS that authentication made.
    pub tls_generated: u64,
}

impl Counters {
    /// Each count with its name.
    pub fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("target.turns", self.turns);
        report("target.idle_turns", self.idle_turns);
        report("target.sleeps", self.sleeps);
        report("target.capsules", self.capsules);
        report("target.io_commands", self.io_commands);
        report("target.admin_commands", self.admin_commands);
        report("target.failed_commands", self.failed_commands);
        report("target.bad_capsules", self.bad_capsules);
        report("target.incapsule_copied_bytes", self.incapsule_copied_bytes);
        report("target.posts_blocked", self.posts_blocked);
        report("target.connections", self.connections);
        report("target.rejected_connections", self.rejected_connections);
        report("target.preempted_commands", self.preempted_commands);
        report("target.reservations_not_kept", self.reservations_not_kept);
        report("target.disconnected", self.disconnected);
        report("target.controllers", self.controllers);
        report("target.keep_alive_expired", self.keep_alive_expired);
        report("target.connects_expired", self.connects_expired);
        report("target.authenticated", self.authenticated);
        report("target.authentication_failures", self.authentication_failures);
        report("target.tls_refused", self.tls_refused);
        report("target.tls_generated", self.tls_generated);
    }
}

impl<F: Fabric> Reactor<F> {
    /// Counts of the target itself.
    pub fn counters(&self) -> Counters {
        self.counters
    }
    /// All counts, the fabric's and the disks' among them. Names of several disks' counts repeat.
    pub fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.counters.report(report);
        self.fabric.counters(report);
        self.backends.iter().for_each(|disk| disk.backend.counters(report));
    }
}
