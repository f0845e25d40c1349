//! The discovery service, changed live: what it tells, and who is told that it changed.
//!
//! Source: NVMe Base 2.1, "Discovery Log Page", "Discovery Log Page Change" notice.

use super::Reactor;
use crate::directory::Referral;
use crate::queue::Attachment;
use crate::subsystem::{ExportError, Port};
use netstack::fabric::Fabric;
use std::io;

impl<F: Fabric> Reactor<F> {
    /// Tells hosts of another discovery service.
    ///
    /// Errors: its transport and address are told already, its name is none, or 256 are there.
    pub fn add_referral(&mut self, referral: Referral) -> Result<(), ExportError> {
        self.directory.add_referral(referral)
    }
    /// Tells of it no more; transport and address say which.
    ///
    /// Errors: it was not told of.
    pub fn remove_referral(&mut self, referral: &Referral) -> Result<(), ExportError> {
        self.directory.remove_referral(referral)
    }
    /// Other discovery services that hosts are told of.
    #[must_use]
    pub fn referrals(&self) -> &[Referral] {
        self.directory.referrals()
    }
    /// Accepts hosts at `port` for discovery alone, as [`Reactor::listen`] does for all.
    pub fn listen_for_discovery(&mut self, port: Port) {
        self.fabric.listen(port.address.port());
        self.directory.add_port(port);
    }
    /// Accepts hosts at `port` for discovery alone, while in use: no other subsystem is told of
    /// there, and a Connect to one is refused.
    ///
    /// Errors: the address cannot be had, or not by this fabric. Nothing changed then.
    pub fn open_discovery_port(&mut self, port: Port) -> io::Result<()> {
        self.fabric.open_listener(port.transport.as_str(), port.address)?;
        self.directory.add_port(port);
        Ok(())
    }
    /// Accepts no more hosts at `port`, which is for discovery alone. Connections that were made
    /// there stay.
    ///
    /// Errors: no such port, or the fabric cannot stop listening.
    pub fn close_discovery_port(&mut self, port: &Port) -> io::Result<()> {
        if !self.directory.ports().contains(port) {
            return Err(no_port(port));
        }
        self.close_last(port)?;
        self.directory.remove_port(port);
        Ok(())
    }
    /// Stops listening there, unless the address has another number too.
    pub(super) fn close_last(&mut self, port: &Port) -> io::Result<()> {
        let same =
            |other: &&Port| other.transport == port.transport && other.address == port.address;
        if self.all_ports().filter(same).count() > 1 {
            return Ok(());
        }
        self.fabric.close_listener(port.transport.as_str(), port.address)
    }
    /// Those that lead to subsystems, then those for discovery alone.
    pub(super) fn all_ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().chain(self.directory.ports())
    }

    /// Subsystem `subsystem` is not reached by the way that connection `index` came.
    pub(super) fn is_elsewhere(&self, index: u32, subsystem: usize) -> bool {
        let is_it = |port: &Port| port.id == self.queues[index].port_id;
        let only_discovery =
            self.directory.ports().iter().any(is_it) && !self.ports.iter().any(is_it);
        only_discovery && !self.subsystems[subsystem].is_discovery()
    }
    /// A host connected to the discovery service: what it can read from now on is what it knows.
    pub(super) fn note_view(&mut self, at: Attachment) {
        let view = self.controllers[at.controller].discovery_view(&self.world(at, &[]));
        self.controllers[at.controller].handle_view(view);
    }
    /// Tells those hosts whose log differs from what they were last told of. Done once in a turn, so
    /// that a change of several steps is one, and no host hears of what it may not see.
    ///
    /// Returns whether there was anything to tell.
    pub(super) fn tell_discovery_changes(&mut self) -> bool {
        if !self.directory.take_stale() {
            return false;
        }
        let of_discovery = self.controllers.iter().filter(|(_, c)| !c.has_io_queues());
        let all: Vec<Attachment> = of_discovery
            .map(|(index, c)| Attachment { controller: index, subsystem: c.subsystem })
            .collect();
        all.into_iter().for_each(|at| self.note_view(at));
        self.deliver_events();
        true
    }
}

pub(super) fn no_port(port: &Port) -> io::Error {
    io::Error::other(format!("no port {}", port.id))
}
