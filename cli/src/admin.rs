//! The looking verbs: id-ctrl, id-ns, list-ns.

use crate::args::{Format, Namespace, Port, Transport};
use crate::discover::{self, Log};
use crate::failure::Failure;
use crate::keys;
use crate::output::print;
use initiator::edge::{self, AnySession, Settings};
use initiator::{SessionError, TargetSpec, Timers};
use serde_json::json;
use std::time::Duration;
use wire::fabrics::{Nqn, SubsystemType};
use wire::nvme::identify::{IdentifyController, IdentifyNamespace, trim_field};

/// A session on subsystem `nqn` with an I/O queue.
pub(crate) fn connect_io(port: &Port, nqn: &str) -> Result<AnySession, Failure> {
    connect_with(port, Some(nqn.to_owned()), true, 1)
}

/// A session on `subnqn`. The discovery service that is only looked at for a subsystem's name need not
/// prove itself: `must_prove`.
fn connect(port: &Port, subnqn: Option<String>, must_prove: bool) -> Result<AnySession, Failure> {
    // Looking needs no I/O queue.
    connect_with(port, subnqn, must_prove, 0)
}
fn connect_with(
    port: &Port,
    subnqn: Option<String>,
    must_prove: bool,
    io_queues: u16,
) -> Result<AnySession, Failure> {
    let mut spec = TargetSpec::port(port.traddr, port.trsvcid);
    spec.transport = port.transport.into();
    spec.subnqn = subnqn;
    spec.hostaddr = port.host_traddr;
    spec.hostnqn = port.hostnqn.clone();
    // A port of TCP may be one of many: what is said of RDMA is for the others.
    spec.cc = port.cc.filter(|_| port.transport == Transport::Rdma).map(Into::into);
    keys::set(&mut spec, &port.secrets)?;
    if !must_prove {
        spec.dhchap_ctrl_secret = None;
    }
    // It is over soon, and needs no keep alive.
    let timers = Timers { keep_alive: Duration::ZERO, ..Timers::default() };
    let settings = Settings { io_queues, timers, ..Settings::default() };
    Ok(edge::connect(&spec, &settings)?)
}

/// The subsystem asked for, or the only one that the target exports.
fn subsystem(port: &Port) -> Result<String, Failure> {
    if let Some(nqn) = &port.subnqn {
        return Ok(nqn.clone());
    }
    let mut found: Vec<String> = discovery_log(port, false)?
        .entries
        .iter()
        .filter(|entry| entry.subtype() == SubsystemType::Nvm.octet())
        .filter_map(|entry| entry.subnqn().ok().map(|nqn| nqn.as_str().to_owned()))
        .collect();
    // One is told once for each port that leads to it.
    found.sort();
    found.dedup();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new("the target exports no subsystem")),
        several => Err(Failure::new(format!(
            "the target exports several subsystems, choose one with -n: {}",
            several.join(", ")
        ))),
    }
}

/// What the discovery service at a port tells.
pub(crate) fn discovery_log(port: &Port, must_prove: bool) -> Result<Log, Failure> {
    let mut session = connect(port, Some(Nqn::DISCOVERY.into()), must_prove)?;
    let log = discover::read(&mut session)?;
    session.close();
    Ok(log)
}

/// `flexblk id-ctrl`.
pub(crate) fn id_ctrl(port: &Port) -> Result<(), Failure> {
    let nqn = subsystem(port)?;
    let mut session = connect(port, Some(nqn), true)?;
    let octets = session.identify_controller()?;
    session.close();
    let id = IdentifyController::decode(&octets).ok_or_else(|| Failure::new("short answer"))?;
    let text = |field: &[u8]| trim_field(field).unwrap_or_default().to_owned();
    let fields = json!({
        "vid": id.vid(), "ssvid": id.ssvid(),
        "sn": text(&id.sn()), "mn": text(&id.mn()), "fr": text(&id.fr()),
        "mdts": id.mdts(), "cntlid": id.cntlid().0, "ver": id.ver(), "oaes": id.oaes(),
        "ctratt": id.ctratt(), "cntrltype": id.cntrltype(), "oacs": id.oacs(), "acl": id.acl(),
        "aerl": id.aerl(), "lpa": id.lpa(), "elpe": id.elpe(), "kas": id.kas(),
        "maxcmd": id.maxcmd(), "nn": id.nn(), "oncs": id.oncs(), "vwc": id.vwc(),
        "awun": id.awun(), "awupf": id.awupf(), "sgls": id.sgls(),
        "subnqn": text(&id.subnqn()), "ioccsz": id.ioccsz(), "iorcsz": id.iorcsz(),
        "icdoff": id.icdoff(), "msdbd": id.msdbd(),
    });
    show(port.output, "NVME Identify Controller", &fields)
}

/// `flexblk id-ns`.
pub(crate) fn id_ns(args: &Namespace) -> Result<(), Failure> {
    let nqn = subsystem(&args.port)?;
    let mut session = connect(&args.port, Some(nqn), true)?;
    let octets = session.identify_namespace(args.nsid)?;
    session.close();
    // A controller answers with zeros for a number that no namespace has.
    if octets.iter().all(|octet| *octet == 0) {
        return Err(SessionError::NoNamespace(args.nsid).into());
    }
    let id = IdentifyNamespace::decode(&octets).ok_or_else(|| Failure::new("short answer"))?;
    let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
    let fields = json!({
        "nsze": id.nsze(), "ncap": id.ncap(), "nuse": id.nuse(), "nsfeat": id.nsfeat(),
        "nlbaf": id.nlbaf(), "nguid": hex(&id.nguid()),
        "eui64": hex(&id.eui64()),
        "block_bytes": id.current_format().and_then(|format| format.block_bytes()),
    });
    show(args.port.output, "NVME Identify Namespace", &fields)
}

/// `flexblk list-ns`.
pub(crate) fn list_ns(port: &Port) -> Result<(), Failure> {
    let nqn = subsystem(port)?;
    let mut session = connect(port, Some(nqn), true)?;
    let ids = session.namespaces()?;
    session.close();
    if port.output == Format::Json {
        let list: Vec<_> = ids.iter().map(|nsid| json!({ "nsid": nsid })).collect();
        print(serde_json::to_string_pretty(&json!({ "nsid_list": list }))?)?;
    } else {
        for (number, nsid) in ids.iter().enumerate() {
            print(format_args!("[{number:4}]:{nsid:#x}"))?;
        }
    }
    Ok(())
}

fn show(format: Format, title: &str, fields: &serde_json::Value) -> Result<(), Failure> {
    if format == Format::Json {
        return print(serde_json::to_string_pretty(fields)?);
    }
    print(format_args!("{title}:"))?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        print(format_args!("{name:11}: {value}"))?;
    }
    Ok(())
}
