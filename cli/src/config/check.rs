//! From words to what they mean, and back.

use super::model::{Group, Identity, Listener, Model, Namespace, Subsystem};
use super::tls::Tls;
use super::words::{self, Ana};
use super::{ids, referrals};
use crate::args::Transport;
use crate::hosts::{self, Host, Keys};
use initiator::spec::NVME_PORT;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use storage::BackendSpec;
use target::{ANA_GROUPS_MAX, ChosenIds, DISCOVERY_NQN, HostList};
use wire::fabrics::Nqn;

/// Largest namespace identifier.
const NSID_MAX: u32 = 1024;
/// Octets of a serial number and of a model.
const SERIAL_MAX: usize = 20;
const MODEL_MAX: usize = 40;

/// The subsystems that a file names. What it does not number keeps the number that it has in
/// `running`.
///
/// Errors: in words, whatever the machine is like.
pub(crate) fn subsystems(
    words: &[words::Subsystem],
    running: &Model,
) -> Result<BTreeMap<String, Subsystem>, String> {
    let mut subsystems = BTreeMap::new();
    let unknown = Subsystem::default();
    for word in words {
        let running = running.subsystems.get(&word.nqn).unwrap_or(&unknown);
        let made =
            subsystem(word, running).map_err(|why| format!("subsystem {}: {why}", word.nqn))?;
        if subsystems.insert(word.nqn.clone(), made).is_some() {
            return Err(format!("subsystem {:?} exists already", word.nqn));
        }
    }
    Ok(subsystems)
}

fn subsystem(word: &words::Subsystem, running: &Subsystem) -> Result<Subsystem, String> {
    let mut made = Subsystem {
        identity: Identity { serial: word.serial.clone(), model: word.model.clone() },
        hosts: admitted(word)?,
        keyring: hosts::keyring(&word.hosts)?,
        host_limits: hosts::limits(&word.hosts),
        ..Subsystem::default()
    };
    for word in &word.ana_groups {
        let group = made.ana.entry(word.grpid).or_default();
        match word.portid {
            Some(port) => drop(group.ports.insert(port, word.state)),
            None => group.state = word.state,
        }
    }
    made.ana.retain(|_, group| *group != Group::default());
    let (numbered, others): (Vec<_>, Vec<_>) =
        word.namespaces.iter().partition(|namespace| namespace.nsid.is_some());
    for word in numbered {
        add_namespace(&mut made, word.nsid.unwrap_or(0), word)?;
    }
    let mut fresh = Vec::new();
    for word in others {
        let mut known = running.namespaces.iter().filter(|(_, known)| known.uri == word.uri);
        match known.find(|(nsid, _)| !made.namespaces.contains_key(nsid)) {
            Some((nsid, _)) => add_namespace(&mut made, *nsid, word)?,
            None => fresh.push(word),
        }
    }
    for word in fresh {
        let nsid = made.free_nsid();
        add_namespace(&mut made, nsid, word)?;
    }
    Ok(made)
}

/// Hosts that may connect: those of the list and those that are described.
fn admitted(word: &words::Subsystem) -> Result<HostList, String> {
    let listed = word.allowed_hosts.iter().flatten();
    // One that is only limited may be one of any.
    let free = |host: &&Host| word.allow_any_host == Some(true) && host.keys == Keys::default();
    let described = word.hosts.iter().filter(|host| !free(host)).map(|host| &host.nqn);
    let mut named = listed.chain(described).peekable();
    let is_list = word.allowed_hosts.is_some() || !word.hosts.is_empty();
    match word.allow_any_host {
        None if !is_list => Ok(HostList::Any),
        Some(true) if named.peek().is_none() => Ok(HostList::Any),
        Some(true) => {
            Err("allow_any_host contradicts allowed_hosts and every [[subsystem.host]] that has \
                 more than a limit: leave it or them out"
                .into())
        }
        None | Some(false) => Ok(only(named)),
    }
}

fn add_namespace(
    subsystem: &mut Subsystem,
    nsid: u32,
    word: &words::Namespace,
) -> Result<(), String> {
    let namespace = namespace(word).map_err(|why| format!("namespace {nsid}: {why}"))?;
    match subsystem.namespaces.insert(nsid, namespace) {
        Some(_) => Err(format!("namespace {nsid} is there twice")),
        None => Ok(()),
    }
}

/// What is meant by a namespace. Errors: in words.
pub(crate) fn namespace(word: &words::Namespace) -> Result<Namespace, String> {
    Ok(Namespace {
        uri: word.uri.clone(),
        size: word.size.as_deref().map(crate::units::bytes).transpose()?,
        ids: ids::chosen(word)?,
        read_only: word.read_only,
        ana_group: word.ana_group.unwrap_or(1),
        hosts: word.hosts.as_ref().map_or(HostList::Any, only),
        limit: word.limit,
    })
}

fn only<'n>(hosts: impl IntoIterator<Item = &'n String>) -> HostList {
    HostList::only(hosts.into_iter().map(String::as_str))
}

