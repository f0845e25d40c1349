//! `flexblk connect-all`: everything that discovery leads to is connected to, once by each path, and
//! its namespaces are told with the strings by which the other verbs reach them.
//!
//! There is no kernel to hand connections to: each verb makes its own. So this one shows that they
//! can be made, and how they are named.

use crate::admin;
use crate::args::{Format, Port, Transport};
use crate::discover::{self, Found};
use crate::failure::Failure;
use crate::output::print;
use initiator::NamespaceInfo;
use netstack::endpoint::CcKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

/// What came of one path.
struct Path {
    transport: Transport,
    address: SocketAddr,
    /// Namespaces that the subsystem shows there; or why there is no connection.
    reached: Result<Vec<NamespaceInfo>, String>,
}

/// One subsystem.
struct Subsystem {
    nqn: String,
    paths: Vec<Path>,
}

/// Runs it. Errors: the discovery service at `port`, or any path or further service that cannot be
/// used, after all that can be was told.
pub(crate) fn run(port: &Port) -> Result<(), Failure> {
    let found = discover::find(port)?;
    let subsystems = connect(port, &found);
    if port.output == Format::Json {
        let all: Vec<Value> = subsystems.iter().map(|it| it.json(port)).collect();
        let services: Vec<Value> = found.unreached.iter().map(|why| json!(why)).collect();
        let told = json!({ "subsystems": all, "unreached_services": services });
        print(serde_json::to_string_pretty(&told)?)?;
    } else {
        subsystems.iter().try_for_each(|subsystem| print(subsystem.text(port).trim_end()))?;
    }
    outcome(&found, &subsystems)
}

/// By each path in turn.
fn connect(port: &Port, found: &Found) -> Vec<Subsystem> {
    let mut subsystems: BTreeMap<&str, Vec<Path>> = BTreeMap::new();
    let wanted = |nqn: &str| port.subnqn.as_deref().is_none_or(|only| only == nqn);
    for ((nqn, transport), addresses) in found.paths.iter().filter(|((nqn, _), _)| wanted(nqn)) {
        for address in addresses {
            let there = Port {
                transport: *transport,
                traddr: address.ip(),
                trsvcid: address.port(),
                ..port.clone()
            };
            let reached = namespaces(&there, nqn).map_err(|why| why.to_string());
            let path = Path { transport: *transport, address: *address, reached };
            subsystems.entry(nqn).or_default().push(path);
        }
    }
    let named = |(nqn, paths): (&str, Vec<Path>)| Subsystem { nqn: nqn.to_owned(), paths };
    subsystems.into_iter().map(named).collect()
}
/// Through an I/O queue, so that what can be looked at can be read too.
fn namespaces(port: &Port, nqn: &str) -> Result<Vec<NamespaceInfo>, Failure> {
    let mut session = admin::connect_io(port, nqn)?;
    let nsids = session.namespaces()?;
    let infos = nsids.into_iter().map(|nsid| session.namespace(nsid)).collect::<Result<_, _>>();
    session.close();
    Ok(infos?)
}

/// Errors: not everything was reached; how much, and the first reason.
fn outcome(found: &Found, subsystems: &[Subsystem]) -> Result<(), Failure> {
    let paths = || subsystems.iter().flat_map(|subsystem| &subsystem.paths);
    let reasons = paths().filter_map(|path| {
        let why = path.reached.as_ref().err()?;
        Some(format!("{} {}: {why}", path.transport, path.address))
    });
    let failed: Vec<String> = reasons.collect();
    let mut words = Vec::new();
    if let Some(first) = failed.first() {
        let (failed, all) = (failed.len(), paths().count());
        words.push(format!("{failed} of {all} paths could not be connected, the first: {first}"));
    }
    if let Some(first) = found.unreached.first() {
        let count = found.unreached.len();
        words.push(format!("{count} referrals led nowhere, the first: {first}"));
    }
    if paths().next().is_none() {
        words.push("the discovery service shows no subsystem that can be reached from here".into());
    }
    if words.is_empty() { Ok(()) } else { Err(Failure::new(words.join("\n  "))) }
}

impl Subsystem {
    /// Its namespaces, each with the strings that reach it: one for each transport, the paths that
    /// show it behind one another.
    fn namespaces(&self, port: &Port) -> BTreeMap<u32, (&NamespaceInfo, Vec<String>)> {
        let mut all: BTreeMap<u32, (&NamespaceInfo, BTreeMap<Transport, Vec<SocketAddr>>)> =
            BTreeMap::new();
        for path in &self.paths {
            for info in path.reached.iter().flatten() {
                let (_, seen) = all.entry(info.nsid).or_insert((info, BTreeMap::new()));
                seen.entry(path.transport).or_default().push(path.address);
            }
        }
        let strings = |nsid: u32, seen: BTreeMap<Transport, Vec<SocketAddr>>| {
            let line = |(transport, paths): (Transport, Vec<SocketAddr>)| {
                let target = discover::target(transport, &paths, &self.nqn)?;
                Some(format!("{target}{} ns={nsid}", own_words(port, transport)))
            };
            seen.into_iter().filter_map(line).collect()
        };
        let told = |(nsid, (info, seen))| (nsid, (info, strings(nsid, seen)));
        all.into_iter().map(told).collect()
    }
    fn text(&self, port: &Port) -> String {
        let mut text = format!("subsystem {}\n", self.nqn);
        for Path { transport, address, reached } in &self.paths {
            let said = match reached {
                Ok(_) => "connected",
                Err(why) => why,
            };
            let (traddr, trsvcid) = (address.ip(), address.port());
            // Writing to a text does not fail.
            let _ =
                writeln!(text, "  trtype={transport} traddr={traddr} trsvcid={trsvcid}: {said}");
        }
        for (nsid, (info, targets)) in self.namespaces(port) {
            let NamespaceInfo { block_bytes, .. } = info;
            let bytes = info.bytes();
            let _ = writeln!(text, "  namespace {nsid}: {bytes} B in blocks of {block_bytes}");
            for target in targets {
                let _ = writeln!(text, "    {target}");
            }
        }
        text
    }
    fn json(&self, port: &Port) -> Value {
        let path = |path: &Path| {
            json!({
                "trtype": path.transport.to_string(), "traddr": path.address.ip(),
                "trsvcid": path.address.port(), "connected": path.reached.is_ok(),
                "error": path.reached.as_ref().err(),
            })
        };
        let namespace = |(nsid, (info, targets)): (u32, (&NamespaceInfo, Vec<String>))| {
            json!({
                "nsid": nsid, "size_bytes": info.bytes(), "block_bytes": info.block_bytes,
                "targets": targets,
            })
        };
        json!({
            "subnqn": self.nqn,
            "paths": self.paths.iter().map(path).collect::<Vec<_>>(),
            "namespaces": self.namespaces(port).into_iter().map(namespace).collect::<Vec<_>>(),
        })
    }
}

/// What was typed of this host, for the strings. Secrets are not: they are given to each verb.
fn own_words(port: &Port, transport: Transport) -> String {
    let hostnqn = port.hostnqn.iter().map(|nqn| format!(" hostnqn={nqn}"));
    let hostaddr = port.host_traddr.iter().map(|addr| format!(" hostaddr={addr}"));
    let cc = port.cc.filter(|_| transport == Transport::Rdma);
    let cc = cc.map(|cc| format!(" cc={}", CcKind::from(cc).name()));
    hostnqn.chain(hostaddr).chain(cc).collect()
}

#[cfg(test)]
#[path = "connect_all_tests.rs"]
mod tests;
