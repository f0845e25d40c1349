//! Configurations of the kernel's target, as `nvmetcli save` writes them. Pure.
//!
//! What is read is taken out of the JSON; what is left then is what cannot be said here, and is
//! named.

mod hosts;
mod object;
mod referrals;

use super::tls::Tls;
use super::words::{Ana, AnaGroup, File, Listener, Namespace, Subsystem};
use crate::args::Transport;
use object::{Object, list};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What came of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Imported {
    /// It, in our words.
    pub file: File,
    /// What could not be said: places and values.
    pub left_out: Vec<String>,
}

/// States of groups at one port.
type Groups = BTreeMap<u32, Ana>;

/// Reads what `nvmetcli save` wrote.
///
/// Errors: not JSON, or not an object; in words.
pub(crate) fn import(text: &str) -> Result<Imported, String> {
    let value: Value = serde_json::from_str(text).map_err(|why| format!("not JSON: {why}"))?;
    let Value::Object(mut fields) = value else {
        return Err("not a configuration of nvmetcli: an object with ports and subsystems".into());
    };
    let mut left_out = Vec::new();
    let mut file = File::default();
    let mut ports: BTreeMap<u16, (BTreeSet<String>, Groups)> = BTreeMap::new();
    let subsystems = list(&mut fields, "subsystems", "", &mut left_out);
    for (at, value) in list(&mut fields, "ports", "", &mut left_out).into_iter().enumerate() {
        let mut port = Object::new(value, format!("ports[{at}]"), &mut left_out);
        if let Some((listener, nqns, groups)) = read_port(&mut port, &mut file) {
            ports.insert(listener.portid.unwrap_or(0), (nqns, groups));
            file.listeners.push(listener);
        }
        port.end();
    }
    for (at, value) in subsystems.into_iter().enumerate() {
        let mut object = Object::new(value, format!("subsystems[{at}]"), &mut left_out);
        if let Some(mut subsystem) = read_subsystem(&mut object) {
            for (portid, (nqns, groups)) in &ports {
                if !nqns.contains(&subsystem.nqn) {
                    let nqn = &subsystem.nqn;
                    object
                        .say(&format!("{nqn} is not at port {portid}: here all ports lead to it"));
                }
                subsystem.ana_groups.extend(ana_groups(*portid, groups));
            }
            file.subsystems.push(subsystem);
        }
        object.end();
    }
    check_ports(&ports, &file, &mut left_out);
    hosts::read(&mut fields, &mut file, &mut left_out);
    Object { fields, place: String::new(), left_out: &mut left_out }.end();
    Ok(Imported { file, left_out })
}

fn check_ports(
    ports: &BTreeMap<u16, (BTreeSet<String>, Groups)>,
    file: &File,
    left_out: &mut Vec<String>,
) {
    for (portid, (nqns, _)) in ports {
        for nqn in nqns {
            if !file.subsystems.iter().any(|subsystem| subsystem.nqn == *nqn) {
                left_out.push(format!("port {portid}: subsystem {nqn}, which is not there"));
            }
        }
    }
}

fn ana_groups(portid: u16, groups: &Groups) -> impl Iterator<Item = AnaGroup> + '_ {
    let different = groups.iter().filter(|(_, state)| **state != Ana::Optimized);
    different.map(move |(grpid, state)| AnaGroup {
        grpid: *grpid,
        portid: Some(portid),
        state: *state,
    })
}

fn read_port(
    port: &mut Object<'_>,
    file: &mut File,
) -> Option<(Listener, BTreeSet<String>, Groups)> {
    let portid = port.number("portid");
    let mut groups = Groups::new();
    for (at, value) in port.list("ana_groups").into_iter().enumerate() {
        let place = format!("{}.ana_groups[{at}]", port.place);
        let mut group = Object::new(value, place, port.left_out);
        let grpid = group.number("grpid");
        let mut ana = group.object("ana");
        let state = ana.parsed("state", state);
        ana.end();
        if let (Some(grpid), Some(state)) = (grpid, state) {
            groups.insert(grpid, state);
        }
        group.end();
    }
    let nqns = port.texts("subsystems").into_iter().collect();
    let mut addr = port.object("addr");
    let listener = read_address(&mut addr, portid);
    addr.end();
    referrals::read(port, &mut file.referrals);
    Some((listener?, nqns, groups))
}

