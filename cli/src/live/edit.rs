//! Single changes, as the noun-verb commands ask for them. Pure: from one model to the next.

use crate::args::Transport;
use crate::config::limit::Limit;
use crate::config::model::{Group, Listener, Model, Namespace, Subsystem};
use crate::config::words;
use crate::config::{mean, referrals};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use target::HostList;

/// One change. Where `nqn` is `None`, the only subsystem is meant.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Edit {
    /// Exports a subsystem.
    AddSubsystem(Box<words::Subsystem>),
    /// Takes one away, with its namespaces.
    RemoveSubsystem { nqn: String },
    /// Exports a disk.
    AddNamespace { nqn: Option<String>, namespace: Box<words::Namespace> },
    /// Takes one away.
    RemoveNamespace { nqn: Option<String>, nsid: u32 },
    /// Makes one larger or smaller; `None`: as its disk.
    ResizeNamespace { nqn: Option<String>, nsid: u32, octets: Option<u64> },
    /// Changes what is said; leaves the rest.
    SetNamespace {
        nqn: Option<String>,
        nsid: u32,
        read_only: Option<bool>,
        ana_group: Option<u32>,
        /// "any", or NQNs.
        hosts: Option<Vec<String>>,
    },
    /// Changes how fast one is.
    SetLimit { nqn: Option<String>, nsid: u32, limit: Limit },
    /// Lets hosts come.
    AddListener(words::Listener),
    /// Lets no more hosts come.
    RemoveListener { portid: u16 },
    /// Tells hosts of another discovery service.
    AddReferral(referrals::Word),
    /// Tells of it no more.
    RemoveReferral { trtype: Transport, traddr: IpAddr, trsvcid: u16 },
    /// Lets a host connect; "any": every host.
    AddHost { nqn: Option<String>, host: String },
    /// Lets it no more; "any": only those that were added.
    RemoveHost { nqn: Option<String>, host: String },
    /// Changes how fast a host may be.
    SetHostLimit { nqn: Option<String>, host: String, limit: Limit },
    /// Says how well a group is reached.
    SetAna { nqn: Option<String>, group: words::AnaGroup },
}

/// What stands for every host.
pub(crate) const ANY_HOST: &str = "any";

