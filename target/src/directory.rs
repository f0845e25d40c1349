//! What the discovery service knows besides subsystems and ports: referrals, ports that lead to it
//! alone, and how often the whole changed.
//!
//! Source: NVMe Base 2.1, "Discovery Log Page"; NVMe over Fabrics, "Discovery Service".

use crate::subsystem::{DISCOVERY_NQN, ExportError, Port};
use std::net::SocketAddr;
use wire::fabrics::{Nqn, TransportKind};

/// Referrals of one target, at most.
pub(crate) const REFERRALS_MAX: usize = 256;

/// Another discovery service that hosts are told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referral {
    /// How hosts reach it.
    pub transport: TransportKind,
    /// Address and port (8009 by convention). With the transport, what tells it from others.
    pub address: SocketAddr,
    /// Its NQN; `None`: the one under which every discovery service answers.
    pub nqn: Option<String>,
}

impl Referral {
    /// The name that hosts connect to.
    pub(crate) fn nqn(&self) -> &str {
        self.nqn.as_deref().unwrap_or(DISCOVERY_NQN)
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    referrals: Vec<Referral>,
    /// Ports at which no subsystem but the discovery service is reached.
    ports: Vec<Port>,
    /// Changes so far of anything that the log tells.
    generation: u64,
    /// Hosts were not told of the last change yet.
    is_stale: bool,
}

impl Directory {
    /// Something that the log tells of changed.
    pub(crate) fn note_change(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.is_stale = true;
    }
    /// Whether hosts are to be told; they are told once.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }
    /// Generation counter of the log.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
    /// In the order in which they came.
    pub(crate) fn referrals(&self) -> &[Referral] {
        &self.referrals
    }
    /// Ports for discovery alone, by arrival.
    pub(crate) fn ports(&self) -> &[Port] {
        &self.ports
    }
    /// A port for discovery alone is open.
    pub(crate) fn add_port(&mut self, port: Port) {
        self.ports.push(port);
        self.note_change();
    }
    /// It is closed. False: it was not there.
    pub(crate) fn remove_port(&mut self, port: &Port) -> bool {
        let Some(at) = self.ports.iter().position(|other| other == port) else { return false };
        self.ports.remove(at);
        self.note_change();
        true
    }
    /// Tells of another discovery service.
    ///
    /// Errors: it is told of already, its name is none, or there are too many.
    pub(crate) fn add_referral(&mut self, referral: Referral) -> Result<(), ExportError> {
        Nqn::lenient(referral.nqn())
            .map_err(|why| ExportError::BadNqn(referral.nqn().to_owned(), why))?;
        if self.referral_index(&referral).is_some() {
            return Err(ExportError::DuplicateReferral(referral.address));
        }
        if self.referrals.len() >= REFERRALS_MAX {
            return Err(ExportError::TooManyReferrals(REFERRALS_MAX));
        }
        self.referrals.push(referral);
        self.note_change();
        Ok(())
    }
    /// Tells of it no more. Errors: it was not told of.
    pub(crate) fn remove_referral(&mut self, referral: &Referral) -> Result<(), ExportError> {
        let at = self.referral_index(referral);
        let at = at.ok_or(ExportError::NoSuchReferral(referral.address))?;
        self.referrals.remove(at);
        self.note_change();
        Ok(())
    }
    fn referral_index(&self, wanted: &Referral) -> Option<usize> {
        let place = |it: &Referral| (it.transport, it.address);
        self.referrals.iter().position(|it| place(it) == place(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referral(port: u16, nqn: Option<&str>) -> Referral {
        let address = ([192, 0, 2, 1], port).into();
        Referral { transport: TransportKind::Tcp, address, nqn: nqn.map(str::to_owned) }
    }

    /// Goal: each change counts once, what changes nothing does not count, and what cannot be told
    /// is refused.
    #[test]
    fn changes_are_counted() {
        let mut directory = Directory::default();
        directory.add_referral(referral(8009, None)).unwrap();
        directory.add_referral(referral(8010, Some("nqn.2026-01.io.flexblk:other"))).unwrap();
        assert_eq!((directory.generation(), directory.take_stale()), (2, true));
        assert!(!directory.take_stale(), "told once");
        let again = directory.add_referral(referral(8009, Some("nqn.2026-01.io.flexblk:x")));
        assert!(matches!(again, Err(ExportError::DuplicateReferral(_))), "{again:?}");
        let bad = directory.add_referral(referral(1, Some("")));
        assert!(matches!(bad, Err(ExportError::BadNqn(..))), "{bad:?}");
        let missing = directory.remove_referral(&referral(1, None));
        assert!(matches!(missing, Err(ExportError::NoSuchReferral(_))), "{missing:?}");
        let address = ([192, 0, 2, 2], 8009).into();
        let port = Port { id: 3, transport: TransportKind::Tcp, address };
        assert!(!directory.remove_port(&port), "it was not there");
        assert_eq!((directory.generation(), directory.take_stale()), (2, false));
        directory.add_port(port);
        directory.remove_referral(&referral(8009, None)).unwrap();
        assert_eq!((directory.generation(), directory.referrals().len()), (4, 1));
        assert_eq!(directory.referrals()[0].nqn(), "nqn.2026-01.io.flexblk:other");
    }

    /// Goal: the list does not grow without bound.
    #[test]
    fn referrals_are_bounded() {
        let mut directory = Directory::default();
        for port in 1..=256 {
            directory.add_referral(referral(port, None)).unwrap();
        }
        let more = directory.add_referral(referral(300, None));
        assert!(matches!(more, Err(ExportError::TooManyReferrals(256))), "{more:?}");
    }
}