fn read_address(addr: &mut Object<'_>, portid: Option<u16>) -> Option<Listener> {
    let (trtype, traddr, trsvcid) = addr.reach();
    let tls = read_security(addr, trtype);
    let trsvcid = trsvcid.or(Some(initiator::spec::NVME_PORT));
    match (trtype, traddr) {
        (Some(trtype), Some(traddr)) => {
            Some(Listener { portid, trtype, traddr, trsvcid, discovery: false, tls })
        }
        _ => {
            addr.say("the port is left out: its transport or address cannot be had here");
            None
        }
    }
}

/// Whether hosts come with TLS. The kernel demands it where nothing else is said.
fn read_security(addr: &mut Object<'_>, trtype: Option<Transport>) -> Tls {
    let is_tcp = trtype == Some(Transport::Tcp);
    let with_tls = is_tcp && addr.parsed("tsas", |text| (text == "tls1.3").then_some(())).is_some();
    if !with_tls {
        addr.drop_if("treq", &["not specified", "not required"]);
        addr.drop_if("tsas", &["none"]);
        return Tls::Off;
    }
    addr.say("TLS keys are in the kernel's keyring: give each [[subsystem.host]] its tls_psk");
    let tls = addr.parsed("treq", |text| match text {
        "not required" => Some(Tls::Optional),
        "required" | "not specified" => Some(Tls::Required),
        _ => None,
    });
    tls.unwrap_or(Tls::Required)
}

fn state(text: &str) -> Option<Ana> {
    clap::ValueEnum::from_str(text, false).ok()
}

fn read_subsystem(object: &mut Object<'_>) -> Option<Subsystem> {
    let Some(nqn) = object.text("nqn") else {
        object.say("a subsystem without nqn");
        return None;
    };
    let mut attr = object.object("attr");
    let any = attr.flag("allow_any_host").unwrap_or(false);
    let serial = attr.text("serial").or_else(|| attr.text("attr_serial"));
    let model = attr.text("model").or_else(|| attr.text("attr_model"));
    // Versions and controller numbers are this target's own affair.
    for own in ["version", "attr_version", "cntlid_min", "attr_cntlid_min", "cntlid_max"] {
        attr.fields.remove(own);
    }
    attr.fields.remove("attr_cntlid_max");
    attr.end();
    let allowed = object.texts("allowed_hosts");
    if any && !allowed.is_empty() {
        object.say(&format!("allowed_hosts of {nqn}: any host may connect"));
    }
    let mut namespaces = Vec::new();
    for (at, value) in object.list("namespaces").into_iter().enumerate() {
        let place = format!("{}.namespaces[{at}]", object.place);
        let mut namespace = Object::new(value, place, object.left_out);
        namespaces.extend(read_namespace(&mut namespace));
        namespace.end();
    }
    Some(Subsystem {
        nqn,
        serial: serial.filter(|serial| !serial.is_empty()),
        model: model.filter(|model| !model.is_empty()),
        allow_any_host: None,
        allowed_hosts: (!any).then_some(allowed),
        hosts: Vec::new(),
        ana_groups: Vec::new(),
        namespaces,
    })
}

fn read_namespace(object: &mut Object<'_>) -> Option<Namespace> {
    let nsid = object.number("nsid");
    let direct = object.number("ana_grpid");
    let mut ana = object.object("ana");
    let nested = ana.number("grpid");
    ana.end();
    let ana_group: Option<u32> = direct.or(nested);
    let mut device = object.object("device");
    let path = device.text("path");
    let is_zero = |text: &String| text.chars().all(|c| matches!(c, '0' | '-'));
    let uuid = device.text("uuid").filter(|text| !is_zero(text));
    let nguid = device.text("nguid").filter(|text| !is_zero(text));
    device.end();
    let enabled = object.flag("enable").unwrap_or(true);
    let Some(path) = path else {
        object.say("a namespace without device.path");
        return None;
    };
    if !enabled {
        object.say(&format!("the namespace on {path} is not enabled"));
        return None;
    }
    // The kernel offers the logical blocks of the device: most have 512 octets.
    object.say(&format!("block size of {path}: taken as 512 octets, change the uri if it is 4096"));
    Some(Namespace {
        nsid,
        uri: format!("file:{}?block=512", escaped(&path)),
        uuid,
        nguid,
        ana_group: ana_group.filter(|group| *group != 1),
        ..Namespace::default()
    })
}

/// A path as a URI has it.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('&', "%26")
}

#[cfg(test)]
#[path = "nvmetcli_tests.rs"]
mod tests;