impl Edit {
    /// `model` with this change. Errors: what it names is not there, or is there already; in words.
    pub(crate) fn apply(&self, model: &Model) -> Result<Model, String> {
        let mut next = model.clone();
        match self {
            Edit::AddSubsystem(word) => add_subsystem(&mut next, word)?,
            Edit::RemoveSubsystem { nqn } => {
                next.subsystems.remove(nqn).ok_or_else(|| no_subsystem(model, nqn))?;
            }
            Edit::AddNamespace { nqn, namespace } => {
                let (nqn, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                let nsid = namespace.nsid.unwrap_or_else(|| subsystem.free_nsid());
                let made = mean::namespace(namespace)?;
                if subsystem.namespaces.insert(nsid, made).is_some() {
                    return Err(format!(
                        "{nqn} has a namespace {nsid} already: take another number"
                    ));
                }
            }
            Edit::RemoveNamespace { nqn, nsid } => {
                let (nqn, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                let gone = subsystem.namespaces.remove(nsid);
                gone.ok_or_else(|| no_namespace(&nqn, *nsid))?;
            }
            Edit::ResizeNamespace { nqn, nsid, octets } => {
                namespace(&mut next, nqn.as_deref(), *nsid)?.size = *octets;
            }
            Edit::SetNamespace { nqn, nsid, read_only, ana_group, hosts } => {
                let namespace = namespace(&mut next, nqn.as_deref(), *nsid)?;
                namespace.read_only = read_only.unwrap_or(namespace.read_only);
                namespace.ana_group = ana_group.unwrap_or(namespace.ana_group);
                if let Some(hosts) = hosts {
                    namespace.hosts = host_list(hosts);
                }
            }
            Edit::SetLimit { nqn, nsid, limit } => {
                namespace(&mut next, nqn.as_deref(), *nsid)?.limit = *limit;
            }
            Edit::AddListener(word) => add_listener(&mut next, word)?,
            Edit::RemoveListener { portid } => {
                let gone = next.listeners.remove(portid);
                gone.ok_or_else(|| {
                    format!("no listener {portid}: `flexblk listener list` shows them")
                })?;
            }
            Edit::AddReferral(word) => referrals::add(&mut next, word)?,
            Edit::RemoveReferral { trtype, traddr, trsvcid } => {
                referrals::remove(&mut next, *trtype, SocketAddr::new(*traddr, *trsvcid))?;
            }
            Edit::AddHost { nqn, host } => {
                let (nqn, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                add_host(subsystem, host).map_err(|why| format!("{nqn}: {why}"))?;
            }
            Edit::RemoveHost { nqn, host } => {
                let (nqn, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                remove_host(&mut subsystem.hosts, host).map_err(|why| format!("{nqn}: {why}"))?;
                subsystem.keyring.remove(host);
                keep_limits(subsystem);
            }
            Edit::SetHostLimit { nqn, host, limit } => {
                let (nqn, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                set_host_limit(subsystem, host, *limit).map_err(|why| format!("{nqn}: {why}"))?;
            }
            Edit::SetAna { nqn, group } => {
                let (_, subsystem) = subsystem(&mut next, nqn.as_deref())?;
                set_ana(subsystem, group);
            }
        }
        Ok(next)
    }
}

fn add_subsystem(model: &mut Model, word: &words::Subsystem) -> Result<(), String> {
    let made = mean::subsystems(std::slice::from_ref(word), &Model::default())?;
    for (nqn, subsystem) in made {
        if model.subsystems.insert(nqn.clone(), subsystem).is_some() {
            return Err(format!("subsystem {nqn} is there already"));
        }
    }
    Ok(())
}

fn add_listener(model: &mut Model, word: &words::Listener) -> Result<(), String> {
    let portid = word.portid.unwrap_or_else(|| model.free_portid());
    let address = SocketAddr::new(word.traddr, word.service());
    let (trtype, discovery, tls) = (word.trtype, word.discovery, word.tls);
    let listener = Listener { trtype, address, discovery, tls };
    match model.listeners.insert(portid, listener) {
        Some(_) => Err(format!("there is a listener {portid} already: take another number")),
        None => Ok(()),
    }
}

fn add_host(subsystem: &mut Subsystem, host: &str) -> Result<(), String> {
    if host == ANY_HOST && !subsystem.keyring.is_empty() {
        return Err("some hosts have to authenticate: remove them first".into());
    }
    match &mut subsystem.hosts {
        hosts if host == ANY_HOST => *hosts = HostList::Any,
        // From now on there is a list.
        hosts @ HostList::Any => *hosts = HostList::only([host]),
        HostList::Only(nqns) => drop(nqns.insert(host.to_owned())),
    }
    keep_limits(subsystem);
    Ok(())
}

fn remove_host(hosts: &mut HostList, host: &str) -> Result<(), String> {
    match hosts {
        HostList::Any if host == ANY_HOST => {
            *hosts = HostList::Only(BTreeSet::new());
            Ok(())
        }
        HostList::Any => {
            Err(format!("every host may connect: add those that may, {host} not among them"))
        }
        HostList::Only(nqns) => match nqns.remove(host) {
            true => Ok(()),
            false => Err(format!("{host} was not allowed to connect")),
        },
    }
}

/// Those of hosts that may still connect: written down, any other would be let in.
fn keep_limits(subsystem: &mut Subsystem) {
    let Subsystem { hosts, host_limits, .. } = subsystem;
    host_limits.retain(|host, _| hosts.admits(host));
}

fn set_host_limit(subsystem: &mut Subsystem, host: &str, limit: Limit) -> Result<(), String> {
    if host == ANY_HOST {
        return Err("a limit is one host's: for all hosts together, limit the namespaces".into());
    }
    if !limit.is_none() && !subsystem.hosts.admits(host) {
        return Err(format!("{host} was not allowed to connect"));
    }
    match limit.is_none() {
        true => drop(subsystem.host_limits.remove(host)),
        false => drop(subsystem.host_limits.insert(host.to_owned(), limit)),
    }
    Ok(())
}

/// `any` alone, or a list.
pub(crate) fn host_list(hosts: &[String]) -> HostList {
    match hosts {
        [only] if only == ANY_HOST => HostList::Any,
        hosts => HostList::only(hosts.iter().map(String::as_str)),
    }
}

fn set_ana(subsystem: &mut Subsystem, word: &words::AnaGroup) {
    let group = subsystem.ana.entry(word.grpid).or_default();
    match word.portid {
        Some(portid) => drop(group.ports.insert(portid, word.state)),
        // Of all listeners, also of those that had a state of their own.
        None => *group = Group { state: word.state, ..Group::default() },
    }
    subsystem.ana.retain(|_, group| *group != Group::default());
}

fn subsystem<'m>(
    model: &'m mut Model,
    nqn: Option<&str>,
) -> Result<(String, &'m mut Subsystem), String> {
    let nqn = match nqn {
        Some(nqn) => nqn.to_owned(),
        None => match model.subsystems.len() {
            1 => model.subsystems.keys().next().cloned().unwrap_or_default(),
            0 => return Err("there is no subsystem: `flexblk subsystem add NQN` makes one".into()),
            _ => {
                let nqns: Vec<&str> = model.subsystems.keys().map(String::as_str).collect();
                let nqns = nqns.join(", ");
                return Err(format!("there are several subsystems, choose one with -n: {nqns}"));
            }
        },
    };
    let missing = no_subsystem(model, &nqn);
    let subsystem = model.subsystems.get_mut(&nqn).ok_or(missing)?;
    Ok((nqn, subsystem))
}

fn namespace<'m>(
    model: &'m mut Model,
    nqn: Option<&str>,
    nsid: u32,
) -> Result<&'m mut Namespace, String> {
    let (nqn, subsystem) = subsystem(model, nqn)?;
    subsystem.namespaces.get_mut(&nsid).ok_or_else(|| no_namespace(&nqn, nsid))
}

fn no_subsystem(model: &Model, nqn: &str) -> String {
    let known: Vec<&str> = model.subsystems.keys().map(String::as_str).collect();
    match known.as_slice() {
        [] => format!("no subsystem {nqn}: there is none, `flexblk subsystem add NQN` makes one"),
        known => format!("no subsystem {nqn}: there are {}", known.join(", ")),
    }
}

fn no_namespace(nqn: &str, nsid: u32) -> String {
    format!("{nqn} has no namespace {nsid}: `flexblk namespace list` shows them")
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
