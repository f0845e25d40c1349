//! Whether what is meant can be had: what one word alone does not show.

use super::model::{Model, Namespace, Subsystem};
use super::referrals;
use crate::args::Transport;
use storage::BackendSpec;
use target::{ANA_GROUPS_MAX, DISCOVERY_NQN, HostList};
use wire::fabrics::Nqn;

/// Largest namespace identifier.
const NSID_MAX: u32 = 1024;
/// Octets of a serial number and of a model.
const SERIAL_MAX: usize = 20;
const MODEL_MAX: usize = 40;

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
