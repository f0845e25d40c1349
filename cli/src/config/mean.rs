//! From words to what they mean.

use super::model::{Group, Identity, Listener, Model, Namespace, Subsystem};
use super::tls::Tls;
use super::{ids, referrals, words};
use crate::args::Transport;
use crate::hosts::{self, Host, Keys};
use initiator::spec::NVME_PORT;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use target::HostList;

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
