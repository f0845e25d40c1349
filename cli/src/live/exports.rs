//! The reactor as something whose exports change.

use super::change::{Change, Place, Step};
use super::transact::{Exports, Ticket};
use crate::config::model::{Group, Listener, Namespace};
use crate::config::words::Ana;
use crate::hosts::{Keyring, credentials, tls_key};
use netstack::fabric::Fabric;
use std::collections::BTreeMap;
use std::fmt::Display;
use storage::BoxedBackend;
use target::{AnaState, ConnectionInfo, ExportError, NewNamespace, Port, Reactor, StagedDisk};

/// A reactor, with what it does not know of its disks.
pub(crate) struct Served<F: Fabric> {
    /// It.
    pub reactor: Reactor<F>,
    staged: BTreeMap<Ticket, (StagedDisk, u64)>,
    next_ticket: Ticket,
    /// Blocks of whole disks: the most that each ever had.
    whole: BTreeMap<Place, u64>,
    /// Those that are open, by arrival.
    listeners: Vec<(u16, Listener)>,
}

/// A disk to be exported.
pub(crate) struct OpenDisk {
    /// It, as large as the namespace is to be.
    pub disk: BoxedBackend,
    /// Blocks that it had when it was opened.
    pub whole_blocks: u64,
}

/// What the reactor has that no configuration says.
#[derive(Default)]
pub(crate) struct View {
    /// Octets and octets of a block, of every namespace.
    pub sizes: BTreeMap<Place, (u64, u32)>,
    /// Serial number and model of every subsystem.
    pub identities: BTreeMap<String, (String, String)>,
    /// Every connection.
    pub connections: Vec<ConnectionInfo>,
}

impl<F: Fabric> Served<F> {
    pub(crate) fn new(reactor: Reactor<F>) -> Served<F> {
        Served {
            reactor,
            staged: BTreeMap::new(),
            next_ticket: 0,
            whole: BTreeMap::new(),
            listeners: Vec::new(),
        }
    }
    /// A look at it.
    pub(crate) fn view(&self) -> View {
        let mut view = View { connections: self.reactor.connections(), ..View::default() };
        for subsystem in self.reactor.subsystems().filter(|subsystem| !subsystem.is_discovery()) {
            let nqn = subsystem.nqn().to_owned();
            for namespace in subsystem.namespaces() {
                let geometry = namespace.geometry;
                let octets = geometry.block_count.saturating_mul(geometry.block_bytes.into());
                let size = (octets, geometry.block_bytes);
                view.sizes.insert((nqn.clone(), namespace.nsid), size);
            }
            let identity = (subsystem.serial().to_owned(), subsystem.model().to_owned());
            view.identities.insert(nqn, identity);
        }
        view
    }
    fn blocks(&self, (nqn, nsid): &Place) -> Result<(u64, u32), String> {
        let subsystem = self.reactor.subsystem(nqn);
        let namespace = subsystem.and_then(|subsystem| subsystem.namespace(*nsid));
        let geometry = namespace.ok_or_else(|| format!("no namespace {nsid}"))?.geometry;
        Ok((geometry.block_count, geometry.block_bytes))
    }
    fn export(
        &mut self,
        place: &Place,
        namespace: &Namespace,
        ticket: Option<Ticket>,
    ) -> Result<(), String> {
        let staged = ticket.and_then(|ticket| self.staged.remove(&ticket));
        let (staged, whole_blocks) = staged.ok_or("its disk is not there")?;
        let (nqn, nsid) = place;
        let new = NewNamespace {
            nsid: *nsid,
            uri: &namespace.uri,
            ids: namespace.ids,
            read_only: namespace.read_only,
            ana_group: namespace.ana_group,
            hosts: namespace.hosts.clone(),
        };
        self.reactor.export(nqn, new, staged).map_err(words)?;
        self.reactor.set_limit(nqn, *nsid, namespace.limit.into()).map_err(words)?;
        let (blocks, _) = self.blocks(place)?;
        self.whole.insert(place.clone(), whole_blocks.max(blocks));
        Ok(())
    }
    fn set_ana(&mut self, nqn: &str, grpid: u32, group: &Group) -> Result<(), ExportError> {
        self.reactor.set_ana_state(nqn, grpid, None, group.state.into())?;
        group.ports.iter().try_for_each(|(portid, state)| {
            self.reactor.set_ana_state(nqn, grpid, Some(*portid), (*state).into())
        })
    }
    fn set_keys(&mut self, nqn: &str, step: &Step<Keyring>) -> Result<(), ExportError> {
        let gone = step.from.keys().filter(|host| !step.to.contains_key(*host));
        for host in gone {
            self.reactor.set_credentials(nqn, host, None)?;
            self.reactor.set_tls_key(nqn, host, None)?;
        }
        for (host, keys) in step.to.iter().filter(|(host, keys)| step.from.get(*host) != Some(keys))
        {
            let checked = credentials(keys).expect("it was checked with the file");
            self.reactor.set_credentials(nqn, host, checked)?;
            let checked = tls_key(keys).expect("it was checked with the file");
            self.reactor.set_tls_key(nqn, host, checked.as_ref())?;
        }
        Ok(())
    }
    fn change(&mut self, change: &Change) -> Result<(), ExportError> {
        let reactor = &mut self.reactor;
        match change {
            Change::AddSubsystem(nqn, it) => {
                reactor.add_subsystem(nqn)?;
                let (serial, model) = (it.identity.serial.as_deref(), it.identity.model.as_deref());
                reactor.set_identity(nqn, serial, model)?;
                reactor.set_hosts(nqn, it.hosts.clone())?;
                let none = Keyring::new();
                self.set_keys(nqn, &Step { from: none, to: it.keyring.clone() })?;
                let mut limits = it.host_limits.iter();
                limits.try_for_each(|(host, limit)| {
                    self.reactor.set_host_limit(nqn, host, (*limit).into())
                })?;
                it.ana.iter().try_for_each(|(grpid, group)| self.set_ana(nqn, *grpid, group))
            }
            Change::AddReferral(it) => reactor.add_referral(it.into()),
            Change::RemoveReferral(it) => reactor.remove_referral(&it.into()),
            Change::RemoveSubsystem(nqn, _) => reactor.remove_subsystem(nqn),
            Change::RemoveNamespace(place, _) => {
                self.whole.remove(place);
                reactor.remove_namespace(&place.0, place.1)
            }
            Change::SetIdentity(nqn, step) => {
                let (serial, model) = (step.to.serial.as_deref(), step.to.model.as_deref());
                reactor.set_identity(nqn, serial, model)
            }
            Change::SetHosts(nqn, step) => reactor.set_hosts(nqn, step.to.clone()),
            Change::SetKeys(nqn, step) => self.set_keys(nqn, step),
            Change::SetHostLimit(nqn, host, step) => {
                reactor.set_host_limit(nqn, host, step.to.into())
            }
            Change::SetAna(nqn, grpid, step) => self.set_ana(nqn, *grpid, &step.to),
            Change::SetReadOnly((nqn, nsid), step) => reactor.set_read_only(nqn, *nsid, step.to),
            Change::SetGroup((nqn, nsid), step) => reactor.set_ana_group(nqn, *nsid, step.to),
            Change::SetVisibility((nqn, nsid), step) => {
                reactor.set_namespace_hosts(nqn, *nsid, step.to.clone())
            }
            Change::SetLimit((nqn, nsid), step) => reactor.set_limit(nqn, *nsid, step.to.into()),
            // Done before, or elsewhere.
            Change::AddNamespace(..)
            | Change::AddListener(..)
            | Change::RemoveListener(..)
            | Change::Resize(..) => Ok(()),
        }
    }
}