/// Listeners. Those without a number keep the one that they have in `running`.
///
/// Errors: in words.
fn listeners(
    words: &[words::Listener],
    running: &Model,
) -> Result<BTreeMap<u16, Listener>, String> {
    let mut made = Model::default();
    let mean = |word: &words::Listener| {
        let address = SocketAddr::new(word.traddr, word.service());
        let (trtype, discovery, tls) = (word.trtype, word.discovery, word.tls);
        Listener { trtype, address, discovery, tls }
    };
    for word in words {
        let Some(portid) = word.portid else { continue };
        if made.listeners.insert(portid, mean(word)).is_some() {
            return Err(format!("listener {portid} is there twice"));
        }
    }
    let mut fresh = Vec::new();
    for listener in words.iter().filter(|word| word.portid.is_none()).map(mean) {
        let mut known = running.listeners.iter().filter(|(_, known)| **known == listener);
        match known.find(|(portid, _)| !made.listeners.contains_key(portid)) {
            Some((portid, _)) => drop(made.listeners.insert(*portid, listener)),
            None => fresh.push(listener),
        }
    }
    for listener in fresh {
        let portid = made.free_portid();
        made.listeners.insert(portid, listener);
    }
    Ok(made.listeners)
}

/// The listeners that a file asks for, one by one or by an address for all `transports`. `None`: it
/// says nothing of them.
///
/// Errors: in words.
pub(crate) fn listeners_of(
    file: &words::File,
    transports: &[Transport],
    running: &Model,
) -> Result<Option<BTreeMap<u16, Listener>>, String> {
    let has_address = file.traddr.is_some() || file.trsvcid.is_some() || !file.transport.is_empty();
    match (file.listeners.as_slice(), has_address) {
        ([], false) => Ok(None),
        ([], true) => {
            let traddr = file.traddr.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let trsvcid = file.trsvcid.unwrap_or(NVME_PORT);
            let asked = Some(&file.transport[..]).filter(|asked| !asked.is_empty());
            let asked = asked.unwrap_or(transports).iter();
            let word = |trtype: &Transport| words::Listener {
                portid: None,
                trtype: *trtype,
                traddr,
                trsvcid: Some(trsvcid),
                discovery: false,
                tls: Tls::Off,
            };
            listeners(&asked.map(word).collect::<Vec<_>>(), running).map(Some)
        }
        (words, false) => listeners(words, running).map(Some),
        (_, true) => Err("traddr, trsvcid and transport are for files without listeners: give \
                          each [[listener]] its own"
            .into()),
    }
}

/// What a file asks of the target that has `running`: where it says nothing of listeners, they stay.
///
/// Errors: in words, with the way out.
pub(crate) fn wanted(file: &words::File, running: &Model) -> Result<Model, String> {
    let mut transports: Vec<Transport> =
        running.listeners.values().map(|listener| listener.trtype).collect();
    transports.dedup();
    let listeners = listeners_of(file, &transports, running)?;
    let mut model = Model {
        listeners: listeners.unwrap_or_else(|| running.listeners.clone()),
        referrals: referrals::meant(&file.referrals),
        subsystems: subsystems(&file.subsystems, running)?,
    };
    ids::keep(&mut model, running);
    Ok(model)
}

/// What only the whole shows. Errors: in words, with the way out.
pub(crate) fn whole(model: &Model) -> Result<(), String> {
    for (portid, listener) in &model.listeners {
        let twins = model.listeners.values().filter(|other| other.is_at(listener)).count();
        if *portid == 0 || twins > 1 {
            return Err(format!(
                "listener {portid}: numbers begin at 1, and addresses are used once"
            ));
        }
        if listener.address.port() == 0 {
            return Err(format!("listener {portid}: trsvcid 0 is no service"));
        }
        if !listener.tls.is_off() && listener.trtype != Transport::Tcp {
            return Err(format!("listener {portid}: tls is for trtype tcp"));
        }
    }
    referrals::check(model)?;
    for (nqn, subsystem) in &model.subsystems {
        check_subsystem(model, nqn, subsystem).map_err(|why| format!("subsystem {nqn}: {why}"))?;
        for (nsid, namespace) in &subsystem.namespaces {
            check_namespace(*nsid, namespace)
                .map_err(|why| format!("subsystem {nqn}, namespace {nsid}: {why}"))?;
        }
    }
    Ok(())
}

fn check_subsystem(model: &Model, nqn: &str, subsystem: &Subsystem) -> Result<(), String> {
    Nqn::new(nqn).map_err(|why| why.to_string())?;
    if nqn == DISCOVERY_NQN {
        return Err("the discovery subsystem is always there".into());
    }
    check_text("a serial number", subsystem.identity.serial.as_deref(), SERIAL_MAX)?;
    check_text("a model", subsystem.identity.model.as_deref(), MODEL_MAX)?;
    check_hosts(&subsystem.hosts)?;
    check_hosts(&HostList::Only(subsystem.host_limits.keys().cloned().collect()))?;
    for (grpid, group) in &subsystem.ana {
        check_group(*grpid)?;
        if let Some(port) = group.ports.keys().find(|port| !model.listeners.contains_key(port)) {
            return Err(format!(
                "group {grpid} has a state at listener {port}, which is not there"
            ));
        }
    }
    Ok(())
}

