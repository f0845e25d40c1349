//! What is exported: subsystems, their namespaces, and where they are reached.
//!
//! Source: NVMe Base 2.0, "NVM Subsystem"; NVMe over Fabrics, "Discovery Service".

mod export_error;
mod namespace;

pub use export_error::ExportError;
pub use namespace::{Namespace, Protection};

use crate::access::{AnaGroups, HostList, Keyring};
use crate::disk::DiskStats;
use crate::identity;
use storage::Geometry;
use wire::fabrics::{Nqn, TransportKind};

/// NQN under which every discovery service answers.
pub const DISCOVERY_NQN: &str = Nqn::DISCOVERY;

/// Position of a disk in the reactor: what namespaces point to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DiskIndex(pub u32);

/// A collection of namespaces behind one name.
#[derive(Clone, Debug)]
pub struct Subsystem {
    nqn: String,
    serial: String,
    model: String,
    namespaces: Vec<Namespace>,
    /// What the weakest disk takes at once. Kept, because every command asks.
    disk_transfer_bytes: u32,
    is_discovery: bool,
    hosts: HostList,
    keyring: Keyring,
    ana: AnaGroups,
    /// What disks of namespaces did that were removed.
    retired: DiskStats,
    /// It is no more; what is left of its controllers still looks here.
    is_removed: bool,
}

/// Model number that subsystems report which have no other.
const MODEL: &str = "FlexBlk";

/// Octets of a serial number and of a model (SN, MN).
const SERIAL_MAX: usize = 20;
const MODEL_MAX: usize = 40;

/// Most namespaces of a subsystem, and the largest identifier (`NN`).
pub(crate) const NSID_MAX: u32 = 1024;

