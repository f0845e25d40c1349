//! Hosts that must come through TLS, and the ports that offer it.
//!
//! A host that has a key here speaks TLS, whatever its port offers to others: who claims its name without
//! the key is sent away. What it connects as must be what its key is for.
//! Source: NVMe TCP Transport Specification 1.1, "Transport Layer Security".

use super::Reactor;
use crate::fault::Fault;
use crate::subsystem::{DISCOVERY_NQN, ExportError, Port};
use auth::{HashId, TlsKey, TlsPsk, tls_parties};
use netstack::fabric::{Fabric, Psk, PskHash, Security};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use wire::fabrics::ConnectFault;
use wire::nvme::Status;

/// What is known of secure channels.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    /// By the names of subsystem and host.
    keys: BTreeMap<(String, String), TlsKey>,
    /// What ports offer: none where nothing is said.
    ports: BTreeMap<SocketAddr, Security>,
}

impl Channels {
    /// What a TCP port offers.
    pub(crate) fn of(&self, address: &SocketAddr) -> Security {
        self.ports.get(address).copied().unwrap_or_default()
    }
}

impl<F: Fabric> Reactor<F> {
    /// Says with which key host `host_nqn` comes to subsystem `nqn`, and to the discovery service;
    /// `None`: without TLS. Connections with TLS that are made stay, also with the key before; others of
    /// a host that is given a key lose their controllers.
    ///
    /// Errors: no such subsystem.
    pub fn set_tls_key(
        &mut self,
        nqn: &str,
        host_nqn: &str,
        key: Option<&TlsKey>,
    ) -> Result<(), ExportError> {
        let at = self.export_index(nqn)?;
        let place = (nqn.to_owned(), host_nqn.to_owned());
        if let Some(old) = self.channels.keys.remove(&place) {
            for psk in names(&old, host_nqn, nqn) {
                self.fabric.set_psk(&psk.identity, None);
            }
        }
        if let Some(key) = key {
            self.channels.keys.insert(place, key.clone());
        }
        // The one of the discovery service may be another subsystem's too.
        for ((subsystem, host), key) in &self.channels.keys {
            if host == host_nqn {
                for psk in names(key, host, subsystem) {
                    self.fabric.set_psk(&psk.identity.clone(), Some(shared(psk)));
                }
            }
        }
        if key.is_some() {
            self.end_unsecured(at, host_nqn);
        }
        Ok(())
    }
    /// Takes away all keys of a subsystem that is removed.
    pub(super) fn forget_tls_keys(&mut self, nqn: &str) {
        let keys = self.channels.keys.keys().filter(|(subsystem, _)| subsystem == nqn);
        let hosts: Vec<String> = keys.map(|(_, host)| host.clone()).collect();
        for host in hosts {
            // It is still there.
            let _ = self.set_tls_key(nqn, &host, None);
        }
    }
    fn end_unsecured(&mut self, subsystem: usize, host_nqn: &str) {
        let is_plain = |index: u32| {
            let queue = self.queues.get(index);
            queue.is_some_and(|queue| self.fabric.identity_of(queue.qp).is_none())
        };
        let controllers = self.controllers.iter().filter(|(_, controller)| {
            controller.subsystem == subsystem
                && controller.host_nqn == host_nqn
                && controller.queues().any(is_plain)
        });
        for index in controllers.map(|(index, _)| index).collect::<Vec<_>>() {
            self.end_controller(index);
        }
    }

    /// Says whether hosts at `port`, which is open, speak TLS; the discovery log tells of it.
    ///
    /// Errors: no such port, or there is no TLS over its transport.
    pub fn secure_port(&mut self, port: &Port, security: Security) -> io::Result<()> {
        self.fabric.secure_listener(port.transport.as_str(), port.address, security)?;
        if self.channels.of(&port.address) != security {
            self.channels.ports.insert(port.address, security);
            self.directory.note_change();
        }
        Ok(())
    }

    /// Refuses a Connect that does not fit to how connection `index` was made.
    pub(super) fn check_channel(
        &mut self,
        index: u32,
        host_nqn: &str,
        subsystem: usize,
    ) -> Result<(), Fault> {
        let nqn = self.subsystems[subsystem].nqn();
        let queue = &self.queues[index];
        let from = queue.from;
        let is_right = match self.fabric.identity_of(queue.qp) {
            Some(identity) => tls_parties(identity) == Some((host_nqn, nqn)),
            None => !self.channels.keys.contains_key(&(nqn.to_owned(), host_nqn.to_owned())),
        };
        if is_right {
            return Ok(());
        }
        tracing::warn!(host = host_nqn, subsystem = nqn, %from, "refused: it must come with its TLS key");
        self.counters.tls_refused += 1;
        let fault = Fault::connect(ConnectFault::HOST_NQN);
        Err(Fault { status: Status::CONNECT_INVALID_HOST.do_not_retry(), ..fault })
    }
}

/// What `host` has with `key`: for the subsystem, and for the discovery service.
fn names(key: &TlsKey, host: &str, nqn: &str) -> Vec<TlsPsk> {
    [key.psks(host, DISCOVERY_NQN), key.psks(host, nqn)].concat()
}

pub(super) fn shared(psk: TlsPsk) -> Psk {
    let hash = if psk.hash == HashId::Sha384 { PskHash::Sha384 } else { PskHash::Sha256 };
    Psk { identity: psk.identity, secret: Arc::new(psk.secret), hash }
}