fn check_namespace(nsid: u32, namespace: &Namespace) -> Result<(), String> {
    if !(1..=NSID_MAX).contains(&nsid) {
        return Err(format!("numbers go from 1 to {NSID_MAX}"));
    }
    let spec: BackendSpec =
        namespace.uri.parse().map_err(|why: storage::SpecError| why.to_string())?;
    let block = u64::from(spec.block_bytes);
    if let Some(size) = namespace.size.filter(|size| *size == 0 || !size.is_multiple_of(block)) {
        return Err(format!("{size} octets are no whole number of blocks of {block}"));
    }
    check_group(namespace.ana_group)?;
    check_hosts(&namespace.hosts)
}

fn check_group(grpid: u32) -> Result<(), String> {
    let is_good = (1..=ANA_GROUPS_MAX).contains(&grpid);
    if is_good { Ok(()) } else { Err(format!("group {grpid} is not in 1..={ANA_GROUPS_MAX}")) }
}

fn check_hosts(hosts: &HostList) -> Result<(), String> {
    let HostList::Only(nqns) = hosts else { return Ok(()) };
    for nqn in nqns {
        Nqn::lenient(nqn).map_err(|why| format!("host {nqn:?}: {why}"))?;
    }
    Ok(())
}

fn check_text(what: &str, text: Option<&str>, max: usize) -> Result<(), String> {
    let is_good = |text: &str| {
        let printable = text.bytes().all(|octet| (b' '..=b'~').contains(&octet));
        (1..=max).contains(&text.len()) && printable
    };
    if text.is_none_or(is_good) {
        return Ok(());
    }
    Err(format!("{what} has 1 to {max} printable ASCII characters"))
}

/// A file that means `model`.
pub(crate) fn words(model: &Model) -> words::File {
    let listener = |(portid, listener): (&u16, &Listener)| words::Listener {
        portid: Some(*portid),
        trtype: listener.trtype,
        traddr: listener.address.ip(),
        trsvcid: Some(listener.address.port()),
        discovery: listener.discovery,
        tls: listener.tls,
    };
    words::File {
        listeners: model.listeners.iter().map(listener).collect(),
        referrals: referrals::words(model),
        subsystems: model.subsystems.iter().map(subsystem_words).collect(),
        ..words::File::default()
    }
}

fn subsystem_words((nqn, subsystem): (&String, &Subsystem)) -> words::Subsystem {
    let mut ana_groups = Vec::new();
    for (grpid, group) in &subsystem.ana {
        let mut push = |portid, state| {
            ana_groups.push(words::AnaGroup { grpid: *grpid, portid, state });
        };
        if group.state != Ana::Optimized {
            push(None, group.state);
        }
        group.ports.iter().for_each(|(portid, state)| push(Some(*portid), *state));
    }
    let namespaces = subsystem.namespaces.iter();
    let hosts = host_words(subsystem);
    let is_any_named = subsystem.hosts == HostList::Any && !hosts.is_empty();
    words::Subsystem {
        nqn: nqn.clone(),
        serial: subsystem.identity.serial.clone(),
        model: subsystem.identity.model.clone(),
        allow_any_host: is_any_named.then_some(true),
        allowed_hosts: names(&subsystem.hosts).map(|mut nqns| {
            nqns.retain(|nqn| !hosts.iter().any(|host| host.nqn == *nqn));
            nqns
        }),
        hosts,
        ana_groups,
        namespaces: namespaces.map(|(nsid, namespace)| namespace_words(*nsid, namespace)).collect(),
    }
}

/// Hosts of which more is said than that they may connect.
fn host_words(subsystem: &Subsystem) -> Vec<Host> {
    let Subsystem { keyring, host_limits, .. } = subsystem;
    let nqns: BTreeSet<&String> = keyring.keys().chain(host_limits.keys()).collect();
    let host = |nqn: &String| Host {
        nqn: nqn.clone(),
        keys: keyring.get(nqn).cloned().unwrap_or_default(),
        limit: host_limits.get(nqn).copied().unwrap_or_default(),
    };
    nqns.into_iter().map(host).collect()
}

fn names(hosts: &HostList) -> Option<Vec<String>> {
    match hosts {
        HostList::Any => None,
        HostList::Only(nqns) => Some(nqns.iter().cloned().collect()),
    }
}

/// A namespace as a file has it.
pub(crate) fn namespace_words(nsid: u32, namespace: &Namespace) -> words::Namespace {
    let ChosenIds { uuid, nguid, eui64 } = namespace.ids;
    words::Namespace {
        nsid: Some(nsid),
        uri: namespace.uri.clone(),
        size: namespace.size.map(|octets| octets.to_string()),
        uuid: uuid.map(ids::uuid),
        nguid: nguid.map(|octets| ids::hex(&octets)),
        eui64: eui64.map(|octets| ids::hex(&octets)),
        read_only: namespace.read_only,
        ana_group: Some(namespace.ana_group).filter(|group| *group != 1),
        hosts: names(&namespace.hosts),
        limit: namespace.limit,
    }
}