impl Subsystem {
    /// A subsystem without namespaces that any host may use.
    ///
    /// Errors: a bad name. `seed` makes the serial number.
    pub fn new(nqn: &str, seed: u64) -> Result<Subsystem, ExportError> {
        Nqn::new(nqn).map_err(|why| ExportError::BadNqn(nqn.to_owned(), why))?;
        if nqn == DISCOVERY_NQN {
            return Err(ExportError::DuplicateNqn(nqn.to_owned()));
        }
        Ok(Subsystem::named(nqn, seed, false))
    }
    /// The discovery service as a subsystem.
    pub(crate) fn discovery(seed: u64) -> Subsystem {
        Subsystem::named(DISCOVERY_NQN, seed, true)
    }
    fn named(nqn: &str, seed: u64, is_discovery: bool) -> Subsystem {
        Subsystem {
            nqn: nqn.to_owned(),
            serial: identity::serial(seed, nqn),
            model: MODEL.to_owned(),
            namespaces: Vec::new(),
            disk_transfer_bytes: u32::MAX,
            is_discovery,
            hosts: HostList::Any,
            keyring: Keyring::default(),
            ana: AnaGroups::default(),
            retired: DiskStats::default(),
            is_removed: false,
        }
    }
    /// NVMe qualified name.
    #[must_use]
    pub fn nqn(&self) -> &str {
        &self.nqn
    }
    /// Serial number, 20 printable octets.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }
    /// Model number, 1 to 40 printable octets.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
    /// Gives it another serial number and model, or its own again (`None`).
    ///
    /// Errors: more than 20 and 40 octets, none, or not of printable ASCII.
    pub(crate) fn set_identity(
        &mut self,
        seed: u64,
        serial: Option<&str>,
        model: Option<&str>,
    ) -> Result<(), ExportError> {
        check_text("serial number", serial, SERIAL_MAX)?;
        check_text("model", model, MODEL_MAX)?;
        self.serial = serial.map_or_else(|| identity::serial(seed, &self.nqn), str::to_owned);
        self.model = model.unwrap_or(MODEL).to_owned();
        Ok(())
    }
    /// Takes it away: no name leads to it any more, and nobody may use it.
    pub(crate) fn set_removed(&mut self) {
        self.nqn.clear();
        self.hosts = HostList::Only(std::collections::BTreeSet::new());
        self.is_removed = true;
    }
    /// It was taken away.
    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed
    }
    /// The discovery service.
    #[must_use]
    pub fn is_discovery(&self) -> bool {
        self.is_discovery
    }
    /// Namespaces by ascending identifier.
    #[must_use]
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }
    /// The namespace `nsid`. The first place is tried first: most subsystems have one namespace.
    #[must_use]
    pub fn namespace(&self, nsid: u32) -> Option<&Namespace> {
        let direct = self.namespaces.get(nsid.wrapping_sub(1) as usize);
        direct.filter(|namespace| namespace.nsid == nsid).or_else(|| {
            let at = self.namespaces.binary_search_by_key(&nsid, |namespace| namespace.nsid);
            self.namespaces.get(at.ok()?)
        })
    }
    /// Adds a namespace. Errors: identifier taken or out of range, or a geometry that NVMe hosts
    /// cannot use.
    pub(crate) fn add(&mut self, namespace: Namespace) -> Result<(), ExportError> {
        check_geometry(namespace.geometry)?;
        let nsid = namespace.nsid;
        let at = self.namespaces.binary_search_by_key(&nsid, |namespace| namespace.nsid);
        match at {
            Err(at) if (1..=NSID_MAX).contains(&nsid) => {
                self.namespaces.insert(at, namespace);
                self.note_weakest_disk();
                Ok(())
            }
            Ok(_) | Err(_) => Err(ExportError::BadNsid(nsid)),
        }
    }
    /// The namespace `nsid`, to be changed.
    pub(crate) fn namespace_mut(&mut self, nsid: u32) -> Option<&mut Namespace> {
        let at = self.namespaces.binary_search_by_key(&nsid, |namespace| namespace.nsid);
        self.namespaces.get_mut(at.ok()?)
    }
    /// Takes a namespace out again.
    pub(crate) fn remove(&mut self, nsid: u32) -> Option<Namespace> {
        let at = self.namespaces.binary_search_by_key(&nsid, |namespace| namespace.nsid).ok()?;
        let namespace = self.namespaces.remove(at);
        self.note_weakest_disk();
        Some(namespace)
    }
    /// What namespaces did that are no more.
    pub(crate) fn retired(&self) -> DiskStats {
        self.retired
    }
    /// A namespace whose disk did this was removed.
    pub(crate) fn note_retired(&mut self, stats: DiskStats) {
        self.retired = self.retired.plus(stats);
    }
    /// Hosts that may connect.
    #[must_use]
    pub fn hosts(&self) -> &HostList {
        &self.hosts
    }
    /// Says which hosts may connect.
    pub(crate) fn set_hosts(&mut self, hosts: HostList) {
        self.hosts = hosts;
    }
    /// What hosts must prove.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }
    /// What hosts must prove, to be changed.
    pub(crate) fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.keyring
    }
    /// How well its groups are reached.
    #[must_use]
    pub fn ana(&self) -> &AnaGroups {
        &self.ana
    }
    /// How well its groups are reached, to be changed.
    pub(crate) fn ana_mut(&mut self) -> &mut AnaGroups {
        &mut self.ana
    }
    /// The smallest identifier that is not taken.
    #[must_use]
    pub(crate) fn free_nsid(&self) -> u32 {
        (1u32..)
            .zip(self.namespaces.iter().map(Some).chain(std::iter::repeat(None)))
            .find(|(nsid, namespace)| namespace.is_none_or(|namespace| namespace.nsid != *nsid))
            .map_or(1, |(nsid, _)| nsid)
    }
    /// Writes may be acknowledged from a volatile cache.
    pub(crate) fn has_write_cache(&self) -> bool {
        self.namespaces.iter().any(|namespace| namespace.geometry.volatile_write_cache)
    }
    /// Most octets of one command: `limit`, or what the weakest disk takes, rounded down to a power
    /// of two.
    pub(crate) fn max_transfer_bytes(&self, limit: u32) -> u32 {
        1 << self.disk_transfer_bytes.min(limit).max(4096).ilog2()
    }
    fn note_weakest_disk(&mut self) {
        let disks = self.namespaces.iter().map(|namespace| namespace.geometry.max_transfer_bytes);
        self.disk_transfer_bytes = disks.min().unwrap_or(u32::MAX);
    }
}

/// Errors: a geometry that NVMe hosts cannot use.
pub(crate) fn check_geometry(geometry: Geometry) -> Result<(), ExportError> {
    let blocks = matches!(geometry.block_bytes, 512 | 4096) && geometry.block_count > 0;
    if !blocks || geometry.max_transfer_bytes < geometry.block_bytes {
        return Err(ExportError::BadGeometry(geometry));
    }
    Ok(())
}

fn check_text(what: &'static str, text: Option<&str>, max: usize) -> Result<(), ExportError> {
    let is_good = |text: &str| {
        let printable = text.bytes().all(|octet| (b' '..=b'~').contains(&octet));
        (1..=max).contains(&text.len()) && printable
    };
    if text.is_none_or(is_good) { Ok(()) } else { Err(ExportError::BadText { what, max }) }
}

/// Where hosts reach the subsystems: one address and service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Number of the port in the discovery log.
    pub id: u16,
    /// How hosts reach it.
    pub transport: TransportKind,
    /// Address and port as hosts are to be told (4420 for I/O by convention).
    pub address: std::net::SocketAddr,
}

#[cfg(test)]
mod tests;
