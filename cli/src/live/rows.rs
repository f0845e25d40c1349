//! What there is, as rows with nvme's names.

use super::exports::View;
use super::protocol::{Noun, Row};
use crate::config::limit::Limit;
use crate::config::model::Model;
use crate::config::{referrals, write};
use serde_json::{Value, json};
use target::HostList;

/// Columns of a kind, in the order in which people want them, and what several are called.
pub(crate) fn columns(noun: Noun) -> (&'static str, &'static [&'static str]) {
    match noun {
        Noun::Subsystem => ("subsystems", &["nqn", "serial", "model", "namespaces", "hosts"]),
        Noun::Namespace => (
            "namespaces",
            &["nqn", "nsid", "size_bytes", "block_bytes", "read_only", "ana_group", "limit", "uri"],
        ),
        Noun::Listener => ("listeners", &["portid", "trtype", "traddr", "trsvcid", "discovery"]),
        Noun::Referral => ("referrals", &["trtype", "traddr", "trsvcid", "subnqn"]),
        Noun::Host => ("hosts", &["nqn", "host", "limit"]),
        Noun::Connection => {
            ("connections", &["hostnqn", "from", "subnqn", "cntlid", "qid", "in_flight"])
        }
    }
}

/// All of a kind.
pub(crate) fn rows(noun: Noun, model: &Model, view: &View) -> Vec<Row> {
    let values: Vec<Value> = match noun {
        Noun::Subsystem => subsystems(model, view),
        Noun::Namespace => namespaces(model, view),
        Noun::Listener => {
            let words = write::words(model).listeners;
            words.iter().filter_map(|word| serde_json::to_value(word).ok()).collect()
        }
        Noun::Referral => {
            let words = referrals::words(model);
            words.iter().filter_map(|word| serde_json::to_value(word).ok()).collect()
        }
        Noun::Host => hosts(model),
        Noun::Connection => connections(view),
    };
    values.into_iter().filter_map(|value| value.as_object().cloned()).collect()
}

fn subsystems(model: &Model, view: &View) -> Vec<Value> {
    let row = |(nqn, subsystem): (&String, &crate::config::model::Subsystem)| {
        let (serial, number) = view.identities.get(nqn).cloned().unwrap_or_default();
        let hosts = match &subsystem.hosts {
            HostList::Any => json!("any"),
            HostList::Only(nqns) => json!(nqns.len()),
        };
        json!({
            "nqn": nqn, "serial": serial, "model": number,
            "namespaces": subsystem.namespaces.len(), "hosts": hosts,
        })
    };
    model.subsystems.iter().map(row).collect()
}

fn namespaces(model: &Model, view: &View) -> Vec<Value> {
    let row = |(nqn, nsid, namespace): (&str, u32, &crate::config::model::Namespace)| {
        let place = (nqn.to_owned(), nsid);
        let (octets, block_bytes) = view.sizes.get(&place).copied().unwrap_or_default();
        let word = write::namespace_words(nsid, namespace);
        json!({
            "nqn": nqn, "nsid": nsid, "uri": word.uri, "size_bytes": octets,
            "block_bytes": block_bytes, "read_only": word.read_only,
            "ana_group": namespace.ana_group, "uuid": word.uuid, "nguid": word.nguid,
            "eui64": word.eui64, "hosts": word.hosts, "limit": limit(namespace.limit),
        })
    };
    model.namespaces().map(row).collect()
}

fn hosts(model: &Model) -> Vec<Value> {
    let mut rows = Vec::new();
    for (nqn, subsystem) in &model.subsystems {
        let mut push = |host: &str| {
            let its = subsystem.host_limits.get(host).copied().unwrap_or_default();
            rows.push(json!({ "nqn": nqn, "host": host, "limit": limit(its) }));
        };
        match &subsystem.hosts {
            HostList::Any => {
                push(super::edit::ANY_HOST);
                subsystem.host_limits.keys().for_each(|host| push(host));
            }
            HostList::Only(hosts) => hosts.iter().for_each(|host| push(host)),
        }
    }
    rows
}

/// What is limited; null: nothing.
fn limit(limit: Limit) -> Value {
    if limit.is_none() { Value::Null } else { json!(limit) }
}

fn connections(view: &View) -> Vec<Value> {
    let row = |it: &target::ConnectionInfo| {
        json!({
            "from": it.from.to_string(), "qid": it.qid, "cntlid": it.controller,
            "hostnqn": it.host_nqn, "subnqn": it.subsystem_nqn, "in_flight": it.in_flight,
        })
    };
    view.connections.iter().map(row).collect()
}
