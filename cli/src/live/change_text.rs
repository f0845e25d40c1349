//! A change as its user reads it, in nvme's terms.

use super::change::Change;
use crate::config::model::{Identity, Namespace};
use crate::hosts::{Keyring, with_tls};
use std::fmt;
use target::HostList;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: Option<u64>| size.map_or("the whole disk".into(), |it| format!("{it} B"));
        match self {
            Change::AddListener(portid, it) | Change::RemoveListener(portid, it) => {
                write!(f, "listener {portid}: trtype={it}")
            }
            Change::AddReferral(it) | Change::RemoveReferral(it) => write!(f, "referral {it}"),
            Change::AddSubsystem(nqn, it) => write!(f, "subsystem {nqn}: {}", hosts(&it.hosts)),
            Change::RemoveSubsystem(nqn, _) => write!(f, "subsystem {nqn}"),
            Change::AddNamespace((nqn, nsid), it) => {
                write!(f, "namespace {nsid} of {nqn}: {}", described(it))
            }
            Change::RemoveNamespace((nqn, nsid), it) => {
                write!(f, "namespace {nsid} of {nqn}: {}", it.uri)
            }
            Change::SetIdentity(nqn, step) => {
                let Identity { serial, model } = &step.to;
                let text = |text: &Option<String>| text.clone().unwrap_or("its own".into());
                write!(f, "subsystem {nqn}: serial {}, model {}", text(serial), text(model))
            }
            Change::SetHosts(nqn, step) => write!(f, "subsystem {nqn}: {}", hosts(&step.to)),
            Change::SetKeys(nqn, step) => write!(f, "subsystem {nqn}: {}", proofs(&step.to)),
            Change::SetHostLimit(nqn, host, step) => {
                write!(f, "host {host} of {nqn}: {}", step.to)
            }
            Change::SetAna(nqn, grpid, step) => {
                write!(f, "group {grpid} of {nqn}: {}", step.to.state)?;
                let mut ports = step.to.ports.iter();
                ports.try_for_each(|(portid, state)| write!(f, ", at listener {portid} {state}"))
            }
            Change::Resize((nqn, nsid), step) => {
                let (from, to) = (size(step.from), size(step.to));
                write!(f, "namespace {nsid} of {nqn}: from {from} to {to}")
            }
            Change::SetReadOnly((nqn, nsid), step) => {
                let word = if step.to { "read-only" } else { "writable" };
                write!(f, "namespace {nsid} of {nqn}: {word}")
            }
            Change::SetGroup((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: from group {} to {}", step.from, step.to)
            }
            Change::SetVisibility((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: {}", hosts(&step.to))
            }
            Change::SetLimit((nqn, nsid), step) => {
                write!(f, "namespace {nsid} of {nqn}: {}", step.to)
            }
        }
    }
}

/// Its disk, and what is not as usual.
fn described(namespace: &Namespace) -> String {
    let mut words = vec![namespace.uri.clone()];
    words.extend(namespace.size.map(|octets| format!("{octets} B")));
    words.extend(namespace.read_only.then(|| "read-only".into()));
    words.extend((namespace.ana_group != 1).then(|| format!("group {}", namespace.ana_group)));
    words.extend((!namespace.limit.is_none()).then(|| namespace.limit.to_string()));
    words.extend((namespace.hosts != HostList::Any).then(|| hosts(&namespace.hosts)));
    words.join(", ")
}

fn hosts(hosts: &HostList) -> String {
    match hosts {
        HostList::Any => "for any host".into(),
        HostList::Only(nqns) if nqns.is_empty() => "for no host".into(),
        HostList::Only(nqns) => {
            let nqns: Vec<&str> = nqns.iter().map(String::as_str).collect();
            format!("for {}", nqns.join(", "))
        }
    }
}

/// Who must prove something; not what.
fn proofs(keyring: &Keyring) -> String {
    let with_secret = keyring.iter().filter(|(_, keys)| keys.dhchap_secret.is_some());
    let nqns: Vec<&str> = with_secret.map(|(nqn, _)| nqn.as_str()).collect();
    let mut words = if nqns.is_empty() {
        "no host has to authenticate".into()
    } else {
        format!("to authenticate: {}", nqns.join(", "))
    };
    let secured: Vec<&str> = with_tls(keyring).collect();
    if !secured.is_empty() {
        words += &format!("; to come with TLS: {}", secured.join(", "));
    }
    words
}