impl<F: Fabric> Exports<OpenDisk> for Served<F> {
    fn stage(&mut self, OpenDisk { disk, whole_blocks }: OpenDisk) -> Result<Ticket, String> {
        let staged = self.reactor.stage_disk(disk).map_err(words)?;
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.staged.insert(ticket, (staged, whole_blocks));
        Ok(ticket)
    }
    fn unstage(&mut self, ticket: Ticket) {
        if let Some((staged, _)) = self.staged.remove(&ticket) {
            self.reactor.drop_staged(staged);
        }
    }
    fn open(&mut self, portid: u16, listener: &Listener) -> Result<(), String> {
        let place = port(portid, listener);
        let opened = match listener.discovery {
            true => self.reactor.open_discovery_port(place.clone()),
            false => self.reactor.open_port(place.clone()),
        };
        opened.map_err(words)?;
        self.listeners.push((portid, *listener));
        self.reactor.secure_port(&place, listener.tls.into()).map_err(words)
    }
    fn close(&mut self, portid: u16, listener: &Listener) -> Result<(), String> {
        let place = port(portid, listener);
        let closed = match listener.discovery {
            true => self.reactor.close_discovery_port(&place),
            false => self.reactor.close_port(&place),
        };
        closed.map_err(words)?;
        self.listeners.retain(|known| *known != (portid, *listener));
        // Another of the same place, which came to replace it or did not, says what holds now.
        match self.listeners.iter().rev().find(|(_, other)| other.is_at(listener)) {
            Some((id, left)) => {
                let left = (port(*id, left), left.tls.into());
                self.reactor.secure_port(&left.0, left.1).map_err(words)
            }
            None => Ok(()),
        }
    }
    fn resize(&mut self, place: &Place, octets: Option<u64>) -> Result<(), String> {
        let (blocks, block_bytes) = self.blocks(place)?;
        let known = self.whole.get(place).copied().unwrap_or(blocks);
        let wanted = octets.map_or(known, |octets| octets / u64::from(block_bytes));
        let (nqn, nsid) = place;
        self.reactor.resize_namespace(nqn, *nsid, wanted).map_err(words)?;
        self.whole.insert(place.clone(), known.max(wanted));
        Ok(())
    }
    fn commit(&mut self, change: &Change, ticket: Option<Ticket>) -> Result<(), String> {
        if let Change::AddNamespace(place, namespace) = change {
            return self.export(place, namespace, ticket);
        }
        if let Change::RemoveListener(portid, listener) = change {
            return self.close(*portid, listener);
        }
        self.change(change).map_err(words)
    }
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn port(id: u16, listener: &Listener) -> Port {
    Port { id, transport: listener.trtype.into(), address: listener.address }
}

impl From<Ana> for AnaState {
    fn from(state: Ana) -> AnaState {
        match state {
            Ana::Optimized => AnaState::Optimized,
            Ana::NonOptimized => AnaState::NonOptimized,
            Ana::Inaccessible => AnaState::Inaccessible,
            Ana::PersistentLoss => AnaState::PersistentLoss,
            Ana::Change => AnaState::Change,
        }
    }
}
